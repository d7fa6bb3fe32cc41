"""A resource of today's record as it read on an earlier day."""

from datetime import date, datetime

import orjson
import pytest
from replay_stories import make_story
from tables import cases

from services.population.replay.as_of import ResourceContext, restore_resource
from services.population.replay.timestamps import AsOf


def then(text):
    """A day, at its end; or the moment just before a call."""
    if "T" in text:
        return AsOf.from_call(datetime.fromisoformat(text))
    return AsOf.from_day(date.fromisoformat(text))


def read(record, when, beside=None):
    """The one resource of `record`, as it read then, and what was undecidable."""
    _patient, resource = make_story(record)
    undecided = []
    return (
        resource,
        restore_resource(resource, then(when), beside or ResourceContext(), undecided),
        undecided,
    )


@cases("""
    record                                                                             | on                        | known
    -----------------------------------------------------------------------------------+---------------------------+------
    b12 210 @2026-06-10                                                                | 2026-06-09                | no
    b12 210 @2026-06-10                                                                | 2026-06-10                | yes
    b12 210 @2026-06-10                                                                | 2026-06-10T23:00:00Z      | no
    b12 210 @2026-06-10                                                                | 2026-06-11T00:00:00Z      | yes
    b12 210 @2026-06-10T08:00:00Z                                                      | 2026-06-10T09:00:00Z      | yes
    b12 210 @2026-06-10T09:00:00Z                                                      | 2026-06-10T09:00:00Z      | no
    b12 210 @2026-06-10T09:00:00+02:00                                                 | 2026-06-10T08:00:00Z      | yes
    b12 210 @2026-06-10T23:30:00-05:00                                                 | 2026-06-10                | yes
    b12 210 @2026-06-10T23:30:00-05:00                                                 | 2026-06-11T04:00:00Z      | no
    b12 210 @2026-06-10T23:30:00-05:00                                                 | 2026-06-11T05:00:00Z      | yes
    b12 210 @2026-06-10T08:00:00                                                       | 2026-06-10T09:00:00Z      | yes
    b12 210 @2026-06-10T25:00:00Z                                                      | 2026-06-10T23:00:00Z      | no
    b12 210 @2026-06                                                                   | 2026-06-29                | no
    b12 210 @2026-06                                                                   | 2026-06-30                | yes
    b12 210 @2026-06                                                                   | 2026-06-30T12:00:00Z      | no
    b12 210 @2025                                                                      | 2026-06-30T12:00:00Z      | yes
    b12 210 @2026                                                                      | 2026-06-30                | no
    b12 210 @2026-06-10 like {"issued": "2026-06-12T10:00:00Z"}                        | 2026-06-11                | no
    b12 210 @2026-06-10 like {"issued": "2026-06-12T10:00:00Z"}                        | 2026-06-12                | yes
    b12 210 @2026-06-10 like {"issued": "soon"}                                        | 2026-06-10                | yes
    +fatigue @2020-01-01 like {"recordedDate": "2026-05-02"}                           | 2026-05-01                | no
    +fatigue @2020-01-01 like {"recordedDate": "2026-05-02"}                           | 2026-05-02                | yes
    +fatigue like {"assertedDate": "2026-05-02"}                                       | 2026-05-01                | no
    +fatigue like {"dateRecorded": "2026-05-02"}                                       | 2026-05-01                | no
    +fatigue @2020-01-01                                                               | 2019-12-31                | no
    +fatigue @2020-01-01                                                               | 2020-01-01                | yes
    +fatigue like {"onsetPeriod": {"start": "2026-05-02"}}                             | 2026-05-01                | no
    rx metformin since 2026-03-05                                                      | 2026-03-04                | no
    rx metformin since 2026-03-05                                                      | 2026-03-05                | yes
    rx metformin like {"dateWritten": "2026-03-05", "resourceType": "MedicationOrder"} | 2026-03-04                | no
    rx metformin like {"dateAsserted": "2026-03-05", "resourceType": "MedicationStatement", "effectivePeriod": {"start": "2020"}} | 2026-03-04 | no
    rx metformin like {"resourceType": "MedicationStatement", "effectivePeriod": {"start": "2020"}} | 2026-03-04   | yes
    rx metformin like {"resourceType": "MedicationUsage", "effectiveDateTime": "2026-03-05"}        | 2026-03-04   | no
    rx metformin like {"resourceType": "MedicationDispense", "whenHandedOver": "2026-03-05"}        | 2026-03-04   | no
    rx metformin like {"resourceType": "MedicationAdministration", "occurenceDateTime": "2026-03-05"} | 2026-03-04 | no
    pending total_b12 @2026-03-05                                                      | 2026-03-04                | no
    pending total_b12 @2026-03-05                                                      | 2026-03-05                | yes
    pending total_b12 like {"authoredOn": null, "orderedOn": "2026-03-05", "resourceType": "DiagnosticOrder"} | 2026-03-04 | no
    pending total_b12 @2026-03-05 like {"resourceType": "Task"}                        | 2026-03-04                | no
    answers 1 1 1 1 1 @2026-03-05                                                      | 2026-03-04                | no
    answers 1 1 1 1 1 @2026-03-05                                                      | 2026-03-05                | yes
    +fatigue like {"resourceType": "Procedure", "performedDateTime": "2026-03-05"}     | 2026-03-04                | no
    +fatigue like {"resourceType": "Procedure", "performedPeriod": {"start": "2026-03-05", "end": "2026-03-07"}} | 2026-03-06 | no
    +fatigue like {"resourceType": "Procedure", "occurrenceDateTime": "1990", "recorded": "2026-03-05"} | 2026-03-04 | no
    +fatigue like {"resourceType": "AllergyIntolerance", "recordedDate": "2026-03-05"} | 2026-03-04                | no
    +fatigue like {"resourceType": "FamilyMemberHistory", "date": "2026-03-05"}        | 2026-03-04                | no
    +fatigue like {"resourceType": "Medication"}                                       | 1990-01-01                | yes
    +fatigue like {"resourceType": ["odd"]}                                            | 1990-01-01                | yes
""")
def test_since_when_it_was_known(case):
    """What bears a day and no hour is known when the day is over: at a call of that day, not yet."""
    written, found, undecided = read(case["record"], case["on"])
    assert found is (written if case["known"] == "yes" else None)
    assert undecided == []


