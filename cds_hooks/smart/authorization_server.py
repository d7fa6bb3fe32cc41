"""The client of an EHR's authorisation server: its endpoints, access tokens and id tokens."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import requests

from cds_hooks.config.tenants import ALGORITHMS
from cds_hooks.fhir.issues import read_code
from cds_hooks.net.bounded_response import (
    BoundedResponse,
    ResponseLimitError,
    ResponseLimits,
    fetch_response,
)
from cds_hooks.net.session import make_session
from cds_hooks.net.urls import is_loopback_url, parse_origin
from cds_hooks.protocol.errors import CallError
from cds_hooks.protocol.strict_json import UnreadableJsonError, parse_json
from cds_hooks.security.key_sets import FetchedKeys, KeysUnavailableError

LIMITS = ResponseLimits(seconds=5.0, bytes=256 * 1024, timeout=(2.0, 4.0))
CACHE_SECONDS = 300  # a server that moves its endpoints is found again after so long
PAUSE_SECONDS = 5  # a server that did not answer is not asked again, and nobody waits for it
LEEWAY_SECONDS = 30
FORM = "application/x-www-form-urlencoded"
FHIR_USER = re.compile(r"(?:\S{1,400}/)?[A-Z][A-Za-z]{1,40}/[A-Za-z0-9.-]{1,64}", re.ASCII)


class AuthorizationServerError(CallError):
    """The EHR's server did not answer as it should. `expressions` name the step, for the log."""

    status = 502
    code = "ServerUnfit"
    text = "The EHR's server did not answer as an app needs it."


class AccessDeniedError(CallError):
    status = 403
    code = "NotGranted"
    text = "The EHR did not let the app in."


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints and capabilities in a server's smart-configuration."""

    authorization: str
    token: str
    issuer: str  # of its id tokens
    key_set: str | None
    capabilities: frozenset[str]


