"""A bulk export arrives whole, whatever the server and the line do on the way."""

import gzip
import json
from contextlib import contextmanager

import pytest
from bulk_export_server import TOKEN, make_outcome, run_bulk_server
from cryptography.hazmat.primitives import serialization
from tables import cases
from token_issuers import Key

from cds_hooks.config.bulk_export import BackendClient, BulkAccess
from cds_hooks.config.settings import ConfigurationError
from cds_hooks.fhir import retry
from cds_hooks.fhir.bulk_server import ExportRequest
from cds_hooks.fhir.issues import ExportError, ExportInterruptedError
from services.population.fetch.fetch import TYPES, cancel_export, fetch_export

NOW = {"Retry-After": "0"}


def lines(kind, count, start=0):
    return b"".join(
        json.dumps({"resourceType": kind, "id": f"{kind}-{n}", "text": "x" * 300}).encode() + b"\n"
        for n in range(start, start + count)
    )


FILES = {
    "a": ("output", "Patient", lines("Patient", 300)),
    "b": ("output", "Observation", lines("Observation", 400)),
    "c": ("output", "Observation", lines("Observation", 400, 400)),
}
ASKED = ExportRequest(types=("Patient", "Observation"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(retry, "MIN_WAIT_SECONDS", 0.01)
    monkeypatch.delenv("COBALAMIN_BULK_TOKEN", raising=False)


@pytest.fixture
def server():
    with run_bulk_server(dict(FILES)) as started:
        yield started


def access(server, **terms):
    return BulkAccess(server.base, **terms)


def arrived(folder):
    """The lines in `folder` by file, unpacked; hidden files are no data."""
    found = {}
    for file in sorted(folder.iterdir()):
        if not file.name.startswith("."):
            data = file.read_bytes()
            name = file.name.removesuffix(".gz")
            found[name] = gzip.decompress(data) if name != file.name else data
    return found


WHOLE = {
    "Observation.00001.ndjson": FILES["b"][2],
    "Observation.00002.ndjson": FILES["c"][2],
    "Patient.00000.ndjson": FILES["a"][2],
}


def test_an_export_is_asked_for_waited_for_and_downloaded(server, tmp_path):
    server.polls = [(202, {"X-Progress": "12 %", **NOW}, None), (202, NOW, None)]
    said = []
    fetched = fetch_export(
        access(server), ASKED, tmp_path / "in", lambda p: said.append((p.stage, p.server_text))
    )
    kick_off = server.asked[0]
    assert kick_off.path == "/fhir/Patient/$export"
    assert kick_off.query == {"_type": ["Patient,Observation"]}
    assert kick_off.headers["accept"] == "application/fhir+json"
    assert "respond-async" in kick_off.headers["prefer"]
    assert arrived(tmp_path / "in") == WHOLE
    assert (fetched.files, fetched.transaction_time) == (3, "2026-11-01T00:00:00Z")
    assert ("waiting", "12 %") in said
    assert said[-1][0] == "complete"


@cases("""
    level   | group | since                | filter              | path                       | query
    --------+-------+----------------------+---------------------+----------------------------+------
    system  |       |                      |                     | /fhir/$export              |
    patient |       | 2026-01-01T00:00:00Z |                     | /fhir/Patient/$export      | _since
    group   | g-1   |                      | Patient?active=true | /fhir/Group/g-1/$export    | _typeFilter
""")
def test_levels_and_parameters_are_those_of_the_specification(case, server, tmp_path):
    filters = (case["filter"],) if case["filter"] else ()
    request = ExportRequest(
        case["level"], case["group"] or None, TYPES, case["since"] or None, filters
    )
    fetch_export(access(server), request, tmp_path / "in")
    asked = server.asked[0]
    assert asked.path == case["path"]
    assert set(asked.query) == {"_type", *filter(None, [case["query"]])}


def test_what_is_asked_for_is_what_our_reader_reads():
    assert {"Patient", "Observation", "Condition", "Medication", "Encounter"} <= set(TYPES)
    assert "MedicationOrder" not in TYPES
    # A server of R4 knows each of them.
    from fhir.resources.R4B import get_fhir_model_class

    assert all(get_fhir_model_class(kind) for kind in TYPES)


@cases("""
    what happens                                      | ranges | gzip | etags
    --------------------------------------------------+--------+------+------
    the line is cut twice                             | yes    | no   | yes
    cut, packed                                       | yes    | yes  | yes
    cut, without an ETag                              | yes    | no   | no
    cut, and the server cannot go on in the middle    | no     | no   | yes
""")
def test_a_file_that_broke_off_goes_on(case, server, tmp_path):
    server.ranges, server.gzip, server.etags = (
        case[k] == "yes" for k in ("ranges", "gzip", "etags")
    )
    server.cuts = {"b": [300, 400] if server.gzip else [50_000, 60_000]}
    fetch_export(access(server), ASKED, tmp_path / "in")
    assert arrived(tmp_path / "in") == WHOLE
    again = [one.headers.get("range") for one in server.asked if one.path == "/files/b"]
    assert len(again) == 3
    assert again[1:] != [None, None]
    if server.ranges:
        whole = sum(file.stat().st_size for file in (tmp_path / "in").glob("Observation.00001*"))
        assert server.sent["b"] == whole


def test_a_file_that_changed_meanwhile_is_downloaded_afresh(server, tmp_path):
    other = lines("Observation", 500, 1000)
    server.cuts = {"b": [50_000]}

    def changing(progress):
        if progress.bytes and server.cuts["b"] == []:
            server.files["b"] = ("output", "Observation", other)

    fetch_export(access(server), ASKED, tmp_path / "in", changing)
    assert arrived(tmp_path / "in")["Observation.00001.ndjson"] == other


@cases("""
    when       | statuses
    -----------+---------
    kick-off   | 429 503
    status     | 429 503 502 504
    transient  | 500
    file       | 503 429
""")
def test_what_passes_is_waited_for(case, server, tmp_path):
    statuses = [int(one) for one in case["statuses"].split()]
    answers = [(status, NOW, make_outcome("transient")) for status in statuses]
    match case["when"]:
        case "kick-off":
            server.kick_offs = answers
        case "file":
            server.statuses = {"a": statuses}
        case _:
            server.polls = answers
    fetch_export(access(server), ASKED, tmp_path / "in")
    assert arrived(tmp_path / "in") == WHOLE


@cases("""
    when     | status | code          | says
    ---------+--------+---------------+--------------------------------------------
    kick-off | 400    | not-supported | refuses the export: status 400, error/not-supported
    kick-off | 403    | forbidden     | refuses the export: status 403, error/forbidden
    status   | 500    | processing    | the export failed: status 500, error/processing
    status   | 404    | not-found     | the export failed: status 404, error/not-found
""")
def test_a_refusal_is_told_by_its_codes_and_never_in_words(case, server, tmp_path):
    answer = (int(case["status"]), {}, make_outcome(case["code"]))
    (server.kick_offs if case["when"] == "kick-off" else server.polls).append(answer)
    with pytest.raises(ExportError) as caught:
        fetch_export(access(server), ASKED, tmp_path / "in")
    assert case["says"] in str(caught.value)
    assert "Ann" not in str(caught.value)


def test_expired_links_are_replaced_by_new_ones(server, tmp_path):
    server.statuses = {"c": [410]}
    fetch_export(access(server), ASKED, tmp_path / "in")
    assert arrived(tmp_path / "in") == WHOLE
    assert server.count_requests("GET", "/fhir/jobs/1") == 2
    assert server.count_requests("GET", "/files/a") == 1


def test_links_that_never_work_end_the_fetch(server, tmp_path):
    server.statuses = {"c": [403] * 99}
    with pytest.raises(ExportError, match="links"):
        fetch_export(access(server), ASKED, tmp_path / "in")


def test_pages_of_a_manifest_are_followed(server, tmp_path):
    server.page_size = 2
    assert fetch_export(access(server), ASKED, tmp_path / "in").files == 3
    assert arrived(tmp_path / "in") == WHOLE


def test_errors_and_deletions_are_counted_and_are_no_data(server, tmp_path):
    told = b"".join(
        json.dumps(make_outcome(code)).encode() + b"\n"
        for code in ("processing", "timeout", "timeout")
    )
    gone = json.dumps({"resourceType": "Bundle", "entry": []}).encode() + b"\n"
    server.files["e"] = ("error", "OperationOutcome", told)
    server.files["d"] = ("deleted", "Bundle", gone)
    fetched = fetch_export(access(server), ASKED, tmp_path / "in")
    assert fetched.issues == {"error/processing": 1, "error/timeout": 2}
    assert (fetched.files, fetched.deleted) == (3, 1)
    assert arrived(tmp_path / "in") == WHOLE


def test_a_second_call_goes_on_and_a_third_asks_nothing(server, tmp_path):
    server.statuses = {"c": [500]}
    with pytest.raises(ExportError):
        fetch_export(access(server, parallel=1), ASKED, tmp_path / "in")
    fetch_export(access(server), ASKED, tmp_path / "in")
    asked = len(server.asked)
    fetch_export(access(server), ASKED, tmp_path / "in")
    assert len(server.asked) == asked
    assert server.count_requests("GET", "/fhir/Patient/$export") == 1
    assert arrived(tmp_path / "in") == WHOLE


def test_a_server_that_never_gets_ready_is_given_up_and_asked_again_later(server, tmp_path):
    server.polls = [(202, {"Retry-After": "30"}, None)]
    with pytest.raises(ExportInterruptedError, match="has not finished"):
        fetch_export(access(server, deadline_s=5), ASKED, tmp_path / "in")
    fetch_export(access(server), ASKED, tmp_path / "in")
    assert server.count_requests("GET", "/fhir/Patient/$export") == 1


def test_a_folder_is_never_mixed(server, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "Patient.ndjson").touch()
    with pytest.raises(ExportError, match="something else"):
        fetch_export(access(server), ASKED, tmp_path / "other")
    fetch_export(access(server), ASKED, tmp_path / "in")
    with pytest.raises(ExportError, match="another export"):
        fetch_export(access(server), ExportRequest("system"), tmp_path / "in")
    fetch_export(access(server), ExportRequest("system"), tmp_path / "in", restart=True)
    assert arrived(tmp_path / "in") == WHOLE


@pytest.mark.parametrize("complete", [True, False])
def test_cancelling_tells_the_server_and_keeps_only_what_is_complete(server, tmp_path, complete):
    if not complete:
        server.statuses = {"c": [500]}
    with contextmanager(lambda: (yield))() if complete else pytest.raises(ExportError):
        fetch_export(access(server, parallel=1), ASKED, tmp_path / "in")
    assert cancel_export(access(server), tmp_path / "in")
    assert server.deleted
    assert arrived(tmp_path / "in") == (WHOLE if complete else {})
    assert cancel_export(access(server), tmp_path / "in") is complete


def test_a_token_goes_to_the_server_alone(server, tmp_path, monkeypatch):
    monkeypatch.setenv("COBALAMIN_BULK_TOKEN", TOKEN)
    server.token = TOKEN
    with run_bulk_server(dict(FILES)) as store:
        server.files_at = store.origin
        with pytest.raises(ExportError, match=f":{store.server_port}; name it in"):
            fetch_export(access(server), ASKED, tmp_path / "in")
        assert store.asked == []
        server.needs_token = store.needs_token = False
        fetch_export(
            access(server, file_servers=(store.origin,)), ASKED, tmp_path / "open", restart=True
        )
        assert arrived(tmp_path / "open") == WHOLE
        assert {one.headers.get("authorization") for one in store.asked} == {None}


def test_an_export_is_not_waited_for_elsewhere(server, tmp_path):
    server.location = "https://elsewhere.example/jobs/1"
    with pytest.raises(ExportError, match=r"elsewhere\.example"):
        fetch_export(access(server), ASKED, tmp_path / "in")


def key_file(folder, key, mode=0o600):
    file = folder / "key.pem"
    file.write_bytes(
        key.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    file.chmod(mode)
    return file


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_backend_client_proves_itself_and_renews_its_token(server, tmp_path, algorithm):
    key = Key(algorithm)
    server.tokens_for, server.token = key.private.public_key(), TOKEN
    client = BackendClient("cobalamin", key_file(tmp_path, key), "kid-1")
    server.polls = [(401, {}, None)]
    fetch_export(access(server, client=client), ASKED, tmp_path / "in")
    assert arrived(tmp_path / "in") == WHOLE
    assert server.count_requests("POST", "/token") == 2


def test_a_client_whose_key_the_server_does_not_know_gets_no_token(server, tmp_path):
    server.tokens_for, server.token = Key("ES384").private.public_key(), TOKEN
    client = BackendClient("cobalamin", key_file(tmp_path, Key("ES384")))
    with pytest.raises(ExportError) as caught:
        fetch_export(access(server, client=client), ASKED, tmp_path / "in")
    assert str(caught.value) == "no token: the token endpoint answered 400 (invalid_client)"


@pytest.mark.parametrize(
    ("key", "mode", "says"),
    [
        (Key("ES256"), 0o600, "P-384"),
        (Key("ES384"), 0o604, "open to every user"),
    ],
)
def test_a_key_that_is_unfit_stops_before_anything_is_asked(server, tmp_path, key, mode, says):
    client = BackendClient("cobalamin", key_file(tmp_path, key, mode))
    with pytest.raises(ConfigurationError, match=says):
        fetch_export(access(server, client=client), ASKED, tmp_path / "in")
    assert server.asked == []
