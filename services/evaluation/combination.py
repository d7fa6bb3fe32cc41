"""The two axes together: how much attention, what else it may be, and the union of what to do.

Nothing here weighs or adds: each axis keeps its own published category.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from mappings.publications.differential import Cause
from mappings.text import Numeral, amount, say
from services.chart.model import Chart, Finding, Measurement
from services.sarcopenia.knowledge import Knowledge
from services.sarcopenia.outcome import LACKS_DATA
from services.sarcopenia.outcome import Assessment as MuscleAssessment
from services.sarcopenia.weight import recent, weight_loss
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.outcome import Assessment as B12Assessment

B12_LACKS_DATA = frozenset({"at-risk-untested", "insufficient-data"})
B12_CAUSE = "b12-deficiency"


class Pointer(NamedTuple):
    """One resource, and what it is in words."""

    resource: str
    says: str
    recent: bool = True  # False for a condition known for long


class Pointed(NamedTuple):
    """A cause, and the resources that point to it."""

    cause: str
    pointers: tuple[str, ...]
    says: tuple[str, ...] = ()  # what points to it, in words, for the card
    urgent: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"cause": self.cause, "pointers": list(self.pointers)}


class Together(NamedTuple):
    """What the two axes say side by side."""

    b12: B12Assessment
    muscle: MuscleAssessment
    tier: str
    differential: tuple[Pointed, ...]
    urgent: str | None  # "same-day" or "urgent" where a cause that cannot wait is pointed to


def together(
    chart: Chart, b12: B12Assessment, muscle: MuscleAssessment, knowledge: Knowledge
) -> Together:
    """Tier, differential and the union of actions for one patient."""
    pointed = tuple(_differential(chart, b12, muscle, knowledge))
    urgencies = [one.urgent for one in pointed if one.urgent]
    if urgencies and not muscle.positive and not {*muscle.triggers} - {"measured"}:
        urgencies = []  # nobody asks about muscle
    urgent = min(urgencies, default=None)  # "same-day" sorts before "urgent"
    muscle = _with_union(b12, muscle, pointed, knowledge, urgent=urgent)
    return Together(b12, muscle, tier(b12, muscle), pointed, urgent)


def tier(b12: B12Assessment, muscle: MuscleAssessment) -> str:
    """An order of attention: T1 before T5. Never a score."""
    if b12.category in DEFICIENT and b12.neurological:
        return "T1"
    b12_is, muscle_is = b12_positive(b12), muscle.positive
    if b12_is and muscle_is:
        return "T2"
    if b12_is or muscle_is:
        return "T3"
    if b12.category in B12_LACKS_DATA or (muscle.triggers and muscle.category in LACKS_DATA):
        return "T4"
    return "T5"


def b12_positive(b12: B12Assessment) -> bool:
    """Whether B12 is deficient, indeterminate, or must not reassure and asks for an action."""
    if b12.category == "uninterpretable":
        return bool(b12.next_steps)
    return b12.category in DEFICIENT or b12.category == "indeterminate"


def _with_union(
    b12: B12Assessment,
    muscle: MuscleAssessment,
    pointed: Iterable[Pointed],
    knowledge: Knowledge,
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
        elif b12_positive(b12):
            steps["b12_pathway_mma"] = None
        if b12.neurological:
            steps["neuro_exam"] = None
    if b12.category in DEFICIENT and b12.neurological:
        # Treatment of nerves never waits for a measurement of muscle.
        steps.pop("order_muscle_mass_dxa_bia", None)
    return muscle._replace(next_steps=tuple({**first, **steps}), flags=tuple(flags))


def _differential(
    chart: Chart, b12: B12Assessment, muscle: MuscleAssessment, knowledge: Knowledge
) -> Iterator[Pointed]:
    if b12_positive(b12):
        signs = [e.resource for e in b12.evidence if e.rule == "neurological" and e.resource]
        result = [b12.deciding.result.resource] if b12.deciding else []
        pointers = tuple(dict.fromkeys((*result, *signs)))
        if pointers:
            yield Pointed(B12_CAUSE, pointers)
    for cause in _pointed_to(chart, knowledge):
        found = {p.resource: p for p in _pointers(cause, chart, muscle, knowledge)}
        if found:
            recent = any(pointer.recent for pointer in found.values())
            yield Pointed(
                cause.id,
                tuple(found),
                tuple(dict.fromkeys(pointer.says for pointer in found.values())),
                cause.urgent if recent else None,
            )


def _pointed_to(chart: Chart, knowledge: Knowledge) -> Iterable[Cause]:
    """The causes that something on record may point to, in the order of the file."""
    places: set[int] = set()
    for on_record in (chart.findings, chart.medications, chart.measurements):
        for name in on_record:
            places.update(knowledge.causes_naming.get(name, ()))
    return [knowledge.causes[place] for place in sorted(places)]


def _pointers(
    cause: Cause, chart: Chart, muscle: MuscleAssessment, knowledge: Knowledge
) -> Iterator[Pointer]:
    for found in chart.present(cause.conditions):
        if isinstance(found, Finding):
            known_since = chart.today - timedelta(days=knowledge.policy["acute_condition_days"])
            recent = found.onset is None or found.onset >= known_since
            yield Pointer(found.resource, knowledge.titles[found.concept], recent)
    for concept in cause.medications if chart.medications else ():
        for drug in chart.medications.get(concept, ()):
            if drug.status in ("current", "draft"):
                title = knowledge.titles[concept]
                drafted = drug.status == "draft"
                says = say("{title}, being ordered", title=title) if drafted else title
                yield Pointer(drug.resource, says)
    for result in _outside_range(cause, chart, knowledge):
        title = knowledge.titles[result.observation]
        value = amount(result.value, result.unit, result.comparator)
        yield Pointer(result.resource, say("{title} {amount}", title=title, amount=value))
    if cause.asymmetry:
        yield from (
            Pointer(resource, say("Grip differs between hands")) for resource in muscle.asymmetry
        )
    if cause.weight_loss:
        lost = weight_loss(chart, knowledge)
        if lost:
            said = say(
                "Weight {before} to {now}",
                before=Numeral(f"{lost[1].value:g}"),
                now=amount(lost[0].value, "kg"),
            )
            yield from (Pointer(weight.resource, said) for weight in lost)


def _outside_range(cause: Cause, chart: Chart, knowledge: Knowledge) -> Iterator[Measurement]:
    """Recent results outside the laboratory's own range; without a range nothing is said."""
    for name in (*cause.above_range, *cause.outside_range):
        result = chart.latest(name)
        if result and _above(result, result.reference_high) and recent(name, chart, knowledge):
            yield result
    for name in (*cause.below_range, *cause.outside_range):
        result = chart.latest(name)
        if result and _below(result, result.reference_low) and recent(name, chart, knowledge):
            yield result
    if cause.gross is not None:
        result = recent(cause.gross["observation"], chart, knowledge)
        times: float = cause.gross["times_upper_limit"]
        if result is not None and _above(result, _times(result.reference_high, times)):
            yield result


def _times(limit: float | None, factor: float) -> float | None:
    return None if limit is None else limit * factor


def _below(result: Measurement, limit: float | None) -> bool:
    return limit is not None and result.value < limit and result.comparator in (None, "<", "<=")


def _above(result: Measurement, limit: float | None) -> bool:
    return limit is not None and result.value > limit and result.comparator in (None, ">", ">=")