class AuthorizationServer:
    """One FHIR server's authorisation server; one for each tenant of a process."""

    def __init__(
        self,
        base: str,
        *,
        private_addresses: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base = base
        self._private_addresses = private_addresses
        self._now = now
        self._session = make_session(
            connections=4, loopback=is_loopback_url(base), private_addresses=private_addresses
        )
        self._endpoints: Endpoints | None = None
        self._checked_at = 0.0
        self._error: AuthorizationServerError | None = None
        self._keys: dict[str, FetchedKeys] = {}
        self._lock = threading.Lock()

    def get_endpoints(self) -> Endpoints:
        """The server's endpoints, at most five minutes old. Raises AuthorizationServerError."""
        with self._lock:
            if self._error is not None and self._now() - self._checked_at < PAUSE_SECONDS:
                raise AuthorizationServerError(self._error.diagnostics, self._error.expressions)
            if self._endpoints is None or self._now() - self._checked_at > CACHE_SECONDS:
                self._endpoints = self._error = None
                try:
                    self._endpoints = self._fetch_endpoints()
                except AuthorizationServerError as fault:
                    self._error = fault
                    raise
                finally:
                    self._checked_at = self._now()
            return self._endpoints

    def _fetch_endpoints(self) -> Endpoints:
        url = f"{self.base}/.well-known/smart-configuration"
        return _read_endpoints(self._fetch_document(url, "smart-configuration"), self)

    def allows_url(self, url: object) -> bool:
        """Whether this server may send us or a browser to `url`."""
        if not isinstance(url, str) or parse_origin(url) is None:
            return False
        return is_loopback_url(self.base) or not is_loopback_url(url)

    def find_key_set_url(self, issuer: str) -> str:
        """The URL of the keys of an issuer of id tokens (OpenID Connect Discovery)."""
        if not self.allows_url(issuer):
            raise AuthorizationServerError(
                "It names no place for the keys of its identity tokens.", ["jwks"]
            )
        description = self._fetch_document(
            f"{issuer.rstrip('/')}/.well-known/openid-configuration", "openid-configuration"
        )
        url = description.get("jwks_uri")
        if description.get("issuer") != issuer or not self.allows_url(url):
            raise AuthorizationServerError(
                "It names no place for the keys of its identity tokens.", ["jwks"]
            )
        return str(url)

    def request_token(self, url: str, form: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """The token endpoint's answer. Raises AccessDeniedError and AuthorizationServerError."""
        all_headers = {**headers, "Accept": "application/json", "Content-Type": FORM}
        answer = self._send_request("POST", url, "token", headers=all_headers, data=form)
        try:
            document = parse_json(answer.body)
        except UnreadableJsonError:
            document = None
        match document:
            case {"access_token": str(token), "token_type": str(kind)} if (
                answer.status == 200 and token.isascii() and kind.lower() == "bearer"
            ):
                return {**document}
            case {"error": error} if answer.status in (400, 401):
                code = read_code(error)
                raise AccessDeniedError(
                    f"Its answer: {code}. Open the app again from the chart.", [f"token.{code}"]
                )
        raise AuthorizationServerError(
            "Its token endpoint gave no token.", [f"token.{answer.status}"]
        )

    def verify_identity(self, token: str, client: str, nonce: str) -> str | None:
        """The `fhirUser` of an id token for `client`; None where it names none.

        Raises AccessDeniedError for an invalid token. [OpenID Connect Core 3.1.3.7]
        """
        endpoints = self.get_endpoints()
        url = endpoints.key_set or self.find_key_set_url(endpoints.issuer)
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in ALGORITHMS or not isinstance(kid, str):
                raise _make_identity_error("key")
            with self._lock:
                if url not in self._keys:
                    self._keys = {url: self._make_key_set(url)}
                keys = self._keys[url]
            key = keys.find_key(kid, algorithm)
            if key is None:
                raise _make_identity_error("key")
            claims = jwt.decode(
                token,
                key,
                [algorithm],
                audience=client,
                issuer=endpoints.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except KeysUnavailableError:
            raise AuthorizationServerError("Its keys could not be had.", ["jwks"]) from None
        except (jwt.PyJWTError, ValueError, TypeError) as fault:
            raise _make_identity_error(type(fault).__name__) from None
        if claims.get("nonce") != nonce or claims.get("azp", client) != client:
            raise _make_identity_error("nonce")
        user = claims.get("fhirUser", claims.get("profile"))
        return user if isinstance(user, str) and FHIR_USER.fullmatch(user) else None

    def _make_key_set(self, url: str) -> FetchedKeys:
        return FetchedKeys(url, lambda _reason: None, private_addresses=self._private_addresses)

    def _fetch_document(self, url: str, name: str) -> dict[str, Any]:
        answer = self._send_request("GET", url, name, headers={"Accept": "application/json"})
        try:
            document = parse_json(answer.body)
        except UnreadableJsonError:
            document = None
        if answer.status != 200 or not isinstance(document, dict):
            raise AuthorizationServerError(f"It has no {name}.", [f"{name}.{answer.status}"])
        return document

    def _send_request(self, method: str, url: str, name: str, **options: Any) -> BoundedResponse:
        try:
            return fetch_response(self._session, method, url, LIMITS, **options)
        except ResponseLimitError as fault:
            raise AuthorizationServerError(
                f"Its {name} was no answer.", [f"{name}.{fault}"]
            ) from None
        except (requests.RequestException, OSError) as fault:
            reason = f"{name}.{type(fault).__name__}"
            raise AuthorizationServerError(f"Its {name} could not be reached.", [reason]) from None


def _read_endpoints(document: Mapping[str, Any], server: AuthorizationServer) -> Endpoints:
    """The endpoints in a smart-configuration. Raises AuthorizationServerError for unusable ones."""
    match document:
        case {"authorization_endpoint": str(authorization), "token_endpoint": str(token)} if (
            server.allows_url(authorization) and server.allows_url(token)
        ):
            pass
        case _:
            raise AuthorizationServerError(
                "It names no endpoints that can be used.", ["smart-configuration"]
            )
    methods = document.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise AuthorizationServerError(
            "It does not take PKCE with S256.", ["smart-configuration.pkce"]
        )
    issuer, keys = document.get("issuer"), document.get("jwks_uri")
    capabilities = document.get("capabilities")
    return Endpoints(
        authorization,
        token,
        issuer if isinstance(issuer, str) else server.base,
        keys if server.allows_url(keys) else None,
        frozenset(map(str, capabilities if isinstance(capabilities, list) else ())),
    )


def _make_identity_error(reason: str) -> AccessDeniedError:
    return AccessDeniedError(
        "Who is signed in could not be verified. Open the app again from the chart.",
        [f"id_token.{reason}"],
    )
