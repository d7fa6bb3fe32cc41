"""What an access token may be used for, by its SMART scopes of version 1 and 2."""

import re
from dataclasses import dataclass

# "patient/Observation.read", "user/*.*", "patient/Observation.rs?category=laboratory"
SCOPE = re.compile(
    r"(patient|user|system)/([A-Za-z]{1,64}|\*)\.(read|write|\*|c?r?u?d?s?)(\?\S*)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Grant:
    """One scope that lets resources be read."""

    of_patient: bool  # for the one patient that the token was given for
    kind: str  # a resource type, or "*"
    read: bool
    search: bool
    limited: bool  # to some resources of that type


def read_grants(scope: str) -> tuple[Grant, ...]:
    """The scopes in a text that let resources be read; all others are none of ours."""
    matches = (SCOPE.fullmatch(part) for part in scope.split())
    return tuple(
        Grant(
            of_patient=match[1] == "patient",
            kind=match[2],
            read=match[3] in ("read", "*") or ("r" in match[3] and match[3] != "write"),
            search=match[3] in ("read", "*") or "s" in match[3],
            limited=match[4] is not None,
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
    """Whether `given` let resources of `kind` be searched, or one be read.

    A patient's scope is no use for a call about another patient: its empty answer would be taken
    for "searched, and there is nothing".
    """
    fitting = [
        grant
        for grant in grants
        if grant.kind in (kind, "*") and (grant.search if search else grant.read)
    ]
    usable = [grant for grant in fitting if same_patient or not grant.of_patient]
    if usable:
        return ScopeDecision(True, is_complete=not all(grant.limited for grant in usable))
    return ScopeDecision(False, reason="other-patient" if fitting else "scope")
