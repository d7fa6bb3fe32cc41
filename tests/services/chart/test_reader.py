"""The one door: what EHRs send, and what of it a rule may see."""

import copy
from datetime import date

import pytest
from patients import SUBJECT, TODAY, coding, known, observation, patient
from tables import cases

from services.chart.fhir_values import parse_date_span, read_relative_reference
from services.chart.reader import read_chart


def read(*resources, drafts=(), **options):
    return read_chart(
        [patient(), *resources], "1", known().chart_knowledge, today=TODAY, drafts=drafts, **options
    )


def b12(**changes):
    resource = observation(1, "b12 212 ng/L")
    for name, value in changes.items():
        if value is None:
            resource.pop(name)
        else:
            resource[name] = value
    return resource


@cases("""
    what is wrong          | change                                            | counted as
    -----------------------+---------------------------------------------------+-----------------
    entered in error       | status=entered-in-error                           | entered-in-error
    cancelled              | status=cancelled                                  | cancelled
    preliminary            | status=preliminary                                | preliminary
    registered             | status=registered                                 | not-final
    no status              | status=                                           | not-final
    undated                | effectiveDateTime=                                | undated
    dated in nonsense      | effectiveDateTime=soon                            | undated
    from the future        | effectiveDateTime=2026-11-21                      | in-the-future
    another patient's      | subject=Patient/2                                 | other-patient
    nobody's               | subject=                                          | no-patient
""")
def test_what_no_rule_may_see_is_counted(case):
    name, _, value = case["change"].partition("=")
    change = {"reference": value} if name == "subject" and value else value or None
    found = read(b12(**{name: change}))
    assert found.get_latest("total_b12") is None
    assert found.dropped == {case["counted as"]: 1}


@cases("""
    status    | seen
    ----------+-----
    final     | yes
    amended   | yes
    corrected | yes
""")
def test_final_results_are_seen(case):
    assert read(b12(status=case["status"])).get_latest("total_b12").value == 212


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/1",
        "https://ehr.example.org/fhir/R4/Patient/1",
        "Patient/1/_history/3",
        "urn:uuid:0b2f7a3e-7f0c-4c8e-9d7a-1a2b3c4d5e6f",
    ],
)
def test_the_patient_is_known_by_every_form_of_reference(reference):
    found = read(
        b12(subject={"reference": reference}),
        patient_references=["urn:uuid:0b2f7a3e-7f0c-4c8e-9d7a-1a2b3c4d5e6f"],
    )
    assert found.get_latest("total_b12") is not None


def test_the_newest_result_goes_first_whatever_the_order_and_the_offset():
    early = b12(id="a", effectiveDateTime="2026-11-01T23:30:00+02:00")
    late = b12(id="b", effectiveDateTime="2026-11-01T22:00:00Z")
    assert read(early, late).get_latest("total_b12").resource == "Observation/b"
    assert read(late, early).get_latest("total_b12").resource == "Observation/b"


def test_a_result_sent_twice_counts_once():
    found = read(b12(), b12())
    assert len(found.measurements["total_b12"]) == 1
    assert found.dropped == {"repeated": 1}


def test_a_code_in_any_coding_is_found_and_text_never():
    other = {"system": "urn:lab", "code": "X1"}
    found = read(b12(code={"coding": [other, coding("total_b12")], "text": "something else"}))
    assert found.get_latest("total_b12") is not None
    assert read(b12(code={"text": "Vitamin B12"})).get_latest("total_b12") is None
    alone = {"coding": [{"system": "http://snomed.info/sct", "code": "2132-9"}]}
    assert read(b12(code=alone)).get_latest("total_b12") is None


def test_components_are_results_of_their_own():
    panel = b12(valueQuantity=None, code={"coding": [{"system": "urn:lab", "code": "panel"}]})
    part = {name: b12()[name] for name in ("code", "valueQuantity")}
    assert read({**panel, "component": [part]}).get_latest("total_b12").value == 212


@cases("""
    code   | unit   | flagged
    -------+--------+--------
    2428-1 | umol/L | yes
    2428-1 | mg/L   |
    2132-9 | pmol/L | yes
    2132-9 | pg/mL  |
    14685-2 | pmol/L |
""")
def test_a_unit_that_does_not_fit_its_code_is_read_with_a_warning(case):
    name = "homocysteine" if case["code"] == "2428-1" else "total_b12"
    resource = b12(code={"coding": [{"system": "http://loinc.org", "code": case["code"]}]})
    resource["valueQuantity"] = {"value": 212, "unit": case["unit"]}
    flags = read(resource).get_latest(name).flags
    assert ("warn-code-unit-mismatch" in flags) == bool(case["flagged"])


def test_whole_blood_b12_is_read_in_mass_units_only():
    code = {"coding": [{"system": "http://loinc.org", "code": "16695-9"}]}
    assert read(b12(code=code)).get_latest("total_b12").value == 212
    moles = b12(code=code, valueQuantity={"value": 156, "unit": "pmol/L"})
    found = read(moles)
    assert found.get_latest("total_b12") is None
    assert found.unusable["total_b12"][0].reason == "wrong-specimen"


@cases("""
    verification     | clinical  | seen
    -----------------+-----------+-----
    confirmed        | active    | yes
    unconfirmed      | active    | yes
    refuted          | active    |
    entered-in-error | active    |
    confirmed        | resolved  |
    confirmed        | inactive  |
    confirmed        | remission |
    confirmed        |           | yes
""")
def test_conditions_that_hold(case):
    resource = {
        "resourceType": "Condition",
        "id": "c",
        "subject": SUBJECT,
        "code": {"coding": [coding("paraesthesia")]},
        "verificationStatus": {"coding": [{"system": "s", "code": case["verification"]}]},
    }
    if case["clinical"]:
        resource["clinicalStatus"] = {"coding": [{"system": "s", "code": case["clinical"]}]}
    assert read(resource).has("paraesthesia") == bool(case["seen"])


