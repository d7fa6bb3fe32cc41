"""Whether an access token allows a query, by its SMART scopes of version 1 and 2."""

import re
from dataclasses import dataclass

# "patient/Observation.read", "user/*.*", "patient/Observation.rs?category=laboratory"
SCOPE = re.compile(
    r"(patient|user|system)/([A-Za-z]{1,64}|\*)\.(read|write|\*|c?r?u?d?s?)(\?\S*)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Grant:
    """One scope that lets resources be read."""

    is_for_patient: bool  # for the one patient that the token was given for
    kind: str  # a resource type, or "*"
    can_read: bool
    can_search: bool
    is_limited: bool  # to some resources of that type


def read_grants(scope: str) -> tuple[Grant, ...]:
    """The scopes in a text that let resources be read; others are left out."""
    matches = (SCOPE.fullmatch(part) for part in scope.split())
    return tuple(
        Grant(
            is_for_patient=match[1] == "patient",
            kind=match[2],
            can_read=match[3] in ("read", "*") or ("r" in match[3] and match[3] != "write"),
            can_search=match[3] in ("read", "*") or "s" in match[3],
            is_limited=match[4] is not None,
        )
        for match in matches
        if match is not None
    )


@dataclass(frozen=True, slots=True)
class ScopeDecision:
    """Whether a query may be tried, and whether its answer would be all there is."""

    is_allowed: bool
    is_complete: bool = False
    reason: str = ""  # why it is not tried: "scope" or "other-patient"


def check_scope(
    grants: tuple[Grant, ...], kind: str, *, search: bool, same_patient: bool
) -> ScopeDecision:
    """Whether `grants` let resources of `kind` be searched, or one be read.

    A patient's scope is no use for a call about another patient: its empty answer would be taken
    for "searched, and there is nothing".
    """
    fitting = [
        grant
        for grant in grants
        if grant.kind in (kind, "*") and (grant.can_search if search else grant.can_read)
    ]
    usable = [grant for grant in fitting if same_patient or not grant.is_for_patient]
    if usable:
        return ScopeDecision(True, is_complete=not all(grant.is_limited for grant in usable))
    return ScopeDecision(False, reason="other-patient" if fitting else "scope")
