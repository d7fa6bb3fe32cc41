"""A limit's two sides as bands of a chart, in the unit that the results are in."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from mappings.guideline import Cutoff, Limits, Undecided
from mappings.said import amount, say
from services.chart import Chart, Measurement
from services.knowledge import Known
from services.sarcopenia.measures import LEVELS
from services.smart_app.values import OF_MUSCLE, TONES
from services.vitamin_b12.features import is_pregnant
from services.vitamin_b12.results import MEANS_OUTSIDE, band_text
from services.workbench.plot import Band

METABOLITES = frozenset({"methylmalonic_acid", "homocysteine"})
# What a value is that meets no row, as the rules have it; where nothing is here, they say nothing.
OTHERWISE = {**dict.fromkeys(METABOLITES, "normal"), "egfr": "working"}


def limits_of(name: str, known: Known) -> Limits:
    """The table that results of `name` are read by."""
    if name in OF_MUSCLE:
        return known.muscle.definition
    of_guideline = any(row.observation == name for row in known.b12.guideline.cutoffs)
    return known.b12.guideline if of_guideline else known.b12.laboratory


def bands(newest: Measurement, chart: Chart, known: Known) -> tuple[Band, ...]:
    """The bands that results like `newest` lie in, the lowest first; none where no limit is
    printed in this unit, or where limits differ by a sex that is not known.

    A laboratory's own edge in the newest result stands for the printed ones, as in the rules.
    """
    own = _own_edge(newest)
    if own is not None:
        return own
    name, unit = newest.observation, newest.unit
    limits = limits_of(name, known)
    printed = limits.rows(name, unit)
    if not printed or (chart.sex is None and any(row.sex for row in printed)):
        return ()
    pregnant = is_pregnant(chart, known.b12)

    def read(value: float) -> Cutoff | None:
        row = limits.read(name, value, None, unit, sex=chart.sex, pregnant=pregnant)
        return None if isinstance(row, Undecided) else row

    meant = LEVELS if name in OF_MUSCLE else {}
    normal = "normal" if meant else OTHERWISE.get(name)
    edges = sorted({row.limit for row in printed if row.sex in (None, chart.sex)})
    return tuple(_joined(edges, read, lambda row: _says(row, meant, known), normal))


def _joined(
    edges: list[float],
    read: Callable[[float], Cutoff | None],
    says: Callable[[Cutoff], tuple[str, str]],
    normal: str | None,
) -> Iterator[Band]:
    """A band for each stretch between edges; neighbours that mean the same are one."""
    stretches = list(pairwise((None, *edges, None)))
    found: list[Band] = []
    meanings: list[str | None] = []
    for low, high in stretches:
        row = read(_inside(low, high))
        meaning, words = says(row) if row else (normal, normal or "")
        if meanings and meanings[-1] == meaning:
            before = found[-1]
            found[-1] = Band(before.says, before.begins, high, before.tone)
        else:
            tone = TONES[meaning] if meaning else "plain"
            found.append(Band(words, low, high, tone))
            meanings.append(meaning)
    yield from (band for band, meaning in zip(found, meanings, strict=True) if meaning)


def _inside(low: float | None, high: float | None) -> float:
    if low is None:
        return (high or 0.0) / 2
    return low * 2 + 1 if high is None else (low + high) / 2


def _says(row: Cutoff, levels: dict[str, str], known: Known) -> tuple[str, str]:
    """The meaning, and the words of the band: "deficient: below 180 ng/L"."""
    meaning = levels.get(row.means, row.means)
    if meaning == "normal":
        return meaning, meaning
    limit = band_text(row, known.b12)
    return meaning, say("{means}: {limit}", means=meaning.replace("_", " "), limit=limit)


def _own_edge(newest: Measurement) -> tuple[Band, ...] | None:
    """The two sides of the laboratory's own edge; None where the result brings none."""
    name, unit = newest.observation, newest.unit
    high = newest.reference_high if name in METABOLITES or name == "mcv" else None
    low = newest.reference_low if name == "hemoglobin" else None
    if high is not None:
        meaning = MEANS_OUTSIDE.get(name, "raised")
        limit = say("above {amount}", amount=amount(high, unit))
        beyond = say("{means} by the laboratory: {limit}", means=meaning, limit=limit)
        below = (Band("normal", None, high, "good"),) if name in METABOLITES else ()
        return (*below, Band(beyond, high, None, TONES[meaning]))
    if low is not None:
        meaning = MEANS_OUTSIDE[name]
        limit = say("below {amount}", amount=amount(low, unit))
        beyond = say("{means} by the laboratory: {limit}", means=meaning, limit=limit)
        return (Band(beyond, None, low, TONES[meaning]),)
    return None
