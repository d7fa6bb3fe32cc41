"""A CDS service: its entry in discovery, and the function that decides on cards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from cds_hooks.protocol.card_history import CardHistory, EmptyCardHistory
from cds_hooks.protocol.cards import Card
from cds_hooks.protocol.dialects import Dialect
from cds_hooks.protocol.hook_request import HookRequest
from cds_hooks.protocol.prefetch import PrefetchAnswer, check_templates

SPECIFICATION = "3.0.0"
DISCOVERY_PATH = "/cds-services"  # the path that clients are given


@dataclass(frozen=True, slots=True)
class Call:
    """The input of a decision."""

    request: HookRequest
    answers: Mapping[str, PrefetchAnswer]
    today: date
    now: datetime
    history: CardHistory = field(default_factory=EmptyCardHistory)


@dataclass(frozen=True, slots=True)
class Decision:
    """The cards, and how they came about for the record and the log: never a value."""

    cards: tuple[Card, ...]
    record: Mapping[str, Any] = field(default_factory=dict)


def adapt_decision(decision: Decision, dialect: Dialect) -> Decision:
    """The decision with its cards as this EHR can show them; what is left out is on record."""
    adapted = [dialect.adapt_card(card) for card in decision.cards]
    left_out = [reason for _card, reasons in adapted for reason in reasons]
    record = dict(decision.record)
    if left_out:
        record["suppressed"] = [*record.get("suppressed", ()), *left_out]
    return Decision(tuple(card for card, _reasons in adapted), record)


@dataclass(frozen=True, slots=True)
class Service:
    """One hook, one id: clients key services by URL, so an id never serves two hooks."""

    id: str
    hook: str
    hook_version: str
    title: str
    description: str
    usage_requirements: str
    prefetch: Mapping[str, str]
    required: frozenset[str]
    decide: Callable[[Call], Decision]
    override_reasons: frozenset[str] = (
        frozenset()
    )  # codes for setting a card aside that a log may name

    def __post_init__(self) -> None:
        check_templates(self.prefetch, self.hook)

    def as_json(self) -> dict[str, Any]:
        """The entry of the discovery document. [DISC-04 to DISC-12]"""
        return {
            "hook": self.hook,
            "title": self.title,
            "description": self.description,
            "id": self.id,
            "prefetch": dict(self.prefetch),
            "usageRequirements": self.usage_requirements,
            "version": SPECIFICATION,
            "hookVersion": self.hook_version,
        }
