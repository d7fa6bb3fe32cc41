"""Fetching under one deadline, from a server that is slow, broken, or lies."""

import gzip
import resource
import socket
import sys
import threading
import traceback
from contextlib import contextmanager

import pytest
from waiting import PATIENCE, wait_until

from cds_hooks.config.tenants import FhirAccess
from cds_hooks.fhir import client as fhir_client
from cds_hooks.fhir.access_rules import find_allowed_base
from cds_hooks.fhir.client import MAX_CONNECTIONS, MAX_FAILED_CALLS, FhirClient
from cds_hooks.protocol.errors import InvalidRequestError
from cds_hooks.protocol.hook_request import read_request
from cds_hooks.protocol.prefetch import PrefetchState, read_prefetch

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


@contextmanager
def client_until(seconds):
    """A client whose deadline lies `seconds` after a call begins."""
    access = FhirAccess(
        allow_loopback=True, deadline_ms=int(seconds * 1000), max_pages=3, max_bytes=10_000
    )
    made = FhirClient(access)
    yield made
    made.close()


@pytest.fixture
def client():
    """One whose deadline is far away, whatever else the machine does."""
    with client_until(PATIENCE) as made:
        yield made


@pytest.fixture
def hurried():
    """One whose deadline comes soon, yet not before this machine can have answered."""
    with client_until(2) as made:
        yield made


@pytest.fixture
def over(fhir_server):
    """Set when the test is: until then, a server that hangs hangs."""
    yield fhir_server.over
    fhir_server.over.set()


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
    answers, fetches = client.complete_answers(
        request, read_prefetch(request, TEMPLATES), TEMPLATES
    )
    return answers, {f.key: f.reason for f in fetches}


def well(server):
    server.behaviours = {
        "Patient": lambda h: h.json(PATIENT),
        "Observation": lambda h: h.json(bundle(OBSERVATION)),
        "Condition": lambda h: h.json(bundle()),
    }


def test_what_was_left_out_is_fetched_with_the_token(client, fhir_server):
    well(fhir_server)
    answers, reasons = fetched(client, fhir_server)
    assert {key: a.state for key, a in answers.items()} == {
        "patient": PrefetchState.FOUND,
        "observations": PrefetchState.FOUND,
        "conditions": PrefetchState.NONE,
    }
    assert set(reasons.values()) == {"ok"}
    assert {token for _, token in fhir_server.seen} == {f"Bearer {TOKEN}"}


def test_what_was_sent_or_failed_is_not_asked_again(client, fhir_server):
    well(fhir_server)
    sent = {"observations": None, "conditions": {"resourceType": "OperationOutcome"}}
    answers, _ = fetched(client, fhir_server, sent)
    assert [path for path, _ in fhir_server.seen] == ["/fhir/Patient/1"]
    assert answers["conditions"].state is PrefetchState.FAILED


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
}
ENDLESS = {
    "hangs": lambda h: h.server.over.wait(PATIENCE),
    "drips": lambda h: h.drip(),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN.keys())
def test_a_query_that_fails_is_unknown_and_the_others_stand(client, fhir_server, behaviour):
    well(fhir_server)
    fhir_server.behaviours["Observation"] = behaviour
    answers, reasons = fetched(client, fhir_server)
    assert answers["observations"].state is PrefetchState.FAILED
    assert answers["patient"].state is PrefetchState.FOUND
    assert reasons["observations"] not in ("ok", "deadline")


@pytest.mark.parametrize("behaviour", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_query_that_does_not_end_is_unknown_and_the_others_stand(
    hurried, fhir_server, over, behaviour
):
    well(fhir_server)
    fhir_server.behaviours["Observation"] = behaviour
    answers, reasons = fetched(hurried, fhir_server)
    assert not over.is_set()  # it still goes on
    assert answers["observations"].state is PrefetchState.FAILED
    assert answers["patient"].state is PrefetchState.FOUND
    assert reasons["observations"] == "deadline"


def test_all_queries_wait_side_by_side(client, fhir_server):
    well(fhir_server)
    together = threading.Barrier(len(TEMPLATES))  # nobody is answered before all have asked
    for kind, answer in list(fhir_server.behaviours.items()):
        fhir_server.behaviours[kind] = lambda h, answer=answer: (
            together.wait(PATIENCE),
            answer(h),
        )
    answers, _ = fetched(client, fhir_server)
    assert all(answer.is_known for answer in answers.values())


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
    answers, _ = fetched(client, fhir_server)
    found = answers["observations"]
    assert (len(found.resources), found.is_complete) == (got, complete)


def test_the_next_page_of_prefetched_data_is_fetched(client, fhir_server):
    well(fhir_server)
    paged(fhir_server, 2)
    link = [{"relation": "next", "url": f"{fhir_server.base}/Observation?page=2"}]
    sent = {"observations": bundle(OBSERVATION, link=link), "conditions": None}
    answers, _ = fetched(client, fhir_server, sent)
    assert len(answers["observations"].resources) == 2
    assert answers["observations"].is_complete


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://localhost:9/fhir/Observation?page=2",
        "https://evil.example/x",
        "/other/Observation",
        "http://[",
        "//[::1/Observation",
    ],
)
def test_a_next_page_elsewhere_is_not_followed(client, fhir_server, elsewhere):
    well(fhir_server)
    paged(fhir_server, 2, elsewhere)
    answers, reasons = fetched(client, fhir_server)
    assert len(answers["observations"].resources) == 1
    assert not answers["observations"].is_complete
    assert reasons["observations"] == "other-origin"
    assert not any("/other/" in path for path, _ in fhir_server.seen)


