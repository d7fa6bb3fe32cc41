"""The moments at which a service would have been called."""

from collections import Counter
from datetime import date

import pytest
from replay_stories import YEAR, make_story
from tables import cases

from services.population.replay.events import find_clinician, list_events


def told(record, hooks=("patient-view", "order-sign")):
    """The events in short: "06-10T09:00 patient-view e1 Practitioner/7: m0n0 m1n1", and the lost."""
    lost = Counter()
    found = []
    for one in list_events(make_story(record), *YEAR, hooks, lost):
        who = " ".join(filter(None, (one.encounter, one.practitioner)))
        about = ",".join(sorted(one.about)) + " of " if one.about else ""
        drafts = " ".join(order["id"] for order in one.orders)
        line = f"{one.at:%m-%dT%H:%M} {one.hook} {who}: {about}{drafts}"
        found.append(line.removesuffix(": "))
    return found, dict(lost)


@cases("""
    visit                                                                              | event
    -----------------------------------------------------------------------------------+---------------------------------------
    visit @2026-06-10T09:00:00Z in e1 by 7                                             | 06-10T09:00 patient-view e1 Practitioner/7
    visit @2026-06-10T09:00:00+02:00 in e1                                             | 06-10T07:00 patient-view e1
    visit @2026-06-10 in e1                                                            | 06-10T00:00 patient-view e1
    visit @2026-06 in e1                                                               | lost
    visit @? in e1                                                                     | lost
    visit @2025-12-31T23:59:59Z in e1                                                  |
    visit @2026-12-31T23:59:59Z in e1                                                  | 12-31T23:59 patient-view e1
    visit @2027-01-01T00:30:00+01:00 in e1                                             | 12-31T23:30 patient-view e1
    visit @2026-06-10 in e1 like {"status": "planned"}                                 |
    visit @2026-06-10 in e1 like {"status": "cancelled"}                               |
    visit @2026-06-10 in e1 like {"status": "entered-in-error"}                        |
    visit @2026-06-10 in e1 like {"status": "in-progress", "class": {"code": "IMP"}}   | 06-10T00:00 patient-view e1
    visit @2026-06-10 in e1 like {"class": {"system": "v3", "code": "EMER"}}           | 06-10T00:00 patient-view e1
    visit @2026-06-10 in e1 like {"class": {"system": "v3", "code": "PRENC"}}          |
    visit @2026-06-10 in e1 like {"class": [{"coding": [{"system": "v3", "code": "AMB"}]}]} | 06-10T00:00 patient-view e1
    visit @2026-06-10 in e1 like {"class": "ambulatory"}                               | 06-10T00:00 patient-view e1
    visit @2026-06-10 in e1 like {"period": null, "actualPeriod": {"start": "2026-06-11"}} | 06-11T00:00 patient-view e1
    visit @2026-06-10 in e1 like {"participant": [{"actor": {"reference": "Location/1"}}, {"actor": {"reference": "Practitioner/8"}}]} | 06-10T00:00 patient-view e1 Practitioner/8
""")
def test_a_chart_is_opened_once_for_each_visit(case):
    found, lost = told(case["visit"])
    assert found == ([case["event"]] if "patient-view" in case["event"] else [])
    assert lost == ({"visit-undated": 1} if case["event"] == "lost" else {})


@cases("""
    order                                                                             | event
    ----------------------------------------------------------------------------------+---------------------------------------
    rx metformin since 2026-06-10T09:20:00Z in e1 by 7                                | 06-10T09:20 order-sign e1 Practitioner/7: m0n0
    rx statin since 2026-06-10T09:20:00Z                                              | 06-10T09:20 order-sign : m0n0
    was metformin since 2026-06-10                                                    | 06-10T00:00 order-sign : m0n0
    pending total_b12 @2026-06-10                                                     | 06-10T00:00 order-sign : s0n0
    pending total_b12 @2026-06-10 like {"status": "revoked"}                          | 06-10T00:00 order-sign : s0n0
    rx metformin since 2026-06                                                        | lost
    rx metformin                                                                      | lost
    rx metformin since 2025-06-10                                                     |
    draft metformin since 2026-06-10                                                  |
    rx metformin since 2026-06-10 like {"status": "entered-in-error"}                 |
    rx metformin since 2026-06-10 like {"intent": "plan"}                             |
    rx metformin since 2026-06-10 like {"intent": "instance-order"}                   |
    pending total_b12 @2026-06-10 like {"intent": "reflex-order"}                     |
    rx metformin since 2026-06-10 like {"intent": "original-order"}                   | 06-10T00:00 order-sign : m0n0
    rx metformin since 2026-06-10 like {"reportedBoolean": true}                      |
    rx metformin since 2026-06-10 like {"reportedReference": {"reference": "Patient/1"}} |
    rx metformin since 2026-06-10 like {"doNotPerform": true}                         |
    rx metformin since 2026-06-10 like {"resourceType": "MedicationStatement"}        |
    pending total_b12 @2026-06-10 like {"resourceType": "Task"}                       |
    rx metformin like {"resourceType": "MedicationOrder", "intent": null, "dateWritten": "2026-06-10", "prescriber": {"reference": "Practitioner/9"}} | 06-10T00:00 order-sign Practitioner/9: m0n0
    pending total_b12 @2026-06-10 like {"resourceType": "ProcedureRequest", "context": {"reference": "Encounter/e5"}, "requester": {"agent": {"reference": "Practitioner/9"}}} | 06-10T00:00 order-sign e5 Practitioner/9: s0n0
""")
def test_what_a_clinician_signs(case):
    found, lost = told(case["order"])
    assert found == ([case["event"]] if "order-sign" in case["event"] else [])
    assert lost == ({"order-undated": 1} if case["event"] == "lost" else {})


