"""Access tokens for bulk export: one that is given, or asked for by SMART Backend Services.

The program signs who it is with its private key (`private_key_jwt`) and gets a token that lives for
minutes. It is kept in memory alone.
"""

import os
import threading
import time
from typing import Any

import orjson
import requests

from cds_hooks.config.bulk_export import BackendClient, BulkAccess
from cds_hooks.fhir.issues import ExportError, read_code
from cds_hooks.net.urls import parse_origin
from cds_hooks.security.signing_key import ASSERTION_TYPE, read_signing_key

KEY_SETTING = "bulk_export.key_file"
RENEWAL_MARGIN_SECONDS = 30  # a token is renewed so long before it ends
TIMEOUT = (10, 30)


class StaticToken:
    """A token from the environment, or none: then the server decides."""

    def __init__(self, value: str | None) -> None:
        self._value = value or None

    def get_value(self) -> str | None:
        return self._value

    def discard(self, refused_token: str | None) -> bool:  # noqa: ARG002  # as BackendToken has it
        return False


class BackendToken:
    """A token that is asked for when there is none, and again before it ends."""

    def __init__(self, access: BulkAccess, client: BackendClient, session: requests.Session):
        self._access = access
        self._client = client
        self._session = session
        self._key = read_signing_key(client.key_file, client.key_id, KEY_SETTING)
        self._url = client.token_url
        self._value: str | None = None
        self._expires = 0.0
        self._lock = threading.Lock()

    def get_value(self) -> str:
        """Raises ExportFailed, and what requests raises."""
        with self._lock:
            if self._value is None or time.monotonic() > self._expires - RENEWAL_MARGIN_SECONDS:
                self._value, self._expires = self._request_token()
            return self._value

    def discard(self, refused_token: str | None) -> bool:
        """Lets go of a token that the server refused; the next is a new one."""
        with self._lock:
            if self._value == refused_token:
                self._value = None
            return True

    def _request_token(self) -> tuple[str, float]:
        url = self._url or self._find_token_url()
        asked_at = time.monotonic()
        answer = self._session.post(
            url,
            data={
                "grant_type": "client_credentials",
                "scope": self._client.scope,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._key.sign_assertion(self._client.id, url),
            },
            headers={"Accept": "application/json"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        document = _read_object(answer)
        match document:
            case {"access_token": str(token)} if answer.status_code == 200 and token.isascii():
                seconds = document.get("expires_in")
                lifetime = seconds if isinstance(seconds, int) and seconds > 0 else 300
                return token, asked_at + lifetime
        detail = f" ({code})" if (code := read_code(document.get("error"))) else ""
        raise ExportError(f"no token: the token endpoint answered {answer.status_code}{detail}")

    def _find_token_url(self) -> str:
        """The token endpoint that the server's smart-configuration names."""
        answer = self._session.get(
            f"{self._access.server}/.well-known/smart-configuration",
            headers={"Accept": "application/json"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        url = _read_object(answer).get("token_endpoint")
        if answer.status_code != 200 or not isinstance(url, str) or parse_origin(url) is None:
            raise ExportError(
                "no token: the server's smart-configuration names no token endpoint that can be "
                "used; set bulk_export.token_url"
            )
        self._url = url
        return url


def make_token_source(access: BulkAccess, session: requests.Session) -> StaticToken | BackendToken:
    """Raises ConfigurationFault for a key that cannot be used."""
    if access.client is not None:
        return BackendToken(access, access.client, session)
    return StaticToken(os.environ.get(access.token_variable, "").strip())


def _read_object(answer: requests.Response) -> dict[str, Any]:
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
