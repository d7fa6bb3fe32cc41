"""The detail of a B12 card: results, findings, next steps, cautions, gaps and source."""

from collections.abc import Iterator
from functools import partial

from cds_hooks.protocol.cards import escape_markdown
from mappings.text import make_text
from services.assessment.b12_steps import B12Step
from services.assessment.codes import B12Flag, IndicatorClass
from services.assessment.labels import RECORD_PARTS, get_sentence
from services.cards.b12_summary import spell_units
from services.cards.markdown import escape_cell, write_bullets, write_evidence_table, write_gaps
from services.chart.model import Chart
from services.knowledge.language import Language
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.outcome import B12Assessment

MAX_STEPS = 5
MAX_FLAGS = 4
MAX_ROWS = 8
TREATMENT_START_STEPS = frozenset(
    {"start-im-b12", "start-im-b12-neuro-regimen", "im-or-high-dose-oral-shared-decision"}
)
RENAL_FLAGS = frozenset({"interpret-mma-with-renal-function", "interpret-hcy-with-renal-function"})
# Evidence that gives a reason rather than a finding; the steps and the source line say it.
REASON_RULES = frozenset(
    {"treatment", "second-test", "offer-test", "medicine", "pregnancy", "macrocytosis"}
)
UNREADABLE_REASONS = ("no-unit", "unknown-unit", "undated", "impossible-value")


def write_detail(assessment: B12Assessment, chart: Chart, knowledge: SiteKnowledge) -> str:
    """Write the detail: results with dates and limits, why, what next, what misleads, source."""
    language = knowledge.language
    spell = partial(spell_units, locale=knowledge.templates.locale)
    results = [e for e in assessment.evidence if e.value is not None and e.unit is not None]
    parts = [
        write_evidence_table("Result", results[:MAX_ROWS], language, spell),
        _list_findings(assessment, language),
        write_bullets(
            "Next",
            (get_sentence(B12Step, s) for s in select_steps(assessment)),
            MAX_STEPS,
            language,
        ),
        write_bullets(
            "Mind",
            (get_sentence(B12Flag, f) for f in select_flags(assessment)),
            MAX_FLAGS,
            language,
        ),
        _write_combined_indicator(assessment, language),
        _write_all_gaps(chart, language),
        _write_source(assessment, knowledge),
    ]
    return "\n\n".join(part for part in parts if part)


def _list_findings(assessment: B12Assessment, language: Language) -> str:
    """List what is on record besides the results, each once."""
    findings: dict[str, None] = {}
    for evidence in assessment.evidence:
        if evidence.value is None and evidence.rule not in REASON_RULES:
            day = f" ({language.format_day(evidence.day)})" if evidence.day else ""
            findings.setdefault(f"{escape_cell(language(evidence.says))}{day}")
    if not findings:
        return ""
    return f"**{language('On record')}:** {'; '.join(list(findings)[:MAX_ROWS])}."


def select_steps(assessment: B12Assessment) -> Iterator[str]:
    """The steps that say something of their own: how to start says that to start."""
    omitted = (
        {"start-b12-replacement"} if {*assessment.next_steps} & TREATMENT_START_STEPS else set()
    )
    if assessment.category == "on-treatment":
        omitted.add("review-symptoms-3-months")
    return (step for step in assessment.next_steps if step not in omitted)


def select_flags(assessment: B12Assessment) -> Iterator[str]:
    """The flags that say something of their own: why kidneys matter is said once."""
    confounded = "flag-renal-confounding" in assessment.flags
    return (f for f in assessment.flags if not (confounded and f in RENAL_FLAGS))


def _write_combined_indicator(assessment: B12Assessment, language: Language) -> str:
    combined = assessment.combined_indicator
    if combined is None or combined.value is None:
        return ""
    return language(
        make_text(
            "Combined indicator cB12 {value} ({words}); for information, "
            "it did not move the finding.",
            value=combined.value,
            words=get_sentence(IndicatorClass, combined.class_name) if combined.class_name else "",
        )
    )


def _write_all_gaps(chart: Chart, language: Language) -> str:
    sentences = list(write_gaps(chart, RECORD_PARTS, language))
    if not chart.dropped:
        return " ".join(sentences)
    unreadable = sum(chart.dropped.get(reason, 0) for reason in UNREADABLE_REASONS)
    if unreadable == 1:
        sentences.append(language("1 unreadable result not used."))
    elif unreadable:
        sentences.append(
            language(make_text("{number} unreadable results not used.", number=unreadable))
        )
    return " ".join(sentences)


def _write_source(assessment: B12Assessment, knowledge: SiteKnowledge) -> str:
    guideline, language = knowledge.b12.guideline, knowledge.language
    locators = [e.locator for e in assessment.evidence if e.rule == "first-line-band" and e.locator]
    where = f" ({locators[0]})" if locators else ""
    treatments = [e for e in assessment.evidence if e.rule == "treatment"]
    regimen = (
        f"\n\n{language('Regimen')}: {language(treatments[0].says)} ({treatments[0].locator})"
        if treatments
        else ""
    )
    laboratory = (
        f" {language('Limits of the laboratory')}: {escape_markdown(guideline.laboratory)}."
        if guideline.laboratory
        else ""
    )
    rules = make_text("Rules {id} version {version}.", id=guideline.id, version=guideline.version)
    return (
        f"{language('Source')}: {guideline.citation}{where} {language(rules)} "
        f"{language(guideline.strength)}{laboratory}{regimen}"
    )
