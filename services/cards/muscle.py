"""The topic of muscle: when it is shown, its indicator, its detail and suggestions."""

from collections.abc import Iterator
from urllib.parse import quote

from cds_hooks.protocol.cards import Indicator, Link
from mappings.publications.differential import Cause
from mappings.text import format_amount, make_text
from services.assessment.codes import (
    Level,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Tier,
)
from services.assessment.evidence import Evidence
from services.assessment.labels import RECORD_PARTS, get_sentence, list_sentences
from services.cards.card_parts import (
    CardPart,
    Verdict,
    build_marks,
    build_source,
    build_topic,
    build_topic_code,
)
from services.cards.markdown import (
    escape_cell,
    write_bullets,
    write_comparison,
    write_evidence_table,
    write_gaps,
)
from services.cards.muscle_orders import draft_muscle_suggestions
from services.cards.muscle_summary import (
    DOUBTFUL_OUTCOMES,
    spell_muscle_units,
    write_clause,
    write_sentences,
)
from services.chart.model import Chart
from services.evaluation.combination import (
    B12,
    SARCOPENIA,
    Evaluation,
    SuspectedCause,
    is_b12_positive,
)
from services.evaluation.order_session import OrderSession
from services.knowledge.language import Language
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.assess import assess
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.outcome import POSITIVE, SCREENED_POSITIVE, SarcopeniaAssessment

GAPS = {"muscle_observations": "measures of muscle", "questionnaire_responses": "questionnaires"}
MAX_STEPS = 5
MAX_FLAGS = 3
MAX_ROWS = 6
MAX_CAUSES = 4
TABLE_RULES = ("strength", "mass", "performance", "screen", "measure")


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


def write_detail(
    evaluation: Evaluation, chart: Chart, knowledge: SiteKnowledge, *, with_b12: bool
) -> str:
    """Write the detail: finding, measures with limits, next, other causes, evidence, source."""
    muscle, language = evaluation.muscle, knowledge.language
    implied = "method_missing" if "method_required" in muscle.flags else None
    flags = [get_sentence(SarcopeniaFlag, flag) for flag in muscle.flags if flag != implied]
    parts = [
        _write_finding(muscle, knowledge),
        write_evidence_table(
            "Measure", _select_table_rows(muscle), language, spell_muscle_units, ".4g"
        ),
        _list_findings(muscle, language, with_b12=with_b12),
        write_bullets(
            "Next for muscle",
            [get_sentence(SarcopeniaStep, s) for s in select_steps(evaluation)],
            MAX_STEPS,
            language,
        ),
        write_bullets("Mind", flags, MAX_FLAGS, language),
        _write_causes(evaluation, knowledge.muscle, language),
    ]
    if with_b12 and muscle.positive and is_b12_positive(evaluation.b12):
        statement = knowledge.comparison["statement"]["says"]
        parts.append(f"**{language('What is known')}:** {language(statement)}")
        if any(cause.cause in knowledge.muscle.cause_of for cause in evaluation.differential):
            parts.append(write_comparison(knowledge.comparison, language))
    missing = (
        " ".join(write_gaps(chart, GAPS, language)) if with_b12 else write_all_gaps(chart, language)
    )
    parts += [missing, _write_source(muscle, knowledge)]
    return "\n\n".join(part for part in parts if part)


def select_steps(evaluation: Evaluation) -> Iterator[str]:
    """The steps that say something of their own: what a cause below says is left out."""
    steps = evaluation.muscle.next_steps
    omitted = {"review_steroid", "weight_loss_workup"} if evaluation.muscle.positive else set()
    if "measure_grip" not in steps:
        omitted.add("measure_chair_stand")
    return (step for step in steps if step not in omitted)


def _write_finding(muscle: SarcopeniaAssessment, knowledge: SiteKnowledge) -> str:
    """Write the category, and the level of each part where one is known."""
    language, definition = knowledge.language, knowledge.muscle.definition
    name = language(make_text("Muscle, by {definition}", definition=definition.id))
    finding = f"**{name}:** {language(get_sentence(SarcopeniaCategory, muscle.category))}"
    levels = {"strength": muscle.strength, "mass": muscle.mass, "performance": muscle.performance}
    if {*levels.values()} == {"unknown"}:
        return f"{finding}."
    texts = (
        f"{language(part)} {language(get_sentence(Level, level))}" for part, level in levels.items()
    )
    return f"{finding}; {', '.join(texts)}."


def _select_table_rows(muscle: SarcopeniaAssessment) -> list[Evidence]:
    rows = [e for e in muscle.evidence if e.value is not None and e.rule in TABLE_RULES]
    if "mass_index_absolute_discordant" not in muscle.flags:
        decisive = next((e for e in rows if e.rule == "mass"), None)
        rows = [e for e in rows if e.rule != "mass" or e is decisive]
    return rows[:MAX_ROWS]


def _list_findings(muscle: SarcopeniaAssessment, language: Language, *, with_b12: bool) -> str:
    """Triggers, where the B12 part does not tell them, and measures that could not be used."""
    omitted = ("age", "trigger") if with_b12 else ("age",)
    texts = [
        escape_cell(language(e.says))
        for e in muscle.evidence
        if e.value is None and e.rule not in omitted
    ]
    texts += [
        _write_value(e, language)
        for e in muscle.evidence
        if e.value is not None and e.rule == "trigger"
    ]
    unique = list(dict.fromkeys(texts))[:MAX_ROWS]
    return f"**{language('On record')}:** {'; '.join(unique)}." if unique else ""


def _write_value(row: Evidence, language: Language) -> str:
    value = language(
        format_amount(row.value or 0.0, "" if row.unit == "/a" else row.unit or "")
    ).strip()
    day = f" ({language.format_day(row.day)})" if row.day else ""
    return f"{language(row.says)} {value}{day}"


def _write_causes(
    evaluation: Evaluation, knowledge: SarcopeniaKnowledge, language: Language
) -> str:
    """Write what else the record points to; a clue is no diagnosis."""
    causes = knowledge.cause_of
    if not (evaluation.muscle.positive or evaluation.urgent):
        return ""
    texts = [
        _write_cause(suspected, causes[suspected.cause], language)
        for suspected in evaluation.differential
        if suspected.cause in causes
    ]
    return write_bullets(
        "Other causes pointed to", [escape_cell(text) for text in texts], MAX_CAUSES, language
    )


def _write_cause(suspected: SuspectedCause, cause: Cause, language: Language) -> str:
    source = f" ({cause.gross['source']})" if cause.gross and suspected.urgent else ""
    clues = "; ".join(map(language, suspected.texts[:2]))
    return f"{language(cause.title)} ({clues}). {language(cause.next)}{source}"


def write_all_gaps(chart: Chart, language: Language) -> str:
    """Write everything that could not be looked up."""
    return " ".join(write_gaps(chart, {**RECORD_PARTS, **GAPS}, language))


def _write_source(muscle: SarcopeniaAssessment, knowledge: SiteKnowledge) -> str:
    definition, language = knowledge.muscle.definition, knowledge.language
    locators = (e.locator for e in muscle.evidence if e.rule in TABLE_RULES and e.locator)
    where = next(locators, None)
    place = f" ({where})" if where else ""
    rules = language(
        make_text("Rules {id} version {version}.", id=definition.id, version=definition.version)
    )
    strength = language(definition.strength)
    return f"{language('Source')}: {definition.citation}{place} {rules} {strength}"


MUSCLE = Muscle()
