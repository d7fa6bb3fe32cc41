"""An EHR's authorisation server, as our app sees it: where it is, its tokens, its signatures."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import requests

from cds_hooks.config.tenants import ALGORITHMS
from cds_hooks.fhir.issues import token_like
from cds_hooks.net.bounded_response import Limits, SmallAnswer, small_answer
from cds_hooks.net.session import session
from cds_hooks.net.urls import is_loopback_url, origin_of
from cds_hooks.protocol.errors import Refusal
from cds_hooks.protocol.strict_json import Unreadable, loads
from cds_hooks.security.key_sets import FetchedKeys, KeysUnavailable

LIMITS = Limits(seconds=5.0, bytes=256 * 1024, timeout=(2.0, 4.0))
FRESH_SECONDS = 300  # a server that moves its endpoints is found again after so long
PAUSE_SECONDS = 5  # a server that did not answer is not asked again, and nobody waits for it
LEEWAY_SECONDS = 30
FORM = "application/x-www-form-urlencoded"
FHIR_USER = re.compile(r"(?:\S{1,400}/)?[A-Z][A-Za-z]{1,40}/[A-Za-z0-9.-]{1,64}", re.ASCII)


class ServerUnfit(Refusal):
    """The EHR's own server did not do its part. `expressions` name which, for the log."""

    status = 502
    text = "The EHR's server did not answer as an app needs it."


class NotGranted(Refusal):
    status = 403
    text = "The EHR did not let the app in."


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a server's smart-configuration says."""

    authorization: str
    token: str
    issuer: str  # of its id tokens
    key_set: str | None
    capabilities: frozenset[str]


