"""A provider of identities on this machine: OpenID Connect by code, as strict as real ones.

It lets in whom a test names, checks the redirect URI, the client, its secret and PKCE, and takes
each code once. What a test changes in its tokens, they have.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from token_issuers import Key, part, serving, signed
from waiting import PATIENCE

Claims = dict[str, Any]


class IdentityProvider(ThreadingHTTPServer):
    """`person` is who signs in; with `people`, a page asks who does."""

    daemon_threads = True

    def __init__(self, client_id: str, redirect_uri: str, secret: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.client_id, self.secret, self.redirect_uri = client_id, secret, redirect_uri
        self.key = Key("RS256")
        self.person: Claims = {"sub": "1", "name": "Ada Example", "groups": ["cds-north"]}
        self.people: list[Claims] = []
        self.only_in_userinfo: tuple[str, ...] = ()
        self.changed: Callable[[Claims], Claims] = lambda claims: claims
        self.signed: Callable[[Claims], str] = self._signed
        self.described: Claims = {}  # what discovery says instead
        self.error: str | None = None  # what the person is sent back with
        self.by_post = False  # the client's secret comes in the body, else in a header
        self.answering = threading.Event()  # cleared, its GETs wait
        self.answering.set()
        self.keys: Any = None  # what stands where its keys are, instead
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, Claims] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""

    @property
    def discovery(self) -> Claims:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/end",
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
            **self.described,
        }

    def _signed(self, claims: Claims) -> str:
        return signed(self.key, {"alg": "RS256", "kid": self.key.kid}, claims)

    def unsigned(self, claims: Claims) -> str:
        return f"{part({'alg': 'none'})}.{part(claims)}."

    def authorized(self, query: dict[str, str], person: Claims) -> str:
        """Where the browser is sent, with a code for `person`."""
        assert query["redirect_uri"] == self.redirect_uri
        assert query["client_id"] == self.client_id
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        said = {"state": query["state"]}
        if self.error:
            return f"{self.redirect_uri}?{urlencode({**said, 'error': self.error})}"
        code = secrets.token_urlsafe()
        self._codes[code] = {**query, "person": person}
        return f"{self.redirect_uri}?{urlencode({**said, 'code': code})}"

    def token(self, form: dict[str, str], authorization: str | None) -> tuple[int, Claims]:
        """The answer of the token endpoint."""
        given = self._codes.pop(form.get("code", ""), None)
        if not self._knows(form, authorization):
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            given is None
            or form.get("redirect_uri") != given["redirect_uri"]
            or part(digest) != given["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        now, access = int(time.time()), secrets.token_urlsafe()
        person = given["person"]
        self._tokens[access] = person
        kept = {name: v for name, v in person.items() if name not in self.only_in_userinfo}
        claims = self.changed(
            {
                "iss": self.issuer,
                "aud": self.client_id,
                "iat": now,
                "exp": now + 300,
                "nonce": given["nonce"],
                **kept,
            }
        )
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 300}
        return 200, {**answer, "id_token": self.signed(claims)}

    def _knows(self, form: dict[str, str], authorization: str | None) -> bool:
        """Whether the client is who it says."""
        if self.secret is None or self.by_post:
            known = (self.client_id, self.secret, None)
            return (form.get("client_id"), form.get("client_secret"), authorization) == known
        is_in_body = "client_secret" in form
        return not is_in_body and authorization == _basic(self.client_id, self.secret)

    def userinfo(self, authorization: str | None) -> tuple[int, Claims]:
        person = self._tokens.get((authorization or "").removeprefix("Bearer "))
        return (200, person) if person else (401, {})


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{quote(name)}:{quote(password)}".encode()).decode()


class _Handler(BaseHTTPRequestHandler):
    server: IdentityProvider
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.asked.append(parts.path)
        self.server.answering.wait(PATIENCE)
        query = dict(parse_qsl(parts.query))
        match parts.path:
            case "/.well-known/openid-configuration":
                self._json(200, self.server.discovery)
            case "/jwks":
                own = {"keys": [self.server.key.jwk]}
                self._json(200, own if self.server.keys is None else self.server.keys)
            case "/userinfo":
                self._json(*self.server.userinfo(self.headers["Authorization"]))
            case "/authorize" if self.server.people and "who" not in query:
                self._page(
                    [(f"{self.path}&who={one['sub']}", one["name"]) for one in self.server.people]
                )
            case "/authorize":
                people = {one["sub"]: one for one in self.server.people}
                person = people.get(query.get("who"), self.server.person)
                self._moved(self.server.authorized(query, person))
            case "/end":
                self._page([(query["post_logout_redirect_uri"], "Back")])
            case _:
                self._json(404, {})

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._json(*self.server.token(form, self.headers["Authorization"]))

    def _json(self, status: int, document: Claims) -> None:
        self._sent(status, "application/json", json.dumps(document).encode())

    def _page(self, links: list[tuple[str, str]]) -> None:
        shown = "".join(
            f'<p><a href="{url.replace("&", "&amp;")}">{says}</a></p>' for url, says in links
        )
        text = f"<!doctype html><html lang=en><link rel=icon href='data:,'><title>Hospital</title><h1>Hospital</h1>{shown}"
        self._sent(200, "text/html", text.encode())

    def _moved(self, url: str) -> None:
        self._sent(302, "text/plain", b"", Location=url)

    def _sent(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Silent."""


@contextmanager
def identity_provider(
    client_id: str, redirect_uri: str, secret: str | None = None
) -> Iterator[IdentityProvider]:
    provider = IdentityProvider(client_id, redirect_uri, secret)
    with serving(provider):
        yield provider
