"""What became of a card: the specification's shape and Epic's, checked, as plain records.

Free text that a clinician typed is patient data: it is never logged, and kept encrypted or not at
all, by the site's policy.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cds_hooks.protocol.errors import InvalidRequestError
from cds_hooks.protocol.hook_request import UUID

MAX_ITEMS = 1000
OTHER_REASON = "other"  # stands in the log for a reason that this service did not offer
TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
MAX_COMMENT_LENGTH = 4000  # characters; what is longer is cut


@dataclass(frozen=True, slots=True)
class Feedback:
    """One clinician's answer to one card."""

    card: str
    outcome: str  # "accepted" or "overridden"
    accepted: tuple[str, ...]  # uuids of suggestions
    reason_system: str | None
    reason_code: str | None
    at: datetime
    comment: str | None = field(default=None, repr=False)


def read_feedback(document: object) -> tuple[Feedback, ...]:
    """The items of a feedback message. Raises NotACall with the path of the first fault."""
    match document:
        case {"feedback": list(items)} if items:
            pass
        case _:
            raise InvalidRequestError("must be a list with at least one item", ["feedback"])
    if len(items) > MAX_ITEMS:
        raise InvalidRequestError(f"more than {MAX_ITEMS} items", ["feedback"])
    return tuple(_read_item(item, f"feedback[{place}]") for place, item in enumerate(items))


def build_log_item(item: Feedback, reasons: Collection[str]) -> dict[str, str]:
    """An item for the log: which card, what became of it, and why.

    A client may send any text as a reason, or as a card. Only a reason of `reasons` is named, and
    only what looks like one of our cards.
    """
    line = {"card": item.card} if UUID.fullmatch(item.card) else {}
    line["outcome"] = item.outcome
    if item.outcome == "overridden" and item.reason_code is not None:
        line["reason"] = item.reason_code if item.reason_code in reasons else OTHER_REASON
    return line


def _read_item(item: object, path: str) -> Feedback:
    if not isinstance(item, dict):
        raise InvalidRequestError("must be an object", [path])
    card = _read_text(item.get("card"), f"{path}.card")
    outcome = item.get("outcome")
    if outcome not in ("accepted", "overridden"):
        raise InvalidRequestError("is 'accepted' or 'overridden' [cds-fb-1]", [f"{path}.outcome"])
    accepted = tuple(_read_accepted(item.get("acceptedSuggestions"), f"{path}.acceptedSuggestions"))
    if outcome == "accepted" and not accepted:
        raise InvalidRequestError(
            "is required with 'accepted' [cds-fb-2]", [f"{path}.acceptedSuggestions"]
        )
    system, code, comment = _read_reason(item, path)
    at = _read_timestamp(item.get("outcomeTimestamp"), f"{path}.outcomeTimestamp")
    return Feedback(card, outcome, accepted, system, code, at, comment)


def _read_text(value: object, path: str) -> str:
    # Not every database keeps a NUL; none of the controls is part of an id or a code.
    if not isinstance(value, str) or TEXT.fullmatch(value) is None:
        raise InvalidRequestError("must be a text of 1 to 255 characters, none a control", [path])
    return value


def _read_accepted(value: object, path: str) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, list):
        raise InvalidRequestError("must be a list", [path])
    for place, suggestion in enumerate(value):
        match suggestion:
            case {"id": str(id_)}:
                yield _read_text(id_, f"{path}[{place}].id")
            case _:
                raise InvalidRequestError("must be an object with an id", [f"{path}[{place}]"])


def _read_reason(item: Mapping[str, Any], path: str) -> tuple[str | None, str | None, str | None]:
    """(system, code, comment) of `overrideReason`, or of Epic's spellings."""
    reason = item.get("overrideReason", item.get("overrideReasons"))
    if reason is None:
        reason = _find_epic_reason(item.get("extension"))
    if reason is None:
        return None, None, None
    if isinstance(reason, list):
        reason = reason[0] if reason else {}
    if not isinstance(reason, dict):
        raise InvalidRequestError("must be an object", [f"{path}.overrideReason"])
    coding = reason.get("reason", reason if "code" in reason else None)
    text = reason.get("userComment")
    comment = text[:MAX_COMMENT_LENGTH] if isinstance(text, str) and text else None
    if coding is None and comment is None:
        raise InvalidRequestError(
            "needs a reason, a userComment, or both [cds-fb-3]", [f"{path}.overrideReason"]
        )
    if coding is None:
        return None, None, comment
    if not isinstance(coding, dict):
        raise InvalidRequestError("must be a Coding", [f"{path}.overrideReason.reason"])
    code = _read_text(coding.get("code"), f"{path}.overrideReason.reason.code")
    system = coding.get("system")
    if not isinstance(system, str) or not system:
        return None, code, comment
    return _read_text(system[:255], f"{path}.overrideReason.reason.system"), code, comment


def _find_epic_reason(extension: object) -> object:
    """The acknowledgement reason that Epic may put into an extension."""
    if isinstance(extension, dict):
        for value in extension.values():
            match value:
                case {"reasonCategory": {"code": str()} as coding}:
                    return {"reason": coding}
                case {"reasonCategory": str(code)} if code:
                    return {"reason": {"code": code}}
    return None


def _read_timestamp(value: object, path: str) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 64 else None
        if at is None or at.tzinfo is None or "T" not in str(value).upper():
            raise InvalidRequestError("must be an RFC 3339 time with an offset", [path])
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequestError("must be an RFC 3339 time with an offset", [path]) from None
