"""What a worker counts, tenants apart, and that no label names a patient or quotes a caller."""

from dataclasses import replace

import pytest
from observed_service import PATH, SERVICE, Watched

from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import LOCAL_TENANT, FhirAccess
from cds_hooks.protocol.prefetch import FetchResult, PrefetchState
from cds_hooks.records.store import RecordsUnavailableError
from cds_hooks.security.key_sets import FetchedKeys
from cds_hooks.telemetry.metrics import Metrics
from cds_hooks.web.worker import WorkerMonitor

CALL = {"tenant": "local", "service": SERVICE}
KNOWLEDGE = {"local": {"b12": "uk-ng239@1.0.0", "sarcopenia": "ewgsop2-2019@1.0.0"}}


@pytest.fixture
def watched(tmp_path):
    made = Watched(tmp_path)
    yield made
    made.records.close()


def test_a_call_is_counted_and_timed(watched):
    watched.call()
    watched.call("quiet")
    assert watched.value("requests_total", **CALL, endpoint="call", status="200") == 2
    assert watched.value("call_duration_seconds_count", **CALL) == 2
    assert 0 < watched.value("call_duration_seconds_sum", **CALL) < 60
    assert watched.value("calls_with_cards_total", **CALL) == 1
    card = {"topic": "b12Deficient", "indicator": "warning"}
    assert watched.value("cards_total", tenant="local", **card) == 1
    withheld = {"reason": "snoozed", "subject": "b12Low"}
    assert watched.value("withheld_total", tenant="local", **withheld) == 2


def test_how_a_key_was_come_by_is_counted(watched):
    patient = {"resourceType": "Patient", "id": "1"}
    for value in (patient, {"resourceType": "OperationOutcome", "issue": []}):
        watched.call(prefetch={"patient": value})
    watched.call(prefetch={})
    states = {
        state: watched.value("prefetch_total", tenant="local", key="patient", state=state)
        for state in ("supplied", "failed", "missing")
    }
    assert states == {"supplied": 1, "failed": 1, "missing": 1}
    assert watched.value("requests_total", **CALL, endpoint="call", status="412") == 2


def test_refusals_and_faults_are_counted_by_their_status(watched):
    watched.client.post(PATH, data=b"{", content_type="application/json")
    assert watched.call("broken").status_code == 500
    watched.client.get("/none")
    watched.client.post("/cds-services/none", json={})
    assert watched.value("requests_total", **CALL, endpoint="call", status="400") == 1
    assert watched.value("requests_total", **CALL, endpoint="call", status="500") == 1
    nowhere = {"tenant": "", "service": "", "endpoint": "none", "status": "404"}
    assert watched.value("requests_total", **nowhere) == 1
    assert watched.value("call_duration_seconds_count", **CALL) == 2


def test_what_a_browser_asks_before_a_call_is_no_call(watched):
    watched.client.options(PATH, headers={"Origin": "http://127.0.0.1"})
    nobody = {"tenant": "", "service": "", "endpoint": "preflight", "status": "204"}
    assert watched.value("requests_total", **nobody) == 1


def test_no_label_is_a_callers_word(watched):
    """Nor a patient's: whoever called with a name of his own could fill the memory with series."""
    canary = "canary-8841"
    watched.call(canary)
    watched.call("1", path=f"/cds-services/{canary}")
    watched.client.get(f"/{canary}", headers={"Authorization": f"Bearer {canary}"})
    items = [{"card": canary, "outcome": "overridden", "outcomeTimestamp": "2026-11-20T10:05:31Z"}]
    items[0]["overrideReason"] = {"reason": {"code": canary}}
    assert watched.client.post(f"{PATH}/feedback", json={"feedback": items}).status_code == 200
    assert not any(canary in name for name in watched.names())
    assert len(watched.names()) < 40


def test_feedback_is_counted_by_topic_and_once(watched):
    [card] = watched.call().json["cards"]
    item = {"outcome": "overridden", "outcomeTimestamp": "2026-11-20T10:05:31Z"}
    for _ in range(2):
        sent = {"feedback": [{"card": card["uuid"], **item}, {"card": "elsewhere", **item}]}
        assert watched.client.post(f"{PATH}/feedback", json=sent).status_code == 200
    for topic in ("b12Deficient", "unknown"):
        labels = {**CALL, "topic": topic, "outcome": "overridden"}
        assert watched.value("feedback_total", **labels) == 1


def test_the_records_are_timed_and_their_faults_counted(watched, monkeypatch):
    watched.call()
    assert watched.value("records_seconds_count", work="write") == 1
    assert watched.value("records_failed_total", work="write") is None

    def down(*_args):
        raise RecordsUnavailableError("OperationalError")

    monkeypatch.setattr(watched.records.transactions, "take_turn", down)
    assert watched.call().status_code == 503
    assert watched.value("records_failed_total", work="write") == 1


