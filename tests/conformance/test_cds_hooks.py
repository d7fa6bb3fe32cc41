"""CDS Hooks over HTTP, requirement by requirement, against the service as it is installed."""

import json
import re
import sqlite3
import sys
from pathlib import Path

import pytest
from answer_schemas import CHECKED

sys.path.insert(0, str(Path(__file__).parent))

from verifying import REQUIREMENTS, VERIFIED, verifies

SAMPLES = ["neuropathy", "functional", "untested", "folic-acid"]
HOOKS = ["patient-view", "order-select", "order-sign"]
ORIGIN = {"Origin": "http://127.0.0.1:8080"}
PATHS = ["", "/b12-muscle-patient-view", "/b12-muscle-patient-view/feedback"]


def nothing_empty(node, path="$"):
    """Every place where `node` is null or empty."""
    if node in (None, "", [], {}) and path != "$.cards":
        yield path
    if isinstance(node, dict):
        for key, value in node.items():
            yield from nothing_empty(value, f"{path}.{key}")
    if isinstance(node, list):
        for value in node:
            yield from nothing_empty(value, path)


def is_outcome(answer):
    body = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    CHECKED["OperationOutcome"].validate(body)
    [issue] = body["issue"]
    assert issue["severity"] == "error"
    assert issue["code"]
    assert issue["details"]["text"]
    assert "Traceback" not in answer.text
    return issue


def order_call(hook, call):
    """The folic acid sample as a call of `hook`."""
    body = call("folic-acid")
    body["hook"] = hook
    if hook != "order-select":
        body["context"].pop("selections")
    if hook == "patient-view":
        body["context"].pop("draftOrders")
    return body


@verifies("DISC-01", "DISC-02", "DISC-14", "JSON-01", "JSON-04")
def test_discovery_is_json_at_its_place(service):
    answer = service.get("/cds-services")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert [s["hook"] for s in json.loads(answer.text)["services"]] == HOOKS


@verifies(
    "DISC-04",
    "DISC-05",
    "DISC-06",
    "DISC-07",
    "DISC-08",
    "DISC-09",
    "DISC-10",
    "DISC-11",
    "DISC-12",
)
def test_each_service_is_described(service):
    services = service.get("/cds-services").json()["services"]
    assert len({s["id"] for s in services}) == len(services)
    for entry in services:
        assert entry["id"] == f"b12-muscle-{entry['hook']}"
        assert entry["version"] == "3.0.0"
        assert entry["hookVersion"] == "1.0"
        for member in ("title", "description", "usageRequirements"):
            assert isinstance(entry[member], str)
        assert all(isinstance(query, str) for query in entry["prefetch"].values())


@verifies("PF-01", "PF-03", "CTX-01")
def test_templates_are_plain(service):
    [entry, *_] = service.get("/cds-services").json()["services"]
    assert entry["prefetch"]["patient"] == "Patient/{{context.patientId}}"
    for query in entry["prefetch"].values():
        assert re.findall(r"\{\{(.*?)\}\}", query) == ["context.patientId"]
        names = [p.split("=")[0] for p in query.partition("?")[2].split("&") if p]
        assert len(names) == len(set(names))
        assert not any(":" in name for name in names)
    assert "&_sort=-date" in entry["prefetch"]["observations"]
    assert "status" not in entry["prefetch"]["medications"]


@pytest.mark.parametrize("hook", HOOKS)
@verifies(
    "CALL-01", "PF-00", "RESP-01", "RESP-02", "JSON-05", "JSON-06", "JSON-07", "JSON-08", "CAP-02"
)
def test_a_call_with_prefetch_gets_cards(service, call, hook):
    answer = service.call(order_call(hook, call))
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"cards"}
    assert body["cards"]
    assert list(nothing_empty(body)) == []
    assert "actionSelectionBehavior" not in answer.text


@verifies("RESP-04")
def test_nothing_to_say_is_an_empty_list(service, call):
    body = call("untested")
    body["prefetch"]["conditions"] = None
    assert service.cards(body) == []