@pytest.mark.parametrize(
    "link",
    ["http://[", "//[::1/Observation", "\x0f{}/Observation?page=2", "{}/Obs\tervation?page=2"],
)
def test_a_next_page_that_was_sent_and_is_no_url_is_not_followed(client, fhir_server, link):
    well(fhir_server)
    url = link.replace("{}", fhir_server.base)
    page = bundle(OBSERVATION, link=[{"relation": "next", "url": url}])
    answers, reasons = fetched(client, fhir_server, {"observations": page})
    assert len(answers["observations"].resources) == 1
    assert not answers["observations"].is_complete
    assert reasons["observations"] == "other-origin"


def test_a_redirect_is_not_followed(client, fhir_server):
    well(fhir_server)

    def away(handler):
        handler.send_response(302)
        handler.send_header("Location", f"{fhir_server.base}/Condition")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    fhir_server.behaviours["Observation"] = away
    _, reasons = fetched(client, fhir_server)
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
def test_servers_that_are_not_allowed_are_not_asked(server):
    assert find_allowed_base(FhirAccess(allow_loopback=True), call(server)) is None


def test_the_allow_list_is_exact():
    access = FhirAccess(servers=("https://ehr.example.org/fhir",))
    assert find_allowed_base(access, call("https://ehr.example.org/fhir/"))
    assert find_allowed_base(access, call("https://ehr.example.org/fhir/tenant")) is None
    assert find_allowed_base(access, call("http://127.0.0.1/fhir")) is None


def authorized(client, server, **members):
    """What comes of a call whose authorization says something else."""
    request = call(server)
    given = {"access_token": TOKEN, "scope": "user/*.rs", **members}
    body = {
        "hook": "patient-view",
        "hookInstance": "i",
        "context": {"patientId": "1"},
        "fhirServer": request.fhir_server,
        "fhirAuthorization": given,
    }
    request = read_request(body, "patient-view")
    answers, fetches = client.complete_answers(
        request, read_prefetch(request, TEMPLATES), TEMPLATES
    )
    return answers, {fetch.key: fetch.reason for fetch in fetches}


def test_what_the_scopes_do_not_cover_is_not_asked(client, fhir_server):
    well(fhir_server)
    answers, reasons = authorized(client, fhir_server, scope="patient/Patient.r user/Condition.rs")
    assert reasons == {"patient": "ok", "observations": "scope", "conditions": "ok"}
    assert answers["observations"].state is PrefetchState.FAILED
    assert not any("Observation" in path for path, _token in fhir_server.seen)


def test_what_the_scopes_cover_in_part_is_incomplete(client, fhir_server):
    well(fhir_server)
    answers, _ = authorized(client, fhir_server, scope="user/*.rs?category=laboratory")
    assert answers["observations"].state is PrefetchState.FOUND
    assert not answers["observations"].is_complete


@pytest.mark.parametrize(
    ("patient", "reason"), [("1", "ok"), ("Patient/1", "ok"), ("2", "other-patient"), (None, "ok")]
)
def test_a_token_for_another_patient_is_not_used(client, fhir_server, patient, reason):
    well(fhir_server)
    answers, reasons = authorized(client, fhir_server, scope="patient/*.rs", patient=patient)
    assert set(reasons.values()) == {reason}
    assert bool(fhir_server.seen) == (reason == "ok")
    assert answers["conditions"].is_known == (reason == "ok")


@pytest.mark.parametrize(("seconds", "asked"), [(300, True), (0, False), (-5, False)])
def test_a_token_that_is_over_is_not_used(client, fhir_server, seconds, asked):
    well(fhir_server)
    _answers, reasons = authorized(client, fhir_server, expires_in=seconds)
    assert set(reasons.values()) == ({"ok"} if asked else {"expired"})
    assert bool(fhir_server.seen) == asked


def test_no_query_goes_on_after_the_token_is_over(client, fhir_server, over):
    well(fhir_server)
    fhir_server.behaviours["Observation"] = ENDLESS["hangs"]
    answers, reasons = authorized(client, fhir_server, expires_in=2)
    assert not over.is_set()
    assert reasons["observations"] == "deadline"
    assert answers["patient"].is_known


