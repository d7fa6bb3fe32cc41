"""One patient and one session to cards: what a hook call and the command line both ask."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_hooks.protocol.card_history import CardHistory
from cds_hooks.protocol.cards import Card
from cds_hooks.protocol.hook_request import HOOKS, build_reference
from mappings.actions.attention import AttentionRules
from services.cards.attention import WithheldCard, select_cards
from services.cards.composer import CardComposer, build_record
from services.chart.model import Chart
from services.evaluation.combination import Evaluation
from services.evaluation.evaluate import evaluate
from services.evaluation.order_session import OrderSession
from services.knowledge.site import SiteKnowledge


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What was found, what is shown of it, and what the record and the log keep."""

    evaluation: Evaluation
    cards: tuple[Card, ...]
    record: Mapping[str, Any]
    withheld_cards: tuple[WithheldCard, ...] = ()  # cards that attention withheld
    omissions: tuple[str, ...] = ()  # what never became a card, and why: "silent:folic-acid"


def decide_cards(
    chart: Chart,
    drafts: Iterable[Mapping[str, Any]],
    maker: CardComposer,
    rules: AttentionRules,
    *,
    hook: str,
    encounter: str | None,
    memory: CardHistory,
    now: datetime,
    specialties: frozenset[str] | None = None,
    found: Evaluation | None = None,
) -> CallAnswer:
    """Evaluates `chart`, and says what is worth saying.

    `drafts` are the orders of the session as they came. `specialties` ("system|code") are those
    of the user; None: not known, and then nothing is kept from anybody. `found` is what this very
    chart was evaluated to, where that has been done.
    """
    known = maker.knowledge
    found = found or evaluate(chart, known, maker.topics)
    session = build_session(chart, found, known, drafts, hook, encounter)
    candidates, before = maker.draft_candidates(
        session,
        find_silenced_rules(rules, specialties),
        everything=rules.mode == "everything",
    )
    attended = select_cards(candidates, rules, memory, now)
    topics = (candidate.topic for candidate in candidates)
    record = build_record(found, known, maker.topics, (*before, *attended.withheld), topics)
    return CallAnswer(found, attended.cards, record, attended.withheld_cards, before)


def build_session(
    chart: Chart,
    found: Evaluation,
    known: SiteKnowledge,
    drafts: Iterable[Mapping[str, Any]],
    hook: str,
    encounter: str | None = None,
) -> OrderSession:
    """The orders of a call of `hook` beside the patient, as rules about orders look at them."""
    by_reference = {build_reference(draft): draft for draft in drafts}
    of_hook = HOOKS[hook]
    return OrderSession(
        chart,
        found,
        known,
        by_reference,
        hook,
        of_hook.is_about_orders,
        of_hook.has_selections,
        encounter,
    )


def find_silenced_rules(
    rules: AttentionRules, specialties: frozenset[str] | None
) -> dict[str, str]:
    """Rules that do not speak to this user, each with why."""
    if rules.mode == "everything":
        return {}
    others = {
        one.rule: "audience"
        for one in rules.audience
        if specialties is not None and not specialties & one.specialties
    }
    return {**others, **dict.fromkeys(rules.silent, "silent"), **dict.fromkeys(rules.off, "off")}
