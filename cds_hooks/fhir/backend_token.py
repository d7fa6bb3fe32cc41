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
from cds_hooks.fhir.issues import ExportFailed, token_like
from cds_hooks.net.urls import origin_of
from cds_hooks.security.signing_key import ASSERTION, signing_key

SETTING = "bulk_export.key_file"
SPARE_SECONDS = 30  # a token is renewed so long before it ends
TIMEOUT = (10, 30)


class GivenToken:
    """A token from the environment, or none: then the server decides."""

    def __init__(self, value: str | None) -> None:
        self._value = value or None

    def value(self) -> str | None:
        return self._value

    def renewed(self, refused_token: str | None) -> bool:  # noqa: ARG002  # as BackendToken has it
        return False


class BackendToken:
    """A token that is asked for when there is none, and again before it ends."""

    def __init__(self, access: BulkAccess, client: BackendClient, session: requests.Session):
        self._access = access
        self._client = client
        self._session = session
        self._key = signing_key(client.key_file, client.key_id, SETTING)
        self._url = client.token_url
        self._value: str | None = None
        self._ends = 0.0
        self._turn = threading.Lock()

    def value(self) -> str:
        """Raises ExportFailed, and what requests raises."""
        with self._turn:
            if self._value is None or time.monotonic() > self._ends - SPARE_SECONDS:
                self._value, self._ends = self._asked()
            return self._value

    def renewed(self, refused_token: str | None) -> bool:
        """Lets go of a token that the server refused; the next is a new one."""
        with self._turn:
            if self._value == refused_token:
                self._value = None
            return True

    def _asked(self) -> tuple[str, float]:
        url = self._url or self._found()
        began = time.monotonic()
        answer = self._session.post(
            url,
            data={
                "grant_type": "client_credentials",
                "scope": self._client.scope,
                "client_assertion_type": ASSERTION,
                "client_assertion": self._key.assertion(self._client.id, url),
            },
            headers={"Accept": "application/json"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        document = _document(answer)
        match document:
            case {"access_token": str(token)} if answer.status_code == 200 and token.isascii():
                seconds = document.get("expires_in")
                lives = seconds if isinstance(seconds, int) and seconds > 0 else 300
                return token, began + lives
        said = f" ({code})" if (code := token_like(document.get("error"))) else ""
        raise ExportFailed(f"no token: the token endpoint answered {answer.status_code}{said}")

    def _found(self) -> str:
        """The token endpoint that the server's smart-configuration names."""
        answer = self._session.get(
            f"{self._access.server}/.well-known/smart-configuration",
            headers={"Accept": "application/json"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        url = _document(answer).get("token_endpoint")
        if answer.status_code != 200 or not isinstance(url, str) or origin_of(url) is None:
            raise ExportFailed(
                "no token: the server's smart-configuration names no token endpoint that can be "
                "used; set bulk_export.token_url"
            )
        self._url = url
        return url


def token_for(access: BulkAccess, session: requests.Session) -> GivenToken | BackendToken:
    """Raises ConfigurationFault for a key that cannot be used."""
    if access.client is not None:
        return BackendToken(access, access.client, session)
    return GivenToken(os.environ.get(access.token_variable, "").strip())


def _document(answer: requests.Response) -> dict[str, Any]:
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
