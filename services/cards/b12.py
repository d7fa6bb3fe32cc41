"""The topic of vitamin B12: when its card is shown, indicator, parts and suggestions."""

from collections.abc import Iterator
from urllib.parse import quote

from cds_hooks.protocol.cards import Indicator, Link, shorten
from mappings.actions.order_template import OrderTemplate
from mappings.text import make_text
from services.assessment.codes import B12Category
from services.assessment.labels import get_sentence
from services.cards.b12_detail import write_detail
from services.cards.b12_summary import write_sentences
from services.cards.card_parts import (
    CardPart,
    Verdict,
    build_marks,
    build_source,
    build_topic,
    build_topic_code,
)
from services.cards.draft_actions import draft_b12_suggestions
from services.chart.model import Chart
from services.evaluation.combination import B12, Evaluation
from services.evaluation.order_session import OrderSession
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.assess import assess
from services.vitamin_b12.orders import is_pending, suggest_orders
from services.vitamin_b12.outcome import CARD_CATEGORIES, DEFICIENT, B12Assessment
from services.vitamin_b12.results import FIRST_LINE

MAX_LINK_LENGTH = 80
INSUFFICIENT_DOSE_STEPS = frozenset({"switch-to-im-or-oral-1mg"})
TEST_CATEGORIES = frozenset(
    {"at-risk-untested", "indeterminate", "insufficient-data", "uninterpretable"}
)
# On treatment, a card is shown for these alone; otherwise treatment is left in peace.
TREATMENT_REVIEW_STEPS = frozenset(
    {
        "suggest-cancel-repeat-b12",
        "increase-injection-frequency",
        "check-adherence",
        "switch-to-im-or-oral-1mg",
        "use-hydroxocobalamin",
    }
)


class VitaminB12:
    """The topic of vitamin B12 deficiency."""

    id = B12
    problem = "b12"
    title = "B12"
    rule_prefix = ""

    def assess(self, chart: Chart, knowledge: SiteKnowledge) -> B12Assessment:
        return assess(chart, knowledge.b12)

    def get_label(self, knowledge: SiteKnowledge) -> str:
        return knowledge.b12.guideline.label

    def list_codes(self) -> Iterator[tuple[str, str]]:
        for category in CARD_CATEGORIES:
            title = get_sentence(B12Category, category)
            yield build_topic_code(self.problem, category), title

    def should_show(self, session: OrderSession) -> Verdict:
        return should_show(session.evaluation.b12, session)

    def is_urgent(self, evaluation: Evaluation) -> bool:
        return evaluation.b12.urgent

    def has_action(self, session: OrderSession) -> bool:
        b12 = session.evaluation.b12
        return (
            b12.urgency not in ("none", "routine")
            or choose_indicator(b12) is not Indicator.INFO
            or bool(_suggest_orders(session))
        )

    def list_order_concepts(self, session: OrderSession) -> tuple[str, ...]:
        return session.get_group("b12_order")

    def choose_indicator(self, evaluation: Evaluation) -> Indicator:
        return choose_indicator(evaluation.b12)

    def build_links(self, knowledge: SiteKnowledge, base_url: str) -> tuple[Link, ...]:
        language, guideline = knowledge.language, knowledge.b12.guideline
        publisher = make_text("{publisher}: the guideline", publisher=guideline.publisher)
        return (
            Link(
                language("The limits and their sources"),
                f"{base_url}/evidence/{quote(guideline.id)}",
            ),
            Link(shorten(language(publisher), MAX_LINK_LENGTH), guideline.url),
        )

    def build_part(self, session: OrderSession, others: frozenset[str]) -> CardPart:  # noqa: ARG002  # says the same beside any
        b12, knowledge = session.evaluation.b12, session.knowledge
        guideline = knowledge.b12.guideline
        sentences = write_sentences(b12, knowledge.templates.locale, knowledge.language)
        topic = build_topic(
            build_topic_code(self.problem, b12.category),
            get_sentence(B12Category, b12.category),
            knowledge,
        )
        return CardPart(
            sentences=sentences,
            clause=" ".join(sentences),
            indicator=choose_indicator(b12),
            source=build_source(f"{guideline.publisher}: {guideline.title}", guideline.url, topic),
            detail=write_detail(b12, session.chart, knowledge),
            suggestions=draft_b12_suggestions(session, _suggest_orders(session)),
            marks=build_marks(b12.evidence),
            is_urgent=b12.urgent,
        )

    def describe_patient(self, session: OrderSession) -> str:
        return write_detail(session.evaluation.b12, session.chart, session.knowledge)


def should_show(assessment: B12Assessment, session: OrderSession) -> Verdict:
    """Whether there is something to say, and why it is withheld where there would be."""
    if assessment.category not in CARD_CATEGORIES:
        return Verdict(shows=False)
    if session.chart.deceased:
        return Verdict(shows=False, reason="b12:deceased")
    if assessment.category == "on-treatment" and not TREATMENT_REVIEW_STEPS & {
        *assessment.next_steps
    }:
        return Verdict(shows=False, reason="b12:on-treatment")
    if session.has_treatment_draft:
        return Verdict(shows=False, reason="b12:already-drafted")
    if _is_test_ordered(assessment, session):
        return Verdict(shows=False, reason="b12:already-ordered")
    return Verdict(shows=True)


def choose_indicator(assessment: B12Assessment) -> Indicator:
    """The indicator of a B12 card."""
    is_treated = assessment.situation is None and not INSUFFICIENT_DOSE_STEPS & {
        *assessment.next_steps
    }
    return find_indicator(assessment.category, assessment.urgency, is_treated=is_treated)


def find_indicator(category: str, urgency: str, *, is_treated: bool) -> Indicator:
    """Critical for harm at hand, warning for what needs a decision, info for the rest.

    `is_treated`: treatment that suffices has begun, so that no decision is left that cannot wait.
    """
    if urgency == "emergency":
        return Indicator.CRITICAL
    if (category in DEFICIENT and not is_treated) or urgency == "urgent":
        return Indicator.WARNING
    return Indicator.INFO


def _is_test_ordered(assessment: B12Assessment, session: OrderSession) -> bool:
    """Whether the test that the card would ask for is ordered, and nothing else is asked for."""
    chart, knowledge = session.chart, session.knowledge
    if assessment.category not in TEST_CATEGORIES or assessment.urgent:
        return False
    if assessment.category in ("at-risk-untested", "insufficient-data"):
        return any(is_pending(name, chart, knowledge.b12) for name in FIRST_LINE)
    concepts = {
        knowledge.templates.by_id[name].concept
        for step, names in knowledge.b12.tests_by_step.items()
        if step in assessment.next_steps
        for name in names
    }
    ordered = any(is_pending(concept, chart, knowledge.b12) for concept in concepts)
    return ordered and not suggest_orders(assessment, chart, knowledge.b12, knowledge.templates)


def _suggest_orders(session: OrderSession) -> tuple[OrderTemplate, ...]:
    knowledge = session.knowledge
    return suggest_orders(session.evaluation.b12, session.chart, knowledge.b12, knowledge.templates)


VITAMIN_B12 = VitaminB12()
