"""A limit's two sides as bands of a chart, in the unit that the results are in."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from mappings.publications.guideline import Cutoff, Limits, Undecided
from mappings.text import amount, say
from services.assessment.evidence import under
from services.chart.model import Chart, Measurement
from services.knowledge.site import Known
from services.sarcopenia.measures import LEVELS
from services.vitamin_b12.findings import is_pregnant
from services.vitamin_b12.results import MEANS_OUTSIDE, band_text
from services.web.chart_data import Band
from services.web.smart_app.caveats import METABOLITES
from services.web.smart_app.result_values import OF_MUSCLE, TONES

# What a value is that meets no row, as the rules have it; where nothing is here, they say nothing.
OTHERWISE = {**dict.fromkeys(METABOLITES, "normal"), "egfr": "working"}


def limits_of(name: str, known: Known) -> Limits:
    """The table that results of `name` are read by."""
    if name in OF_MUSCLE:
        return known.muscle.definition
    of_guideline = any(row.observation == name for row in known.b12.guideline.cutoffs)
    return known.b12.guideline if of_guideline else known.b12.laboratory


def unbanded(newest: Measurement, chart: Chart, known: Known) -> str | None:
    """Why results like `newest` have no bands: the patient is too young for the publication, no
    limit is printed in this unit, or limits differ by a sex that is not known."""
    name = newest.observation
    by = known.muscle.definition if name in OF_MUSCLE else known.b12.guideline
    if chart.age_at_least(by.minimum_age) is False:
        return say("not applied: {why}", why=under(by.minimum_age))
    if _own_edge(newest, known, pregnant=False) is not None:
        return None
    printed = limits_of(name, known).rows(name, newest.unit)
    if not printed:
        return say("no limit is printed in this unit")
    if chart.sex is None and any(row.sex for row in printed):
        return say("the limits of men and women part here, and the sex to apply is not known")
    return None


def bands(newest: Measurement, chart: Chart, known: Known) -> tuple[Band, ...]:
    """The bands that results like `newest` lie in, the lowest first; none where `unbanded`.

    A laboratory's own edge in the newest result stands for the printed ones, as in the rules.
    """
    if unbanded(newest, chart, known) is not None:
        return ()
    pregnant = is_pregnant(chart, known.b12)
    own = _own_edge(newest, known, pregnant=pregnant)
    if own is not None:
        return own
    name, unit = newest.observation, newest.unit
    limits = limits_of(name, known)
    printed = limits.rows(name, unit)

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


def _own_edge(newest: Measurement, known: Known, *, pregnant: bool) -> tuple[Band, ...] | None:
    """The two sides of the laboratory's own edge, and what the printed limits call worse beyond
    it; None where the result brings no edge that the rules would use."""
    name, unit = newest.observation, newest.unit
    high = newest.reference_high if name in METABOLITES or name == "mcv" else None
    low = newest.reference_low if name == "hemoglobin" else None
    if high is not None:
        below = (Band("normal", None, high, "good"),) if name in METABOLITES else ()
        meaning = MEANS_OUTSIDE.get(name, "raised")
        limit = say("above {amount}", amount=amount(high, unit))
        worse = _worse("grossly_raised", newest, known, pregnant=pregnant)
        if worse is None:
            return (*below, _by_laboratory(meaning, limit, high, None))
        if worse.limit <= high:
            return (*below, _by_laboratory("grossly_raised", limit, high, None))
        beyond = Band(_says(worse, {}, known)[1], worse.limit, None, TONES[worse.means])
        return (*below, _by_laboratory(meaning, limit, high, worse.limit), beyond)
    if low is not None:
        meaning = MEANS_OUTSIDE[name]
        limit = say("below {amount}", amount=amount(low, unit))
        worse = _worse("severe_anaemia", newest, known, pregnant=pregnant)
        if worse is None:
            return (_by_laboratory(meaning, limit, None, low),)
        severe = Band(_says(worse, {}, known)[1], None, worse.limit, TONES[worse.means])
        if worse.limit >= low:
            return (severe,)
        return (severe, _by_laboratory(meaning, limit, worse.limit, low))
    return None


def _by_laboratory(meaning: str, limit: str, begins: float | None, ends: float | None) -> Band:
    means = meaning.replace("_", " ")
    says = say("{means} by the laboratory: {limit}", means=means, limit=limit)
    return Band(says, begins, ends, TONES[meaning])


def _worse(means: str, newest: Measurement, known: Known, *, pregnant: bool) -> Cutoff | None:
    """The printed limit that holds whatever the laboratory's own edge is."""
    rows = limits_of(newest.observation, known).rows(newest.observation, newest.unit)
    fit = (row for row in rows if row.means == means and row.pregnant in (None, pregnant))
    return next(fit, None)
