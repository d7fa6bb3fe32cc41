"""SARC-F, calf circumference, SARC-CalF: a question not answered is never zero."""

import json

import pytest
from patients import MEASURE, known, muscle, patient
from tables import cases

from mappings.terminology.questionnaire import read_questionnaire
from services.assessment.labels import get_sentence
from services.chart.model import UnusableReason
from services.chart.reader import read_chart
from services.sarcopenia.screening import score_sarc_f


@cases("""
    definition   | sex    | measures                         | category        | why
    -------------+--------+----------------------------------+-----------------+-------------------------------
    ewgsop2-2019 | female | sarcf 3                          | find_negative   |
    ewgsop2-2019 | female | sarcf 4                          | find_positive   |
    ewgsop2-2019 | female | sarcf 11                         | not_assessed    | not possible
    ewgsop2-2019 | female | sarcf 3.5                        | not_assessed    | a score is whole
    ewgsop2-2019 | female | sarcf 5 none                     | not_assessed    | a number without a unit
    ewgsop2-2019 | female | answers 1 1 1 0 0                | find_negative   | 3
    ewgsop2-2019 | female | answers 1 1 1 1 0                | find_positive   | 4
    ewgsop2-2019 | female | answers 2 2 - - -                | find_positive   | 4 at least
    ewgsop2-2019 | female | answers 1 0 0 0 -                | find_negative   | 3 at most
    ewgsop2-2019 | female | answers 1 1 0 0 -                | not_assessed    | 2 to 4: open
    ewgsop2-2019 | female | answers - - - - -                | not_assessed    |
    ewgsop2-2019 | female | answers 1 1 1 1 0 @2024-11-19    | not_assessed    | too old
    ewgsop2-2019 | female | sarcf 2 @2026-10-01; answers 2 2 0 0 0 | find_positive | the newer
    ewgsop2-2019 | female | sarcf 5; answers 0 0 0 0 0 @2026-10-01 | find_positive | the newer
    ewgsop2-2019 | female | calf 30                          | not_assessed    | EWGSOP2 has no limit here
    awgs-2019    | female | calf 32.9                        | screen_positive |
    awgs-2019    | female | calf 33                          | screen_negative |
    awgs-2019    | male   | calf 33.9                        | screen_positive |
    awgs-2019    | male   | calf 34                          | screen_negative |
    awgs-2019    | other  | calf 33.5                        | not_assessed    | the limits part
    awgs-2019    | other  | calf 32                          | screen_positive | the limits agree
    awgs-2019    | female | sarccalf 10                      | screen_negative |
    awgs-2019    | female | sarccalf 11                      | screen_positive |
    awgs-2019    | female | sarcf 1; calf 34                 | screen_negative |
    awgs-2019    | female | answers 1 1 0 0 -; calf 34       | not_assessed    | SARC-F open
    sdoc-2020    | female | sarcf 5                          | not_assessed    | no screening there
""")
def test_screening(case):
    found = muscle(case["measures"], case["definition"], sex=case["sex"])
    assert found["category"] == case["category"]


@cases("""
    measures          | comparator | value
    ------------------+------------+------
    answers 2 2 - - - | >=         | 4
    answers 1 0 0 0 - | <=         | 3
    answers 1 1 0 0 - | >=         | 2
    answers 1 1 0 0 0 |            | 2
""")
def test_unanswered_questions_make_the_score_a_bound(case):
    [said] = muscle(case["measures"])["evidence"]
    assert said.get("comparator", "") == case["comparator"]
    assert said["value"] == float(case["value"])


def test_a_score_that_cannot_be_read_is_said():
    found = muscle("sarcf 5 none")
    unread = get_sentence(UnusableReason, UnusableReason.NO_UNIT)
    assert f"SARC-F: {unread}" in [e["says"] for e in found["evidence"]]
    assert {"clarify_unit", "complete_sarc_f"} <= {*found["nextSteps"]}


@cases("""
    sex    | measures         | points
    -------+------------------+-------
    female | sarcf 1; calf 32 | 11
    female | sarcf 0; calf 32 | 10
    female | sarcf 3; calf 34 | 3
""")
def test_a_small_calf_adds_ten_points(case):
    evidence = muscle(case["measures"], "awgs-2019", sex=case["sex"])["evidence"]
    [summed] = [e for e in evidence if e["says"].startswith("SARC-CalF")]
    assert summed["value"] == float(case["points"])