@pytest.mark.parametrize("name", SAMPLES)
@verifies(
    "CARD-01",
    "CARD-02",
    "CARD-03",
    "CARD-04",
    "CARD-05",
    "CARD-06",
    "CARD-07",
    "SRC-01",
    "SRC-02",
    "SRC-06",
    "COD-01",
    "COD-02",
)
def test_cards_are_whole(service, call, name):
    for card in service.cards(call(name)):
        assert re.fullmatch(r"[0-9a-f-]{36}", card["uuid"])
        assert 0 < len(card["summary"]) < 140
        assert card["indicator"] in ("info", "warning", "critical")
        assert card["detail"]
        assert not re.search(r"<[a-zA-Z/!]", card["detail"])
        assert card["source"]["label"]
        assert card["source"]["url"].startswith("https://")
        topic = card["source"]["topic"]
        assert topic["code"].isalnum()
        assert topic["system"]


@pytest.mark.parametrize("name", SAMPLES)
@verifies(
    "CARD-09",
    "CARD-10",
    "CARD-11",
    "SUG-01",
    "SUG-02",
    "SUG-03",
    "SUG-04",
    "SUG-05",
    "ACT-01",
    "ACT-02",
    "ACT-03",
    "JSON-03",
    "cds-resp-1",
    "cds-resp-5",
    "cds-resp-6",
)
def test_suggestions_are_whole(service, call, name):
    for card in service.cards(call(name)):
        assert card["suggestions"]
        assert card["selectionBehavior"] in ("at-most-one", "any")
        recommended = [s for s in card["suggestions"] if s.get("isRecommended")]
        assert len(recommended) == 1
        for suggestion in card["suggestions"]:
            assert suggestion["label"]
            assert re.fullmatch(r"[0-9a-f-]{36}", suggestion["uuid"])
            for action in suggestion["actions"]:
                assert action["description"]
                if action["type"] == "delete":
                    assert re.fullmatch(r"[A-Za-z]+/[A-Za-z0-9.-]+", action["resourceId"])
                    assert "resource" not in action
                    continue
                assert action["type"] == "create"
                assert action["resource"]["resourceType"] in ("MedicationRequest", "ServiceRequest")
                assert action["resource"]["status"] == "draft"
                assert "id" not in action["resource"]


@verifies(
    "CARD-12",
    "CARD-13",
    "CARD-14",
    "OVR-01",
    "COD-03",
    "LNK-01",
    "LNK-02",
    "LNK-03",
    "LNK-05",
    "cds-resp-3",
    "cds-resp-4",
    "EXT-01",
)
def test_reasons_and_links(service, call):
    [card] = service.cards(call("neuropathy"))
    assert all(r["code"] and r["system"] and r["display"] for r in card["overrideReasons"])
    for link in card["links"]:
        assert link["label"]
        assert re.match(r"https?://[^/]+/", link["url"])
        assert link["type"] == "absolute"
        assert "appContext" not in link
    assert "extension" not in card


def test_the_evidence_page_of_a_card_can_be_read(service, call):
    [card] = service.cards(call("neuropathy"))
    url = card["links"][0]["url"]
    page = service.session.get(url, headers={"Accept": "text/html"}, timeout=5)
    assert page.status_code == 200
    assert "below 180 ng/L" in page.text
    assert "Source attributes" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    document = service.session.get(url, headers={"Accept": "application/json"}, timeout=5).json()
    assert len(document["sourceAttributes"]) == 13
    assert all(limit["locator"] for limit in document["limits"])
    assert service.get("/evidence").status_code == 200
    is_outcome(service.get("/evidence/none"))