RESOLVED = '"clinicalStatus": {"coding": [{"code": "resolved"}]}'


@cases("""
    record                                                                                        | on                   | status
    ----------------------------------------------------------------------------------------------+----------------------+----------
    -fatigue @2025-01-01 like {"abatementDateTime": "2026-06-10"}                                 | 2026-06-09           | active
    -fatigue @2025-01-01 like {"abatementDateTime": "2026-06-10"}                                 | 2026-06-10           | resolved
    -fatigue @2025-01-01 like {"abatementDateTime": "2026-06-10"}                                 | 2026-06-10T09:00:00Z | active
    -fatigue @2025-01-01 like {"abatementPeriod": {"start": "2026-05-01", "end": "2026-06-10"}}   | 2026-06-09           | active
    -fatigue @2025-01-01 like {"abatementDateTime": "2026-06-10", "clinicalStatus": "resolved"}   | 2026-06-09           | active
    was metformin since 2026-01-01 until 2026-06-10                                               | 2026-06-10           | active
    was metformin since 2026-01-01 until 2026-06-10                                               | 2026-06-11           | completed
    was metformin since 2026-01-01 until 2026-06-10 like {"status": "stopped"}                    | 2026-06-09           | active
    rx metformin since 2026-01-01 until 2026-06-10                                                | 2026-06-30           | active
    was metformin since 2026-01-01 like {"dispenseRequest": {"validityPeriod": {"end": "2026-06-10"}}} | 2026-06-09      | active
    was metformin since 2026-01-01 like {"dispenseRequest": {"validityPeriod": {"end": "2026-06-10"}}} | 2026-06-11      | completed
    was metformin since 2026-01-01 like {"dispenseRequest": {"expectedSupplyDuration": {"value": 30, "code": "d"}}} | 2026-01-31 | active
    was metformin since 2026-01-01 like {"dispenseRequest": {"expectedSupplyDuration": {"value": 30, "code": "d"}}} | 2026-02-01 | completed
    was metformin since 2026-01-01 like {"dispenseRequest": {"numberOfRepeatsAllowed": 1, "expectedSupplyDuration": {"value": 30, "unit": "d"}}} | 2026-03-02 | active
    was metformin like {"resourceType": "MedicationStatement", "effectivePeriod": {"start": "2026-01-01", "end": "2026-06-10"}} | 2026-06-10 | active
    was metformin like {"resourceType": "MedicationStatement", "effectivePeriod": {"start": "2026-01-01", "end": "2026-06-10"}} | 2026-06-11 | completed
    pending total_b12 @2026-06-01 like {"resourceType": "Task", "status": "completed", "executionPeriod": {"end": "2026-06-10"}} | 2026-06-09 | in-progress
    pending total_b12 @2026-06-01 like {"resourceType": "Task", "status": "completed", "executionPeriod": {"end": "2026-06-10"}} | 2026-06-10 | completed
    pending total_b12 @2026-06-01 like {"status": "revoked"}                                      | 2026-06-02           | revoked
""")
def test_what_ended_since_had_not_ended_then(case):
    written, found, undecided = read(case["record"], case["on"])
    status = found.get("clinicalStatus", found.get("status", None))
    code = status["coding"][0]["code"] if isinstance(status, dict) else status
    assert code == case["status"]
    assert undecided == []
    if found is not written:
        assert not any(name.startswith("abatement") for name in found)


