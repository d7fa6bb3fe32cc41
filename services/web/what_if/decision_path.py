"""How an answer came about: what each rule looked at, and what could not be looked at."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from services.assessment.evidence import Evidence
from services.evaluation.order_rules import run_order_rules
from services.hooks.decide import build_session
from services.hooks.overrides import Variant
from services.hooks.regression_cases import CaseResult
from services.hooks.topics import TOPICS
from services.sarcopenia import labels as muscle_wording
from services.sarcopenia.assess import REASONS as UNREADABLE
from services.vitamin_b12 import labels as b12_wording
from services.web.unit_text import spell_units

B12, MUSCLE, ORDERS = "B12", "Muscle", "Orders"
# Why a resource was read and not used (services/chart).
DROPPED = {
    "other-patient": "about another patient",
    "repeated": "sent twice",
    "undated": "without a date",
    "in-the-future": "dated after the day of the call",
    "no-outcome": "neither positive nor negative",
    "no-status": "without a status",
    "no-unit": "without a unit",
    "unknown-unit": "in a unit that this result cannot have",
    "impossible-value": "with a value that is not plausible",
    "no-value": "without a value",
    "wrong-specimen": "under a code that is not read in this unit",
    "refused": "of a kind that is never read as this value",
}
# Why a card is not shown: services/cards/attention.py, cds_hooks/protocol/dialects.py.
WITHHELD = {
    "snoozed": "was answered not long ago",
    "repeat": "was shown in this encounter already",
    "limit": "as many cards as the site allows are there already",
    "below": "less than the site lets interrupt",
    "silent": "the site's rules keep it silent",
    "off": "switched off by the site",
    "audience": "not for this user's specialty",
    "unsupported": "this EHR cannot carry out such an order",
    "unmapped": "the site's catalogue has no such order",
}


class EvidenceStep(NamedTuple):
    """One thing that a rule looked at."""

    axis: str
    rule: str
    says: str
    value: str
    date: str
    limit: str
    locator: str
    resource: str


class DataGap(NamedTuple):
    """Something that no rule could use, and why."""

    what: str
    why: str


def list_evidence(shown: CaseResult, chosen: Variant) -> tuple[EvidenceStep, ...]:
    """Each result, finding and order that a rule looked at, in the order in which they did."""
    answered = shown.answered
    found = answered.answer.evaluation
    rows = [
        _build_step(topic.title, one)
        for topic in TOPICS
        for one in found.assessments[topic.id].evidence
    ]
    session = build_session(answered.chart, found, chosen.known, answered.drafts, answered.hook)
    for order in () if answered.chart.deceased else run_order_rules(session):
        rows.append(
            EvidenceStep(
                ORDERS,
                f"{order.rule.id}: {order.case}",
                order.text,
                "",
                "",
                "",
                f"{order.rule.source}: {order.rule.locator}",
                "",
            )
        )
    return tuple(rows)


def _build_step(axis: str, one: Evidence) -> EvidenceStep:
    value = "" if one.value is None else f"{one.comparator or ''}{one.value:g} {one.unit or ''}"
    return EvidenceStep(
        axis=axis,
        rule=one.rule,
        says=spell_units(str(one.says)),
        value=spell_units(value.strip()),
        date=f"{one.day:%d %b %Y}" if one.day else "",
        limit=spell_units(str(one.limit or "")),
        locator=str(one.locator or ""),
        resource=one.resource or "",
    )


def list_gaps(shown: CaseResult, chosen: Variant) -> tuple[DataGap, ...]:
    """What was never searched, not to be had, unreadable or left aside."""
    chart, titles = shown.answered.chart, chosen.known.b12.titles
    found = [DataGap(f"prefetch {key}", "not to be had: unknown") for key in sorted(chart.unknown)]
    partly = sorted(chart.incomplete - chart.unknown)
    found += [DataGap(f"prefetch {key}", "only a part was to be had") for key in partly]
    for name, results in chart.unusable.items():
        for one in results:
            reported = f" ({one.reported})" if one.reported else ""
            why = UNREADABLE.get(one.reason, DROPPED.get(one.reason, one.reason))
            found.append(DataGap(f"{titles[name]}{reported}", f"{why}: no value, and not normal"))
    unread = {one.reason for results in chart.unusable.values() for one in results}
    for reason, count in chart.dropped.items():
        if reason not in unread:
            what = "1 resource" if count == 1 else f"{count} resources"
            found.append(DataGap(what, DROPPED.get(reason, f"status {reason}")))
    if chart.sex is None:
        found.append(DataGap("Sex", "not known: only what the limits of both agree on is decided"))
    if chart.born is None:
        found.append(DataGap("Birth date", "not known"))
    return tuple(found)


def list_withheld(shown: CaseResult, chosen: Variant) -> tuple[DataGap, ...]:
    """Cards and suggestions that there was reason for, each with why it is not shown."""
    topics = {one.topic: one.card.summary for one in shown.answered.answer.withheld_cards}
    return tuple(_explain_withheld(shown.withheld, topics, chosen))


def _explain_withheld(
    reasons: Iterable[str], topics: Mapping[str, str], chosen: Variant
) -> Iterator[DataGap]:
    titles = {topic.problem: topic.title for topic in TOPICS}
    for one in reasons:
        first, _, second = one.partition(":")
        if first in titles:  # "muscle:deceased": the topic, then why
            yield DataGap(titles[first], second.replace("-", " "))
            continue
        rule = chosen.known.order_rules.get(second)
        template = chosen.known.templates.by_id.get(second)
        what = topics.get(second) or (rule and rule.title) or (template and template.label)
        yield DataGap(str(what or second), WITHHELD.get(first, first))


def list_steps(shown: CaseResult) -> tuple[tuple[str, str, str], ...]:
    """Axis, id and words of every next step."""
    return tuple(_list_words(shown, "nextSteps", b12_wording.NEXT_STEPS, muscle_wording.NEXT_STEPS))


def list_flags(shown: CaseResult) -> tuple[tuple[str, str, str], ...]:
    """Axis, id and words of every caution."""
    return tuple(_list_words(shown, "flags", b12_wording.FLAGS, muscle_wording.FLAGS))


def _list_words(
    shown: CaseResult, member: str, b12: Mapping[str, str], muscle: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    for axis, key, words in ((B12, "b12", b12), (MUSCLE, "sarcopenia", muscle)):
        for name in shown.assessment[key][member]:
            yield axis, name, words.get(name) or ""
