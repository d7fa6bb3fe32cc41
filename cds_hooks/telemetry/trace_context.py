"""Read and pass on the trace of a call (W3C Trace Context: traceparent, tracestate)."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
STATE_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
MAX_MEMBERS = 32
# Sampled, and random trace id. What other bits mean is not known, so they are not passed on.
KNOWN_FLAGS = 0b11


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a call stands in the trace of whoever made it."""

    id: str
    parent: str  # id of the caller's span
    flags: int = 0
    state: str = ""  # what systems on the way noted for themselves; passed on as it came

    @property
    def headers(self) -> dict[str, str]:
        """What goes with a request made for this call: the same trace, a parent of our own."""
        return build_headers(self.id, secrets.token_hex(8), self.flags, self.state)


def build_headers(trace: str, parent: str, flags: int, state: str = "") -> dict[str, str]:
    headers = {"traceparent": f"00-{trace}-{parent}-{flags & KNOWN_FLAGS:02x}"}
    return {**headers, "tracestate": state} if state else headers


def read_trace(header: Callable[[str], str | None]) -> Trace | None:
    """The trace that a request names; None where it names none, or not by the rules.

    `header` gives the value of a header by its name.

    A later version of the header is read as far as this one goes. Without a usable `traceparent`
    nothing is believed of `tracestate`.
    """
    match = TRACEPARENT.fullmatch((header("traceparent") or "").strip(" \t"))
    if match is None:
        return None
    version, trace, parent, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace, 16) or not int(parent, 16):
        return None
    return Trace(trace, parent, int(flags, 16), _read_state(header("tracestate") or ""))


def _read_state(header: str) -> str:
    """The list of members; nothing of one that breaks the rules."""
    members = [member.strip(" \t") for member in header.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    is_whole = len(members) == len(keys) <= MAX_MEMBERS and all(
        map(STATE_MEMBER.fullmatch, members)
    )
    return ",".join(members) if is_whole else ""
