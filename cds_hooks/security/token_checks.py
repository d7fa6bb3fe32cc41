"""Check a JWT: its header, its claims and its signature. [SEC-09 to SEC-15]

Who sent it and whether it is new is for authentication.py.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from cds_hooks.config.tenants import Tenant, TokenTrust
from cds_hooks.protocol.strict_json import UnreadableJsonError, parse_json
from cds_hooks.security.key_sets import PublicKey

MAX_TOKEN_CHARACTERS = 8192
MAX_ID_CHARACTERS = 256  # of kid and jti
MAX_AUDIENCES = 16
MAX_TIMESTAMP = 253402300799  # the last second that a date can name
TOKEN_PART = re.compile(r"[A-Za-z0-9_-]+")
# Verified where a token was refused before its signature was looked at, so that all refusals of
# tokens take about as long.
DECOY_KEY = ec.generate_private_key(ec.SECP384R1()).public_key()


class AuthenticationError(Exception):
    """A caller is not let in; `reason` is for the log, never for the caller."""

    status = 401

    def __init__(self, reason: str, **details: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details
        self.tenant: str | None = None

    def assign_tenant(self, tenant: Tenant) -> "AuthenticationError":
        """The same, where the token names a tenant that there is."""
        self.tenant = tenant.id
        return self


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart; nothing in it is believed yet."""

    text: str = field(repr=False)
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def jti(self) -> str:
        return str(self.claims["jti"])


def read_token(text: str) -> Token:
    """Raises AuthenticationError for what is no signed token in three parts."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise AuthenticationError("oversize")
    parts = text.split(".")
    if len(parts) != 3 or not all(map(TOKEN_PART.fullmatch, parts)):
        raise AuthenticationError("malformed")
    header, claims = _decode_object(parts[0]), _decode_object(parts[1])
    return Token(text, header, claims)


def _decode_object(part: str) -> Mapping[str, Any]:
    try:
        value = parse_json(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (UnreadableJsonError, binascii.Error, ValueError):
        raise AuthenticationError("malformed") from None
    if not isinstance(value, dict):
        raise AuthenticationError("malformed")
    return value


@dataclass(frozen=True, slots=True)
class TokenExpectation:
    """What a token is compared with."""

    trust: TokenTrust
    audiences: Sequence[str]  # the URL of the endpoint, and what else its token may name
    now: float  # seconds since 1970


def _check_algorithm(token: Token, expectation: TokenExpectation) -> None:
    """[SEC-12 to SEC-15]"""
    if token.header.get("alg") not in expectation.trust.algorithms:
        raise AuthenticationError("algorithm", expected=", ".join(expectation.trust.algorithms))


def _check_type(token: Token, _expectation: TokenExpectation) -> None:
    kind = token.header.get("typ")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise AuthenticationError("typ")


def _check_key_id(token: Token, _expectation: TokenExpectation) -> None:
    if not _is_text(token.header.get("kid")):
        raise AuthenticationError("kid")


def _check_extensions(token: Token, _expectation: TokenExpectation) -> None:
    if "crit" in token.header or "b64" in token.header:
        raise AuthenticationError("crit")


def _check_key_set_url(token: Token, expectation: TokenExpectation) -> None:
    """[SEC-09] Pinned keys make the URL a mere remark, unless it is stated too."""
    url = expectation.trust.jwks_url
    if url is not None and token.header.get("jku", url) != url:
        raise AuthenticationError("jku", expected=url)


def _check_audience(token: Token, expectation: TokenExpectation) -> None:
    """[SEC-11]"""
    aud = token.claims.get("aud")
    audiences = [aud] if isinstance(aud, str) else aud
    if (
        not isinstance(audiences, list)
        or not 0 < len(audiences) <= MAX_AUDIENCES
        or not all(isinstance(audience, str) for audience in audiences)
    ):
        raise AuthenticationError("aud-shape", expected=expectation.audiences[0])
    if not set(audiences) & set(expectation.audiences):
        received = _clean_for_log(audiences[0])
        raise AuthenticationError("aud", expected=expectation.audiences[0], received=received)


def _check_expiry(token: Token, expectation: TokenExpectation) -> None:
    over = expectation.now - _read_time(token, "exp")
    if over >= expectation.trust.leeway_s:
        raise AuthenticationError("expired", seconds=str(round(over)))


def _check_issue_time(token: Token, expectation: TokenExpectation) -> None:
    ahead = _read_time(token, "iat") - expectation.now
    if ahead > expectation.trust.leeway_s:
        raise AuthenticationError("issued-in-future", seconds=str(round(ahead)))


def _check_not_before(token: Token, expectation: TokenExpectation) -> None:
    if "nbf" in token.claims and (
        _read_time(token, "nbf") - expectation.now > expectation.trust.leeway_s
    ):
        raise AuthenticationError("not-yet-valid")


def _check_lifetime(token: Token, expectation: TokenExpectation) -> None:
    seconds = _read_time(token, "exp") - _read_time(token, "iat")
    if not 0 < seconds <= expectation.trust.max_lifetime_s:
        raise AuthenticationError("lifetime", seconds=str(round(seconds)))


def _check_token_id(token: Token, _expectation: TokenExpectation) -> None:
    if not _is_text(token.claims.get("jti")):
        raise AuthenticationError("jti")


# What is checked of a token besides who it is from, whose key signed it, and whether it is new.
CHECKS: tuple[tuple[str, Callable[[Token, TokenExpectation], None]], ...] = (
    ("algorithm", _check_algorithm),
    ("type", _check_type),
    ("key id", _check_key_id),
    ("header extensions", _check_extensions),
    ("key set URL", _check_key_set_url),
    ("audience", _check_audience),
    ("expiry", _check_expiry),
    ("time of issue", _check_issue_time),
    ("not before", _check_not_before),
    ("lifetime", _check_lifetime),
    ("token id", _check_token_id),
)


def check_token(token: Token, expectation: TokenExpectation) -> None:
    """Raises AuthenticationError for the first thing that is wrong."""
    for _name, check in CHECKS:
        check(token, expectation)


def _read_time(token: Token, name: str) -> float:
    value = token.claims.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= MAX_TIMESTAMP
    ):
        raise AuthenticationError(name)
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS


def _clean_for_log(text: str) -> str:
    """An address that a caller sent, for the log: short and plain."""
    return re.sub(r"[^\x21-\x7e]", "?", text[:200])


def check_signature(token: Token, key: PublicKey, algorithm: str) -> None:
    """Raises AuthenticationError."""
    try:
        jwt.PyJWS([algorithm]).decode(token.text, key, [algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise AuthenticationError("signature") from None


def compute_token_digest(token: Token) -> str:
    """What stands for the token's id: ids are unique for each issuer."""
    identifier = f"{token.claims['iss']}\0{token.jti}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(identifier, digest_size=24).hexdigest()


def verify_decoy(text: str) -> None:
    """Check a signature that does not hold, for the time that it takes."""
    message = text[:MAX_TOKEN_CHARACTERS].encode("utf-8", "surrogatepass")
    jwt.get_algorithm_by_name("ES384").verify(message, DECOY_KEY, b"\1" * 96)
