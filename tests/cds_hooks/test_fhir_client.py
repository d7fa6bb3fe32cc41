"""Fetching under one deadline, from a server that is slow, broken, or lies."""

import time

import pytest

from cds_hooks.fhir_client import FhirClient
from cds_hooks.hook_request import read_request
from cds_hooks.prefetch import State, read
from cds_hooks.tenants import FhirAccess

TEMPLATES = {
    "patient": "Patient/{{context.patientId}}",
    "observations": "Observation?patient={{context.patientId}}",
    "conditions": "Condition?patient={{context.patientId}}",
}
PATIENT = {"resourceType": "Patient", "id": "1"}
OBSERVATION = {"resourceType": "Observation", "id": "o"}
TOKEN = "tok-123"


def bundle(*resources, **members):
    return {"resourceType": "Bundle", "entry": [{"resource": r} for r in resources], **members}


@pytest.fixture
def client():
    made = FhirClient(
        FhirAccess(allow_loopback=True, deadline_ms=300, max_pages=3, max_bytes=10_000)
    )
    yield made
    made.close()


def call(server, prefetch=None):
    request = {
        "hook": "patient-view",
        "hookInstance": "i",
        "context": {"patientId": "1"},
        "fhirServer": server if isinstance(server, str) else server.base,
        "fhirAuthorization": {"access_token": TOKEN, "token_type": "Bearer", "scope": "user/*.rs"},
        "prefetch": prefetch,
    }
    return read_request(request, "patient-view")


def fetched(client, server, prefetch=None):
    request = call(server, prefetch)
    began = time.monotonic()
    answers, fetches = client.complete(request, read(request, TEMPLATES), TEMPLATES)
    return answers, {f.key: f.reason for f in fetches}, time.monotonic() - began


def well(server):
    server.behaviours = {
        "Patient": lambda h: h.json(PATIENT),
        "Observation": lambda h: h.json(bundle(OBSERVATION)),
        "Condition": lambda h: h.json(bundle()),
    }


def test_what_was_left_out_is_fetched_with_the_token(client, fhir_server):
    well(fhir_server)
    answers, reasons, _ = fetched(client, fhir_server)
    assert {key: a.state for key, a in answers.items()} == {
        "patient": State.FOUND,
        "observations": State.FOUND,
        "conditions": State.NONE,
    }
    assert set(reasons.values()) == {"ok"}
    assert {token for _, token in fhir_server.seen} == {f"Bearer {TOKEN}"}


def test_what_was_sent_or_failed_is_not_asked_again(client, fhir_server):
    well(fhir_server)
    sent = {"observations": None, "conditions": {"resourceType": "OperationOutcome"}}
    answers, _, _ = fetched(client, fhir_server, sent)
    assert [path for path, _ in fhir_server.seen] == ["/fhir/Patient/1"]
    assert answers["conditions"].state is State.FAILED


BROKEN = {
    "404": lambda h: h.json({"resourceType": "OperationOutcome"}, 404),
    "401": lambda h: h.json({}, 401),
    "500 with HTML": lambda h: h.body(b"<h1>Error</h1>", 500),
    "HTML": lambda h: h.body(b"<h1>Login</h1>"),
    "OperationOutcome": lambda h: h.json({"resourceType": "OperationOutcome"}),
    "too large": lambda h: h.body(b"[" + b" " * 20_000 + b"]"),
    "cut off": lambda h: (
        h.send_response(200),
        h.send_header("Content-Length", "999"),
        h.end_headers(),
        h.wfile.write(b"{"),
        h.connection.shutdown(2),
    ),
    "reset": lambda h: h.connection.shutdown(2),
    "hangs": lambda h: time.sleep(1),
    "drips": lambda h: h.drip(),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN.keys())
def test_a_query_that_fails_is_unknown_and_the_others_stand(client, fhir_server, behaviour):
    well(fhir_server)
    fhir_server.behaviours["Observation"] = behaviour
    answers, reasons, took = fetched(client, fhir_server)
    assert answers["observations"].state is State.FAILED
    assert answers["patient"].state is State.FOUND
    assert reasons["observations"] != "ok"
    assert took < 0.6