def test_the_muscle_pages_and_artefacts_can_be_read(service, call):
    [card] = service.cards(call("muscle-loss"))
    urls = [link["url"] for link in card["links"] if "/evidence/" in link["url"]]
    assert [url.rpartition("/")[2] for url in urls] == [
        "uk-ng239",
        "ewgsop2-2019",
        "b12-and-muscle",
    ]
    said = ("below 16 kg", "What is known", "did not improve")
    texts = [
        service.session.get(url, headers={"Accept": "text/html"}, timeout=5).text for url in urls
    ]
    assert "below 16 kg" in texts[1]
    assert all(words.casefold() in texts[2].casefold() for words in said[1:])
    document = service.session.get(urls[1], params={"format": "json"}, timeout=5).json()
    assert len(document["sourceAttributes"]) == 13
    sarc_f = service.get("/fhir/Questionnaire/sarc-f")
    assert sarc_f.headers["Content-Type"].startswith("application/fhir+json")
    assert len(sarc_f.json()["item"]) == 5
    is_outcome(service.get("/fhir/Questionnaire/none"))


def test_both_axes_come_in_one_card_and_one_log_line(service, call):
    body = call("muscle-loss")
    [card] = service.cards(body)
    assert card["source"]["topic"]["code"] == "b12IndeterminateAndMuscle"
    assert "severe sarcopenia" in card["summary"]
    decided = [line for line in service.lines() if line["event"] == "decision"][-1]
    assert (decided["findings"]["sarcopenia"], decided["tier"]) == ("severe", "T2")
    # The measures may come with the other observations, as an EHR with one query sends them.
    muscle = body["prefetch"].pop("muscle_observations")
    body["prefetch"]["observations"]["entry"] += muscle["entry"]
    [other] = service.cards(body)
    assert other["summary"] == card["summary"]


@verifies("PF-06", "RESP-05", "RESP-07")
def test_required_data_that_cannot_be_had_is_412(service, call):
    body = call("neuropathy")
    body["prefetch"].pop("observations")
    answer = service.call(body)
    assert answer.status_code == 412
    assert "observations" in is_outcome(answer)["diagnostics"]
    body["prefetch"]["observations"] = {"resourceType": "OperationOutcome", "issue": []}
    assert service.call(body).status_code == 412
    body["prefetch"] = None
    assert service.call(body).status_code == 412


@verifies("PF-04")
def test_failed_is_not_none(service, call):
    body = call("functional")
    body["prefetch"]["conditions"] = None
    [known_none] = service.cards(body)
    body["prefetch"]["conditions"] = {"resourceType": "OperationOutcome", "issue": []}
    [failed] = service.cards(body)
    assert "problem list" not in known_none["detail"]
    assert "Could not be checked: problem list." in failed["detail"]
    body["prefetch"].pop("conditions")
    [left_out] = service.cards(body)
    assert "Could not be checked: problem list." in left_out["detail"]


@verifies("PF-02", "PF-05", "FA-01", "FA-02", "cds-r-1")
def test_what_was_left_out_is_fetched_with_the_token(patient_service, call, ehr):
    service = patient_service
    body = call("neuropathy")
    prefetch = body.pop("prefetch")
    ehr.found = {
        "Patient": prefetch["patient"],
        "Observation": prefetch["observations"],
        "Condition": prefetch["conditions"],
        "MedicationRequest": prefetch["medications"],
    }
    body |= {
        "fhirServer": ehr.base,
        "fhirAuthorization": {"access_token": "t-1", "scope": "patient/*.read"},
    }
    [card] = service.cards(body)
    assert "deficient" in card["summary"]
    assert ehr.tokens == {"Bearer t-1"}
    assert len(ehr.paths) == 10
    assert "t-1" not in service.log.read_text()
    body.pop("fhirServer")
    assert service.call(body).status_code == 422


@verifies("PERF-01")
def test_a_slow_fhir_server_does_not_hold_the_clinician_up(service, call, ehr):
    ehr.answering.clear()  # and it does not answer before the card is there
    body = call("neuropathy")
    body["fhirServer"] = ehr.base
    for key in ("conditions", "medications"):
        body["prefetch"].pop(key)
    [card] = service.cards(body)
    assert "Could not be checked: problem list, prescriptions." in card["detail"]


