"""Public keys of EHRs (JWKS): pinned in a file, or fetched from a tenant's one URL and cached."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cds_hooks.config.settings import ConfigurationError, ConfigurationProblem
from cds_hooks.config.tenants import ALGORITHMS, Tenant, TokenTrust
from cds_hooks.net.bounded_response import ResponseLimitError, ResponseLimits, fetch_response
from cds_hooks.net.session import make_session
from cds_hooks.net.urls import is_loopback_url
from cds_hooks.protocol.strict_json import UnreadableJsonError, parse_json

FRESH_SECONDS = 3600  # then the set is fetched again when it is next needed
STALE_SECONDS = 24 * 3600  # a set that cannot be fetched again is used until then
RENEW_SECONDS = 300  # between two attempts to renew a set that nobody waits for
UNKNOWN_KEY_SECONDS = 30  # between two fetches because of a key that is not in the set
SOCKET_TIMEOUTS = (1.0, 2.0)  # to connect, and between two pieces of the answer
TOTAL_SECONDS = 3.0  # for all of it: a server that drips meets no time-out of a socket
MAX_BYTES = 256 * 1024
ACCEPT = {"Accept": "application/jwk-set+json, application/json"}
MAX_KEYS = 100
MIN_RSA_BITS = 2048
CURVES = {"ES256": "secp256r1", "ES384": "secp384r1"}

PublicKey = EllipticCurvePublicKey | RSAPublicKey
Keys = Mapping[tuple[str, str], PublicKey]  # by kid and algorithm
ReportFetch = Callable[[str], None]  # told "ok" or why the set could not be had
logging.getLogger("jwt").setLevel(logging.CRITICAL)


class KeysUnavailableError(Exception):
    """The key set was never fetched, or is too old to use."""


class Freshness(StrEnum):
    PINNED = "pinned"
    FRESH = "fresh"
    OLD = "old"  # due for some time; still used
    STALE = "stale"  # too old to be used
    NEVER = "never fetched"

    @property
    def is_healthy(self) -> bool:
        return self in (Freshness.PINNED, Freshness.FRESH)


class KeySet(Protocol):
    """The keys of one issuer."""

    def find_key(self, kid: str, algorithm: str) -> PublicKey | None:
        """None for a key that is not in the set. Raises KeysUnavailableError."""

    @property
    def age(self) -> float | None:
        """Seconds since the set was had; None before, and for keys from a file."""

    @property
    def freshness(self) -> Freshness: ...

    def renew(self) -> None:
        """Fetches the set if it is due, so that no caller has to wait for it."""


def read_usable_keys(document: object) -> Keys:
    """The keys of a JSON Web Key Set that tokens may be checked with. Raises UnreadableJsonError.

    Left out: symmetric keys, keys for encryption, short RSA keys, keys without an id, and keys that
    share id and algorithm, since nobody could say which is meant.
    """
    match document:
        case {"keys": list(listed)} if len(listed) <= MAX_KEYS:
            pass
        case _:
            raise UnreadableJsonError(f"is no key set with at most {MAX_KEYS} keys")
    keys: dict[tuple[str, str], PublicKey | None] = {}
    for jwk in listed:
        match jwk:
            case {"kid": str(kid), "kty": "EC" | "RSA"} if jwk.get("use", "sig") == "sig":
                for algorithm in ALGORITHMS:
                    key = _read_public_key(jwk, algorithm)
                    if key is not None:
                        place = (kid, algorithm)
                        keys[place] = None if place in keys else key
    return {place: key for place, key in keys.items() if key is not None}


def _read_public_key(jwk: Mapping[str, Any], algorithm: str) -> PublicKey | None:
    """The key for `algorithm`; None where it is not for it."""
    if jwk.get("alg", algorithm) != algorithm:
        return None
    public = {name: value for name, value in jwk.items() if name not in ("d", "p", "q")}
    try:
        key = jwt.PyJWK(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, EllipticCurvePublicKey):
        return key if key.curve.name == CURVES.get(algorithm) else None
    if isinstance(key, RSAPublicKey) and algorithm.startswith("RS"):
        return key if key.key_size >= MIN_RSA_BITS else None
    return None


class PinnedKeys:
    """Keys from a file, which change with a restart alone."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def find_key(self, kid: str, algorithm: str) -> PublicKey | None:
        return self._keys.get((kid, algorithm))

    @property
    def age(self) -> None:
        return None

    @property
    def freshness(self) -> Freshness:
        return Freshness.PINNED

    def renew(self) -> None: ...


