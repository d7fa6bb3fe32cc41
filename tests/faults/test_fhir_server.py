"""A FHIR server that fails: what is said of it, how soon, and what others notice."""

import re
import threading
import time

import pytest
import requests
from conformance.serving import sample
from served_process import running
from tables import cases

from faults.conftest import OPEN
from faults.fhir_faults import SECRET, faulty_server, well
from faults.load import Load

DEADLINE = 0.4  # seconds, as the configuration has it by default
UNCHECKED = re.compile(r"Could not be checked: [^.]*problem list")
A_LITTLE = 3.0  # more: for a machine that is busy


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("fhir"), OPEN) as one:
        yield one


@pytest.fixture
def fhir():
    with faulty_server() as server:
        yield server


def left_out(server, number):
    """The sample call without its prefetch, from an EHR whose server has all of it."""
    call = sample("neuropathy")
    server.well = {
        kind: body.replace(b"sample-1", number.encode()) for kind, body in well(call).items()
    }
    del call["prefetch"]
    call["context"] = {"userId": "Practitioner/1", "patientId": number}
    return {**call, "fhirServer": server.base}


def fetches(service, answer):
    identifier = answer.headers["X-Request-Id"]
    return {
        line["key"]: line["reason"]
        for line in service.lines("fetch")
        if line["requestId"] == identifier
    }


def test_a_server_that_works_is_read(service, fhir):
    answer = requests.post(
        f"{service.base}/cds-services/b12-muscle-patient-view",
        json=left_out(fhir, "plain-1"),
        timeout=60,
    )
    assert answer.status_code == 200
    assert answer.json()["cards"]
    assert set(fetches(service, answer).values()) == {"ok"}


@cases("""
    the server                | reason in the log
    --------------------------|--------------------
    is slow                   | ok
    hangs                     | deadline
    resets                    | connection
    resets midway             | connection
    promises more             | connection
    promises less             | not-json
    sends HTML                | not-json
    sends half                | not-json
    sends nothing             | not-json
    sends deep JSON           | not-json
    sends noise               | connection
    sends bad gzip            | connection
    sends bad chunks          | connection
    sends headers without end | connection
    sends 500                 | status-500
    sends 302                 | status-302
    sends 404                 | status-404
    sends 999                 | status-999
    drips the body            | deadline
    drips the headers         | deadline
    sends without end         | too-large
""")
@pytest.mark.parametrize("kind", ["Patient", "Condition"])
def test_a_server_that_fails(service, fhir, case, kind):
    """What is required is refused by its key; what is not is named on the card as unchecked."""
    behaviour, reason = case["the server"], case["reason in the log"]
    key = {"Patient": "patient", "Condition": "conditions"}[kind]
    fhir.behaviours[kind] = behaviour
    number = f"secret-{abs(hash((behaviour, kind)))}"
    began = time.monotonic()
    answer = requests.post(
        f"{service.base}/cds-services/b12-muscle-patient-view",
        json=left_out(fhir, number),
        timeout=60,
    )
    assert time.monotonic() - began < DEADLINE + A_LITTLE
    why = fetches(service, answer)
    assert why.pop(key) in (reason, "deadline" if reason == "too-large" else reason)
    assert set(why.values()) == {"ok"}
    if kind == "Patient" and reason != "ok":
        assert answer.status_code == 412
        assert answer.json()["issue"][0]["expression"] == ["prefetch.patient"]
    else:
        assert answer.status_code == 200
        said = [card["detail"] for card in answer.json()["cards"]]
        assert reason == "ok" or any(UNCHECKED.search(detail) for detail in said)
    written = service.log.read_bytes() + service.errors.read_bytes()
    assert number.encode() not in written
    assert SECRET not in written + answer.content


def test_other_calls_are_answered_while_a_server_hangs(service, fhir):
    """32 calls wait for the server, over and over; those that need no server go on."""
    fhir.behaviours = {"Observation": "hangs"}
    over = threading.Event()
    statuses = []

    def wait(place):
        while not over.is_set():
            call = left_out(fhir, f"waits-{place}")
            url = f"{service.base}/cds-services/b12-muscle-patient-view"
            statuses.append(requests.post(url, json=call, timeout=60).status_code)

    waiting = [threading.Thread(target=wait, args=(place,)) for place in range(32)]
    for thread in waiting:
        thread.start()
    try:
        with Load(service.port, clients=2) as load:
            load.wait_for(20)
    finally:
        over.set()
        for thread in waiting:
            thread.join()
    assert set(statuses) == {412}
    assert not load.tally.unanswered
    assert load.tally.slowest < 10
