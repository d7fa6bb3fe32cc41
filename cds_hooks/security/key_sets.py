"""The public keys of EHRs: pinned in a file, or fetched from the one URL that a tenant names."""

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

from cds_hooks.config.settings import ConfigurationFault, Fault
from cds_hooks.config.tenants import ALGORITHMS, Tenant, Trust
from cds_hooks.net.bounded_response import Limits, small_answer
from cds_hooks.net.session import session
from cds_hooks.net.urls import is_loopback_url
from cds_hooks.protocol.strict_json import Unreadable, loads

FRESH_SECONDS = 3600  # then the set is fetched again when it is next needed
STALE_SECONDS = 24 * 3600  # a set that cannot be fetched again is used until then
RENEW_SECONDS = 300  # between two attempts to renew a set that nobody waits for
UNKNOWN_SECONDS = 30  # between two fetches because of a key that is not in the set
TIMEOUT = (1.0, 2.0)  # to connect, and between two pieces of the answer
WHOLE_SECONDS = 3.0  # for all of it: a server that drips meets no time-out of a socket
MAX_BYTES = 256 * 1024
ACCEPT = {"Accept": "application/jwk-set+json, application/json"}
MAX_KEYS = 100
LEAST_RSA_BITS = 2048
CURVES = {"ES256": "secp256r1", "ES384": "secp384r1"}

PublicKey = EllipticCurvePublicKey | RSAPublicKey
Keys = Mapping[tuple[str, str], PublicKey]  # by kid and algorithm
Fetched = Callable[[str], None]  # told "ok" or why the set could not be had
logging.getLogger("jwt").setLevel(logging.CRITICAL)


class KeysUnavailable(Exception):
    """The set was never had, or is older than may be."""


class Freshness(StrEnum):
    PINNED = "pinned"
    FRESH = "fresh"
    OLD = "old"  # due for some time; still used
    STALE = "stale"  # too old to be used
    NEVER = "never fetched"

    @property
    def is_well(self) -> bool:
        return self in (Freshness.PINNED, Freshness.FRESH)


class KeySet(Protocol):
    """The keys of one issuer."""

    def key(self, kid: str, algorithm: str) -> PublicKey | None:
        """None for a key that is not in the set. Raises KeysUnavailable."""

    @property
    def age(self) -> float | None:
        """Seconds since the set was had; None before, and for keys from a file."""

    @property
    def freshness(self) -> Freshness: ...

    def renew(self) -> None:
        """Fetches the set if it is due, so that no caller has to wait for it."""


def usable_keys(document: object) -> Keys:
    """The keys of a JSON Web Key Set that tokens may be checked with. Raises Unreadable.

    Left out: symmetric keys, keys for encryption, short RSA keys, keys without an id, and keys that
    share id and algorithm, since nobody could say which is meant.
    """
    match document:
        case {"keys": list(listed)} if len(listed) <= MAX_KEYS:
            pass
        case _:
            raise Unreadable(f"is no key set with at most {MAX_KEYS} keys")
    found: dict[tuple[str, str], PublicKey | None] = {}
    for one in listed:
        match one:
            case {"kid": str(kid), "kty": "EC" | "RSA"} if one.get("use", "sig") == "sig":
                for algorithm in ALGORITHMS:
                    key = _public_key(one, algorithm)
                    if key is not None:
                        place = (kid, algorithm)
                        found[place] = None if place in found else key
    return {place: key for place, key in found.items() if key is not None}


def _public_key(one: Mapping[str, Any], algorithm: str) -> PublicKey | None:
    """The key for `algorithm`; None where it is not for it."""
    if one.get("alg", algorithm) != algorithm:
        return None
    public = {name: value for name, value in one.items() if name not in ("d", "p", "q")}
    try:
        key = jwt.PyJWK(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, EllipticCurvePublicKey):
        return key if key.curve.name == CURVES.get(algorithm) else None
    if isinstance(key, RSAPublicKey) and algorithm.startswith("RS"):
        return key if key.key_size >= LEAST_RSA_BITS else None
    return None


class PinnedKeys:
    """Keys from a file, which change with a restart alone."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def key(self, kid: str, algorithm: str) -> PublicKey | None:
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
        told: Fetched,
        *,
        private_addresses: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._told = told
        self._now = now
        self._session = session(
            connections=2, loopback=is_loopback_url(url), private_addresses=private_addresses
        )
        self._keys: Keys = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._turn = threading.Lock()

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

    def key(self, kid: str, algorithm: str) -> PublicKey | None:
        age = self.age
        known = self._keys.get((kid, algorithm))
        if age is None or age > FRESH_SECONDS or known is None:
            self._refresh(wait=known is None)
            known = self._keys.get((kid, algorithm))
        age = self.age
        if age is None or age > STALE_SECONDS:
            raise KeysUnavailable
        return known

    def _refresh(self, *, wait: bool) -> None:
        """Fetches the set, unless another thread does or somebody tried just now.

        Whoever has a key meanwhile goes on with it; who has none waits for the fetch under way.
        """
        asked = self._now()
        if not self._turn.acquire(blocking=wait):
            return
        try:
            tried = self._tried_at
            if tried is not None and (tried >= asked or asked - tried < UNKNOWN_SECONDS):
                return
            self._tried_at = self._now()
            try:
                self._keys = self._fetch()
            except Unreadable as fault:
                self._told(str(fault))
            except (requests.RequestException, OSError) as fault:
                self._told(type(fault).__name__)
            else:
                self._fetched_at = self._now()
                self._told("ok")
        finally:
            self._turn.release()

    def _fetch(self) -> Keys:
        """Raises Unreadable, and what requests raises."""
        limits = Limits(WHOLE_SECONDS, MAX_BYTES, TIMEOUT)
        answer = small_answer(self._session, "GET", self._url, limits, headers=ACCEPT)
        if answer.status != 200:
            raise Unreadable(f"status-{answer.status}")
        keys = usable_keys(loads(answer.body))
        if not keys:
            raise Unreadable("no usable key")
        return keys


def key_set_of(tenant: Tenant, trust: Trust, told: Fetched) -> KeySet:
    """Where the keys of a tenant come from. Raises ConfigurationFault for a pinned file."""
    if trust.jwks_file is None:
        return FetchedKeys(
            trust.jwks_url or "", told, private_addresses=tenant.fhir.private_addresses
        )
    file = trust.jwks_file
    try:
        keys = usable_keys(loads(file.read_bytes()))
    except (OSError, Unreadable) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise _refused(file, tenant, f"cannot be used: {reason}") from None
    if not keys:
        raise _refused(file, tenant, "has no usable public key for ES384, RS384, ES256 or RS256")
    return PinnedKeys(keys)


def _refused(file: object, tenant: Tenant, reason: str) -> ConfigurationFault:
    return ConfigurationFault([Fault(str(file), f"tenant {tenant.id}: jwks_file", reason)])
