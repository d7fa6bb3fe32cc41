"""The two axes together: how much attention, what else it may be, and the union of what to do.

Nothing here weighs or adds: each axis keeps its own published category.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from mappings.publications.differential import Cause
from mappings.text import Numeral, format_amount, make_text
from services.chart.model import Chart, Finding, Measurement
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.outcome import LACKS_DATA
from services.sarcopenia.outcome import SarcopeniaAssessment as MuscleAssessment
from services.sarcopenia.weight import find_weight_loss, get_recent
from services.vitamin_b12.outcome import DEFICIENT, B12Assessment

B12_MISSING_DATA = frozenset({"at-risk-untested", "insufficient-data"})
B12_CAUSE = "b12-deficiency"


class Clue(NamedTuple):
    """One resource, and what it is in words."""

    resource: str
    text: str
    recent: bool = True  # False for a condition known for long


class SuspectedCause(NamedTuple):
    """A cause, and the resources that point to it."""

    cause: str
    resources: tuple[str, ...]
    texts: tuple[str, ...] = ()  # what points to it, in words, for the card
    urgent: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"cause": self.cause, "pointers": list(self.resources)}


class Evaluation(NamedTuple):
    """What the two axes say side by side."""

    b12: B12Assessment
    muscle: MuscleAssessment
    tier: str
    differential: tuple[SuspectedCause, ...]
    urgent: str | None  # "same-day" or "urgent" where a cause that cannot wait is pointed to


def combine_assessments(
    chart: Chart, b12: B12Assessment, muscle: MuscleAssessment, knowledge: SarcopeniaKnowledge
) -> Evaluation:
    """Tier, differential and the union of actions for one patient."""
    pointed = tuple(_find_suspected_causes(chart, b12, muscle, knowledge))
    urgencies = [one.urgent for one in pointed if one.urgent]
    if urgencies and not muscle.positive and not {*muscle.triggers} - {"measured"}:
        urgencies = []  # nobody asks about muscle
    urgent = min(urgencies, default=None)  # "same-day" sorts before "urgent"
    muscle = _merge_actions(b12, muscle, pointed, knowledge, urgent=urgent)
    return Evaluation(b12, muscle, choose_tier(b12, muscle), pointed, urgent)


def choose_tier(b12: B12Assessment, muscle: MuscleAssessment) -> str:
    """An order of attention: T1 before T5. Never a score."""
    if b12.category in DEFICIENT and b12.neurological:
        return "T1"
    b12_is, muscle_is = is_b12_positive(b12), muscle.positive
    if b12_is and muscle_is:
        return "T2"
    if b12_is or muscle_is:
        return "T3"
    if b12.category in B12_MISSING_DATA or (muscle.triggers and muscle.category in LACKS_DATA):
        return "T4"
    return "T5"


def is_b12_positive(b12: B12Assessment) -> bool:
    """Whether B12 is deficient, indeterminate, or must not reassure and asks for an action."""
    if b12.category == "uninterpretable":
        return bool(b12.next_steps)
    return b12.category in DEFICIENT or b12.category == "indeterminate"


def _merge_actions(
    b12: B12Assessment,
    muscle: MuscleAssessment,
    pointed: Iterable[SuspectedCause],
    knowledge: SarcopeniaKnowledge,
    *,
    urgent: str | None,
) -> MuscleAssessment:
    """Muscle's next steps with those that the other axis and the other causes call for."""
    if not (pointed or muscle.positive or muscle.next_steps):
        return muscle  # nothing to add, and nothing that could have to wait
    steps = dict.fromkeys(muscle.next_steps)
    flags = dict.fromkeys(muscle.flags)
    first: dict[str, None] = {}
    for one in pointed:
        cause = knowledge.cause_of.get(one.cause)
        if cause is None:
            continue
        if one.urgent is not None and urgent is not None:
            first.update(dict.fromkeys(cause.steps))
        elif cause.urgent is None and muscle.positive:
            steps.update(dict.fromkeys(cause.steps))
    if urgent is not None:
        flags["alternative_cause_urgent"] = None
    if muscle.positive:
        if b12.category in DEFICIENT:
            first["b12_pathway_treat"] = None
        elif is_b12_positive(b12):
            steps["b12_pathway_mma"] = None
        if b12.neurological:
            steps["neuro_exam"] = None
    if b12.category in DEFICIENT and b12.neurological:
        # Treatment of nerves never waits for a measurement of muscle.
        steps.pop("order_muscle_mass_dxa_bia", None)
    return muscle._replace(next_steps=tuple({**first, **steps}), flags=tuple(flags))


