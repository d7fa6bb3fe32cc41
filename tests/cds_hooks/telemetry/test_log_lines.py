"""The log: its published schema, and which lines a share of them may leave out."""

import json
import threading
from dataclasses import replace

import pytest
from conformance.serving import log_faults
from observed_service import PATH, Watched
from tables import cases

from cds_hooks.config.settings import Settings
from cds_hooks.records.spool import DrainResult
from cds_hooks.records.store import RecordsUnavailableError
from cds_hooks.web.maintenance import Maintenance

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
LINE = {
    "event": "error", "time": "2026-11-20T10:05:31.000Z", "level": "error", "version": "1.2.3",
    "status": 500, "reason": "KeyError",
}  # fmt: skip
BROKEN = {
    "a member that nobody knows": {"patient": "1"},
    "an event that nobody knows": {"event": "alarm"},
    "a time in another form": {"time": "20 November 2026"},
    "a status as text": {"status": "500"},
    "a reason that quotes": {"reason": "KeyError: 'Smith, John'"},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_line_that_breaks_the_schema_is_found(change):
    assert log_faults([LINE]) == []
    assert log_faults([{**LINE, **change}])


def test_what_became_of_each_card_may_stand_in_a_line_of_feedback():
    line = {
        "event": "feedback", "time": "2026-11-20T10:05:31.000Z", "level": "info",
        "version": "1.2.3", "tenant": "north", "service": "s", "items": 1, "new": 1,
        "requestId": "b7a3f7c0-62f1-4f3a-9d1e-2f4c0a9f8f10", "accepted": 0, "overridden": 1,
        "outcomes": [{"card": "c", "outcome": "overridden", "reason": "not-now"}],
    }  # fmt: skip
    assert log_faults([line]) == []
    assert log_faults([{**line, "outcomes": [{"card": "c", "outcome": "seen"}]}])


def told(tmp_path, **settings):
    watched = Watched(tmp_path, replace(Settings(), **settings))
    for _ in range(20):
        watched.call("quiet")
    watched.call(headers=HEADERS)
    watched.call("broken", headers=HEADERS)
    watched.call(prefetch={})
    watched.client.post(PATH, data=b"{", content_type="application/json")
    watched.records.close()
    return watched.lines


def test_every_call_has_its_line(tmp_path):
    lines = told(tmp_path)
    assert [line["event"] for line in lines] == ["decision"] * 21 + ["error"] * 3
    assert not any("sample" in line for line in lines)
    assert [line.get("traceId") for line in lines[20:]] == [TRACE, TRACE, None, None]
    assert [line["status"] for line in lines[20:]] == [200, 500, 412, 400]
    assert all(line["tenant"] == "local" for line in lines)
    assert {(line["schema"], line["findings"]["iron"]) for line in lines[:21]} == {(2, "low")}


def test_a_share_leaves_out_quiet_decisions_alone(tmp_path):
    lines = told(tmp_path, log_sample=0.0)
    assert [(line["event"], line["level"]) for line in lines] == [
        ("decision", "info"), ("error", "error"), ("error", "warning"), ("error", "warning"),
    ]  # fmt: skip
    assert lines[0]["cards"]


def test_a_line_that_stands_for_several_says_so(tmp_path):
    quiet = [line for line in told(tmp_path, log_sample=0.999999) if not line.get("cards", True)]
    assert len(quiet) >= 19
    assert {line["sample"] for line in quiet} == {0.999999}


class Down:
    """Records that fail until they have been tidied often enough."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.over = threading.Event()

    def run_maintenance(self, _now):
        outcome = self.outcomes.pop(0) if self.outcomes else 0
        if not self.outcomes:
            self.over.set()
        if outcome is None:
            raise RecordsUnavailableError("OperationalError")
        return DrainResult(outcome, 0)


def test_the_end_of_a_fault_is_no_error(tmp_path):
    """Said once when the records fail, once when they are back, with what had waited."""
    watched = Watched(tmp_path)
    records = Down(0, None, None, 4, 0)
    looks = []
    upkeep = Maintenance(
        records, watched.context.telemetry.log, "1.2.3", looks.append, seconds=0.01
    )
    upkeep.start()
    assert records.over.wait(60)
    upkeep.stop()
    watched.records.close()
    failed, back = watched.lines
    assert (failed["event"], failed["level"], failed["kind"]) == (
        "error", "error", "RecordsUnavailable",
    )  # fmt: skip
    assert (back["event"], back["level"], back["part"], back["spooled"]) == (
        "start", "info", "records", 4,
    )  # fmt: skip
    assert looks[:4] == [0, 0, 0, 4]


DECISION = {
    "event": "decision", "time": "2026-11-20T10:05:31.000Z", "level": "info", "schema": 2,
    "version": "1.2.3", "tenant": "north", "service": "s", "hook": "patient-view",
    "requestId": "b7a3f7c0-62f1-4f3a-9d1e-2f4c0a9f8f10", "status": 200, "durationMs": 4.1,
    "prefetch": {"supplied": 7, "fetched": 1, "failed": 0, "incomplete": 0},
    "findings": {"iron": "low"}, "tier": "T1", "rules": [], "suppressed": [], "cards": [],
}  # fmt: skip


@cases("""
    member             | value                           | fits
    -------------------+---------------------------------+-----
    findings           | {}                              | yes
    findings           | {"iron": "low", "zinc": "none"} | yes
    findings           | {"iron": "Smith, John"}         | no
    findings           | {"iron": 7}                     | no
    ironCategory       | "low"                           | no
    schema             | 1                               | no
    unread             | {"unknown-code": 2}             | yes
    unread             | {"unknown-code": 0}             | no
    unread             | {}                              | no
    unrecognisedDrafts | 1                               | yes
    unrecognisedDrafts | 0                               | no
""")
def test_the_line_of_a_decision_takes_any_topic_and_counts(case):
    line = {**DECISION, case["member"]: json.loads(case["value"])}
    assert (log_faults([line]) == []) is (case["fits"] == "yes")


def test_a_key_of_which_a_part_is_missing_is_counted(tmp_path):
    watched = Watched(tmp_path)
    watched.call()
    part = {"resourceType": "Bundle", "type": "searchset", "entry": [
        {"resource": {"resourceType": "OperationOutcome", "issue": [
            {"severity": "error", "code": "timeout"}]}},
        {"resource": {"resourceType": "Patient", "id": "1"}},
    ]}  # fmt: skip
    watched.call(prefetch={"patient": part})
    watched.records.close()
    assert [line["prefetch"]["incomplete"] for line in watched.lines] == [0, 1]
