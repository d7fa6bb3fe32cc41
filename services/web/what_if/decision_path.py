"""How an answer came about: what each rule looked at, and what could not be looked at."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from services.assessment.b12_steps import B12Step
from services.assessment.codes import B12Flag, SarcopeniaFlag, SarcopeniaStep, WithheldReason
from services.assessment.evidence import Evidence
from services.assessment.labels import find_reason, get_sentence
from services.chart.model import UnusableReason
from services.evaluation.order_rules import run_order_rules
from services.hooks.decide import build_session
from services.hooks.overrides import Variant
from services.hooks.regression_cases import CaseResult
from services.hooks.topics import TOPICS
from services.web.unit_text import spell_units

ORDERS = "Orders"
STEPS: Mapping[str, type[StrEnum]] = {"b12": B12Step, "sarcopenia": SarcopeniaStep}
FLAGS: Mapping[str, type[StrEnum]] = {"b12": B12Flag, "sarcopenia": SarcopeniaFlag}


class EvidenceStep(NamedTuple):
    """One thing that a rule looked at."""

    topic: str
    rule: str
    says: str
    value: str = ""
    date: str = ""
    limit: str = ""
    locator: str = ""
    resource: str = ""


class DataGap(NamedTuple):
    """Something that no rule could use, and why."""

    what: str
    why: str


def list_evidence(result: CaseResult, variant: Variant) -> tuple[EvidenceStep, ...]:
    """Each result, finding and order that a rule looked at, in the order in which they did."""
    answered = result.answered
    evaluation = answered.answer.evaluation
    rows = [
        _build_step(topic.title, evidence)
        for topic in TOPICS
        for evidence in evaluation.assessments[topic.id].evidence
    ]
    session = build_session(
        answered.chart, evaluation, variant.knowledge, answered.drafts, answered.hook
    )
    if not answered.chart.deceased:
        rows += [
            EvidenceStep(
                topic=ORDERS,
                rule=f"{order.rule.id}: {order.case}",
                says=order.text,
                locator=f"{order.rule.source}: {order.rule.locator}",
            )
            for order in run_order_rules(session)
        ]
    return tuple(rows)


def _build_step(title: str, evidence: Evidence) -> EvidenceStep:
    value = (
        ""
        if evidence.value is None
        else f"{evidence.comparator or ''}{evidence.value:g} {evidence.unit or ''}"
    )
    return EvidenceStep(
        topic=title,
        rule=evidence.rule,
        says=spell_units(str(evidence.says)),
        value=spell_units(value.strip()),
        date=f"{evidence.day:%d %b %Y}" if evidence.day else "",
        limit=spell_units(str(evidence.limit or "")),
        locator=str(evidence.locator or ""),
        resource=evidence.resource or "",
    )


def list_gaps(result: CaseResult, variant: Variant) -> tuple[DataGap, ...]:
    """What was never searched, not to be had, unreadable or left aside."""
    chart, titles = result.answered.chart, variant.knowledge.b12.titles
    gaps = [DataGap(f"prefetch {key}", "not to be had: unknown") for key in sorted(chart.unknown)]
    partly = sorted(chart.incomplete - chart.unknown)
    gaps += [DataGap(f"prefetch {key}", "only a part was to be had") for key in partly]
    for name, results in chart.unusable.items():
        for unreadable in results:
            reported = f" ({unreadable.reported})" if unreadable.reported else ""
            why = get_sentence(UnusableReason, unreadable.reason)
            gaps.append(DataGap(f"{titles[name]}{reported}", f"{why}: no value, and not normal"))
    unread = {unreadable.reason for results in chart.unusable.values() for unreadable in results}
    for reason, count in chart.dropped.items():
        if reason not in unread:
            what = "1 resource" if count == 1 else f"{count} resources"
            gaps.append(DataGap(what, find_reason(reason) or f"status {reason}"))
    if chart.sex is None:
        gaps.append(DataGap("Sex", "not known: only what the limits of both agree on is decided"))
    if chart.born is None:
        gaps.append(DataGap("Birth date", "not known"))
    return tuple(gaps)


def list_withheld(result: CaseResult, variant: Variant) -> tuple[DataGap, ...]:
    """Cards and suggestions that there was reason for, each with why it is not shown."""
    topics = {card.topic: card.card.summary for card in result.answered.answer.withheld_cards}
    return tuple(_explain_withheld(result.withheld, topics, variant))


def _explain_withheld(
    reasons: Iterable[str], topics: Mapping[str, str], variant: Variant
) -> Iterator[DataGap]:
    titles = {topic.problem: topic.title for topic in TOPICS}
    for reason in reasons:
        first, _, second = reason.partition(":")
        if first in titles:  # "muscle:deceased": the topic, then why
            yield DataGap(titles[first], get_sentence(WithheldReason, second))
            continue
        rule = variant.knowledge.order_rules.get(second)
        template = variant.knowledge.templates.by_id.get(second)
        what = topics.get(second) or (rule and rule.title) or (template and template.label)
        yield DataGap(str(what or second), get_sentence(WithheldReason, first))


def list_steps(result: CaseResult) -> tuple[tuple[str, str, str], ...]:
    """Topic, id and words of every next step."""
    return tuple(_list_words(result, "nextSteps", STEPS))


def list_flags(result: CaseResult) -> tuple[tuple[str, str, str], ...]:
    """Topic, id and words of every caution."""
    return tuple(_list_words(result, "flags", FLAGS))


def _list_words(
    result: CaseResult, member: str, kinds: Mapping[str, type[StrEnum]]
) -> Iterator[tuple[str, str, str]]:
    for topic in TOPICS:
        for name in result.assessment[topic.id][member]:
            yield topic.title, name, get_sentence(kinds[topic.id], name)