@verifies("PF-07")
def test_the_next_page_is_followed_before_deciding(patient_service, call, ehr):
    service = patient_service
    body = call("neuropathy")
    older = body["prefetch"]["observations"]["entry"].pop(0)
    older["resource"]["effectiveDateTime"] = "2099-01-01"
    link = [{"relation": "next", "url": f"{ehr.base}/Observation?page=2"}]
    body["prefetch"]["observations"]["link"] = link
    page_two = call("neuropathy")["prefetch"]["observations"]
    ehr.found = {"Observation": page_two}
    body["fhirServer"] = ehr.base
    [card] = service.cards(body)
    assert "128 ng/L" in card["summary"]


def test_a_fhir_server_elsewhere_is_never_asked(service, call):
    body = call("neuropathy")
    body["prefetch"].pop("observations")
    for server in ("http://10.0.0.1/fhir", "https://ehr.example.org/fhir", "file:///etc/passwd"):
        answer = service.call({**body, "fhirServer": server})
        assert answer.status_code == 412
        identifier = answer.headers["X-Request-Id"]
        asked = [line["event"] for line in service.lines() if line.get("requestId") == identifier]
        assert asked
        assert "fetch" not in asked


STATUSES = {
    "unknown service": ("POST", "/cds-services/none", {}, 404),
    "unknown feedback": ("POST", "/cds-services/none/feedback", {}, 404),
    "unknown path": ("GET", "/none", {}, 404),
    "slash behind discovery": ("GET", "/cds-services/", {}, 404),
    "slash behind a service": ("POST", "/cds-services/b12-muscle-patient-view/", {"json": {}}, 404),
    "GET of a service": ("GET", "/cds-services/b12-muscle-patient-view", {}, 405),
    "POST to discovery": ("POST", "/cds-services", {"json": {}}, 405),
    "DELETE": ("DELETE", "/cds-services/b12-muscle-patient-view", {}, 405),
    "no content type": ("POST", "/cds-services/b12-muscle-patient-view", {"data": b"{}"}, 415),
    "a form": ("POST", "/cds-services/b12-muscle-patient-view", {"data": {"a": "b"}}, 415),
    "broken JSON": (
        "POST",
        "/cds-services/b12-muscle-patient-view",
        {"data": b"{", "headers": {"Content-Type": "application/json"}},
        400,
    ),
    "an empty body": (
        "POST",
        "/cds-services/b12-muscle-patient-view",
        {"data": b"", "headers": {"Content-Type": "application/json"}},
        400,
    ),
    "no call": ("POST", "/cds-services/b12-muscle-patient-view", {"json": {}}, 422),
    "a list": ("POST", "/cds-services/b12-muscle-patient-view", {"json": []}, 422),
    "too large": (
        "POST",
        "/cds-services/b12-muscle-patient-view",
        {"data": b" " * 9_000_000, "headers": {"Content-Type": "application/json"}},
        413,
    ),
}


@pytest.mark.parametrize(("method", "path", "options", "status"), STATUSES.values(), ids=STATUSES)
@verifies("DISC-15", "RESP-08", "RESP-07")
def test_every_error_is_an_operation_outcome(service, method, path, options, status):
    answer = service.session.request(
        method, f"{service.base}{path}", timeout=10, allow_redirects=False, **options
    )
    assert answer.status_code == status
    is_outcome(answer)


def test_media_types_that_are_json_are_taken(service, call):
    body = json.dumps(call("neuropathy")).encode()
    for kind in ("application/json", "application/json; charset=utf-8", "application/fhir+json"):
        answer = service.post(
            "/cds-services/b12-muscle-patient-view", data=body, headers={"Content-Type": kind}
        )
        assert answer.status_code == 200


def test_another_hook_is_422_and_names_the_path(service, call):
    body = call("neuropathy")
    body["hook"] = "order-sign"
    answer = service.post("/cds-services/b12-muscle-patient-view", body)
    assert answer.status_code == 422
    assert is_outcome(answer)["expression"] == ["hook"]


