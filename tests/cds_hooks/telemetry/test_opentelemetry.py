"""Spans of a call at a collector on this machine, and nothing of the patient in them."""

from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from observed_service import Watched
from token_issuers import serving

from cds_hooks.config.settings import ConfigurationError, Settings
from cds_hooks.config.tenants import LOCAL_TENANT, FhirAccess
from cds_hooks.telemetry.tracing import NO_TRACING, make_tracing

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1"}


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spans = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """Silent."""


@pytest.fixture
def collector():
    server = Collector()
    with serving(server):
        yield server


@pytest.fixture
def watched(tmp_path, collector):
    access = FhirAccess(allow_loopback=True)
    settings = Settings(tenants=(replace(LOCAL_TENANT, fhir=access),), traces_url=collector.url)
    made = Watched(tmp_path, settings, tracing=make_tracing(settings, "1.2.3"))
    yield made
    made.records.close()


def said(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def sent(watched, collector):
    """The spans by their names, once all are there."""
    watched.context.telemetry.tracing.close()
    return {span.name: span for span in collector.spans}


def test_a_call_its_fetches_its_decision_and_its_record_are_spans(watched, collector, fhir_server):
    passed_on = []

    def patient(handler):
        passed_on.append((handler.headers["traceparent"], handler.headers["tracestate"]))
        handler.json({"resourceType": "Patient", "id": "1"})

    fhir_server.behaviours["Patient"] = patient
    answer = watched.call(prefetch={}, fhirServer=fhir_server.base, headers=HEADERS)
    assert answer.status_code == 200
    spans = sent(watched, collector)
    assert set(spans) == {"call", "fetch", "decide", "store"}
    call = spans["call"]
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert call.parent_span_id.hex() == PARENT
    assert {s.parent_span_id for name, s in spans.items() if name != "call"} == {call.span_id}
    assert said(call) == {
        "cobalamin.tenant": "local",
        "cobalamin.service": "rule-patient-view",
    }
    assert said(spans["fetch"]) == {"cobalamin.key": "patient", "cobalamin.reason": "ok"}
    assert said(spans["decide"]) == {"cobalamin.cards": 1}
    # The FHIR server's own spans stand under the fetch.
    assert passed_on == [(f"00-{TRACE}-{spans['fetch'].span_id.hex()}-01", "a=1")]


def test_a_call_that_fails_names_the_type_of_the_fault_and_not_its_text(watched, collector):
    assert watched.call("broken-canary-8841").status_code == 500
    spans = sent(watched, collector)
    assert said(spans["decide"])["error.type"] == "KeyError"
    assert said(spans["call"])["error.type"] == "KeyError"
    assert not any(span.events for span in spans.values())
    assert "canary-8841" not in str(spans)


def test_nothing_of_the_patient_is_in_a_span(watched, collector):
    canary = "canary-8841"
    patient = {"resourceType": "Patient", "id": canary, "name": [{"text": canary}]}
    answer = watched.call(canary, prefetch={"patient": patient})
    assert answer.status_code == 200
    spans = sent(watched, collector)
    assert len(spans) == 3
    assert canary not in str(spans)


def test_a_trace_that_its_caller_does_not_sample_is_not_sampled_here(watched, collector):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    assert watched.call(headers=headers).status_code == 200
    assert sent(watched, collector) == {}


def test_a_call_without_a_trace_begins_one(watched, collector):
    watched.call()
    call = sent(watched, collector)["call"]
    assert (len(call.trace_id), call.parent_span_id) == (16, b"")


def test_a_collector_that_is_away_holds_no_call_up(tmp_path, collector):
    settings = Settings(traces_url="http://127.0.0.1:9")
    watched = Watched(tmp_path, settings, tracing=make_tracing(settings, "1.2.3"))
    assert watched.call().status_code == 200
    watched.records.close()


def test_nobody_who_did_not_ask_for_spans_needs_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cds_hooks.telemetry.opentelemetry", None)
    assert make_tracing(Settings(), "1") is NO_TRACING
    with pytest.raises(ConfigurationError, match=r"tracing.otlp_endpoint: needs the extra"):
        make_tracing(Settings(traces_url="http://127.0.0.1:4318"), "1")
