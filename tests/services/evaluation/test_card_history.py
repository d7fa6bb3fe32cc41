"""What the running service remembers of a patient: through HTTP, with feedback of both shapes."""

import copy
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from order_sessions import hook_call
from patients import drug, observation


def call_of(record, encounter=None):
    call = hook_call(record, [], "patient-view")
    if encounter:
        call["context"]["encounterId"] = encounter
    return call


def send(service, card, hook="patient-view", **members):
    item = {"card": card["uuid"], "outcomeTimestamp": datetime.now(UTC).isoformat(), **members}
    answer = service.post(f"/cds-services/b12-muscle-{hook}/feedback", {"feedback": [item]})
    assert answer.status_code == 200


def suppressed(service):
    return [x for x in service.lines() if x["event"] == "decision"][-1]["suppressed"]


REASON = {"code": "not-convenient-feasible", "system": "s"}
OVERRIDDEN = {
    "specification": {"overrideReason": {"reason": REASON, "userComment": "later"}},
    "without a reason": {},
    "Epic's plural": {"overrideReasons": [{"reason": REASON}]},
    "Epic's extension": {
        "extension": {"com.epic.cdshooks.feedback": {"reasonCategory": REASON, "reasonTitle": "x"}}
    },
}


@pytest.mark.parametrize("members", OVERRIDDEN.values(), ids=OVERRIDDEN.keys())
def test_an_overridden_card_is_quiet_until_there_is_something_new(service, members):
    call = call_of("b12 212; +fatigue")
    [card] = service.cards(call)
    assert service.cards(call), "a card that nobody answered comes again"
    send(service, card, outcome="overridden", **members)
    assert service.cards(call) == []
    assert suppressed(service) == ["snoozed:b12Indeterminate"]
    newer = copy.deepcopy(call)
    result = observation(77, "b12 208") | {
        "subject": {"reference": f"Patient/{call['context']['patientId']}"}
    }
    result["effectiveDateTime"] = datetime.now(UTC).date().isoformat()
    newer["prefetch"]["observations"]["entry"].append({"resource": result})
    assert service.cards(newer), "a new result wakes it"


def test_an_accepted_card_is_quiet_and_another_patients_is_not(service):
    call = call_of("b12 212; +fatigue")
    [card] = service.cards(call)
    suggestion = card["suggestions"][0]["uuid"]
    send(service, card, outcome="accepted", acceptedSuggestions=[{"id": suggestion}])
    assert service.cards(call) == []
    assert service.cards(call_of("b12 212; +fatigue"))


def test_a_worse_finding_is_said_whatever_was_answered(service):
    call = call_of("b12 212; +fatigue")
    [card] = service.cards(call)
    send(service, card, outcome="overridden")
    [result] = call["prefetch"]["observations"]["entry"]
    result["resource"]["valueQuantity"]["value"] = 112
    [worse] = service.cards(call)
    assert worse["indicator"] == "warning"


def test_a_card_is_shown_once_in_an_encounter_at_whichever_hook(service):
    encounter = f"e-{uuid4()}"
    opened = call_of("b12 112", encounter)
    assert service.cards(opened)
    assert service.cards(opened) == []
    assert suppressed(service) == ["repeat:b12Deficient"]
    signing = copy.deepcopy(opened) | {"hook": "order-sign"}
    signing["context"]["draftOrders"] = {"entry": []}
    assert service.cards(signing) == []
    opened["context"]["encounterId"] = f"e-{uuid4()}"
    assert service.cards(opened), "another encounter is another occasion"


def test_a_critical_card_is_never_withheld(service):
    call = hook_call("b12 112", [drug(5, "draft folic_acid dose 5000")], "order-sign")
    call["context"]["encounterId"] = "e-critical"
    for _ in range(3):
        [card] = service.cards(call)
        assert card["indicator"] == "critical"
        send(service, card, "order-sign", outcome="overridden", overrideReason={"reason": REASON})


def test_a_client_whose_clock_is_ahead_does_not_lengthen_the_quiet(service):
    """The answer counts from when it came."""
    call = call_of("b12 212; +fatigue")
    [card] = service.cards(call)
    ahead = (datetime.now(UTC) + timedelta(days=900)).isoformat()
    send(service, card, outcome="overridden", outcomeTimestamp=ahead)
    assert service.cards(call) == []


def test_the_records_hold_no_reference_to_evidence(service):
    call = call_of("b12 212; +fatigue")
    assert service.cards(call)
    kept = b"".join(path.read_bytes() for path in service.state.rglob("records.sqlite3*"))
    assert b"b12Indeterminate" in kept
    assert b"Observation/" not in kept
    assert call["context"]["patientId"].encode() not in kept