@cases("""
    orders                                                                                                       | sessions
    -------------------------------------------------------------------------------------------------------------+---------
    rx metformin since 2026-06-10T09:20:00Z in e1 by 7; rx statin since 2026-06-10T09:20:00Z in e1 by 7         | m0n0 m0n1
    rx metformin since 2026-06-10T09:20:00Z in e1 by 7; rx statin since 2026-06-10T11:20:00+02:00 in e1 by 7    | m0n0 m0n1
    rx metformin since 2026-06-10T09:20:00Z in e1 by 7; rx statin since 2026-06-10T09:21:00Z in e1 by 7         | m0n0, m0n1
    rx metformin since 2026-06-10T09:20:00Z in e1 by 7; rx statin since 2026-06-10T09:20:00Z in e1 by 8         | m0n0, m0n1
    rx metformin since 2026-06-10T09:20:00Z in e1 by 7; rx statin since 2026-06-10T09:20:00Z in e2 by 7         | m0n0, m0n1
    rx metformin since 2026-06-10; pending total_b12 @2026-06-10                                                | m0n0 s0n1
""")
def test_orders_of_one_moment_visit_and_requester_are_one_session(case):
    found, _lost = told(case["orders"])
    assert ", ".join(line.partition(": ")[2] for line in found) == case["sessions"]


def test_an_order_without_an_hour_is_signed_in_the_visit_of_its_day():
    found, _lost = told(
        "rx metformin since 2026-06-10 in e1; rx statin since 2026-06-11 in e1;"
        "visit @2026-06-10T09:00:00Z in e1"
    )
    assert found == [
        "06-10T09:00 patient-view e1",
        "06-10T09:00 order-sign e1: m0n0",
        "06-11T00:00 order-sign e1: m0n1",
    ]


def test_while_orders_are_chosen_each_is_called_about_with_those_before_it():
    orders = "rx metformin since 2026-06-10T09:20:00Z; pending total_b12 @2026-06-10T09:20:00Z"
    assert told(orders, ("order-select", "order-sign"))[0] == [
        "06-10T09:20 order-select : MedicationRequest/m0n0 of m0n0",
        "06-10T09:20 order-select : ServiceRequest/s0n1 of m0n0 s0n1",
        "06-10T09:20 order-sign : m0n0 s0n1",
    ]


def test_an_order_is_a_draft_before_it_is_signed():
    record = make_story(
        'was metformin since 2026-06-10 like {"status": "stopped", "statusReason": {"text": "nausea"}}'
    )
    [event] = list_events(record, date(2026, 1, 1), date(2026, 12, 31))
    [draft] = event.orders
    assert draft == {
        **{name: value for name, value in record[1].items() if name != "statusReason"},
        "status": "draft",
    }


@pytest.mark.parametrize(
    ("reference", "who"),
    [
        ({"reference": "Practitioner/7"}, "Practitioner/7"),
        ({"reference": "https://ehr.example/fhir/PractitionerRole/7/_history/2"}, "PractitionerRole/7"),
        ({"reference": "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|99"},
         "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|99"),
        ({"agent": {"reference": "Practitioner/7"}, "onBehalfOf": {"reference": "Organization/1"}}, "Practitioner/7"),
        ({"identifier": {"system": "npi", "value": "99"}}, "npi|99"),
        ({"reference": "Organization/1"}, None),
        ({"display": "Dr A"}, None),
        ("Practitioner/7", None),
        (None, None),
    ],
)  # fmt: skip
def test_who_a_reference_names(reference, who):
    assert find_clinician(reference) == who
