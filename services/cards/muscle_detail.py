"""The detail of a card about muscle: measures, next steps, other causes, evidence and source."""

from collections.abc import Iterator

from mappings.publications.differential import Cause
from mappings.text import format_amount, make_text
from services.assessment.codes import Level, SarcopeniaCategory, SarcopeniaFlag, SarcopeniaStep
from services.assessment.evidence import Evidence
from services.assessment.labels import RECORD_PARTS, get_sentence
from services.cards.markdown import (
    escape_cell,
    write_bullets,
    write_comparison,
    write_evidence_table,
    write_gaps,
)
from services.cards.muscle_summary import spell_muscle_units
from services.chart.model import Chart
from services.evaluation.combination import Evaluation, SuspectedCause, is_b12_positive
from services.knowledge.language import Language
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.outcome import SarcopeniaAssessment

GAPS = {"muscle_observations": "measures of muscle", "questionnaire_responses": "questionnaires"}
MAX_STEPS = 5
MAX_FLAGS = 3
MAX_ROWS = 6
MAX_CAUSES = 4
TABLE_RULES = ("strength", "mass", "performance", "screen", "measure")


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
        if any(cause.cause in knowledge.muscle.causes_by_id for cause in evaluation.differential):
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
    causes = knowledge.causes_by_id
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
