"""One patient and one session to cards: what a hook call and the command line both ask."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_hooks.protocol.card_history import Memory
from cds_hooks.protocol.cards import Card
from cds_hooks.protocol.hook_request import HOOKS, reference_of
from mappings.actions.attention import AttentionRules
from services.cards.attention import HeldBack, attend
from services.cards.composer import CardMaker, record_of
from services.chart.model import Chart
from services.evaluation.combination import Together
from services.evaluation.evaluate import evaluate
from services.evaluation.order_session import Session
from services.knowledge.site import Known


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, what is shown of it, and what the record and the log keep."""

    found: Together
    cards: tuple[Card, ...]
    record: Mapping[str, Any]
    held_back: tuple[HeldBack, ...] = ()  # cards that attention withheld
    set_aside: tuple[str, ...] = ()  # what never became a card, and why: "silent:folic-acid"


def answer(
    chart: Chart,
    drafts: Iterable[Mapping[str, Any]],
    maker: CardMaker,
    rules: AttentionRules,
    *,
    hook: str,
    encounter: str | None,
    memory: Memory,
    now: datetime,
    specialties: frozenset[str] | None = None,
    found: Together | None = None,
) -> Answer:
    """Evaluates `chart`, and says what is worth saying.

    `drafts` are the orders of the session as they came. `specialties` ("system|code") are those
    of the user; None: not known, and then nothing is kept from anybody. `found` is what this very
    chart was evaluated to, where that has been done.
    """
    known = maker.known
    found = found or evaluate(chart, known)
    session = session_of(chart, found, known, drafts, hook)
    candidates, before = maker.candidates(
        session, encounter, unheard(rules, specialties), everything=rules.mode == "everything"
    )
    attended = attend(candidates, rules, memory, now)
    topics = (candidate.topic for candidate in candidates)
    record = record_of(found, known, (*before, *attended.withheld), topics)
    return Answer(found, attended.cards, record, attended.held_back, before)


def session_of(
    chart: Chart,
    found: Together,
    known: Known,
    drafts: Iterable[Mapping[str, Any]],
    hook: str,
) -> Session:
    """The orders of a call of `hook` beside the patient, as rules about orders look at them."""
    by_reference = {reference_of(draft): draft for draft in drafts}
    of_hook = HOOKS[hook]
    return Session(
        chart, found, known, by_reference, hook, of_hook.is_about_orders, of_hook.has_selections
    )


def unheard(rules: AttentionRules, specialties: frozenset[str] | None) -> dict[str, str]:
    """Rules that do not speak to this user, each with why."""
    if rules.mode == "everything":
        return {}
    others = {
        one.rule: "audience"
        for one in rules.audience
        if specialties is not None and not specialties & one.specialties
    }
    return {**others, **dict.fromkeys(rules.silent, "silent"), **dict.fromkeys(rules.off, "off")}