class SmartServer:
    """One FHIR server's authorisation server; one for each tenant of a process."""

    def __init__(
        self,
        base: str,
        *,
        private_addresses: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base = base
        self._private = private_addresses
        self._now = now
        self._session = session(
            connections=4, loopback=is_loopback_url(base), private_addresses=private_addresses
        )
        self._found: Endpoints | None = None
        self._found_at = 0.0
        self._fault: ServerUnfit | None = None
        self._keys: dict[str, FetchedKeys] = {}
        self._turn = threading.Lock()

    def endpoints(self) -> Endpoints:
        """Raises ServerUnfit."""
        with self._turn:
            if self._fault is not None and self._now() - self._found_at < PAUSE_SECONDS:
                raise ServerUnfit(self._fault.diagnostics, self._fault.expressions)
            if self._found is None or self._now() - self._found_at > FRESH_SECONDS:
                self._found = self._fault = None
                try:
                    self._found = self._look()
                except ServerUnfit as fault:
                    self._fault = fault
                    raise
                finally:
                    self._found_at = self._now()
            return self._found

    def _look(self) -> Endpoints:
        url = f"{self.base}/.well-known/smart-configuration"
        return _endpoints(self._document(url, "smart-configuration"), self)

    def reaches(self, url: object) -> bool:
        """Whether `url` is one that this server may send us or a browser to."""
        if not isinstance(url, str) or origin_of(url) is None:
            return False
        return is_loopback_url(self.base) or not is_loopback_url(url)

    def key_set_of(self, issuer: str) -> str:
        """Where the issuer of id tokens keeps its keys (OpenID Connect Discovery)."""
        if not self.reaches(issuer):
            raise ServerUnfit("It names no place for the keys of its identity tokens.", ["jwks"])
        found = self._document(
            f"{issuer.rstrip('/')}/.well-known/openid-configuration", "openid-configuration"
        )
        url = found.get("jwks_uri")
        if found.get("issuer") != issuer or not self.reaches(url):
            raise ServerUnfit("It names no place for the keys of its identity tokens.", ["jwks"])
        return str(url)

    def granted(self, url: str, form: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """The answer of the token endpoint. Raises NotGranted and ServerUnfit."""
        said = {**headers, "Accept": "application/json", "Content-Type": FORM}
        answer = self._answer("POST", url, "token", headers=said, data=form)
        try:
            document = loads(answer.body)
        except Unreadable:
            document = None
        match document:
            case {"access_token": str(token), "token_type": str(kind)} if (
                answer.status == 200 and token.isascii() and kind.lower() == "bearer"
            ):
                return {**document}
            case {"error": error} if answer.status in (400, 401):
                code = token_like(error)
                raise NotGranted(
                    f"Its answer: {code}. Open the app again from the chart.", [f"token.{code}"]
                )
        raise ServerUnfit("Its token endpoint gave no token.", [f"token.{answer.status}"])

    def identity(self, token: str, client: str, nonce: str) -> str | None:
        """The `fhirUser` of an id token for `client`; None where it names none.

        Raises NotGranted for a token that is not what it should be. [OpenID Connect Core 3.1.3.7]
        """
        endpoints = self.endpoints()
        url = endpoints.key_set or self.key_set_of(endpoints.issuer)
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in ALGORITHMS or not isinstance(kid, str):
                raise _not_believed("key")
            with self._turn:
                if url not in self._keys:
                    self._keys = {url: self._new_keys(url)}
                keys = self._keys[url]
            key = keys.key(kid, algorithm)
            if key is None:
                raise _not_believed("key")
            claims = jwt.decode(
                token,
                key,
                [algorithm],
                audience=client,
                issuer=endpoints.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except KeysUnavailable:
            raise ServerUnfit("Its keys could not be had.", ["jwks"]) from None
        except (jwt.PyJWTError, ValueError, TypeError) as fault:
            raise _not_believed(type(fault).__name__) from None
        if claims.get("nonce") != nonce or claims.get("azp", client) != client:
            raise _not_believed("nonce")
        user = claims.get("fhirUser", claims.get("profile"))
        return user if isinstance(user, str) and FHIR_USER.fullmatch(user) else None

    def _new_keys(self, url: str) -> FetchedKeys:
        return FetchedKeys(url, lambda _reason: None, private_addresses=self._private)

    def _document(self, url: str, name: str) -> dict[str, Any]:
        answer = self._answer("GET", url, name, headers={"Accept": "application/json"})
        try:
            document = loads(answer.body)
        except Unreadable:
            document = None
        if answer.status != 200 or not isinstance(document, dict):
            raise ServerUnfit(f"It has no {name}.", [f"{name}.{answer.status}"])
        return document

    def _answer(self, method: str, url: str, name: str, **said: Any) -> SmallAnswer:
        try:
            return small_answer(self._session, method, url, LIMITS, **said)
        except Unreadable as fault:
            raise ServerUnfit(f"Its {name} was no answer.", [f"{name}.{fault}"]) from None
        except (requests.RequestException, OSError) as fault:
            reason = f"{name}.{type(fault).__name__}"
            raise ServerUnfit(f"Its {name} could not be reached.", [reason]) from None


def _endpoints(document: Mapping[str, Any], server: SmartServer) -> Endpoints:
    """Raises ServerUnfit for what no launch could go on with."""
    match document:
        case {"authorization_endpoint": str(authorization), "token_endpoint": str(token)} if (
            server.reaches(authorization) and server.reaches(token)
        ):
            pass
        case _:
            raise ServerUnfit("It names no endpoints that can be used.", ["smart-configuration"])
    methods = document.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise ServerUnfit("It does not take PKCE with S256.", ["smart-configuration.pkce"])
    issuer, keys = document.get("issuer"), document.get("jwks_uri")
    listed = document.get("capabilities")
    return Endpoints(
        authorization,
        token,
        issuer if isinstance(issuer, str) else server.base,
        keys if server.reaches(keys) else None,
        frozenset(map(str, listed if isinstance(listed, list) else ())),
    )


def _not_believed(reason: str) -> NotGranted:
    return NotGranted(
        "Who is signed in could not be verified. Open the app again from the chart.",
        [f"id_token.{reason}"],
    )
