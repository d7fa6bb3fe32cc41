"""Cards as CDS Hooks 3.0 has them, and their JSON: nothing null, nothing empty, no rule broken.

What breaks a rule of the specification here is a fault of the program and raises ValueError.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from os import urandom
from typing import Any, Literal

_ABSOLUTE_URL = re.compile(r"https?://[^/]")
MAX_SUMMARY_LENGTH = 139  # code points; the specification says fewer than 140 [CARD-02]


def make_uuid() -> str:
    """A random UUID (version 4), written without the object that `uuid4` makes of it first."""
    digits = urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


class Indicator(StrEnum):
    """Urgency, least first. [CARD-06]"""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least urgent."""
        return _RANKS[self]


_RANKS = {indicator: rank for rank, indicator in enumerate(Indicator)}


@dataclass(frozen=True, slots=True)
class Coding:
    code: str
    system: str
    display: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Whose guidance the card is. `topic` stays the same for the same kind of card."""

    label: str
    url: str | None = None
    topic: Coding | None = None
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str
    type: Literal["absolute", "smart"] = "absolute"
    app_context: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    type: Literal["create", "update", "delete"]
    description: str
    resource: Mapping[str, Any] | None = None
    resource_id: str | None = None
    template: str | None = None  # the order template it was made from; never sent


@dataclass(frozen=True, slots=True)
class Suggestion:
    label: str
    actions: tuple[Action, ...] = ()
    is_recommended: bool = False
    uuid: str = field(default_factory=make_uuid)


@dataclass(frozen=True, slots=True)
class Card:
    summary: str
    indicator: Indicator
    source: Source
    detail: str | None = None
    suggestions: tuple[Suggestion, ...] = ()
    selection_behavior: Literal["at-most-one", "any"] | None = None
    override_reasons: tuple[Coding, ...] = ()
    links: tuple[Link, ...] = ()
    extension: Mapping[str, Any] = field(default_factory=dict)
    rests_on: frozenset[str] = frozenset()  # marks of its evidence, for the records; never sent
    uuid: str = field(default_factory=make_uuid)


def as_json(card: Card) -> dict[str, Any]:
    """The card as it goes out.

    Raises ValueError where a rule of the specification is broken.
    """
    _check_card(card)
    return _drop_empty(
        {
            "uuid": card.uuid,
            "summary": card.summary,
            "detail": card.detail,
            "indicator": card.indicator.value,
            "source": _build_source(card.source),
            "suggestions": [_build_suggestion(suggestion) for suggestion in card.suggestions],
            "selectionBehavior": card.selection_behavior,
            "overrideReasons": [_build_coding(reason) for reason in card.override_reasons],
            "links": [_build_link(link) for link in card.links],
            "extension": dict(card.extension),
        }
    )


def _drop_empty(members: dict[str, Any]) -> dict[str, Any]:
    """Members that have a value; none of a card is a number or false.

    [JSON-05, JSON-06, JSON-07, JSON-08]
    """
    return {name: value for name, value in members.items() if value}


def _check_card(card: Card) -> None:
    if not card.summary or len(card.summary) > MAX_SUMMARY_LENGTH:
        raise ValueError("summary: 1 to 139 characters [CARD-02]")
    if card.suggestions and card.selection_behavior is None:
        raise ValueError("suggestions need a selectionBehavior [cds-resp-6]")
    recommended = sum(suggestion.is_recommended for suggestion in card.suggestions)
    if card.selection_behavior == "at-most-one" and recommended > 1:
        raise ValueError("at most one suggestion can be recommended [cds-resp-1]")
    if any(not reason.display for reason in card.override_reasons):
        raise ValueError("an override reason needs a display [cds-resp-4]")


def _build_coding(coding: Coding) -> dict[str, Any]:
    if not coding.code or not coding.system:
        raise ValueError("a Coding needs code and system [COD-01, COD-02]")
    return _drop_empty({"system": coding.system, "code": coding.code, "display": coding.display})


def _build_source(source: Source) -> dict[str, Any]:
    if not source.label:
        raise ValueError("a source needs a label [SRC-01]")
    return _drop_empty(
        {
            "label": source.label,
            "url": _check_absolute(source.url),
            "icon": _check_absolute(source.icon),
            "topic": _build_coding(source.topic) if source.topic else None,
        }
    )


def _check_absolute(url: str | None) -> str | None:
    if url is not None and not _ABSOLUTE_URL.match(url):
        raise ValueError("a URL must be absolute [SRC-02, LNK-02]")
    return url


def _build_link(link: Link) -> dict[str, Any]:
    if link.app_context is not None and link.type != "smart":
        raise ValueError("appContext is for smart links alone [cds-resp-3]")
    if not link.label:
        raise ValueError("a link needs a label [LNK-01]")
    return _drop_empty(
        {
            "label": link.label,
            "url": _check_absolute(link.url),
            "type": link.type,
            "appContext": link.app_context,
        }
    )


def _build_suggestion(suggestion: Suggestion) -> dict[str, Any]:
    if not suggestion.label:
        raise ValueError("a suggestion needs a label [SUG-01]")
    return _drop_empty(
        {
            "label": suggestion.label,
            "uuid": suggestion.uuid,
            "isRecommended": suggestion.is_recommended or None,
            "actions": [_build_action(action) for action in suggestion.actions],
        }
    )


def _build_action(action: Action) -> dict[str, Any]:
    if not action.description:
        raise ValueError("an action needs a description [cds-resp-5]")
    if action.type == "delete":
        if action.resource_id is None or action.resource is not None:
            raise ValueError("delete names a resourceId and no resource [cds-resp-2]")
    elif action.resource is None:
        raise ValueError("create and update carry a resource [ACT-03, ACT-04]")
    return _drop_empty(
        {
            "type": action.type,
            "description": action.description,
            "resource": action.resource,
            "resourceId": action.resource_id,
        }
    )


def shorten(text: str, limit: int = MAX_SUMMARY_LENGTH) -> str:
    """`text` in at most `limit` code points, cut at a word."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(",;:. ") + "…"


# Everything that means something in GFM or HTML; the dot and the colon too, which make a list of
# "1." and a link of a bare address.
_SPECIAL_CHARACTER = re.compile(r"[\\`*_{}\[\]()<>#+\-!|~&\"'$^=@.:]")


def escape_markdown(text: str) -> str:
    """`text` as words and nothing else, in renderers with and without raw HTML. [CARD-05]

    Each character with a meaning becomes an HTML entity, which shows as itself and neither
    Markdown nor HTML reads as syntax; line breaks and controls become spaces.
    """
    flat = "".join(char if char.isprintable() else " " for char in text)
    return _SPECIAL_CHARACTER.sub(lambda match: f"&#{ord(match[0])};", flat)