class FetchedKeys:
    """Keys from a URL: fetched when first needed, again when old or when one is missing.

    `renew` does so before anybody needs them.
    """

    def __init__(
        self,
        url: str,
        report: ReportFetch,
        *,
        private_addresses: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._report = report
        self._now = now
        self._session = make_session(
            connections=2, loopback=is_loopback_url(url), private_addresses=private_addresses
        )
        self._keys: Keys = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = threading.Lock()

    @property
    def age(self) -> float | None:
        return None if self._fetched_at is None else self._now() - self._fetched_at

    @property
    def freshness(self) -> Freshness:
        age = self.age
        if age is None:
            return Freshness.NEVER
        if age > STALE_SECONDS:
            return Freshness.STALE
        return Freshness.FRESH if age <= FRESH_SECONDS + RENEW_SECONDS else Freshness.OLD

    def renew(self) -> None:
        age, tried = self.age, self._tried_at
        is_due = age is None or age > FRESH_SECONDS
        if is_due and (tried is None or self._now() - tried >= RENEW_SECONDS):
            self._refresh(wait=False)

    def find_key(self, kid: str, algorithm: str) -> PublicKey | None:
        age = self.age
        key = self._keys.get((kid, algorithm))
        if age is None or age > FRESH_SECONDS or key is None:
            self._refresh(wait=key is None)
            key = self._keys.get((kid, algorithm))
        age = self.age
        if age is None or age > STALE_SECONDS:
            raise KeysUnavailableError
        return key

    def _refresh(self, *, wait: bool) -> None:
        """Fetches the set, unless another thread does or somebody tried just now.

        Whoever has a key meanwhile goes on with it; who has none waits for the fetch under way.
        """
        started = self._now()
        if not self._lock.acquire(blocking=wait):
            return
        try:
            tried = self._tried_at
            if tried is not None and (tried >= started or started - tried < UNKNOWN_KEY_SECONDS):
                return
            self._tried_at = self._now()
            try:
                self._keys = self._fetch()
            except (UnreadableJsonError, ResponseLimitError) as fault:
                self._report(str(fault))
            except (requests.RequestException, OSError) as fault:
                self._report(type(fault).__name__)
            else:
                self._fetched_at = self._now()
                self._report("ok")
        finally:
            self._lock.release()

    def _fetch(self) -> Keys:
        """Raises UnreadableJsonError, ResponseLimitError, and what requests raises."""
        limits = ResponseLimits(TOTAL_SECONDS, MAX_BYTES, SOCKET_TIMEOUTS)
        answer = fetch_response(self._session, "GET", self._url, limits, headers=ACCEPT)
        if answer.status != 200:
            raise UnreadableJsonError(f"status-{answer.status}")
        keys = read_usable_keys(parse_json(answer.body))
        if not keys:
            raise UnreadableJsonError("no usable key")
        return keys


def make_key_set(tenant: Tenant, trust: TokenTrust, report: ReportFetch) -> KeySet:
    """Where the keys of a tenant come from. Raises ConfigurationError for a pinned file."""
    if trust.jwks_file is None:
        return FetchedKeys(
            trust.jwks_url or "", report, private_addresses=tenant.fhir.private_addresses
        )
    file = trust.jwks_file
    try:
        keys = read_usable_keys(parse_json(file.read_bytes()))
    except (OSError, UnreadableJsonError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise _make_error(file, tenant, f"cannot be used: {reason}") from None
    if not keys:
        raise _make_error(file, tenant, "has no usable public key for ES384, RS384, ES256 or RS256")
    return PinnedKeys(keys)


def _make_error(file: object, tenant: Tenant, reason: str) -> ConfigurationError:
    return ConfigurationError(
        [ConfigurationProblem(str(file), f"tenant {tenant.id}: jwks_file", reason)]
    )
