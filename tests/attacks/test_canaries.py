"""Unlike strings sent through every path of the running service come out in none of its sinks.

Sinks: log, errors of the server, answers that are no cards, metrics, probes, traces, every byte of
the database and of the spool, the audit's export and the report.
"""

import gzip
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from conformance.serving import free_port, sample
from faults.conftest import locked
from served_process import running
from token_issuers import Issuer, Key, serving
from waiting import wait_until

MARK = "qzx"  # no word of ours holds it
VALUE = 113.0719  # of the deciding result: shown on the card, and nowhere else
BORN = "1931-07-19"
BASE = "https://cds.example.org"
SERVICE = "/cds-services/b12-muscle-{}"
CONFIGURATION = """
[server]
base_url = "https://cds.example.org"
body_timeout_s = 2
max_body_bytes = 200000
trusted_proxies = ["127.0.0.1"]
certificate_header = "X-Client-Subject"
[cors]
origins = ["https://ehr.example.org"]
[limits]
requests_per_minute_and_address = 100000
[metrics]
port = {metrics}
[log]
level = "debug"
[tracing]
otlp_endpoint = "{collector}"
[records]
url = "sqlite:///records.sqlite3"
when_down = "spool"
spool = "spool"
[[tenant]]
id = "north"
issuer = "https://ehr.north.example/"
jwks_file = "north.json"
comments = "encrypt"
fhir.server = "{fhir}/fhir"
"""
# What a FHIR server says that does not want to be asked.
OUTCOME = (
    '{{"resourceType": "OperationOutcome", "issue": [{{"severity": "error", '
    '"code": "exception", "diagnostics": "{}"}}]}}'
)
UNHELPFUL = {
    "html": (200, "text/html", "<h1>{}</h1>"),
    "broken": (200, "application/json", '{{"resourceType": "Bundle", "entry": [{{"id": "{}"'),
    "outcome": (200, "application/json", OUTCOME),
    "status": (500, "text/plain", "{}"),
    "redirect": (302, "text/plain", "{}"),
}


