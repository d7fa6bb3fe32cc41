"""W3C Trace Context: what is taken up, and what goes on to a FHIR server."""

import re

import pytest
from tables import cases

from cds_hooks.config.tenants import FhirAccess
from cds_hooks.fhir.client import FhirClient
from cds_hooks.protocol.hook_request import HookRequest
from cds_hooks.protocol.prefetch import read_prefetch
from cds_hooks.telemetry.trace_context import read_trace
from cds_hooks.telemetry.tracing import CallSpan

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01"
NOUGHT = {"trace": "0" * 32, "parent": "0" * 16}


def taken_up(traceparent, tracestate=""):
    return read_trace({"traceparent": traceparent, "tracestate": tracestate}.get)


@cases("""
    header                          | flags
    --------------------------------+------
    00-{trace}-{parent}-01          | 1
    00-{trace}-{parent}-00          | 0
    00-{trace}-{parent}-ff          | 255
    cc-{trace}-{parent}-01          | 1
    cc-{trace}-{parent}-01-what-else | 1
    00-{trace}-{parent}-01-what-else | -
    ff-{trace}-{parent}-01          | -
    00-{no_trace}-{parent}-01       | -
    00-{trace}-{no_parent}-01       | -
    00-{TRACE}-{parent}-01          | -
    00-{trace}-{parent}             | -
    00-{trace}-{parent}-1           | -
    nonsense                        | -
                                    | -
""")
def test_a_trace_is_taken_up_by_the_rules(case):
    header = case["header"].format(
        trace=TRACE, parent=PARENT, TRACE=TRACE.upper(), no_trace="0" * 32, no_parent="0" * 16
    )
    found = taken_up(header)
    assert (found and str(found.flags)) == (None if case["flags"] == "-" else case["flags"])
    if found:
        assert (found.id, found.parent) == (TRACE, PARENT)


@cases("""
    given                        | passed on
    -----------------------------+-----------------------
    a=1                          | a=1
    rojo=00f067, congo=t61rc     | rojo=00f067,congo=t61rc
    a=1,,b=2                     | a=1,b=2
    tenant@system=x y            | tenant@system=x y
    a=1,a=2                      |
    A=1                          |
    a                            |
    a=b=c                        |
    a=                           |
""")
def test_the_state_goes_on_as_it_came_or_not_at_all(case):
    assert taken_up(GOOD, case["given"]).headers.get("tracestate", "") == case["passed on"]


def test_at_most_32_members_of_the_state_go_on():
    assert taken_up(GOOD, ",".join(f"k{n}=1" for n in range(32))).state
    assert not taken_up(GOOD, ",".join(f"k{n}=1" for n in range(33))).state


def test_without_a_parent_nothing_is_believed_of_the_state():
    assert taken_up("nonsense", "a=1") is None


def test_unknown_flags_are_not_passed_on():
    assert taken_up(GOOD.replace("-01", "-ff")).headers["traceparent"].endswith("-03")


@pytest.mark.parametrize("state", ["", "a=1,b=2"])
def test_the_fhir_server_gets_the_trace_with_a_parent_of_ours(fhir_server, state):
    seen = []

    def patient(handler):
        seen.append({name.lower(): value for name, value in handler.headers.items()})
        handler.json({"resourceType": "Patient", "id": "1"})

    fhir_server.behaviours["Patient"] = patient
    request = HookRequest("patient-view", "i", {"patientId": "1"}, {}, fhir_server.base)
    templates = {"one": "Patient/{{context.patientId}}", "two": "Patient/{{context.patientId}}"}
    client = FhirClient(FhirAccess(allow_loopback=True))
    traced = CallSpan(taken_up(GOOD, state))
    client.complete_answers(request, read_prefetch(request, templates), templates, traced)
    client.close()
    parents = [re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", h["traceparent"])[1] for h in seen]
    assert len({*parents, PARENT}) == 3  # each query is a span of its own
    assert {h.get("tracestate", "") for h in seen} == {state}


def test_without_a_trace_none_is_passed_on(fhir_server):
    seen = []

    def patient(handler):
        seen.append(handler.headers.get("traceparent"))
        handler.json({"resourceType": "Patient", "id": "1"})

    fhir_server.behaviours["Patient"] = patient
    request = HookRequest("patient-view", "i", {"patientId": "1"}, {}, fhir_server.base)
    templates = {"patient": "Patient/{{context.patientId}}"}
    client = FhirClient(FhirAccess(allow_loopback=True))
    client.complete_answers(request, read_prefetch(request, templates), templates)
    client.close()
    assert seen == [None]