@pytest.mark.parametrize("path", PATHS)
@verifies("CORS-01")
def test_a_preflight_is_answered_on_every_path(service, path):
    asked = {
        **ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = service.session.options(f"{service.base}/cds-services{path}", headers=asked, timeout=5)
    assert answer.status_code == 204
    headers = answer.headers
    assert headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    assert {"GET", "POST", "OPTIONS"} <= set(headers["Access-Control-Allow-Methods"].split(", "))
    allowed = headers["Access-Control-Allow-Headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    assert "Access-Control-Allow-Credentials" not in headers


@verifies("CORS-01")
def test_cors_stands_on_errors_and_for_allowed_origins_alone(service):
    answer = service.post("/cds-services/none", {}, headers=ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    elsewhere = service.get("/cds-services", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in elsewhere.headers
    assert "Origin" in elsewhere.headers["Vary"]


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "null", "", "://", "http://localhost:x", "http://[v1.x]"]
)
def test_an_origin_that_is_none_gets_an_answer_that_it_may_not_see(service, origin):
    answer = service.get("/cds-services", headers={"Origin": origin})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


def feedback_of(card, **members):
    return {
        "card": card["uuid"],
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}],
        "outcomeTimestamp": "2026-11-20T10:05:31Z",
        **members,
    }


@verifies("FB-01", "FB-02", "FB-03")
def test_feedback_is_kept_once(service, call):
    [card] = service.cards(call("neuropathy"))
    path = "/cds-services/b12-muscle-patient-view/feedback"
    for _ in range(2):
        answer = service.post(path, {"feedback": [feedback_of(card), feedback_of(card)]})
        assert answer.status_code == 200
        assert list(nothing_empty(answer.json())) == []
    with sqlite3.connect(next(service.state.rglob("records.sqlite3"))) as records:
        rows = records.execute(
            "SELECT outcome, known_card FROM feedback WHERE card = ?", [card["uuid"]]
        ).fetchall()
    records.close()
    assert rows == [("accepted", 1)]


@verifies("cds-fb-1", "cds-fb-2", "cds-fb-3")
def test_feedback_that_breaks_a_rule_is_422(service, call):
    [card] = service.cards(call("neuropathy"))
    path = "/cds-services/b12-muscle-patient-view/feedback"
    for members in ({"outcome": "seen"}, {"acceptedSuggestions": []}, {"overrideReason": {}}):
        answer = service.post(path, {"feedback": [feedback_of(card, **members)]})
        assert answer.status_code == 422
        assert is_outcome(answer)["expression"][0].startswith("feedback[0].")


def test_the_log_says_what_became_of_each_card_and_no_free_text(service, call):
    [card] = service.cards(call("neuropathy"))
    reasons = [
        {"reason": {"code": "patient-refuses"}, "userComment": "canary-5520"},
        {"reason": {"code": "canary-5521", "display": "canary-5522"}},
        {"userComment": "canary-5523"},
    ]
    items = [
        {"card": card["uuid"], "outcome": "overridden", "overrideReason": one}
        | {"outcomeTimestamp": f"2026-11-20T10:05:3{place}Z"}
        for place, one in enumerate(reasons)
    ]
    stranger = {**feedback_of(card), "card": "canary-5524"}
    stranger["acceptedSuggestions"] = [{"id": "canary-5525"}]
    path = "/cds-services/b12-muscle-patient-view/feedback"
    assert service.post(path, {"feedback": [*items, stranger]}).status_code == 200
    line = [one for one in service.lines() if one["event"] == "feedback"][-1]
    assert line["outcomes"] == [
        {"card": card["uuid"], "outcome": "overridden", "reason": "patient-refuses"},
        {"card": card["uuid"], "outcome": "overridden", "reason": "other"},
        {"card": card["uuid"], "outcome": "overridden"},
        {"outcome": "accepted"},
    ]
    assert "canary-55" not in service.log.read_text()


def test_an_error_line_names_its_tenant(service, call):
    assert service.call({**call("neuropathy"), "context": {}}).status_code == 422
    line = [one for one in service.lines() if one["event"] == "error"][-1]
    assert (line["tenant"], line["status"]) == ("local", 422)


