"""Explain why a token is accepted or not: for who runs the service, never for callers.

The checks are those of authentication.py, each by itself, so that all faults are seen at once.
Nothing is fetched, remembered or printed that would let somebody else in.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from cds_hooks.config.tenants import Tenant, TokenTrust
from cds_hooks.security.authentication import Authentication
from cds_hooks.security.key_sets import Keys
from cds_hooks.security.token_checks import (
    CHECKS,
    AuthenticationError,
    Token,
    TokenExpectation,
    check_signature,
    read_token,
)


class CheckResult(StrEnum):
    GOOD = "good"
    FAULT = "fault"
    OPEN = "open"  # cannot be told from here


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """One thing that was looked at."""

    name: str
    result: CheckResult
    text: str = ""


# By the reason that the log gives.
EXPLANATIONS = {
    "no-token": "there is no Authorization header, and no client certificate that is known",
    "scheme": 'the Authorization header is not "Bearer " and a token',
    "oversize": "the token has more than 8192 characters",
    "malformed": "is no signed token: three parts in base64url with points between them, the first "
    "two of them JSON objects in which no key stands twice",
    "issuer": "no [[tenant]] has this `iss` as its `issuer`; they are compared character by "
    "character",
    "tenant": "this `iss` is known, but no [[tenant]] has it together with this `tenant` claim as "
    "its `claim`",
    "algorithm": "the token is signed by an algorithm that the tenant does not accept",
    "typ": "`typ` in the header must be JWT",
    "kid": "`kid` in the header must be a text of 1 to 256 characters: it names the key",
    "crit": "the header asks for extensions (`crit`, `b64`) that are not supported",
    "jku": "`jku` in the header is not the tenant's `jwks_url`; it is never fetched",
    "aud-shape": "`aud` must be a text, or a list of 1 to 16 texts",
    "aud": "`aud` must be the URL of the endpoint that is called, as the configuration has it",
    "exp": "`exp` must be a number of seconds since 1970",
    "iat": "`iat` must be a number of seconds since 1970",
    "nbf": "`nbf` must be a number of seconds since 1970",
    "expired": "the token is over",
    "issued-in-future": "`iat` is in the future: one of the clocks is wrong",
    "not-yet-valid": "`nbf` is in the future",
    "lifetime": "from `iat` to `exp` the token lives longer than the tenant's `max_lifetime_s`, or "
    "not at all",
    "jti": "`jti` must be a text of 1 to 256 characters, another one in each token",
    "certificate": "the tenant's client certificate is needed too, as the trusted proxy gives it",
    "keys-unavailable": "the tenant's key set was never had, or for more than a day not again",
    "unknown-key": "the key set has no usable key with this `kid` for this algorithm",
    "signature": "the signature is not made with the key that `kid` names",
    "replayed": "a token is good once; this one was used before",
}


def explain_token(
    text: str,
    tenants: Sequence[Tenant],
    endpoints: Sequence[str],
    keys: Mapping[str, Keys],
    now: datetime,
) -> list[TokenCheck]:
    """What would become of a token at any of `endpoints`, paths of this service.

    `keys`: those at hand, by tenant; where they are not, the signature stays open.
    """
    try:
        token = read_token(text)
    except AuthenticationError as error:
        return [_make_fault("token", error)]
    steps = [TokenCheck("token", CheckResult.GOOD, _describe_token(token))]
    try:
        tenant, trust = Authentication(tenants, {}, lambda *_: True).find_tenant(token)
    except AuthenticationError as error:
        return [*steps, _make_fault("issuer", error, _describe_issuers(token, tenants))]
    steps.append(TokenCheck("issuer", CheckResult.GOOD, f"tenant {tenant.id}"))
    audiences = [f"{trust.audience}{path}" for path in endpoints]
    expectation = TokenExpectation(trust, audiences, now.timestamp())
    for name, check in CHECKS:
        try:
            check(token, expectation)
        except AuthenticationError as error:
            steps.append(_make_fault(name, error, _explain_details(error, audiences, trust)))
        else:
            steps.append(TokenCheck(name, CheckResult.GOOD, _describe_good(name, token, audiences)))
    steps += _check_signature(token, tenant, keys)
    if tenant.certificate is not None:
        steps.append(TokenCheck("certificate", CheckResult.OPEN, EXPLANATIONS["certificate"]))
    steps.append(
        TokenCheck("used before", CheckResult.OPEN, "a token is good once: the service remembers")
    )
    return steps


def _check_signature(
    token: Token, tenant: Tenant, keys: Mapping[str, Keys]
) -> Iterator[TokenCheck]:
    if tenant.id not in keys:
        url = tenant.trust.jwks_url if tenant.trust else None
        yield TokenCheck(
            "signature", CheckResult.OPEN, f"its keys are at {url}: give them with --keys"
        )
        return
    algorithm = token.header.get("alg")
    key = keys[tenant.id].get((str(token.header.get("kid")), str(algorithm)))
    if key is None:
        usable = ", ".join(f"{kid} ({name})" for kid, name in keys[tenant.id]) or "none"
        yield _make_fault("signature", AuthenticationError("unknown-key"), f"usable keys: {usable}")
        return
    try:
        check_signature(token, key, str(algorithm))
    except AuthenticationError as error:
        yield _make_fault("signature", error)
    else:
        yield TokenCheck(
            "signature", CheckResult.GOOD, f"made with the key {token.header.get('kid')}"
        )


def _make_fault(name: str, error: AuthenticationError, more: str = "") -> TokenCheck:
    text = EXPLANATIONS[error.reason] + (f"; {more}" if more else "")
    return TokenCheck(name, CheckResult.FAULT, text)


def _describe_token(token: Token) -> str:
    """The header's values and the claims' names: values that are not ours to know stay unsaid."""
    header = ", ".join(
        f"{name} {_clean_text(token.header[name])}"
        for name in ("alg", "typ", "kid", "jku")
        if name in token.header
    )
    return f"{header or 'no header'}; claims: {', '.join(sorted(map(_clean_text, token.claims)))}"


def _describe_issuers(token: Token, tenants: Iterable[Tenant]) -> str:
    trusts = [tenant.trust for tenant in tenants if tenant.trust is not None]
    received = token.claims.get("iss")
    issuers = ", ".join(
        trust.issuer + (f" with tenant {trust.claim}" if trust.claim else "") for trust in trusts
    )
    near = difflib.get_close_matches(str(received), [trust.issuer for trust in trusts], 1, 0.8)
    hint = (
        f" ({_explain_difference(str(received), near[0])})" if near and near[0] != received else ""
    )
    claim = token.claims.get("tenant")
    came = f"came {_clean_text(received)}" + (f" with tenant {_clean_text(claim)}" if claim else "")
    return f"{came}; configured: {issuers or 'none'}{hint}"


def _explain_details(
    error: AuthenticationError, audiences: Sequence[str], trust: TokenTrust
) -> str:
    details = error.details
    if error.reason in ("aud", "aud-shape"):
        received = details.get("received", "")
        near = difflib.get_close_matches(received, audiences, 1, 0.6)
        hint = f" ({_explain_difference(received, near[0])})" if near else ""
        listed = ", ".join(audiences)
        came = f"came {received}{hint}; " if received else ""
        return f"{came}it may be one of: {listed}"
    if error.reason == "lifetime":
        return f"it lives {details['seconds']} s, at most {trust.max_lifetime_s} s are accepted"
    if "seconds" in details:
        return f"it is {details['seconds']} s off, and {trust.leeway_s} s are forgiven"
    return f"accepted: {details['expected']}" if "expected" in details else ""


def _describe_good(name: str, token: Token, audiences: Sequence[str]) -> str:
    if name == "audience":
        aud = token.claims["aud"]
        received = [aud] if isinstance(aud, str) else aud
        return f"for {', '.join(audience for audience in audiences if audience in received)}"
    if name == "expiry":
        return f"until {datetime.fromtimestamp(token.claims['exp'], UTC):%Y-%m-%d %H:%M:%S} UTC"
    return ""


def _explain_difference(received: str, expected: str) -> str:
    """The commonest slips, by name."""
    if received.rstrip("/") == expected.rstrip("/"):
        return "only the slash at the end differs"
    if received.lower() == expected.lower():
        return "only the case of letters differs"
    if received.partition("://")[2] == expected.partition("://")[2]:
        return "only http and https differ"
    return f"nearest: {expected}"


def _clean_text(value: Any) -> str:
    """A caller's value for a terminal: short, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in str(value)[:200])
