"""An EHR that launches apps: its charts, its authorisation server, its FHIR server, on loopback.

It is as strict as the profile has it: a code is good once, for who asked for it, with the verifier
whose hash came with the request. `spoil` makes it wrong in one way, as a test wants it.
"""

import base64
import hashlib
import html
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from conformance.serving import sample
from token_issuers import Key, signed

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CAPABILITIES = (
    *("launch-ehr", "launch-standalone", "client-public", "client-confidential-symmetric"),
    *("client-confidential-asymmetric", "sso-openid-connect", "context-ehr-patient"),
    *("permission-patient", "permission-v2"),
)
KEY = Key("RS256")  # making one takes a while


def resources_of_sample(name: str) -> list[dict[str, Any]]:
    """What a server has of a bundled sample patient."""
    found = []
    for answer in sample(name)["prefetch"].values():
        if answer and answer["resourceType"] == "Bundle":
            found += [entry["resource"] for entry in answer.get("entry", ())]
        elif answer:
            found.append(answer)
    return found


@dataclass
class Registered:
    """A client as the EHR's administrators know it."""

    id: str = "cobalamin-app"
    redirect_uri: str = ""
    secret: str | None = None
    keys: Callable[[], Any] | None = None  # fetches its key set, as from /smart/jwks.json


@dataclass
class Code:
    """What a code stands for."""

    asked: dict[str, str]
    patient: str
    context: str | None


class Ehr(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, resources: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.fhir = f"{self.base}/fhir"
        self.key = KEY
        self.client = Registered()
        self.resources = list(resources)
        self.patients: list[str] = ["sample-1"]  # the first is in context where nobody chooses
        self.user = "Practitioner/dr-1"
        self.asks = False  # whether people see a page before they are sent back
        self.spoil: dict[str, Any] = {}
        self.launches: dict[str, tuple[str, str | None]] = {}
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, str] = {}  # access token -> patient
        self.asked: list[dict[str, str]] = []  # what came to the authorisation endpoint
        self.seen: list[str] = []  # paths

    def launch(self, patient: str | None = None, context: str | None = None) -> str:
        """What the EHR's own link to the app carries as `launch`."""
        handle = secrets.token_urlsafe(12)
        self.launches[handle] = (patient or self.patients[0], context)
        return handle

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.fhir,
            "jwks_uri": f"{self.base}/jwks",
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "capabilities": list(CAPABILITIES),
            "code_challenge_methods_supported": ["S256"],
            **self.spoil.get("configuration", {}),
        }

    def begin(self, asked: dict[str, str]) -> str | None:
        """The patient in context; None where the user has to choose. Raises Wrong."""
        self.asked.append(asked)
        wanted = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.client.redirect_uri,
            "aud": self.fhir,
            "code_challenge_method": "S256",
        }
        for name, value in wanted.items():
            if asked.get(name) != value:
                raise Wrong(name)
        if len(asked.get("state", "")) < 22 or len(asked.get("code_challenge", "")) != 43:
            raise Wrong("state or code_challenge")
        scopes = asked.get("scope", "").split()
        if "launch" in asked:
            if "launch" not in scopes or asked["launch"] not in self.launches:
                raise Wrong("launch")
            return self.launches[asked["launch"]][0]
        if "launch/patient" not in scopes:
            raise Wrong("scope")
        return None

    def code(self, asked: dict[str, str], patient: str) -> str:
        code = secrets.token_urlsafe(16)
        context = self.launches[asked["launch"]][1] if "launch" in asked else None
        self.codes[code] = Code(asked, patient, context)
        return code

    def back(self, asked: dict[str, str], patient: str) -> str:
        """Where the user's browser is sent when access is granted."""
        answer = {"code": self.code(asked, patient), "state": asked["state"]}
        return f"{asked['redirect_uri']}?{urlencode({**answer, **self.spoil.get('back', {})})}"

    def grant(self, form: dict[str, str], authorization: str | None, url: str) -> dict[str, Any]:
        """The answer of the token endpoint. Raises Wrong."""
        self._prove(form, authorization, url)
        code = self.codes.pop(form.get("code", ""), None)
        if code is None or form.get("grant_type") != "authorization_code":
            raise Wrong("invalid_grant")
        verifier = form.get("code_verifier", "").encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if digest != code.asked["code_challenge"] or not 43 <= len(verifier) <= 128:
            raise Wrong("invalid_grant")
        if form.get("redirect_uri") != code.asked["redirect_uri"]:
            raise Wrong("invalid_grant")
        token = secrets.token_urlsafe(self.spoil.get("token-bytes", 32))
        self.tokens[token] = code.patient
        context = {} if code.context is None else {"appContext": code.context}
        made = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": code.asked["scope"],
            "patient": code.patient,
            "id_token": self._id_token(code.asked),
            **context,
            **self.spoil.get("token", {}),
        }
        return {name: value for name, value in made.items() if value is not None}

    def _prove(self, form: dict[str, str], authorization: str | None, url: str) -> None:
        client = self.client
        if client.secret is not None:
            said = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
            if authorization != f"Basic {said}":
                raise Wrong("invalid_client")
        elif client.keys is not None:
            if form.get("client_assertion_type") != ASSERTION:
                raise Wrong("invalid_client")
            token = form.get("client_assertion", "")
            head = jwt.get_unverified_header(token)
            [key] = [one for one in client.keys()["keys"] if one["kid"] == head["kid"]]
            claims = jwt.decode(token, jwt.PyJWK(key).key, [head["alg"]], audience=url)
            if (claims["iss"], claims["sub"]) != (client.id, client.id):
                raise Wrong("invalid_client")
        elif form.get("client_id") != client.id or authorization is not None:
            raise Wrong("invalid_client")

    def _id_token(self, asked: dict[str, str]) -> str | None:
        if "openid" not in asked["scope"].split():
            return None
        now = int(time.time())
        claims = {
            "iss": self.fhir,
            "aud": self.client.id,
            "sub": "dr-1",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "fhirUser": f"{self.fhir}/{self.user}",
            **self.spoil.get("id_token", {}),
        }
        key = self.spoil.get("key", self.key)
        header = {"alg": key.algorithm, "typ": "JWT", "kid": self.key.kid}
        return signed(key, header, claims)

    def found(self, kind: str, id_: str | None, patient: str) -> Any:
        """One resource, or a Bundle of those of a kind that are the patient's."""
        if kind == "Patient":
            return next((r for r in self.resources if r.get("id") == id_ == patient), None)
        entries = [
            {"resource": resource}
            for resource in self.resources
            if resource["resourceType"] == kind
            and any(
                resource.get(name, {}).get("reference") == f"Patient/{patient}"
                for name in ("subject", "patient")
            )
        ]
        return {"resourceType": "Bundle", "type": "searchset", "entry": entries}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class Wrong(Exception):
    """What a client did wrong."""