def test_all_queries_wait_side_by_side(client, fhir_server):
    well(fhir_server)
    for kind, answer in list(fhir_server.behaviours.items()):
        fhir_server.behaviours[kind] = lambda h, answer=answer: (time.sleep(0.15), answer(h))
    answers, _, took = fetched(client, fhir_server)
    assert all(answer.known for answer in answers.values())
    assert took < 0.29


def paged(server, pages, elsewhere=None):
    def answer(handler):
        number = int(handler.path.partition("page=")[2] or 1)
        following = elsewhere or f"{server.base}/Observation?page={number + 1}"
        link = [{"relation": "next", "url": following}] if number < pages else []
        handler.json(bundle({**OBSERVATION, "id": str(number)}, link=link))

    server.behaviours["Observation"] = answer


@pytest.mark.parametrize(("pages", "got", "complete"), [(2, 2, True), (3, 3, True), (4, 3, False)])
def test_next_pages_are_followed_to_a_bound(client, fhir_server, pages, got, complete):
    well(fhir_server)
    paged(fhir_server, pages)
    answers, _, _ = fetched(client, fhir_server)
    found = answers["observations"]
    assert (len(found.resources), found.complete) == (got, complete)


def test_the_next_page_of_prefetched_data_is_fetched(client, fhir_server):
    well(fhir_server)
    paged(fhir_server, 2)
    link = [{"relation": "next", "url": f"{fhir_server.base}/Observation?page=2"}]
    sent = {"observations": bundle(OBSERVATION, link=link), "conditions": None}
    answers, _, _ = fetched(client, fhir_server, sent)
    assert len(answers["observations"].resources) == 2
    assert answers["observations"].complete


@pytest.mark.parametrize(
    "elsewhere",
    ["http://localhost:9/fhir/Observation?page=2", "https://evil.example/x", "/other/Observation"],
)
def test_a_next_page_elsewhere_is_not_followed(client, fhir_server, elsewhere):
    well(fhir_server)
    paged(fhir_server, 2, elsewhere)
    answers, reasons, _ = fetched(client, fhir_server)
    assert len(answers["observations"].resources) == 1
    assert not answers["observations"].complete
    assert reasons["observations"] == "other-origin"
    assert not any("/other/" in path for path, _ in fhir_server.seen)


def test_a_redirect_is_not_followed(client, fhir_server):
    well(fhir_server)

    def away(handler):
        handler.send_response(302)
        handler.send_header("Location", f"{fhir_server.base}/Condition")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    fhir_server.behaviours["Observation"] = away
    _, reasons, _ = fetched(client, fhir_server)
    assert reasons["observations"] == "status-302"
    assert sum("/Condition" in path for path, _ in fhir_server.seen) == 1


@pytest.mark.parametrize(
    "server",
    [
        "http://ehr.example.org/fhir",
        "https://ehr.example.org/fhir",
        "http://user:pw@127.0.0.1/fhir",
        "http://127.0.0.1.evil.example/fhir",
        "http://127.0.0.1:99999/fhir",
        "http://[::1/fhir",
        "ftp://127.0.0.1/fhir",
        "file:///etc/passwd",
        "http://127.0.0.1/fhir?x=1",
        "//127.0.0.1/fhir",
        "localhost",
    ],
)
def test_servers_that_are_not_allowed_are_not_asked(client, server):
    assert client.allowed_base(call(server)) is None


def test_the_allow_list_is_exact():
    client = FhirClient(FhirAccess(servers=("https://ehr.example.org/fhir",)))
    try:
        assert client.allowed_base(call("https://ehr.example.org/fhir/"))
        assert client.allowed_base(call("https://ehr.example.org/fhir/tenant")) is None
        assert client.allowed_base(call("http://127.0.0.1/fhir")) is None
    finally:
        client.close()
