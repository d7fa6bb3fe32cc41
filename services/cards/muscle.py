"""The topic of muscle: when its card is shown, indicator, parts and suggestions."""

from collections.abc import Iterator
from urllib.parse import quote

from cds_hooks.protocol.cards import Indicator, Link
from services.assessment.codes import SarcopeniaCategory, Tier
from services.assessment.labels import get_sentence, list_sentences
from services.cards.card_parts import (
    CardPart,
    Verdict,
    build_marks,
    build_source,
    build_topic,
    build_topic_code,
)
from services.cards.muscle_detail import write_all_gaps, write_detail
from services.cards.muscle_orders import draft_muscle_suggestions
from services.cards.muscle_summary import DOUBTFUL_OUTCOMES, write_clause, write_sentences
from services.chart.model import Chart
from services.evaluation.combination import B12, SARCOPENIA, Evaluation
from services.evaluation.order_session import OrderSession
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.assess import assess
from services.sarcopenia.outcome import POSITIVE, SCREENED_POSITIVE, SarcopeniaAssessment


class Muscle:
    """The topic of sarcopenia, with the other causes of weak muscle."""

    id = SARCOPENIA
    problem = "muscle"
    title = "Muscle"
    rule_prefix = "muscle:"

    def assess(self, chart: Chart, knowledge: SiteKnowledge) -> SarcopeniaAssessment:
        return assess(chart, knowledge.muscle)

    def get_label(self, knowledge: SiteKnowledge) -> str:
        return knowledge.muscle.definition.label

    def list_codes(self) -> Iterator[tuple[str, str]]:
        for category, title in list_sentences(SarcopeniaCategory).items():
            yield build_topic_code(self.problem, category), f"Muscle: {title}"

    def should_show(self, session: OrderSession) -> Verdict:
        return should_show(session.evaluation, session.chart)

    def is_urgent(self, evaluation: Evaluation) -> bool:
        return evaluation.urgent is not None

    def has_action(self, session: OrderSession) -> bool:  # noqa: ARG002  # shown for nothing else
        return True

    def list_order_concepts(self, session: OrderSession) -> tuple[str, ...]:
        return session.get_group("muscle_order")

    def choose_indicator(self, evaluation: Evaluation) -> Indicator:
        return choose_indicator(evaluation)

    def build_links(self, knowledge: SiteKnowledge, base_url: str) -> tuple[Link, ...]:
        language, evidence = knowledge.language, f"{base_url}/evidence"
        return (
            Link(
                language("Muscle: the limits and their sources"),
                f"{evidence}/{quote(knowledge.muscle.definition.id)}",
            ),
            Link(language("B12 and muscle: what is known"), f"{evidence}/b12-and-muscle"),
        )

    def build_part(self, session: OrderSession, others: frozenset[str]) -> CardPart:
        evaluation, knowledge = session.evaluation, session.knowledge
        muscle, definition = evaluation.muscle, knowledge.muscle.definition
        with_b12, is_urgent = B12 in others, evaluation.urgent is not None
        # What is wrong with nerves never waits for muscle.
        suggests = not with_b12 or evaluation.tier != Tier.T1 or muscle.positive or is_urgent
        topic = build_topic(
            build_topic_code(self.problem, muscle.category),
            get_sentence(SarcopeniaCategory, muscle.category),
            knowledge,
        )
        resources = (name for cause in evaluation.differential for name in cause.resources)
        return CardPart(
            sentences=write_sentences(evaluation, knowledge),
            clause=write_clause(evaluation, knowledge.language),
            indicator=choose_indicator(evaluation),
            source=build_source(
                f"{definition.publisher}: {definition.title}", definition.url, topic
            ),
            detail=write_detail(evaluation, session.chart, knowledge, with_b12=with_b12),
            suggestions=draft_muscle_suggestions(session) if suggests else (),
            marks=build_marks(muscle.evidence) | {f"pointer|{name}" for name in resources},
            is_urgent=is_urgent,
            leads=is_urgent,
        )

    def describe_patient(self, session: OrderSession) -> str:
        return write_all_gaps(session.chart, session.knowledge.language)


def should_show(evaluation: Evaluation, chart: Chart) -> Verdict:
    """Whether muscle has something to say: never without a trigger, never on age alone."""
    muscle = evaluation.muscle
    asks = muscle.category in SCREENED_POSITIVE or (
        muscle.category in ("not_assessed", "indeterminate")
        and bool(muscle.next_steps)
        and (muscle.category == "not_assessed" or _is_doubtful(muscle))
    )
    speaks = muscle.positive or evaluation.urgent is not None or (asks and bool(muscle.triggers))
    if speaks and chart.deceased:
        return Verdict(shows=False, reason="muscle:deceased")
    return Verdict(shows=speaks)


def _is_doubtful(muscle: SarcopeniaAssessment) -> bool:
    """Whether something is low or unreadable, or muscle is in question besides the measures.

    Measures that are all normal and leave a definition open ask for nobody's attention.
    """
    is_unreadable = any(e.outcome in DOUBTFUL_OUTCOMES for e in muscle.evidence)
    return bool(muscle.low) or is_unreadable or any(name != "measured" for name in muscle.triggers)


def choose_indicator(evaluation: Evaluation) -> Indicator:
    """The indicator of a muscle card."""
    return find_indicator(evaluation.muscle.category, evaluation.urgent)


def find_indicator(category: str, urgent: str | None) -> Indicator:
    """Critical where a cause cannot wait a day, warning for a finding or urgent cause, else info.

    `urgent`: "same-day" or "urgent" where a record points to such a cause.
    """
    if urgent == "same-day":
        return Indicator.CRITICAL
    return Indicator.WARNING if category in POSITIVE or urgent else Indicator.INFO


MUSCLE = Muscle()
