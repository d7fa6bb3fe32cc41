"""Tell who calls: from a token or a client certificate to a Tenant. [SEC-07 to SEC-16]

The order is that of the published best practice: what costs nothing first, the network only for a
key set that the configuration names, and the token's id last, so that nobody can use up the ids of
others. Whatever fails, the caller learns that it failed and nothing else.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from cds_hooks.config.tenants import Tenant, TokenTrust
from cds_hooks.security.key_sets import KeySet, KeysUnavailableError, PublicKey
from cds_hooks.security.token_checks import (
    AuthenticationError,
    Token,
    TokenExpectation,
    check_signature,
    check_token,
    compute_token_digest,
    read_token,
    verify_decoy,
)

BEARER_SCHEME = re.compile(r"bearer +(\S+)", re.IGNORECASE)

# (tenant, digest of the token's id, until when it has to be remembered) -> whether it is new
RememberToken = Callable[[str, str, datetime], bool]


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
            parsed = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)

    def authenticate(
        self,
        authorization: str | None,
        paths: Sequence[str],
        now: datetime,
        certificate: str | None = None,
    ) -> Tenant:
        """Who calls. Raises AuthenticationError, and what `remember` raises.

        `paths`: those of the endpoint, as they follow the tenant's base URL; `certificate`: the
        subject that a trusted proxy has verified.
        """
        if self._open_tenant is not None:
            return self._open_tenant
        if authorization is None:
            tenant = self._by_certificate.get(certificate or "")
            if tenant is None:
                raise AuthenticationError("no-token")
            return tenant
        bearer = BEARER_SCHEME.fullmatch(authorization.strip())
        if bearer is None:
            raise AuthenticationError("scheme")
        return self._authenticate_token(bearer[1], paths, now, certificate)

    def _authenticate_token(
        self, text: str, paths: Sequence[str], now: datetime, certificate: str | None
    ) -> Tenant:
        try:
            token = read_token(text)
            tenant, trust = self.find_tenant(token)
        except AuthenticationError:
            verify_decoy(text)
            raise
        try:
            key = self._check_and_find_key(token, tenant, trust, paths, now, certificate)
        except AuthenticationError as error:
            verify_decoy(text)
            raise error.assign_tenant(tenant) from None
        try:
            check_signature(token, key, token.header["alg"])
        except AuthenticationError as error:
            raise error.assign_tenant(tenant) from None
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
        """The key of a token that is in order but for its signature. Raises AuthenticationError."""
        audiences = [f"{trust.audience}{path}" for path in paths]
        check_token(token, TokenExpectation(trust, audiences, now.timestamp()))
        if tenant.certificate not in (None, certificate):
            raise AuthenticationError("certificate")
        return self._find_key(tenant, token)

    def find_tenant(self, token: Token) -> tuple[Tenant, TokenTrust]:
        """Whom the token says that it is from. Raises AuthenticationError."""
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