@dataclass
class _Page:
    body: bytes
    kind: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def _json(document: Any, status: int = 200) -> _Page:
    return _Page(json.dumps(document).encode(), status=status)


def _html(title: str, body: str) -> _Page:
    text = f'<!doctype html><html lang="en"><title>{title}</title><link rel="icon" href="data:,"><h1>{title}</h1>{body}'
    return _Page(text.encode(), "text/html; charset=utf-8")


class _Handler(BaseHTTPRequestHandler):
    server: Ehr
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.seen.append(parts.path)
        asked = dict(parse_qsl(parts.query))
        match parts.path.strip("/").split("/"):
            case ["fhir", ".well-known", "smart-configuration"]:
                self._send(_json(self.server.configuration()))
            case [".well-known", "openid-configuration"] | [
                "fhir",
                ".well-known",
                "openid-configuration",
            ]:
                found = {"issuer": self.server.fhir, "jwks_uri": f"{self.server.base}/jwks"}
                self._send(_json(found))
            case ["jwks"]:
                self._send(_json({"keys": [self.server.key.jwk]}))
            case ["authorize"]:
                self._send(self._authorize(asked))
            case ["chosen"]:
                patient = asked.pop("chosen")
                self._send(self._away(self.server.back(asked, patient)))
            case ["chart", patient]:
                self._send(self._chart(patient, asked))
            case ["fhir", kind, *rest]:
                self._send(self._fhir(kind, rest[0] if rest else None, parts.query))
            case _:
                self._send(_json({}, 404))

    def do_POST(self) -> None:
        self.server.seen.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "token-page" in self.server.spoil:
            self._send(self.server.spoil["token-page"])
            return
        url = f"{self.server.base}{self.path}"
        try:
            made = self.server.grant(dict(parse_qsl(body)), self.headers["Authorization"], url)
        except (Wrong, jwt.PyJWTError, ValueError) as wrong:
            code = str(wrong) if isinstance(wrong, Wrong) else "invalid_client"
            self._send(_json({"error": code}, 400))
        else:
            self._send(_json(made))

    def _authorize(self, asked: dict[str, str]) -> _Page:
        try:
            patient = self.server.begin(asked)
        except Wrong as wrong:
            return _Page(f"wrong {wrong}".encode(), "text/plain", 400)
        if not self.server.asks:
            return self._away(self.server.back(asked, patient or self.server.patients[0]))
        links = "".join(
            f'<p><a href="/chosen?{html.escape(urlencode({**asked, "chosen": one}))}">'
            f"{'Let it in' if patient else one}</a>"
            for one in ([patient] if patient else self.server.patients)
        )
        return _html("Cobalamin asks for access", links)

    def _chart(self, patient: str, asked: dict[str, str]) -> _Page:
        """A chart with a link to the app, or the app in a frame."""
        query = urlencode(
            {"iss": self.server.fhir, "launch": self.server.launch(patient, asked.get("context"))}
        )
        url = html.escape(f"{asked['app']}?{query}")
        if "frame" in asked:
            return _html("Chart", f'<iframe title="App" width="900" height="600" src="{url}">')
        return _html("Chart", f'<a href="{url}">Trends and details</a>')

    def _fhir(self, kind: str, id_: str | None, query: str) -> _Page:
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        patient = self.server.tokens.get(token)
        asked = parse_qs(query).get("patient", [id_])[0]
        if patient is None or "fhir" in self.server.spoil:
            return _json({"resourceType": "OperationOutcome"}, self.server.spoil.get("fhir", 401))
        if asked != patient:
            return _json({"resourceType": "OperationOutcome"}, 403)
        found = self.server.found(kind, id_, patient)
        return _json(found) if found else _json({"resourceType": "OperationOutcome"}, 404)

    def _away(self, url: str) -> _Page:
        return _Page(b"", status=302, headers={"Location": url})

    def _send(self, page: _Page) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.body)))
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page.body)

    def log_message(self, *args: Any) -> None:
        """Silent."""
