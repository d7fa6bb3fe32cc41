"""Combine the assessments of one patient: tier, differential diagnosis, next steps of both.

Nothing here weighs or adds: each topic keeps its own published category. B12 and muscle are
combined by name, because their sources are about these two; other topics stay as they are.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple, cast

from mappings.publications.differential import Cause
from mappings.text import Numeral, format_amount, make_text
from services.assessment.codes import B12Category, SarcopeniaFlag, SarcopeniaStep, Tier, Trigger
from services.assessment.topic import TopicAssessment
from services.chart.model import Chart, Finding, Measurement
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.outcome import LACKS_DATA, SarcopeniaAssessment
from services.sarcopenia.weight import find_weight_loss, get_recent
from services.vitamin_b12.outcome import DEFICIENT, B12Assessment

B12_MISSING_DATA = frozenset({B12Category.AT_RISK_UNTESTED, B12Category.INSUFFICIENT_DATA})
B12_CAUSE = "b12-deficiency"
B12, SARCOPENIA = "b12", "sarcopenia"  # ids of the topics that are combined


class Clue(NamedTuple):
    """A resource that points to a cause, and what it is in words."""

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
    """The assessments of one patient, and what they mean together."""

    assessments: Mapping[str, TopicAssessment]  # by id of the topic, in the order of the topics
    tier: Tier
    differential: tuple[SuspectedCause, ...]
    urgent: str | None  # "same-day" or "urgent" where a cause that cannot wait is pointed to

    @property
    def b12(self) -> B12Assessment:
        return cast("B12Assessment", self.assessments[B12])

    @property
    def muscle(self) -> SarcopeniaAssessment:
        return cast("SarcopeniaAssessment", self.assessments[SARCOPENIA])


def combine_assessments(
    chart: Chart, assessments: Mapping[str, TopicAssessment], knowledge: SarcopeniaKnowledge
) -> Evaluation:
    """Find tier, differential and the steps of muscle that other findings call for.

    `assessments`, by id of the topic, have B12 and sarcopenia among them.
    """
    b12 = cast("B12Assessment", assessments[B12])
    muscle = cast("SarcopeniaAssessment", assessments[SARCOPENIA])
    causes = tuple(_find_suspected_causes(chart, b12, muscle, knowledge))
    urgencies = [cause.urgent for cause in causes if cause.urgent]
    if urgencies and not muscle.positive and not {*muscle.triggers} - {Trigger.MEASURED}:
        urgencies = []  # nobody asks about muscle
    urgent = min(urgencies, default=None)  # "same-day" sorts before "urgent"
    muscle = _merge_actions(b12, muscle, causes, knowledge, urgent=urgent)
    tier = choose_tier(b12, muscle)
    return Evaluation({**assessments, SARCOPENIA: muscle}, tier, causes, urgent)


def choose_tier(b12: B12Assessment, muscle: SarcopeniaAssessment) -> Tier:
    """Choose the order of attention: T1 before T5. Never a score."""
    if b12.category in DEFICIENT and b12.neurological:
        return Tier.T1
    b12_positive, muscle_positive = is_b12_positive(b12), muscle.positive
    if b12_positive and muscle_positive:
        return Tier.T2
    if b12_positive or muscle_positive:
        return Tier.T3
    if b12.category in B12_MISSING_DATA or (muscle.triggers and muscle.category in LACKS_DATA):
        return Tier.T4
    return Tier.T5


def is_b12_positive(b12: B12Assessment) -> bool:
    """Whether B12 is deficient, indeterminate, or must not reassure and asks for an action."""
    if b12.category == B12Category.UNINTERPRETABLE:
        return bool(b12.next_steps)
    return b12.category in DEFICIENT or b12.category == B12Category.INDETERMINATE


def _merge_actions(
    b12: B12Assessment,
    muscle: SarcopeniaAssessment,
    suspected: Iterable[SuspectedCause],
    knowledge: SarcopeniaKnowledge,
    *,
    urgent: str | None,
) -> SarcopeniaAssessment:
    """Add the next steps that B12 and the suspected causes call for to those of muscle."""
    if not (suspected or muscle.positive or muscle.next_steps):
        return muscle  # nothing to add, and nothing that could have to wait
    steps = dict.fromkeys(muscle.next_steps)
    flags = dict.fromkeys(muscle.flags)
    first: dict[str, None] = {}
    for suspicion in suspected:
        cause = knowledge.causes_by_id.get(suspicion.cause)
        if cause is None:
            continue
        if suspicion.urgent is not None and urgent is not None:
            first.update(dict.fromkeys(cause.steps))
        elif cause.urgent is None and muscle.positive:
            steps.update(dict.fromkeys(cause.steps))
    if urgent is not None:
        flags[SarcopeniaFlag.ALTERNATIVE_CAUSE_URGENT] = None
    if muscle.positive:
        if b12.category in DEFICIENT:
            first[SarcopeniaStep.B12_PATHWAY_TREAT] = None
        elif is_b12_positive(b12):
            steps[SarcopeniaStep.B12_PATHWAY_MMA] = None
        if b12.neurological:
            steps[SarcopeniaStep.NEURO_EXAM] = None
    if b12.category in DEFICIENT and b12.neurological:
        # Treatment of nerves never waits for a measurement of muscle.
        steps.pop(SarcopeniaStep.ORDER_MUSCLE_MASS_DXA_BIA, None)
    return muscle._replace(next_steps=tuple({**first, **steps}), flags=tuple(flags))


def _find_suspected_causes(
    chart: Chart, b12: B12Assessment, muscle: SarcopeniaAssessment, knowledge: SarcopeniaKnowledge
) -> Iterator[SuspectedCause]:
    if is_b12_positive(b12):
        signs = [e.resource for e in b12.evidence if e.rule == "neurological" and e.resource]
        result = [b12.deciding.result.resource] if b12.deciding else []
        resources = tuple(dict.fromkeys((*result, *signs)))
        if resources:
            yield SuspectedCause(B12_CAUSE, resources)
    for cause in _select_causes(chart, knowledge):
        clues = {clue.resource: clue for clue in _find_clues(cause, chart, muscle, knowledge)}
        if clues:
            recent = any(clue.recent for clue in clues.values())
            yield SuspectedCause(
                cause.id,
                tuple(clues),
                tuple(dict.fromkeys(clue.text for clue in clues.values())),
                cause.urgent if recent else None,
            )


def _select_causes(chart: Chart, knowledge: SarcopeniaKnowledge) -> Iterable[Cause]:
    """The causes that something on record may point to, in the order of the file."""
    places: set[int] = set()
    for entries in (chart.findings, chart.medications, chart.measurements):
        for name in entries:
            places.update(knowledge.cause_indexes_by_name.get(name, ()))
    return [knowledge.causes[place] for place in sorted(places)]


def _find_clues(
    cause: Cause, chart: Chart, muscle: SarcopeniaAssessment, knowledge: SarcopeniaKnowledge
) -> Iterator[Clue]:
    for finding in chart.list_present(cause.conditions):
        if isinstance(finding, Finding):
            acute_since = chart.today - timedelta(days=knowledge.policy["acute_condition_days"])
            recent = finding.onset is None or finding.onset >= acute_since
            yield Clue(finding.resource, knowledge.titles[finding.concept], recent)
    for concept in cause.medications if chart.medications else ():
        for drug in chart.medications.get(concept, ()):
            if drug.status in ("current", "draft"):
                title = knowledge.titles[concept]
                if drug.status == "draft":
                    title = make_text("{title}, being ordered", title=title)
                yield Clue(drug.resource, title)
    for result in _find_results_outside_range(cause, chart, knowledge):
        title = knowledge.titles[result.observation]
        value = format_amount(result.value, result.unit, result.comparator)
        yield Clue(result.resource, make_text("{title} {amount}", title=title, amount=value))
    if cause.asymmetry:
        yield from (
            Clue(resource, make_text("Grip differs between hands")) for resource in muscle.asymmetry
        )
    if cause.weight_loss:
        weights = find_weight_loss(chart, knowledge)
        if weights:
            text = make_text(
                "Weight {before} to {now}",
                before=Numeral(f"{weights[1].value:g}"),
                now=format_amount(weights[0].value, "kg"),
            )
            yield from (Clue(weight.resource, text) for weight in weights)


def _find_results_outside_range(
    cause: Cause, chart: Chart, knowledge: SarcopeniaKnowledge
) -> Iterator[Measurement]:
    """Recent results outside the laboratory's own range; without a range there is none."""
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