def test_exactly_at_the_calf_limit_the_conflict_is_flagged_and_no_score_made():
    found = muscle("sarcf 1; calf 33", "awgs-2019")
    assert "equality_conflict" in found["flags"]
    assert not any(e["says"].startswith("SARC-CalF") for e in found["evidence"])


def response(*items, **changes):
    whole = {
        "resourceType": "QuestionnaireResponse",
        "id": "q",
        "questionnaire": "https://cobalamin.example/fhir/Questionnaire/sarc-f",
        "status": "completed",
        "subject": {"reference": "Patient/1"},
        "authored": "2026-11-01T10:00:00Z",
        "item": [{"linkId": link_id, "answer": [answer]} for link_id, answer in items],
    }
    return {k: v for k, v in {**whole, **changes}.items() if v is not None}


SYSTEM = "https://cobalamin.example/fhir/CodeSystem/sarc-f-answer"
CODED = ("sarc-f-strength", {"valueCoding": {"system": SYSTEM, "code": "some"}})


def score(resource):
    from patients import TODAY

    found = read_chart([patient(), resource], "1", known().chart_knowledge, today=TODAY)
    read = score_sarc_f(found, known().muscle)
    return (read.lower.value, read.upper.value) if read else None


@pytest.mark.parametrize(
    ("resource", "bounds"),
    [
        (response(CODED), (1, 9)),
        (
            response(
                ("sarc-f-falls", {"valueCoding": {"system": SYSTEM, "code": "4-or-more-falls"}})
            ),
            (2, 10),
        ),
        (response(("sarc-f-rise", {"valueDecimal": 2.0})), (2, 10)),
        (response(("sarc-f-rise", {"valueInteger": 3})), None),  # no answer scores 3
        (response(("sarc-f-rise", {"valueString": "some"})), None),
        (
            response(
                ("sarc-f-rise", {"valueCoding": {"system": SYSTEM, "code": "4-or-more-falls"}})
            ),
            None,
        ),
        (response(("other", {"valueInteger": 2})), None),
        (response(CODED, status="in-progress"), None),
        (response(CODED, status="entered-in-error"), None),
        (response(CODED, authored=None), None),
        (response(CODED, authored="2099-01-01"), None),
        (response(CODED, subject={"reference": "Patient/2"}), None),
        (response(CODED, questionnaire="https://other.example/Questionnaire/sarc-f-x"), None),
        (response(CODED, questionnaire="https://ehr.example/fhir/Questionnaire/sarc-f|2"), (1, 9)),
        (response(CODED, questionnaire={"reference": "Questionnaire/sarc-f"}), (1, 9)),  # STU3
        (response(CODED, questionnaire=None), (1, 9)),
        (response(CODED, questionnaire=None, item=[{"linkId": ["sarc-f-rise"]}]), None),
        (
            response(
                CODED,
                item=[
                    {
                        "linkId": "group",
                        "item": [{"linkId": "sarc-f-walking", "answer": [{"valueInteger": 1}]}],
                    }
                ],
            ),
            (1, 9),
        ),
    ],
)
def test_answers_are_read_as_they_come(resource, bounds):
    assert score(resource) == bounds


def test_items_may_be_observations_with_whole_numbers():
    item = {
        "resourceType": "Observation",
        "id": "i",
        "status": "final",
        "code": {"coding": [{"system": MEASURE, "code": "sarc-f-climb"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-11-01",
        "valueInteger": 2,
    }
    assert score(item) == (2, 10)
    assert score({**item, "valueInteger": 3}) is None
    assert score({**item, "valueInteger": True}) is None


def test_the_questionnaire_scores_every_answer():
    questionnaire = read_questionnaire()
    resource = json.loads(questionnaire.body)
    assert [item["linkId"] for item in resource["item"]] == list(questionnaire.items)
    assert sum(questionnaire.max_scores.values()) == 10
    for item in resource["item"]:
        scores = [
            questionnaire.scores[
                item["linkId"], o["valueCoding"]["system"], o["valueCoding"]["code"]
            ]
            for o in item["answerOption"]
        ]
        assert scores == [0, 1, 2]