def _find_suspected_causes(
    chart: Chart, b12: B12Assessment, muscle: MuscleAssessment, knowledge: SarcopeniaKnowledge
) -> Iterator[SuspectedCause]:
    if is_b12_positive(b12):
        signs = [e.resource for e in b12.evidence if e.rule == "neurological" and e.resource]
        result = [b12.deciding.result.resource] if b12.deciding else []
        pointers = tuple(dict.fromkeys((*result, *signs)))
        if pointers:
            yield SuspectedCause(B12_CAUSE, pointers)
    for cause in _select_causes(chart, knowledge):
        found = {p.resource: p for p in _find_clues(cause, chart, muscle, knowledge)}
        if found:
            recent = any(pointer.recent for pointer in found.values())
            yield SuspectedCause(
                cause.id,
                tuple(found),
                tuple(dict.fromkeys(pointer.text for pointer in found.values())),
                cause.urgent if recent else None,
            )


def _select_causes(chart: Chart, knowledge: SarcopeniaKnowledge) -> Iterable[Cause]:
    """The causes that something on record may point to, in the order of the file."""
    places: set[int] = set()
    for on_record in (chart.findings, chart.medications, chart.measurements):
        for name in on_record:
            places.update(knowledge.causes_naming.get(name, ()))
    return [knowledge.causes[place] for place in sorted(places)]


def _find_clues(
    cause: Cause, chart: Chart, muscle: MuscleAssessment, knowledge: SarcopeniaKnowledge
) -> Iterator[Clue]:
    for found in chart.list_present(cause.conditions):
        if isinstance(found, Finding):
            known_since = chart.today - timedelta(days=knowledge.policy["acute_condition_days"])
            recent = found.onset is None or found.onset >= known_since
            yield Clue(found.resource, knowledge.titles[found.concept], recent)
    for concept in cause.medications if chart.medications else ():
        for drug in chart.medications.get(concept, ()):
            if drug.status in ("current", "draft"):
                title = knowledge.titles[concept]
                drafted = drug.status == "draft"
                says = make_text("{title}, being ordered", title=title) if drafted else title
                yield Clue(drug.resource, says)
    for result in _find_results_outside_range(cause, chart, knowledge):
        title = knowledge.titles[result.observation]
        value = format_amount(result.value, result.unit, result.comparator)
        yield Clue(result.resource, make_text("{title} {amount}", title=title, amount=value))
    if cause.asymmetry:
        yield from (
            Clue(resource, make_text("Grip differs between hands")) for resource in muscle.asymmetry
        )
    if cause.weight_loss:
        lost = find_weight_loss(chart, knowledge)
        if lost:
            said = make_text(
                "Weight {before} to {now}",
                before=Numeral(f"{lost[1].value:g}"),
                now=format_amount(lost[0].value, "kg"),
            )
            yield from (Clue(weight.resource, said) for weight in lost)


def _find_results_outside_range(
    cause: Cause, chart: Chart, knowledge: SarcopeniaKnowledge
) -> Iterator[Measurement]:
    """Recent results outside the laboratory's own range; without a range nothing is said."""
    for name in (*cause.above_range, *cause.outside_range):
        result = chart.get_latest(name)
        if (
            result
            and _is_above(result, result.reference_high)
            and get_recent(name, chart, knowledge)
        ):
            yield result
    for name in (*cause.below_range, *cause.outside_range):
        result = chart.get_latest(name)
        if (
            result
            and _is_below(result, result.reference_low)
            and get_recent(name, chart, knowledge)
        ):
            yield result
    if cause.gross is not None:
        result = get_recent(cause.gross["observation"], chart, knowledge)
        times: float = cause.gross["times_upper_limit"]
        if result is not None and _is_above(result, _multiply_limit(result.reference_high, times)):
            yield result


def _multiply_limit(limit: float | None, factor: float) -> float | None:
    return None if limit is None else limit * factor


def _is_below(result: Measurement, limit: float | None) -> bool:
    return limit is not None and result.value < limit and result.comparator in (None, "<", "<=")


def _is_above(result: Measurement, limit: float | None) -> bool:
    return limit is not None and result.value > limit and result.comparator in (None, ">", ">=")
