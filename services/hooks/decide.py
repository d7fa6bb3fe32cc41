"""Decide the cards of a call: evaluate the chart, draft cards, select by attention."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cds_hooks.protocol.card_history import CardHistory, EmptyCardHistory
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
class CallContext:
    """What a call is about besides the chart, and what was shown before."""

    hook: str
    now: datetime
    drafts: Sequence[Mapping[str, Any]] = ()  # orders of the session as they came
    encounter: str | None = None
    history: CardHistory = field(default_factory=EmptyCardHistory)
    specialties: frozenset[str] | None = None  # of the user, "system|code"; None: not known


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """An evaluation, the cards that are shown of it, and what the record and the log keep."""

    evaluation: Evaluation
    cards: tuple[Card, ...]
    record: Mapping[str, Any]
    withheld_cards: tuple[WithheldCard, ...] = ()  # cards that attention withheld
    omissions: tuple[str, ...] = ()  # what never became a card, and why: "silent:folic-acid"


def decide_cards(
    chart: Chart,
    context: CallContext,
    maker: CardComposer,
    rules: AttentionRules,
    evaluation: Evaluation | None = None,
) -> CallAnswer:
    """Evaluate `chart` and choose the cards of a call.

    `evaluation` is what this very chart was evaluated to, where that has been done. Where the
    user's specialties are not known, nothing is kept from anybody.
    """
    knowledge = maker.knowledge
    evaluation = evaluation or evaluate(chart, knowledge, maker.topics)
    session = build_session(
        chart, evaluation, knowledge, context.drafts, context.hook, context.encounter
    )
    candidates, omissions = maker.draft_candidates(
        session,
        find_silenced_rules(rules, context.specialties),
        everything=rules.mode == "everything",
    )
    selection = select_cards(candidates, rules, context.history, context.now)
    topics = (candidate.topic for candidate in candidates)
    record = build_record(
        evaluation, knowledge, maker.topics, (*omissions, *selection.withheld), topics
    )
    return CallAnswer(evaluation, selection.cards, record, selection.withheld_cards, omissions)


def build_session(
    chart: Chart,
    evaluation: Evaluation,
    knowledge: SiteKnowledge,
    drafts: Iterable[Mapping[str, Any]],
    hook: str,
    encounter: str | None = None,
) -> OrderSession:
    """The orders of a call of `hook` beside the patient, as rules about orders look at them."""
    by_reference = {build_reference(draft): draft for draft in drafts}
    return OrderSession(
        chart,
        evaluation,
        knowledge,
        by_reference,
        hook,
        HOOKS[hook].is_about_orders,
        HOOKS[hook].has_selections,
        encounter,
    )


def find_silenced_rules(
    rules: AttentionRules, specialties: frozenset[str] | None
) -> dict[str, str]:
    """Rules that do not speak to this user, each with why."""
    if rules.mode == "everything":
        return {}
    others = {
        audience.rule: "audience"
        for audience in rules.audience
        if specialties is not None and not specialties & audience.specialties
    }
    return {**others, **dict.fromkeys(rules.silent, "silent"), **dict.fromkeys(rules.off, "off")}
