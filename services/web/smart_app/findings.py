"""The assessment as the app tells it: a headline, every reason with its place, what to do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from mappings.text import format_amount, make_text
from services.assessment.b12_steps import B12Step
from services.assessment.codes import (
    B12Category,
    B12Flag,
    IndicatorClass,
    Level,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Tier,
    Urgency,
)
from services.assessment.evidence import Evidence
from services.assessment.labels import get_sentence
from services.cards import b12 as b12_card
from services.cards import muscle as muscle_card
from services.cards.b12_detail import select_flags
from services.cards.b12_detail import select_steps as b12_steps
from services.cards.b12_summary import write_summary as b12_summary
from services.cards.muscle_detail import select_steps as muscle_steps
from services.cards.muscle_summary import write_summary as write_muscle_summary
from services.chart.model import Chart
from services.evaluation.combination import B12_CAUSE, Evaluation, SuspectedCause, is_b12_positive
from services.evaluation.evaluate import evaluate
from services.hooks.topics import TOPICS
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.outcome import CARD_CATEGORIES, B12Assessment
from services.web.chart_data import Tone
from services.web.smart_app.text import PageTranslator

INDICATOR_TONES: dict[str, Tone] = {"info": "plain", "warning": "watch", "critical": "bad"}
CATEGORY_TONES: dict[str, Tone] = {"unlikely": "good", "no_sarcopenia": "good"}


class EvidenceRow(NamedTuple):
    """One thing that a rule looked at, in words."""

    says: str
    value: str
    day: str
    limit: str
    locator: str
    rule: str


@dataclass(frozen=True, slots=True)
class TopicFinding:
    """What one axis comes to. All texts are in the tenant's language."""

    title: str
    headline: str
    tone: Tone
    when: str | None  # how soon; None where nobody can say, or the axis has no urgency of its own
    reasons: tuple[EvidenceRow, ...]
    steps: tuple[str, ...]
    flags: tuple[str, ...]
    remark: str  # for information, without weight; empty where there is none
    id: str  # of guideline or definition
    label: str
    citation: str
    strength: str
    reviewed: str


class SuspectedCauseRow(NamedTuple):
    """Another cause that something on record points to."""

    title: str
    pointers: tuple[str, ...]
    against: str
    next: str
    urgent: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """Both axes, and what they mean together. `partial`: not all of the record could be had."""

    b12: TopicFinding
    muscle: TopicFinding
    together: str  # the order of attention, in words
    causes: tuple[SuspectedCauseRow, ...]
    association: str | None  # what is known of B12 and muscle, where both have a finding
    comparison: tuple[Mapping[str, Any], ...]
    partial: bool


def describe_findings(chart: Chart, knowledge: SiteKnowledge) -> Findings:
    """What a request would be answered from, told in full."""
    evaluation, words = evaluate(chart, knowledge, TOPICS), PageTranslator.from_knowledge(knowledge)
    both = evaluation.muscle.positive and is_b12_positive(evaluation.b12)
    return Findings(
        b12=_describe_b12(evaluation, chart, knowledge, words),
        muscle=_describe_muscle(evaluation, chart, knowledge, words),
        together=words.capitalise(_describe_tier(evaluation)),
        causes=tuple(_list_causes(evaluation.differential, knowledge, words)),
        association=words(knowledge.comparison["statement"]["says"]) if both else None,
        comparison=tuple(knowledge.comparison["row"]),
        partial=_is_partial(chart),
    )


def _describe_tier(evaluation: Evaluation) -> str:
    """The order of attention; of a child nobody has looked for a finding."""
    if evaluation.tier == Tier.T5 and evaluation.b12.category == B12Category.OUT_OF_SCOPE:
        return get_sentence(B12Category, B12Category.OUT_OF_SCOPE)
    return get_sentence(Tier, evaluation.tier)


def _is_partial(chart: Chart) -> bool:
    return bool(chart.unknown or chart.incomplete)


def _describe_b12(
    evaluation: Evaluation, chart: Chart, knowledge: SiteKnowledge, words: PageTranslator
) -> TopicFinding:
    b12, guideline = evaluation.b12, knowledge.b12.guideline
    loud = INDICATOR_TONES[b12_card.choose_indicator(b12).value]
    # What was not seen could make it pressing, and no guideline has judged a child.
    quiet = b12.urgency == "none" and (_is_partial(chart) or b12.category == "out-of-scope")
    return TopicFinding(
        title=words(make_text("Vitamin B12")),
        headline=_choose_headline(b12, knowledge, words),
        tone=loud if _is_partial(chart) else CATEGORY_TONES.get(b12.category, loud),
        when=None if quiet else words(get_sentence(Urgency, b12.urgency)),
        reasons=tuple(_list_reasons(b12.evidence, words)),
        steps=_list_sentences(B12Step, b12_steps(b12), words),
        flags=_list_sentences(B12Flag, select_flags(b12), words),
        remark=_find_indicator(b12, words),
        id=guideline.id,
        label=guideline.label,
        citation=guideline.citation,
        strength=words(guideline.strength),
        reviewed=_describe_review(guideline.reviewer, words.format_day(guideline.reviewed), words),
    )


