"""Who calls: from a token or a client certificate to a Tenant. [SEC-07 to SEC-16]

The order is that of the published best practice: what costs nothing first, the network only for a
key set that the configuration names, and the token's id last, so that nobody can use up the ids of
others. Whatever fails, the caller learns that it failed and nothing else.
"""

import base64
import binascii
import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from cds_hooks.config.tenants import Tenant, TokenTrust
from cds_hooks.protocol.strict_json import UnreadableJsonError, parse_json
from cds_hooks.security.key_sets import KeySet, KeysUnavailableError, PublicKey

MAX_TOKEN_CHARACTERS = 8192
MAX_ID_CHARACTERS = 256  # of kid and jti
MAX_AUDIENCES = 16
MAX_TIMESTAMP = 253402300799  # the last second that a date can name
BEARER_SCHEME = re.compile(r"bearer +(\S+)", re.IGNORECASE)
TOKEN_PART = re.compile(r"[A-Za-z0-9_-]+")
# Verified where a token was refused before its signature was looked at, so that all refusals of
# tokens take about as long.
DECOY_KEY = ec.generate_private_key(ec.SECP384R1()).public_key()

# (tenant, digest of the token's id, until when it has to be remembered) -> whether it is new
RememberToken = Callable[[str, str, datetime], bool]


class AuthenticationError(Exception):
    """Why a caller is not let in: for the log, never for the caller."""

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
    """Raises Unauthenticated for what is no signed token in three parts."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise AuthenticationError("oversize")
    parts = text.split(".")
    if len(parts) != 3 or not all(map(TOKEN_PART.fullmatch, parts)):
        raise AuthenticationError("malformed")
    header, claims = _decode_object(parts[0]), _decode_object(parts[1])
    return Token(text, header, claims)


def _decode_object(part: str) -> Mapping[str, Any]:
    try:
        found = parse_json(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (UnreadableJsonError, binascii.Error, ValueError):
        raise AuthenticationError("malformed") from None
    if not isinstance(found, dict):
        raise AuthenticationError("malformed")
    return found


@dataclass(frozen=True, slots=True)
class TokenExpectation:
    """What a token is compared with."""

    trust: TokenTrust
    audiences: Sequence[str]  # the URL of the endpoint, and what else its token may name
    now: float  # seconds since 1970


def _check_algorithm(token: Token, expected: TokenExpectation) -> None:
    """[SEC-12 to SEC-15]"""
    if token.header.get("alg") not in expected.trust.algorithms:
        raise AuthenticationError("algorithm", expected=", ".join(expected.trust.algorithms))


def _check_type(token: Token, _expected: TokenExpectation) -> None:
    kind = token.header.get("typ")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise AuthenticationError("typ")


def _check_key_id(token: Token, _expected: TokenExpectation) -> None:
    if not _is_text(token.header.get("kid")):
        raise AuthenticationError("kid")


def _check_extensions(token: Token, _expected: TokenExpectation) -> None:
    if "crit" in token.header or "b64" in token.header:
        raise AuthenticationError("crit")


def _check_key_set_url(token: Token, expected: TokenExpectation) -> None:
    """[SEC-09] Pinned keys make the URL a mere remark, unless it is stated too."""
    url = expected.trust.jwks_url
    if url is not None and token.header.get("jku", url) != url:
        raise AuthenticationError("jku", expected=url)


def _check_audience(token: Token, expected: TokenExpectation) -> None:
    """[SEC-11]"""
    aud = token.claims.get("aud")
    named = [aud] if isinstance(aud, str) else aud
    if (
        not isinstance(named, list)
        or not 0 < len(named) <= MAX_AUDIENCES
        or not all(isinstance(one, str) for one in named)
    ):
        raise AuthenticationError("aud-shape", expected=expected.audiences[0])
    if not set(named) & set(expected.audiences):
        received = _clean_for_log(named[0])
        raise AuthenticationError("aud", expected=expected.audiences[0], received=received)


def _check_expiry(token: Token, expected: TokenExpectation) -> None:
    over = expected.now - _read_time(token, "exp")
    if over >= expected.trust.leeway_s:
        raise AuthenticationError("expired", seconds=str(round(over)))


def _check_issue_time(token: Token, expected: TokenExpectation) -> None:
    ahead = _read_time(token, "iat") - expected.now
    if ahead > expected.trust.leeway_s:
        raise AuthenticationError("issued-in-future", seconds=str(round(ahead)))


def _check_not_before(token: Token, expected: TokenExpectation) -> None:
    if "nbf" in token.claims and (
        _read_time(token, "nbf") - expected.now > expected.trust.leeway_s
    ):
        raise AuthenticationError("not-yet-valid")


def _check_lifetime(token: Token, expected: TokenExpectation) -> None:
    seconds = _read_time(token, "exp") - _read_time(token, "iat")
    if not 0 < seconds <= expected.trust.max_lifetime_s:
        raise AuthenticationError("lifetime", seconds=str(round(seconds)))


def _check_token_id(token: Token, _expected: TokenExpectation) -> None:
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


def check_token(token: Token, expected: TokenExpectation) -> None:
    """Raises Unauthenticated for the first thing that is wrong."""
    for _name, one in CHECKS:
        one(token, expected)


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
    """Raises Unauthenticated."""
    try:
        jwt.PyJWS([algorithm]).decode(token.text, key, [algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise AuthenticationError("signature") from None


def compute_token_digest(token: Token) -> str:
    """What stands for the token's id: ids are unique for each issuer."""
    said = f"{token.claims['iss']}\0{token.jti}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, digest_size=24).hexdigest()