@pytest.mark.parametrize(
    ("reason", "counted"),
    [
        ("ok", "ok"),
        ("deadline", "deadline"),
        ("status-404", "status-404"),
        ("status-418", "status-4xx"),
    ],
)
def test_queries_to_fhir_servers_are_counted_by_how_they_ended(reason, counted):
    metrics = Metrics()
    metrics.count_fhir_requests(
        "north", [FetchResult("conditions", PrefetchState.NONE, reason, 12.0)]
    )
    labels = {"tenant": "north", "reason": counted}
    assert metrics.registry.get_sample_value("cobalamin_fhir_requests_total", labels) == 1


def test_a_query_that_was_not_sent_takes_no_time():
    metrics = Metrics()
    metrics.count_fhir_requests(
        "north", [FetchResult("conditions", PrefetchState.FAILED, "server-unfit", 0.0)]
    )
    labels = {"tenant": "north"}
    name = "cobalamin_fhir_request_duration_seconds_count"
    assert metrics.registry.get_sample_value(name, labels) is None


def test_tenants_are_kept_apart(tmp_path):
    tenants = tuple(replace(LOCAL_TENANT, id=name) for name in ("north", "south"))
    watched = Watched(tmp_path, Settings(tenants=tenants))
    watched.call()  # the last of those who are open is asked
    watched.records.close()
    counts = [
        watched.value("requests_total", tenant=name, service=SERVICE, endpoint="call", status="200")
        for name in ("north", "south")
    ]
    assert counts == [None, 1]


def test_a_worker_says_what_it_is_and_how_it_is(watched):
    watch = WorkerMonitor(watched.context, KNOWLEDGE)
    watch.start()
    watch.update(3)
    for topic, version in KNOWLEDGE["local"].items():
        assert watched.value("knowledge_info", tenant="local", topic=topic, version=version) == 1
    assert watched.value("ready") == watched.value("records_up") == watched.value("workers") == 1
    assert watched.value("requests_total", **CALL, endpoint="call", status="503") == 0
    assert watched.value("disk_free_bytes", kept="records") > 0
    assert watched.value("worker_cpu_seconds_total") > 0
    watch.stop()
    watch.stop()
    started, stopped = watched.lines
    assert (started["event"], started["knowledge"]) == ("start", KNOWLEDGE["local"])
    assert stopped["event"] == "stop"


def test_an_open_breaker_and_an_old_key_set_show(tmp_path, fhir_server):
    """A server that fails five calls in a row is left alone; keys that nobody gets grow old."""
    fhir_server.behaviours["Patient"] = lambda handler: handler.json({}, 500)
    access = FhirAccess(allow_loopback=True)
    watched = Watched(tmp_path, Settings(tenants=(replace(LOCAL_TENANT, fhir=access),)))
    now = [1000.0]
    keys = FetchedKeys(f"{fhir_server.base}/keys", lambda _reason: None, now=lambda: now[0])
    watch = WorkerMonitor(replace(watched.context, keys={"local": keys}), KNOWLEDGE)
    watch.update()
    assert watched.value("fhir_breaker_open", tenant="local") == 0
    assert watched.value("tenant_ready", tenant="local", part="keys") == 0
    assert watched.value("key_set_age_seconds", tenant="local") is None
    for _ in range(5):
        answer = watched.call(prefetch={}, fhirServer=fhir_server.base)
        assert answer.status_code == 412
    watch.update()
    assert watched.value("fhir_breaker_open", tenant="local") == 1
    assert watched.value("fhir_requests_total", tenant="local", reason="status-500") == 5
    watched.records.close()


def test_a_key_set_is_renewed_before_anybody_needs_it(fhir_server):
    from token_issuers import Issuer, Key

    issuer = Issuer("https://ehr.example/", Key("ES384"))
    fhir_server.behaviours["keys"] = lambda handler: handler.json(issuer.jwks)
    now, told = [1000.0], []
    keys = FetchedKeys(f"{fhir_server.base}/keys", told.append, now=lambda: now[0])
    seen = []
    for seconds in (0, 10, 3590, 10, 10, 3600):
        now[0] += seconds
        keys.renew()
        seen.append((len(told), keys.freshness.value))
    assert seen == [
        (1, "fresh"),
        (1, "fresh"),
        (1, "fresh"),
        (2, "fresh"),
        (2, "fresh"),
        (3, "fresh"),
    ]
    fhir_server.behaviours["keys"] = lambda handler: handler.json({}, 500)
    states = []
    for seconds in (3700, 100, 300, 24 * 3600):
        now[0] += seconds
        keys.renew()
        states.append((len(told), keys.freshness.value))
    assert states == [(4, "fresh"), (4, "fresh"), (5, "old"), (6, "stale")]