@pytest.mark.parametrize("token", ["", "a b", "a\n", "a\r\nX-Evil: 1", "\u00e9", "x" * 20_000])
def test_what_cannot_be_a_token_is_refused_with_its_path_alone(token):
    with pytest.raises(InvalidRequestError) as refused:
        authorized(None, "https://e.example", access_token=token)
    assert refused.value.expressions == ("fhirAuthorization.access_token",)
    assert not token or token not in str(refused.value)


def test_a_server_that_fails_call_after_call_is_left_alone_for_a_while(
    client, fhir_server, monkeypatch
):
    monkeypatch.setattr(fhir_client, "PAUSE_SECONDS", 3600)
    well(fhir_server)
    good = dict(fhir_server.behaviours)
    for kind in good:
        fhir_server.behaviours[kind] = lambda h: h.connection.shutdown(2)
    for _ in range(MAX_FAILED_CALLS):
        _answers, reasons = fetched(client, fhir_server)
        assert set(reasons.values()) == {"connection"}
    seen = len(fhir_server.seen)
    answers, reasons = fetched(client, fhir_server)
    assert set(reasons.values()) == {"server-unfit"}
    assert all(answer.state is PrefetchState.FAILED for answer in answers.values())
    assert len(fhir_server.seen) == seen
    fhir_server.behaviours = good
    [breaker] = client._breakers.values()
    monkeypatch.setattr(breaker, "_opened", breaker._opened - fhir_client.PAUSE_SECONDS)
    answers, reasons = fetched(client, fhir_server)
    assert set(reasons.values()) == {"ok"}
    assert breaker.closed


def test_one_bad_query_does_not_condemn_the_server(client, fhir_server):
    well(fhir_server)
    fhir_server.behaviours["Observation"] = lambda h: h.json({}, 500)
    for _ in range(MAX_FAILED_CALLS + 1):
        _answers, reasons = fetched(client, fhir_server)
        assert reasons["patient"] == "ok"


def dripping_headers(handler):
    """Headers without end, a byte now and then: no time-out of a socket is ever met."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"X")


def test_a_server_that_drips_holds_no_thread(fhir_server, over):
    well(fhir_server)
    fhir_server.behaviours["Observation"] = dripping_headers
    with client_until(0.3) as client:
        for _ in range(5):
            _answers, reasons = fetched(client, fhir_server)
            assert reasons["observations"] == "deadline"
        wait_until(lambda: not client._threads._work_queue.qsize() and not _busy())
    assert not over.is_set()  # it still goes on


def _busy():
    """Whether a thread of a client is inside a request."""
    frames = sys._current_frames()
    waiting = [
        frame
        for thread in threading.enumerate()
        if thread.name.startswith("fhir") and (frame := frames.get(thread.ident)) is not None
    ]
    return any("_pages" in "".join(traceback.format_stack(frame)) for frame in waiting)


def test_a_bomb_does_not_go_off(client, fhir_server):
    """100 MB of spaces in 100 KB: given up at the bound, not after unpacking it all."""
    well(fhir_server)
    packed = gzip.compress(b"[" + b" " * 100_000_000 + b"]")

    def bomb(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    fhir_server.behaviours["Observation"] = bomb
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _answers, reasons = fetched(client, fhir_server)
    assert reasons["observations"] == "too-large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KB


def test_a_connection_that_the_server_closed_meanwhile_is_made_again(client, fhir_server):
    """The query is sent once more: it only reads."""
    well(fhir_server)
    closing = []

    def once(handler):
        if not closing:
            closing.append(True)
            handler.connection.shutdown(2)
        else:
            handler.json(bundle(OBSERVATION))

    fhir_server.behaviours["Observation"] = once
    answers, reasons = fetched(client, fhir_server)
    assert reasons["observations"] == "ok"
    assert answers["observations"].state is PrefetchState.FOUND


def test_tenants_do_not_wait_for_each_others_servers(fhir_server):
    """Each has its own threads: one whose server hangs cannot use up those of the other."""
    well(fhir_server)
    with client_until(PATIENCE) as slow, client_until(PATIENCE) as quick:
        with hanging() as server:
            stuck = [threading.Thread(target=fetched, args=(slow, server)) for _ in range(40)]
            for thread in stuck:
                thread.start()
            wait_until(
                lambda: slow._threads._work_queue.qsize() == 40 * len(TEMPLATES) - MAX_CONNECTIONS
            )
            _answers, reasons = fetched(quick, fhir_server)
            waiting = [thread for thread in stuck if thread.is_alive()]
        for thread in stuck:
            thread.join()
    assert set(reasons.values()) == {"ok"}
    assert waiting == stuck


@contextmanager
def hanging():
    """A server that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(200)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