class Authentication:
    """Tells callers apart by what the configuration says of its tenants."""

    def __init__(
        self,
        tenants: Iterable[Tenant],
        keys: Mapping[str, KeySet],  # by tenant
        remember: RememberToken,
        proxies: Iterable[str] = (),
    ) -> None:
        self._keys = keys
        self._remember = remember
        self._proxies = tuple(map(ipaddress.ip_network, proxies))
        self._by_issuer: dict[str, dict[str | None, Tenant]] = {}
        self._by_certificate: dict[str, Tenant] = {}
        self._open_tenant: Tenant | None = None
        for tenant in tenants:
            if tenant.trust is not None:
                by_claim = self._by_issuer.setdefault(tenant.trust.issuer, {})
                by_claim[tenant.trust.claim] = tenant
            elif tenant.certificate is not None:
                self._by_certificate[tenant.certificate] = tenant
            else:
                self._open_tenant = tenant

    def is_trusted(self, address: str | None) -> bool:
        """Whether `address` is a proxy whose headers are believed."""
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(found in network for network in self._proxies)

    def authenticate(
        self,
        authorization: str | None,
        paths: Sequence[str],
        now: datetime,
        certificate: str | None = None,
    ) -> Tenant:
        """Who calls. Raises Unauthenticated, and what `remember` raises.

        `paths`: those of the endpoint, as they follow the tenant's base URL; `certificate`: the
        subject that a trusted proxy has verified.
        """
        if self._open_tenant is not None:
            return self._open_tenant
        if authorization is None:
            found = self._by_certificate.get(certificate or "")
            if found is None:
                raise AuthenticationError("no-token")
            return found
        given = BEARER_SCHEME.fullmatch(authorization.strip())
        if given is None:
            raise AuthenticationError("scheme")
        return self._authenticate_token(given[1], paths, now, certificate)

    def _authenticate_token(
        self, text: str, paths: Sequence[str], now: datetime, certificate: str | None
    ) -> Tenant:
        try:
            token = read_token(text)
            tenant, trust = self.find_tenant(token)
        except AuthenticationError:
            _verify_decoy(text)
            raise
        try:
            key = self._check_and_find_key(token, tenant, trust, paths, now, certificate)
        except AuthenticationError as refused:
            _verify_decoy(text)
            raise refused.assign_tenant(tenant) from None
        try:
            check_signature(token, key, token.header["alg"])
        except AuthenticationError as refused:
            raise refused.assign_tenant(tenant) from None
        until = datetime.fromtimestamp(token.claims["exp"] + trust.leeway_s, UTC)
        if not self._remember(tenant.id, compute_token_digest(token), until):
            raise AuthenticationError("replayed").assign_tenant(tenant)
        return tenant

    def _check_and_find_key(
        self,
        token: Token,
        tenant: Tenant,
        trust: TokenTrust,
        paths: Sequence[str],
        now: datetime,
        certificate: str | None,
    ) -> PublicKey:
        """The key of a token that is in order but for its signature. Raises Unauthenticated."""
        audiences = [f"{trust.audience}{path}" for path in paths]
        check_token(token, TokenExpectation(trust, audiences, now.timestamp()))
        if tenant.certificate not in (None, certificate):
            raise AuthenticationError("certificate")
        return self._find_key(tenant, token)

    def find_tenant(self, token: Token) -> tuple[Tenant, TokenTrust]:
        """Whom the token says that it is from. Raises Unauthenticated."""
        issuer, claim = token.claims.get("iss"), token.claims.get("tenant")
        by_claim = self._by_issuer.get(issuer) if isinstance(issuer, str) else None
        if by_claim is None:
            raise AuthenticationError("issuer")
        tenant = by_claim.get(claim) if claim is None or isinstance(claim, str) else None
        if tenant is None or tenant.trust is None:
            raise AuthenticationError("tenant")
        return tenant, tenant.trust

    def _find_key(self, tenant: Tenant, token: Token) -> PublicKey:
        try:
            key = self._keys[tenant.id].find_key(token.header["kid"], token.header["alg"])
        except KeysUnavailableError:
            raise AuthenticationError("keys-unavailable") from None
        if key is None:
            raise AuthenticationError("unknown-key")
        return key


def _verify_decoy(text: str) -> None:
    """As much work as a signature that does not hold."""
    said = text[:MAX_TOKEN_CHARACTERS].encode("utf-8", "surrogatepass")
    jwt.get_algorithm_by_name("ES384").verify(said, DECOY_KEY, b"\1" * 96)