def test_an_order_as_the_sandbox_sends_it(service, call):
    """No Bundle type, objects where lists belong, no medication chosen yet."""
    body = order_call("order-select", call)
    [entry] = body["context"]["draftOrders"]["entry"]
    order = entry["resource"]
    order |= {
        "category": {"coding": [{"system": "s", "code": "community"}]},
        "reasonCode": {"coding": [{"system": "s", "code": "1"}], "text": "t"},
    }
    body["context"]["draftOrders"] = {"resourceType": "Bundle", "entry": [entry]}
    assert "folic acid" in service.cards(body)[0]["summary"]
    order.pop("medicationCodeableConcept")
    order.pop("intent")
    assert service.cards(body) == []  # no drug chosen yet: nothing is said of it
    body["context"].pop("draftOrders")
    assert service.call(body).status_code == 422


def test_the_card_goes_once_the_suggested_drug_is_drafted(service, call):
    body = order_call("order-select", call)
    [card] = service.cards(body)
    accepted = card["suggestions"][0]["actions"][0]["resource"]
    entry = body["context"]["draftOrders"]["entry"][0]
    entry["resource"] = {**accepted, "id": "draft-1"}
    assert service.cards(body) == []


def test_words_of_a_patient_come_out_nowhere(service, call):
    attack = "<img src=x onerror=alert(1)>canary-8841"
    body = call("neuropathy")
    body["prefetch"]["patient"]["name"] = [{"text": attack}]
    for entry in body["prefetch"]["conditions"]["entry"]:
        entry["resource"]["code"]["text"] = attack
        entry["resource"]["code"]["coding"][0]["display"] = attack
    answer = service.call(body)
    assert "canary-8841" not in answer.text
    broken = service.post("/cds-services/b12-muscle-patient-view", {**body, "context": attack})
    assert broken.status_code == 422
    assert "canary-8841" not in broken.text
    assert "canary-8841" not in service.log.read_text()


def test_every_log_line_is_one_json_object_without_the_patient(service, call):
    service.cards(call("neuropathy"))
    lines = service.lines()
    decided = [line for line in lines if line["event"] == "decision"][-1]
    assert set(decided) >= {
        "event", "time", "level", "version", "tenant", "service", "hook", "hookInstance",
        "requestId", "status", "durationMs", "prefetch", "findings", "rules", "cards",
        "suppressed", "knowledge",
    }  # fmt: skip
    assert decided["schema"] == 2
    assert decided["prefetch"] == {"supplied": 10, "fetched": 0, "failed": 0, "incomplete": 0}
    knowledge = {"b12": "uk-ng239@1.0.0", "sarcopenia": "ewgsop2-2019@1.0.0"}
    assert decided["knowledge"] == knowledge
    assert decided["findings"]["sarcopenia"] == "not_assessed"
    assert decided["tier"] == "T1"
    assert "sample-1" not in service.log.read_text()


def test_a_trace_is_taken_up(service, call):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    header = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    service.call(call("neuropathy"), headers=header)
    assert service.lines()[-1]["traceId"] == trace


def test_a_trace_is_passed_on_to_the_fhir_server(patient_service, call, ehr):
    service = patient_service
    body = call("neuropathy")
    body["prefetch"].pop("conditions")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "ehr=1"}
    service.call(body | {"fhirServer": ehr.base}, headers=headers)
    [(parent, state)] = ehr.traces
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", parent)
    assert "00f067aa0ba902b7" not in parent
    assert state == "ehr=1"


def test_probes(service):
    assert service.get("/health/live").json() == {"status": "live"}
    ready = service.get("/health/ready")
    assert ready.json().items() >= {"status": "ready", "records": "ok", "knowledge": "ok"}.items()
    assert ready.headers["Cache-Control"] == "no-store"


def test_metrics_are_not_shown_where_ehrs_call(service):
    is_outcome(service.get("/metrics"))


@pytest.mark.parametrize("id_", REQUIREMENTS)
def test_every_requirement_has_a_test_or_a_reason(id_):
    reason = REQUIREMENTS[id_]["left_out_because"]
    assert bool(VERIFIED.get(id_)) != bool(reason), id_