def test_stu3_and_dstu2_spellings_are_read():
    old = {
        "resourceType": "Condition",
        "id": "c",
        "patient": SUBJECT,
        "clinicalStatus": "active",
        "code": {"coding": coding("paraesthesia")},
    }
    order = {
        "resourceType": "MedicationOrder",
        "id": "m",
        "patient": SUBJECT,
        "status": "active",
        "dateWritten": "2020-01-01",
        "medicationCodeableConcept": {"coding": [coding("metformin")]},
    }
    found = read(old, order)
    assert found.has("paraesthesia")
    assert found.medications["metformin"][0].start == date(2020, 1, 1)


@pytest.mark.parametrize("where", ["contained", "bundle", "absolute", "r5", "ingredient"])
def test_a_drug_is_found_wherever_its_codes_stand(where):
    request = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
    }
    drug = {"resourceType": "Medication", "id": "d", "code": {"coding": [coding("metformin")]}}
    beside = [drug]
    match where:
        case "contained":
            request |= {"contained": [drug], "medicationReference": {"reference": "#d"}}
            beside = []
        case "bundle":
            request["medicationReference"] = {"reference": "Medication/d"}
        case "absolute":
            request["medicationReference"] = {"reference": "https://e.example/fhir/Medication/d"}
        case "r5":
            request["medication"] = {"concept": {"coding": [coding("metformin")]}}
        case "ingredient":
            request["medicationReference"] = {"reference": "Medication/d"}
            drug["ingredient"] = [{"itemCodeableConcept": drug.pop("code")}]
    assert read(request, *beside).has("metformin")


@cases("""
    status    | taken
    ----------+------
    active    | yes
    completed |
    stopped   |
    on-hold   |
    cancelled |
    draft     |
    unknown   |
    entered-in-error |
""")
def test_only_what_is_taken_counts_as_taken(case):
    request = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": case["status"],
        "intent": "order",
        "subject": SUBJECT,
        "medicationCodeableConcept": {"coding": [coding("metformin")]},
    }
    assert read(request).has("metformin") == bool(case["taken"])


def test_an_injection_given_stands_for_treatment():
    given = {
        "resourceType": "Procedure",
        "id": "p",
        "status": "completed",
        "subject": SUBJECT,
        "code": {"coding": [coding("b12_injection")]},
        "performedDateTime": "2026-10-01",
    }
    [injection] = read(given).medications["b12_product"]
    assert (injection.route, injection.start) == ("im", date(2026, 10, 1))
    undated = {**given, "performedDateTime": "later"}
    assert read(undated).dropped == {"undated": 1}


def test_family_history_and_allergy():
    family = {
        "resourceType": "FamilyMemberHistory",
        "id": "f",
        "status": "completed",
        "patient": SUBJECT,
        "condition": [{"code": {"coding": [coding("pernicious_anaemia")]}}],
    }
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "a",
        "patient": SUBJECT,
        "code": {"coding": [coding("hydroxocobalamin")]},
    }
    found = read(family, allergy)
    assert found.has("family_history_b12_deficiency")
    assert found.has("cobalamin_allergy")


@cases("""
    value                                       | seen
    --------------------------------------------+-----
    {}                                          | yes
    {"valueBoolean": true}                      | yes
    {"valueBoolean": false}                     |
    {"valueString": "Absent"}                   |
    {"valueString": "present"}                  | yes
    {"valueString": "a little"}                 |
    {"dataAbsentReason": {"text": "not asked"}} |
""")
def test_a_symptom_noted_as_observation(case):
    import json

    noted = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": SUBJECT,
        "code": {"coding": [coding("paraesthesia")]},
        "effectiveDateTime": "2026-11-01",
        **json.loads(case["value"]),
    }
    assert read(noted).has("paraesthesia") == bool(case["seen"])


def test_reading_changes_nothing():
    resource = b12()
    before = copy.deepcopy(resource)
    read(resource)
    assert resource == before


@cases("""
    text                      | first      | last
    --------------------------+------------+-----------
    1951                      | 1951-01-01 | 1951-12-31
    1951-02                   | 1951-02-01 | 1951-02-28
    1952-02                   | 1952-02-01 | 1952-02-29
    1951-12                   | 1951-12-01 | 1951-12-31
    1951-02-03                | 1951-02-03 | 1951-02-03
    2026-11-01T23:30:00-05:00 | 2026-11-01 | 2026-11-01
""")
def test_partial_dates_invent_no_day(case):
    first, last = parse_date_span(case["text"])
    assert (first.isoformat(), last.isoformat()) == (case["first"], case["last"])


@pytest.mark.parametrize(
    "text", ["", "51", "1951-13", "1951-02-30", "19510203", "1951W051", "yesterday", 1951, None]
)
def test_what_is_no_date_is_none(text):
    assert parse_date_span(text) is None


@pytest.mark.parametrize("text", [None, {}, {"reference": 5}, 7])
def test_what_is_no_reference_is_none(text):
    assert read_relative_reference(text) is None


def test_malformed_resources_of_every_kind_are_passed_over():
    kinds = ["Observation", "Condition", "MedicationRequest", "Procedure", "ServiceRequest"]
    for kind in [*kinds, "AllergyIntolerance", "FamilyMemberHistory", "Medication", "Nothing"]:
        for junk in ({}, {"code": 5}, {"code": {"coding": 5}}, {"code": {"coding": [5]}}):
            read({"resourceType": kind, "subject": SUBJECT, "patient": SUBJECT, **junk})