class Numbered:
    """Makes strings that are all unlike, and remembers them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, what: str) -> str:
        made = f"{MARK}{len(self.made)}{what}{uuid4().hex[:6]}"
        self.made.append(made)
        return made


class Place(ThreadingHTTPServer):
    """The EHR's FHIR server and a collector of traces."""

    daemon_threads = True

    def __init__(self, canary: Numbered) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.canary = canary
        self.way: str | None = None  # a key of UNHELPFUL; None: as it should
        self.found: dict[str, Any] = {}
        self.traces: list[bytes] = []
        self.asked: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: Place
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.path} {self.headers.get('Authorization')}")
        kind = self.path.removeprefix("/fhir/").split("?")[0].split("/")[0]
        if self.server.way is None:
            found = self.server.found.get(kind, {"resourceType": "Bundle", "type": "searchset"})
            self._say(200, "application/fhir+json", json.dumps(found))
            return
        status, media, text = UNHELPFUL[self.server.way]
        self._say(status, media, text.format(self.server.canary("said")))

    def do_POST(self) -> None:
        self.server.traces.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._say(200, "application/x-protobuf", "")

    def _say(self, status: int, media: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Location", f"/fhir/{self.server.canary('location')}")
        self.send_header("X-Canary", self.server.canary("header"))
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        """Silent."""


class Caller:
    """An EHR that says something unlike wherever something can be said."""

    def __init__(self, service: Any, issuer: Issuer, server: Place, canary: Numbered) -> None:
        self.service, self.issuer, self.server, self.canary = service, issuer, server, canary
        self.refusals: list[bytes] = []
        self.cards: list[dict[str, Any]] = []

    def document(self, hook: str = "patient-view", **members: Any) -> dict[str, Any]:
        """A whole call about a patient with names, notes and numbers of their own."""
        canary = self.canary
        call = sample("neuropathy")
        patient = canary("patient")
        text = json.dumps(call).replace(call["context"]["patientId"], patient)
        call = json.loads(text)
        call["hook"], call["hookInstance"] = hook, canary("instance")
        call["context"] |= {"encounterId": canary("encounter"), "userId": canary("user")}
        call["context"][canary("unknown")] = canary("unknown")
        call["extension"] = {"com.epic.cdshooks.request.x": canary("extension")}
        person = call["prefetch"]["patient"]
        person |= {
            "name": [{"family": canary("family"), "given": [canary("given")]}],
            "identifier": [{"system": canary("system"), "value": canary("mrn")}],
            "address": [{"line": [canary("street")]}],
            "birthDate": BORN,
        }
        for entry in call["prefetch"]["observations"]["entry"]:
            resource = entry["resource"]
            resource["note"] = [{"text": canary("note")}]
            if resource["code"]["coding"][0]["code"] == "2132-9":
                resource["valueQuantity"]["value"] = VALUE
        for entry in call["prefetch"]["conditions"]["entry"]:
            entry["resource"]["code"]["text"] = canary("problem")
        call["prefetch"][canary("key")] = {"resourceType": canary("type")}
        call["fhirServer"] = f"{self.server.base}/fhir"
        call["fhirAuthorization"] = {
            "access_token": canary("access"),
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": f"user/*.rs {canary('scope')}",
            "subject": canary("subject"),
        }
        if hook != "patient-view":
            call["context"] |= self.orders(hook, patient)
        return call | members

    def orders(self, hook: str, patient: str) -> dict[str, Any]:
        order = {
            "resourceType": "MedicationRequest",
            "id": self.canary("draft"),
            "status": "draft",
            "intent": "order",
            "subject": {"reference": f"Patient/{patient}"},
            "note": [{"text": self.canary("order")}],
            "medicationCodeableConcept": {
                "coding": [{"system": "http://snomed.info/sct", "code": "63718003"}],
                "text": self.canary("drug"),
            },
        }
        drafts = {"resourceType": "Bundle", "entry": [{"resource": order}]}
        selected = {"selections": [f"MedicationRequest/{order['id']}"]}
        return {"draftOrders": drafts, **(selected if hook == "order-select" else {})}

    def headers(self, path: str, **more: str) -> dict[str, str]:
        token = self.issuer.token(
            f"{BASE}{path}",
            claims={"jti": self.canary("jti"), self.canary("claim"): self.canary("claim")},
        )
        self.canary.made += token.split(".")[1:]  # the payload and the signature
        return {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": self.canary("agent"),
            "X-Forwarded-For": self.canary("forwarded"),
            "X-Client-Subject": self.canary("certificate"),
            "Cookie": self.canary("cookie"),
            "traceparent": self.canary("trace"),
            "tracestate": f"a={self.canary('state')}",
            "Origin": f"https://{self.canary('origin')}.example",
            **more,
        }

    def send(self, path: str, body: Any, method: str = "POST", **headers: str) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = requests.request(
            method,
            f"{self.service.base}{path}?{self.canary('query')}",
            data=data,
            headers=self.headers(path.partition("?")[0], **headers),
            timeout=60,
        )
        if answer.status_code == 200 and path.startswith("/cds-services/"):
            self.cards += answer.json().get("cards", ())
        else:
            self.refusals.append(answer.content + repr(answer.headers).encode())
        return answer

    def call(self, document: dict[str, Any]) -> requests.Response:
        return self.send(SERVICE.format(document["hook"]), document)

    def answer(self, card: dict[str, Any]) -> requests.Response:
        """Feedback with words in it, on a card of ours and on one of nobody's."""
        canary, path = self.canary, f"{SERVICE.format('patient-view')}/feedback"
        reason = {"code": "patient-refuses", "display": canary("display")}
        items = [
            {
                "card": card["uuid"],
                "outcome": "overridden",
                "overrideReason": {"reason": reason, "userComment": canary("comment")},
                "outcomeTimestamp": "2026-11-20T10:00:00Z",
                canary("member"): canary("member"),
            },
            {
                "card": canary("card"),
                "outcome": "accepted",
                "acceptedSuggestions": [{"id": canary("suggestion")}],
                "outcomeTimestamp": "2026-11-20T10:00:00Z",
            },
        ]
        return self.send(path, {"feedback": items})


def spoil(caller: Caller) -> None:
    """Everything that is refused."""
    canary, view = caller.canary, SERVICE.format("patient-view")
    whole = caller.document()
    for name in ("hookInstance", "hook", "context"):
        caller.send(view, {key: value for key, value in whole.items() if key != name})
    caller.send(view, {**whole, "hook": canary("hook")})
    caller.send(view, {**whole, "context": canary("context")})
    caller.send(view, {**whole, "context": {"patientId": {canary("id"): canary("id")}}})
    caller.send(view, {**whole, "fhirServer": canary("server")})
    caller.send(view, {**whole, "fhirAuthorization": canary("authorization")})
    caller.send(view, [canary("list")])
    caller.send(view, f'{{"hook": "{canary("broken")}'.encode())
    caller.send(view, f'{{"{canary("twice")}": 1, "a": 1, "a": 2}}'.encode())
    caller.send(view, b'{"a":' * 300 + f'"{canary("deep")}"'.encode())
    caller.send(view, f'"{canary("large") * 20_000}"'.encode())
    caller.send(view, whole, **{"Content-Type": canary("type")})
    caller.send(view, gzip.compress(json.dumps(whole).encode()), **{"Content-Encoding": "gzip"})
    caller.send(view, whole, Authorization=f"Bearer {canary('token')}")
    caller.send(view, whole, Authorization=canary("scheme"))
    caller.send(SERVICE.format(canary("service")), whole)
    caller.send(f"/{canary('path')}", whole)
    caller.send(f"/evidence/{canary('page')}", b"", "GET")
    caller.send(view, whole, "DELETE")
    caller.send(view, b"", "OPTIONS")
    caller.send(f"{view}/feedback", {"feedback": [{"card": canary("card")}]})
    caller.send(f"{view}/feedback", {"feedback": canary("feedback")})
    stranger = Issuer(f"https://{canary('stranger')}/", tenant=canary("tenant"))
    caller.send(view, whole, Authorization=f"Bearer {stranger.token(f'{BASE}{view}')}")
    forged = Issuer(caller.issuer.iss, Key("ES384", canary("kid")))
    caller.send(view, whole, Authorization=f"Bearer {forged.token(f'{BASE}{view}')}")
    required = caller.document(prefetch={})
    for way in UNHELPFUL:
        caller.server.way = way
        assert caller.call(required).status_code == 412
    caller.server.way = None


def found_in(sinks: dict[str, bytes], made: list[str]) -> list[tuple[str, str]]:
    """Which strings stand in which sink."""
    return [
        (sink, text) for sink, content in sinks.items() for text in made if text.encode() in content
    ]


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """All of it, once: the sinks, what was sent, and what came back as cards."""
    folder, canary, metrics = tmp_path_factory.mktemp("canaries"), Numbered(), free_port()
    issuer = Issuer("https://ehr.north.example/", Key("ES384"))
    (folder / "north.json").write_text(json.dumps(issuer.jwks))
    sinks: dict[str, bytes] = {}
    server = Place(canary)
    with serving(server):
        configuration = CONFIGURATION.format(
            metrics=metrics, collector=server.base, fhir=server.base
        )
        with running(folder, configuration, workers=2) as service:
            caller = Caller(service, issuer, server, canary)
            for hook in ("patient-view", "order-select", "order-sign"):
                assert caller.call(caller.document(hook)).status_code == 200
            assert caller.answer(caller.cards[0]).status_code == 200
            fetched = caller.document()
            server.found = {
                "Patient": fetched["prefetch"]["patient"],
                "Observation": fetched["prefetch"]["observations"],
                "Condition": fetched["prefetch"]["conditions"],
            }
            assert caller.call({**fetched, "prefetch": {}}).status_code == 200
            spoil(caller)
            with locked(folder / "records.sqlite3"):
                assert caller.call(caller.document()).status_code == 200
                assert caller.answer(caller.cards[-1]).status_code == 200
                sinks["spool"] = _bytes_under(folder / "spool")
            wait_until(lambda: not list((folder / "spool").glob("*.json")))
            sinks["metrics"] = requests.get(
                f"http://127.0.0.1:{metrics}/metrics", timeout=60
            ).content
            for path in ("/health/ready", "/health/live", "/openapi.json"):
                sinks[path] = requests.get(f"{service.base}{path}", timeout=60).content
            command = Path(sys.executable).with_name("cobalamin")
            options = ("--config", "cobalamin.toml")
            for words in (
                ("audit", "export", *options),
                ("report", "--from-logs", "log"),
                ("report", "--from-records", *options),
            ):
                run = subprocess.run([command, *words], cwd=folder, capture_output=True, check=True)
                sinks[" ".join(words[:2])] = run.stdout + run.stderr
            comments = subprocess.run(
                [command, "audit", "comments", *options],
                cwd=folder,
                capture_output=True,
                check=True,
            )
        sinks["traces"] = b"".join(server.traces)
        sinks["database"] = b"".join(file.read_bytes() for file in folder.glob("records.sqlite3*"))
        sinks["log"] = service.log.read_bytes()
        sinks["errors"] = service.errors.read_bytes()
        sinks["refusals"] = b"\n".join(caller.refusals)
        yield sinks, canary.made, caller, comments.stdout


def _bytes_under(folder: Path) -> bytes:
    return b"".join(
        file.name.encode() + file.read_bytes() for file in folder.rglob("*") if file.is_file()
    )


def test_everything_was_sent_and_read(sent):
    """Otherwise nothing would be shown by its absence."""
    sinks, made, caller, comments = sent
    assert len(made) > 500
    assert any("113" in card["summary"] for card in caller.cards), caller.cards[0]["summary"]
    statuses = {line["status"] for line in caller.service.lines() if "status" in line}
    assert statuses >= {200, 400, 404, 405, 412, 413, 415, 422}
    assert any(line["event"] == "auth-refused" for line in caller.service.lines())
    assert all(len(content) > 10 for sink, content in sinks.items() if sink != "errors")
    assert any("Bearer qzx" in asked for asked in caller.server.asked)
    typed = [json.loads(line)["comment"] for line in comments.splitlines()]
    assert len(typed) == 2
    assert all(text in made for text in typed)


SINKS = (
    *("spool", "database", "log", "errors", "refusals", "metrics", "traces", "audit export"),
    *("report --from-logs", "report --from-records"),
    *("/health/ready", "/health/live", "/openapi.json"),
)


@pytest.mark.parametrize("sink", SINKS)
def test_nothing_of_it_comes_out(sent, sink):
    sinks, made, _caller, _comments = sent
    assert found_in({sink: sinks[sink]}, [*made, MARK, str(VALUE), BORN]) == []


def test_a_string_that_came_out_would_be_found(sent):
    _sinks, made, _caller, _comments = sent
    leaking = f'{{"event": "x", "patient": "{made[7]}"}}'.encode()
    assert found_in({"log": leaking}, made) == [("log", made[7])]