def _describe_muscle(
    evaluation: Evaluation, chart: Chart, knowledge: SiteKnowledge, words: PageTranslator
) -> TopicFinding:
    muscle, definition = evaluation.muscle, knowledge.muscle.definition
    speaks, _why = muscle_card.should_show(evaluation, chart)
    category = words.capitalise(get_sentence(SarcopeniaCategory, muscle.category))
    levels = {"strength": muscle.strength, "mass": muscle.mass, "performance": muscle.performance}
    levels_text = ", ".join(
        f"{words(name)} {words(get_sentence(Level, level))}" for name, level in levels.items()
    )
    loud = INDICATOR_TONES[muscle_card.choose_indicator(evaluation).value]
    doubtful = _is_partial(chart) or "low" in levels.values() or bool(muscle.flags)
    return TopicFinding(
        title=words(make_text("Muscle")),
        headline=words(write_muscle_summary(evaluation, knowledge)) if speaks else f"{category}.",
        tone=loud if doubtful else CATEGORY_TONES.get(muscle.category, loud),
        when=None,
        reasons=tuple(_list_reasons(muscle.evidence, words)),
        steps=_list_sentences(SarcopeniaStep, muscle_steps(evaluation), words),
        flags=_list_sentences(SarcopeniaFlag, muscle.flags, words),
        remark=f"{category}: {levels_text}.",
        id=definition.id,
        label=definition.label,
        citation=definition.citation,
        strength=words(definition.strength),
        reviewed=_describe_review(
            definition.reviewer, words.format_day(definition.reviewed), words
        ),
    )


def _choose_headline(b12: B12Assessment, knowledge: SiteKnowledge, words: PageTranslator) -> str:
    """The card's summary where there would be a card, the category where there would be none."""
    quiet = b12.category == "on-treatment" and not b12_card.TREATMENT_REVIEW_STEPS & {
        *b12.next_steps
    }
    if b12.category in CARD_CATEGORIES and not quiet:
        return b12_summary(b12, knowledge.templates.locale, knowledge.language)
    return f"{words(get_sentence(B12Category, b12.category))}."


def _list_reasons(evidence: Iterable[Evidence], words: PageTranslator) -> Iterator[EvidenceRow]:
    for row in dict.fromkeys(evidence):
        value = ""
        if row.value is not None:
            unit = "" if row.unit in (None, "/a") else row.unit
            value = words(format_amount(row.value, unit or "", row.comparator, ".4g")).strip()
        yield EvidenceRow(
            says=words.capitalise(row.says),
            value=value,
            day=words.format_day(row.day) if row.day else "",
            limit=words(row.limit) if row.limit else "",
            locator=row.locator or "",
            rule=row.rule,
        )


def _list_sentences(
    kind: type[StrEnum], codes: Iterable[str], words: PageTranslator
) -> tuple[str, ...]:
    return tuple(words(get_sentence(kind, code)) for code in codes)


def _find_indicator(b12: B12Assessment, words: PageTranslator) -> str:
    combined = b12.combined_indicator
    if combined is None or combined.value is None:
        return ""
    return words(
        make_text(
            "Combined indicator cB12 {value} ({words}); for information, "
            "it did not move the finding.",
            value=combined.value,
            words=get_sentence(IndicatorClass, combined.class_name) if combined.class_name else "",
        )
    )


def _describe_review(reviewer: str, day: str, words: PageTranslator) -> str:
    return words(make_text("Rules last looked at on {day}: {reviewer}", day=day, reviewer=reviewer))


def _list_causes(
    differential: Iterable[SuspectedCause], knowledge: SiteKnowledge, words: PageTranslator
) -> Iterator[SuspectedCauseRow]:
    for suspected in differential:
        cause = knowledge.muscle.causes_by_id.get(suspected.cause)
        if suspected.cause == B12_CAUSE or cause is None:
            continue
        yield SuspectedCauseRow(
            title=words(cause.title),
            pointers=tuple(map(words, suspected.texts)),
            against=words(cause.against),
            next=words(cause.next),
            urgent=suspected.urgent is not None,
        )
