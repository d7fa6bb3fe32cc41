"""What a site sets of attention, seen through HTTP: switches, silence, audience."""

import pytest
from order_sessions import hook_call
from patients import drug

FOLIC = "draft folic_acid dose 5000"
SPECIALTY = "https://ehr.example/specialty"


def folic():
    return hook_call("b12 112", [drug(5, FOLIC)], "order-sign")


def role(*codes):
    specialty = [{"coding": [{"system": SPECIALTY, "code": code}]} for code in codes]
    resource = {"resourceType": "PractitionerRole", "id": "r", "specialty": specialty}
    return {"resourceType": "Bundle", "entry": [{"resource": resource}]}


def suppressed(lines):
    return [line for line in lines if line["event"] == "decision"][-1]["suppressed"]


def test_a_rule_that_is_off_does_not_speak_and_the_patients_finding_does(asked):
    reply, _, lines = asked(None, folic(), {"off": ["folic-acid"]})
    [card] = reply.json["cards"]
    assert card["source"]["topic"]["code"] == "b12Deficient"
    assert "off:folic-acid" in suppressed(lines)


def test_a_silent_rule_is_recorded_and_not_shown(asked):
    reply, _, lines = asked(None, folic(), {"silent": ["folic-acid", "b12"]})
    assert reply.json["cards"] == []
    assert {*suppressed(lines)} == {"silent:folic-acid", "silent:b12"}


def test_silent_mode_evaluates_and_records_and_shows_nothing(asked):
    reply, _, lines = asked(None, folic(), {"mode": "silent"})
    assert reply.json["cards"] == []
    assert suppressed(lines) == ["silent:orderFolicAcid"]
    assert lines[-1]["findings"]["b12"] == "deficient"


AUDIENCE = {"audience": [{"rule": "b12", "specialties": [f"{SPECIALTY}|GERI"]}]}


@pytest.mark.parametrize(
    ("roles", "cards"),
    [(role("GERI"), 1), (role("SURG"), 0), (role("SURG", "GERI"), 1), (None, 1), (role(), 1)],
    ids=["theirs", "another's", "one of two", "not known", "none recorded"],
)
def test_a_rule_for_some_specialties(asked, roles, cards):
    call = hook_call("b12 112", [], "patient-view")
    call["prefetch"]["practitioner_role"] = roles
    reply, discovered, lines = asked(None, call, AUDIENCE)
    assert len(reply.json["cards"]) == cards
    assert all("practitioner_role" in service["prefetch"] for service in discovered)
    assert ("audience:b12" in suppressed(lines)) is (cards == 0)


def test_nobodys_role_is_asked_for_without_need(asked):
    _, discovered, _ = asked(None, hook_call("b12 112", [], "patient-view"))
    assert not any("practitioner_role" in service["prefetch"] for service in discovered)


def test_a_call_that_names_no_user_speaks_to_whoever_it_is(asked):
    call = hook_call("b12 112", [], "patient-view")
    del call["context"]["userId"]
    reply, _, _ = asked(None, call, AUDIENCE)
    assert len(reply.json["cards"]) == 1
