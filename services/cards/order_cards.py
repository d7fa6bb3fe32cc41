"""Cards led by a finding about an order: what is said of the draft comes first."""

from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter

from cds_hooks.protocol.cards import MAX_SUMMARY_LENGTH, Card, Indicator, Suggestion, shorten
from services.cards.card_parts import (
    MAX_SUGGESTIONS,
    MAX_SUGGESTIONS_COMBINED,
    build_source,
    build_topic,
)
from services.cards.draft_actions import draft_step
from services.evaluation.order_session import OrderFinding, OrderSession
from services.knowledge.language import Language

MAX_ORDERS = 3
MAX_LABEL_LENGTH = 120  # of a suggestion
# Cases whose texts leave nothing to add about the patient.
COMPLETE_CASES = frozenset({"level", "unknown", "unknown-with-reason"})
# What these rules ask for first is the treatment; taking the draft away comes after it.
TREATMENT_FIRST_RULES = frozenset({"folic-acid", "nitrous-oxide"})


def build_order_topic(rule: str) -> str:
    """The stable, alphanumeric code of cards about orders that a rule leads."""
    return f"order{''.join(part.capitalize() for part in rule.split('-'))}"


def lead_with_orders(
    card: Card,
    finding: str,
    orders: tuple[OrderFinding, ...],
    session: OrderSession,
    orders_url: str,
) -> Card:
    """Put what is to be said of `orders` first on a card about the patient.

    `finding` is the first sentence of the card's summary. A card whose summary is empty has no
    finding of its own. `orders_url` is the page that lists the sources of the rules.
    """
    first, language = orders[0], session.knowledge.language
    suggestions = _order_suggestions(card, orders, session)
    limit = MAX_SUGGESTIONS
    if len(card.suggestions) > MAX_SUGGESTIONS:
        limit = MAX_SUGGESTIONS_COMBINED
    suggestions = tuple(
        replace(suggestion, is_recommended=place == 0 and _is_forward(suggestion))
        for place, suggestion in enumerate(suggestions[:limit])
    )
    indicators = [card.indicator, *(Indicator(order.indicator) for order in orders)]
    topic = build_topic(build_order_topic(first.rule.id), first.rule.title, session.knowledge)
    marks = {f"{order.rule.id}|{mark}" for order in orders for mark in order.about}
    return replace(
        card,
        summary=_write_summary(language(first.summary), card.summary, finding, first.case),
        indicator=max(indicators, key=attrgetter("rank")),
        source=build_source(first.rule.source, first.rule.url or orders_url, topic),
        detail="\n\n".join(filter(None, (_write_orders(orders, language), card.detail))),
        suggestions=suggestions,
        selection_behavior="any" if suggestions else None,
        rests_on=card.rests_on | marks,
    )


def _order_suggestions(
    card: Card, orders: tuple[OrderFinding, ...], session: OrderSession
) -> tuple[Suggestion, ...]:
    """The suggestions of the rules, then the card's: nothing twice, treatment first if it must."""
    templates = {a.template for s in card.suggestions for a in s.actions if a.template}
    proposals = tuple(
        suggestion
        for suggestion in _draft_proposals(orders, session)
        if templates.isdisjoint(a.template for a in suggestion.actions if a.template)
    )
    if orders[0].rule.id not in TREATMENT_FIRST_RULES:
        return (*proposals, *card.suggestions)
    treatments = tuple(s for s in card.suggestions if _is_drug(s))
    others = tuple(s for s in card.suggestions if s not in treatments)
    return (*treatments, *proposals, *others)


def _draft_proposals(
    orders: tuple[OrderFinding, ...], session: OrderSession
) -> Iterator[Suggestion]:
    """The suggestions of the rules; one draft is changed or removed by one of them only."""
    changed: set[str] = set()
    for order in orders:
        for proposal in order.proposals:
            drafts = {step.draft for step in proposal.steps if step.draft}
            if drafts & changed:
                continue
            changed |= drafts
            label = shorten(session.knowledge.language(proposal.label), MAX_LABEL_LENGTH)
            actions = tuple(draft_step(step, order, session) for step in proposal.steps)
            yield Suggestion(label, actions)


def _write_summary(text: str, patient: str, finding: str, case: str) -> str:
    """The sentence about the order, then as much of the patient as there is room for.

    Nothing is added where the case leaves nothing open; an uncertain one is told the finding alone.
    """
    if not patient or case in COMPLETE_CASES:
        return shorten(text)
    summary = f"{text} {finding if case == 'uncertain' else patient}"
    if len(summary) <= MAX_SUMMARY_LENGTH:
        return summary
    short = f"{text} {finding}"
    return short if len(short) <= MAX_SUMMARY_LENGTH else shorten(text)


def _write_orders(orders: tuple[OrderFinding, ...], language: Language) -> str:
    lines = "\n".join(
        f"- {language(order.text)} ({language('Source')}: {order.rule.source}, "
        f"{language(order.rule.locator)})"
        for order in orders[:MAX_ORDERS]
    )
    return f"**{language('About the order')}**\n\n{lines}"


def _is_drug(suggestion: Suggestion) -> bool:
    resources = (action.resource or {} for action in suggestion.actions)
    return any(resource.get("resourceType") == "MedicationRequest" for resource in resources)


def _is_forward(suggestion: Suggestion) -> bool:
    """Whether it does something besides taking an order away, which is never pre-selected."""
    return any(action.type != "delete" for action in suggestion.actions)
