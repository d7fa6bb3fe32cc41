"""A limit's two sides as bands of a chart, in the unit that the results are in."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from mappings.publications.cutoffs import Cutoff, CutoffTable, Undecided
from mappings.text import format_amount, make_text
from services.assessment.evidence import make_age_reason
from services.chart.model import Chart, Measurement
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.measures import LEVELS
from services.vitamin_b12.findings import is_pregnant
from services.vitamin_b12.results import format_band
from services.web.chart_data import Band
from services.web.smart_app.caveats import METABOLITES
from services.web.smart_app.result_values import MEANING_TONES, MUSCLE_TESTS

# What a value is that meets no row, as the rules have it; where nothing is here, they say nothing.
NORMAL_MEANINGS = {**dict.fromkeys(METABOLITES, "normal"), "egfr": "working"}


def find_limits(name: str, knowledge: SiteKnowledge) -> CutoffTable:
    """The table that results of `name` are read by."""
    if name in MUSCLE_TESTS:
        return knowledge.muscle.definition
    of_guideline = any(row.observation == name for row in knowledge.b12.guideline.cutoffs)
    return knowledge.b12.guideline if of_guideline else knowledge.b12.laboratory


def explain_missing_bands(
    newest: Measurement, chart: Chart, knowledge: SiteKnowledge
) -> str | None:
    """Why results like `newest` have no bands: the patient is too young for the publication, no
    limit is printed in this unit, or limits differ by a sex that is not known."""
    name = newest.observation
    by = knowledge.muscle.definition if name in MUSCLE_TESTS else knowledge.b12.guideline
    if chart.has_reached_age(by.minimum_age) is False:
        return make_text("not applied: {why}", why=make_age_reason(by.minimum_age))
    if _build_laboratory_bands(newest, knowledge, pregnant=False) is not None:
        return None
    printed = find_limits(name, knowledge).get_rows(name, newest.unit)
    if not printed:
        return make_text("no limit is printed in this unit")
    if chart.sex is None and any(row.sex for row in printed):
        return make_text("the limits of men and women part here, and the sex to apply is not known")
    return None


def build_bands(newest: Measurement, chart: Chart, knowledge: SiteKnowledge) -> tuple[Band, ...]:
    """The bands that results like `newest` lie in, the lowest first.

    None where `explain_missing_bands` gives a reason.
    A laboratory's own edge in the newest result stands for the printed ones, as in the rules.
    """
    if explain_missing_bands(newest, chart, knowledge) is not None:
        return ()
    pregnant = is_pregnant(chart, knowledge.b12)
    own = _build_laboratory_bands(newest, knowledge, pregnant=pregnant)
    if own is not None:
        return own
    name, unit = newest.observation, newest.unit
    limits = find_limits(name, knowledge)
    printed = limits.get_rows(name, unit)

    def read(value: float) -> Cutoff | None:
        row = limits.interpret(name, value, None, unit, sex=chart.sex, pregnant=pregnant)
        return None if isinstance(row, Undecided) else row

    meant = LEVELS if name in MUSCLE_TESTS else {}
    normal = "normal" if meant else NORMAL_MEANINGS.get(name)
    edges = sorted({row.limit for row in printed if row.sex in (None, chart.sex)})
    return tuple(
        _join_bands(edges, read, lambda row: _describe_cutoff(row, meant, knowledge), normal)
    )


def _join_bands(
    edges: list[float],
    read: Callable[[float], Cutoff | None],
    describe: Callable[[Cutoff], tuple[str, str]],
    normal: str | None,
) -> Iterator[Band]:
    """A band for each stretch between edges; neighbours that mean the same are one."""
    stretches = list(pairwise((None, *edges, None)))
    bands: list[Band] = []
    meanings: list[str | None] = []
    for low, high in stretches:
        row = read(_find_midpoint(low, high))
        meaning, words = describe(row) if row else (normal, normal or "")
        if meanings and meanings[-1] == meaning:
            before = bands[-1]
            bands[-1] = Band(before.says, before.begins, high, before.tone)
        else:
            tone = MEANING_TONES[meaning] if meaning else "plain"
            bands.append(Band(words, low, high, tone))
            meanings.append(meaning)
    yield from (band for band, meaning in zip(bands, meanings, strict=True) if meaning)


def _find_midpoint(low: float | None, high: float | None) -> float:
    if low is None:
        return (high or 0.0) / 2
    return low * 2 + 1 if high is None else (low + high) / 2


def _describe_cutoff(
    row: Cutoff, levels: Mapping[str, str], knowledge: SiteKnowledge
) -> tuple[str, str]:
    """The meaning, and the words of the band: "deficient: below 180 ng/L"."""
    meaning = levels.get(row.means, row.means)
    if meaning == "normal":
        return meaning, meaning
    limit = format_band(row, knowledge.b12)
    return meaning, make_text("{means}: {limit}", means=meaning.replace("_", " "), limit=limit)


def _build_laboratory_bands(
    newest: Measurement, knowledge: SiteKnowledge, *, pregnant: bool
) -> tuple[Band, ...] | None:
    """The two sides of the laboratory's own edge, and what the printed limits call worse beyond
    it; None where the result brings no edge that the rules would use."""
    name, unit = newest.observation, newest.unit
    own_ranges = knowledge.b12.laboratory.own_ranges
    high = newest.reference_high if name in METABOLITES or name == "mcv" else None
    low = newest.reference_low if name == "hemoglobin" else None
    if high is not None:
        below = (Band("normal", None, high, "good"),) if name in METABOLITES else ()
        meaning = own_ranges[name].means if name in own_ranges else "raised"
        limit = make_text("above {amount}", amount=format_amount(high, unit))
        worse = _find_worse_cutoff("grossly_raised", newest, knowledge, pregnant=pregnant)
        if worse is None:
            return (*below, _build_laboratory_band(meaning, limit, high, None))
        if worse.limit <= high:
            return (*below, _build_laboratory_band("grossly_raised", limit, high, None))
        beyond = Band(
            _describe_cutoff(worse, {}, knowledge)[1], worse.limit, None, MEANING_TONES[worse.means]
        )
        return (*below, _build_laboratory_band(meaning, limit, high, worse.limit), beyond)
    if low is not None:
        meaning = own_ranges[name].means
        limit = make_text("below {amount}", amount=format_amount(low, unit))
        worse = _find_worse_cutoff("severe_anaemia", newest, knowledge, pregnant=pregnant)
        if worse is None:
            return (_build_laboratory_band(meaning, limit, None, low),)
        severe = Band(
            _describe_cutoff(worse, {}, knowledge)[1], None, worse.limit, MEANING_TONES[worse.means]
        )
        if worse.limit >= low:
            return (severe,)
        return (severe, _build_laboratory_band(meaning, limit, worse.limit, low))
    return None


def _build_laboratory_band(
    meaning: str, limit: str, begins: float | None, ends: float | None
) -> Band:
    means = meaning.replace("_", " ")
    says = make_text("{means} by the laboratory: {limit}", means=means, limit=limit)
    return Band(says, begins, ends, MEANING_TONES[meaning])


def _find_worse_cutoff(
    means: str, newest: Measurement, knowledge: SiteKnowledge, *, pregnant: bool
) -> Cutoff | None:
    """The printed limit that holds whatever the laboratory's own edge is."""
    rows = find_limits(newest.observation, knowledge).get_rows(newest.observation, newest.unit)
    fit = (row for row in rows if row.means == means and row.pregnant in (None, pregnant))
    return next(fit, None)
