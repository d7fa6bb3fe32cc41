"""JSON that means one thing to every reader: no key twice, no NaN, no endless nesting."""

import json
from typing import Any

import orjson

MAX_DEPTH = 254  # orjson writes no deeper; a Bundle of real orders has about 20 levels


class UnreadableJsonError(ValueError):
    """Says what is wrong and where, never what stands there."""


def parse_json(body: bytes) -> Any:
    """The document in `body`, UTF-8. Raises Unreadable."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise UnreadableJsonError(
            f"not JSON at line {fault.lineno}, column {fault.colno}"
        ) from None
    try:
        written = orjson.dumps(document)
    except orjson.JSONEncodeError:
        raise UnreadableJsonError(f"nested more than {MAX_DEPTH} levels deep") from None
    # A key that stands twice is written once, so quotation marks go missing. Only an escaped
    # mark could make up for them; where there is one, the slow way is taken.
    if written.count(b'"') != body.count(b'"') or b"\\u0022" in body:
        json.loads(body, object_pairs_hook=_check_unique_keys)
    return document


def _check_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnreadableJsonError("a key stands twice in one object")
    return members