@cases("""
    record                                                           | reads              | why
    -----------------------------------------------------------------+--------------------+------------
    +fatigue                                                         | as it is           | undated
    +fatigue @someday                                                | as it is           | undated
    b12 210 @?                                                       | as it is           | undated
    rx metformin                                                     | as it is           | undated
    -fatigue @2025-01-01                                             | as it is           | end-unknown
    -fatigue @2025-01-01 like {"abatementString": "last summer"}     | as it is           | end-unknown
    was metformin since 2025-01-01                                   | as it is           | end-unknown
    pending total_b12 @2026-06-01 like {"status": "completed"}       | otherwise          | end-unknown
    +fatigue like {"meta": {"lastUpdated": "2026-06-01T00:00:00Z"}}  | as it is           |
    +fatigue like {"meta": {"lastUpdated": "2026-07-01T00:00:00Z"}}  | as it is           | undated
    -fatigue @2025-01-01 like {"meta": {"lastUpdated": "2026-06-01T00:00:00Z"}}     | as it is |
    pending total_b12 @2026-06-01 like {"status": "completed", "meta": {"lastUpdated": "2026-06-05T00:00:00Z"}} | as it is |
""")
def test_what_nobody_can_say_is_kept_and_counted(case):
    written, found, undecided = read(case["record"], "2026-06-20")
    assert (found is written) == (case["reads"] == "as it is")
    assert undecided == ([case["why"]] if case["why"] else [])


def test_what_has_no_date_is_as_old_as_the_visit_it_came_of():
    beside = ResourceContext(visits={"Encounter/e1": "2026-06-10T12:00:00Z"})
    record = "+fatigue in e1"
    written, found, undecided = read(record, "2026-06-10T12:30:00Z", beside)
    assert found is written
    assert undecided == []
    assert read(record, "2026-06-10T11:30:00Z", beside)[1] is None


def test_a_test_was_on_its_way_until_its_result_was_there():
    beside = ResourceContext(results={"ServiceRequest/s0n0": "2026-06-12"})
    record = 'pending total_b12 @2026-06-01 like {"status": "completed"}'
    assert read(record, "2026-06-11", beside)[1]["status"] == "active"
    written, found, undecided = read(record, "2026-06-12", beside)
    assert found is written
    assert undecided == []


@cases("""
    person                                                                  | on         | dead | why
    ------------------------------------------------------------------------+------------+------+------------
    {}                                                                      | 2026-06-10 | no   |
    {"deceasedDateTime": "2026-06-11T03:00:00Z"}                            | 2026-06-10 | no   |
    {"deceasedDateTime": "2026-06-10"}                                      | 2026-06-10 | yes  |
    {"deceasedDateTime": "2026"}                                            | 2026-06-10 | no   |
    {"deceasedDateTime": "2026-06-11", "deceasedBoolean": true}             | 2026-06-10 | no   |
    {"deceasedBoolean": true}                                               | 2026-06-10 | yes  | death-undated
    {"deceasedBoolean": false}                                              | 2026-06-10 | no   |
""")
def test_who_died_since_was_alive(case):
    [patient] = make_story("", **orjson.loads(case["person"]))
    undecided = []
    found = restore_resource(patient, then(case["on"]), undecided=undecided)
    dead = found.get("deceasedBoolean") is True or "deceasedDateTime" in found
    assert dead == (case["dead"] == "yes")
    assert undecided == ([case["why"]] if case["why"] else [])


@pytest.mark.parametrize(
    "odd", [None, 7, True, [], {}, "", "x", "20260610", "2026-6-1", "9999-99-99"]
)
def test_no_shape_is_too_odd_to_be_asked_about(odd):
    kinds = (
        "Observation",
        "Condition",
        "MedicationRequest",
        "ServiceRequest",
        "Procedure",
        "Patient",
    )
    names = ("issued", "recordedDate", "authoredOn", "performedPeriod", "deceasedDateTime", "meta")
    more = ("status", "clinicalStatus", "abatementDateTime", "dispenseRequest", "dosageInstruction")
    for kind in kinds:
        for name in (*names, *more, "encounter", "effectivePeriod", "abatementPeriod"):
            resource = {"resourceType": kind, "id": "1", name: odd}
            assert restore_resource(resource, then("2026-06-10")) is not None
            ended = {**resource, "status": "completed", "clinicalStatus": "resolved"} | {name: odd}
            assert restore_resource(ended, then("2026-06-10T00:00:00Z")) is not None
