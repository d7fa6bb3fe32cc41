"""The provider of identities, by Authlib's client: what is asked of it, and what is believed.

Code with PKCE, state and nonce. Its answers come over connections that reach what the configuration
allows and nothing else, without redirects and within seconds.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from authlib.integrations.base_client.errors import MismatchingStateError, OAuthError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from authlib.integrations.requests_client import OAuth2Session
from flask import session
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from werkzeug.exceptions import ServiceUnavailable

from cds_hooks.config.pages import OpenID
from cds_hooks.config.secrets import read_client_secret
from cds_hooks.net.bounded_response import read_body
from cds_hooks.net.session import limit_time, restrict_session
from cds_hooks.net.urls import is_loopback_url, parse_origin
from cds_hooks.security.token_checks import AuthenticationError

NAME = "openid"
ALGORITHMS = ("ES256", "ES384", "PS256", "RS256", "RS384", "RS512")  # asymmetric ones alone
TIMEOUT = (2, 5)  # to connect, and between two pieces of the answer
TOTAL_SECONDS = 8.0  # for all of an answer
LEEWAY_SECONDS = 30  # for clocks that differ
CACHE_SECONDS = 24 * 3600  # then the provider's description and keys are fetched again
RETRY_SECONDS = 5  # a provider that did not answer is not asked again, and nobody waits for it
MAX_WAITING = 8  # requests that wait for the provider: hooks need threads too
MAX_BYTES = 1024 * 1024  # of an answer
MAX_SIGN_INS = 4  # sign-ins under way in one browser: each takes room in its cookie
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
# What is believed of its description. Whatever else stands there would reach the library's client,
# which takes "verify" or "proxies" from it as if we had said so.
METADATA_FIELDS = ("issuer", *ENDPOINTS, "userinfo_endpoint", "end_session_endpoint")
CLAIMS = ("iss", "aud", "exp", "iat", "nbf", "nonce", "azp", "at_hash", "sub")
PROVIDER_ERRORS = (requests.RequestException, OSError, RuntimeError, ValueError, TypeError)


class ProviderUnavailableError(ServiceUnavailable):
    """The provider does not answer, or not as one does."""


class _BoundedSession(OAuth2Session):  # type: ignore[misc]  # no published types
    def __init__(
        self, *args: Any, loopback: bool = False, private_addresses: bool = False, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        restrict_session(
            self, connections=1, loopback=loopback, private_addresses=private_addresses
        )

    def request(self, method: str, url: str, **options: Any) -> Any:
        options |= {"allow_redirects": False, "timeout": TIMEOUT, "stream": True}
        with limit_time(TOTAL_SECONDS) as rung:
            answer = super().request(method, url, **options)
            with answer:
                body = read_body(answer, MAX_BYTES)
            if rung.is_set():  # what had come by then may look like a short answer
                raise requests.Timeout
            answer._content = body  # where the answer keeps what was read of it
            return answer


class Provider(FlaskOAuth2App):  # type: ignore[misc]  # no published types
    """One provider, for the life of a process."""

    client_cls = _BoundedSession

    def __init__(self, openid: OpenID) -> None:
        """Raises ConfigurationFault for the client's secret."""
        super().__init__(
            FlaskIntegration(NAME),
            NAME,
            client_id=openid.client_id,
            client_secret=read_client_secret(openid),
            server_metadata_url=f"{openid.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": openid.scope,
                "code_challenge_method": "S256",
                "loopback": is_loopback_url(openid.issuer),
                "private_addresses": openid.private_addresses,
            },
        )
        self._openid = openid
        self.server_metadata: dict[str, Any] = {}
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._failed_at = float("-inf")

    def load_server_metadata(self) -> Mapping[str, Any]:
        """What the provider says of itself. Raises ValueError where that cannot be used.

        Threads share what is there; what is old is exchanged as a whole.
        """
        with self._turn:
            if time.time() - self.server_metadata.get("_loaded_at", 0) > CACHE_SECONDS:
                if time.monotonic() - self._failed_at < RETRY_SECONDS:
                    raise ValueError("it did not answer just now")
                try:
                    self.server_metadata = self._fetch_metadata()
                except (requests.RequestException, OSError):
                    self._failed_at = time.monotonic()
                    raise
            return self.server_metadata

    def fetch_jwk_set(self, force: bool = False) -> Mapping[str, Any]:
        """The provider's keys. Raises ValueError for what is no set, and does not keep that."""
        match found := super().fetch_jwk_set(force):
            case {"keys": list(keys)} if all(isinstance(key, dict) for key in keys):
                return dict(found)
        self.server_metadata.pop("jwks", None)
        raise ValueError("no key set")

    def _fetch_metadata(self) -> dict[str, Any]:
        with self._get_session() as asking:
            answer = asking.request("GET", self._server_metadata_url, withhold_token=True)
            answer.raise_for_status()
            said = answer.json()
        if (
            not isinstance(said, dict)
            or said.get("issuer") != self._openid.issuer
            or not all(parse_origin(str(said.get(name, ""))) for name in ENDPOINTS)
        ):
            raise ValueError("another issuer, or an endpoint that cannot be used")
        methods = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return {
            **{name: said[name] for name in METADATA_FIELDS if name in said},
            "_loaded_at": time.time(),
            "token_endpoint_auth_method": (
                "none"
                if self.client_secret is None
                else "client_secret_basic"
                if "client_secret_basic" in methods
                else "client_secret_post"
            ),
            # What its tokens may be signed with is not for the provider's description to say.
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
        }

    def save_authorize_data(self, **data: Any) -> None:
        """Keeps what the answer is checked by in the session, for the latest sign-ins alone."""
        del data["url"]
        under_way = [key for key in session if key.startswith(f"_state_{NAME}_")]
        for key in sorted(under_way, key=lambda key: session[key]["exp"])[: 1 - MAX_SIGN_INS]:
            del session[key]
        super().save_authorize_data(**data)

    def start_sign_in(self, redirect_uri: str) -> Any:
        """Sends the browser to the provider. Raises ProviderUnavailable."""
        with self._report_failures():
            return self.authorize_redirect(redirect_uri)

    def read_identity(self) -> Mapping[str, Any]:
        """The claims of who comes back from the provider with this request.

        Raises Unauthenticated and ProviderUnavailable.
        """
        expected = {
            "iss": {"essential": True, "value": self._openid.issuer},
            "aud": {"essential": True, "value": self.client_id},
        }
        try:
            with self._report_failures():
                token = self.authorize_access_token(claims_options=expected, leeway=LEEWAY_SECONDS)
                claims = token.get("userinfo")
                if not claims:
                    raise AuthenticationError("sign-in: no id_token")
                return self._add_user_info(dict(claims), token)
        except MismatchingStateError:
            raise AuthenticationError("sign-in: state") from None
        except OAuthError:
            raise AuthenticationError("sign-in: refused by the provider") from None
        except ExpiredTokenError:
            raise AuthenticationError("sign-in: expired") from None
        except ClaimError as fault:
            claim = fault.claim if fault.claim in CLAIMS else "other"
            raise AuthenticationError(f"sign-in: {claim}") from None
        except JoseError:
            raise AuthenticationError("sign-in: signature") from None

    def _add_user_info(self, claims: dict[str, Any], token: Mapping[str, Any]) -> dict[str, Any]:
        """Claims with those of userinfo, where the one that lists tenants is only there."""
        name = self._openid.tenants_claim
        if find_claim(claims, name) is None and self.server_metadata.get("userinfo_endpoint"):
            more = self.userinfo(token=token)
            if more.get("sub") != claims["sub"]:
                raise AuthenticationError("sign-in: sub")
            return {**more, **claims}
        return claims

    def find_sign_out_url(self, back: str) -> str | None:
        """Where a person ends her session with the provider; None where it has no such page."""
        try:
            with self._report_failures():
                if not parse_origin(
                    str(self.load_server_metadata().get("end_session_endpoint", ""))
                ):
                    return None
                made = self.create_logout_url(back, client_id=self.client_id)
                return str(made["url"])
        except ProviderUnavailableError:
            return None

    @contextmanager
    def _report_failures(self) -> Iterator[None]:
        """Raises ProviderUnavailable for whatever keeps the provider from its part, and where too
        many wait for it already."""
        if not self._places.acquire(blocking=False):
            raise ProviderUnavailableError
        try:
            yield
        except PROVIDER_ERRORS as fault:
            raise ProviderUnavailableError from fault
        finally:
            self._places.release()


def find_claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim called `name`, else the one that `name` leads to by its dots; None: there is none.

    Providers name claims by URLs, which have dots of their own.
    """
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def list_texts(value: Any) -> tuple[str, ...]:
    """A claim that lists names, whether it has one or several."""
    listed = value if isinstance(value, list) else [value]
    return tuple(one for one in listed if isinstance(one, str))
