"""The muscle part of a card: only with a trigger, one card for both axes, never more than is known."""

import itertools
import re

import pytest
from fhir.resources.R4B import get_fhir_model_class
from patients import cards as cards_of
from patients import chart, known, resources
from tables import cases

from cds_hooks.protocol.cards import as_json
from services.assessment.codes import SarcopeniaCategory, SarcopeniaFlag, SarcopeniaStep
from services.assessment.labels import LABELS
from services.assessment.schema import build_assessment_schema
from services.cards.composer import build_record
from services.evaluation.evaluate import evaluate
from services.hooks.topics import TOPICS
from services.sarcopenia.outcome import CONFIRMED


def made(text, guideline="uk-ng239", definition="ewgsop2-2019", **options):
    knowledge, patient = known(guideline, definition), chart(text, **options)
    cards, withheld = cards_of(patient, knowledge, "7", resources(text)[1])
    return [as_json(card) for card in cards], withheld


@cases("""
    patient                                     | indicator | topic                        | summary has
    --------------------------------------------+-----------+------------------------------+--------------------------------------
    grip 14                                     | warning   | muscleProbable               | Grip strength 14 kg (below 16 kg): probable sarcopenia
    chair 17                                    | warning   | muscleProbable               | Chair stand, five rises 17 s (above 15 s): probable
    unable chair                                | warning   | muscleProbable               | not possible: probable sarcopenia
    grip 14; asmi 5 by DXA                      | warning   | muscleConfirmed              | low muscle mass: sarcopenia confirmed
    grip 14; asmi 5 by DXA; gait 0.7            | warning   | muscleSevere                 | severe sarcopenia
    grip 14; rx systemic_corticosteroid         | warning   | muscleProbable               | Review the corticosteroid
    sarcf 5                                     | info      | muscleFindPositive           | SARC-F 5 points, positive: measure grip
    answers 2 2 - - -                           | info      | muscleFindPositive           | SARC-F at least 4 points, positive: measure grip
    +falls                                      | info      | muscleNotAssessed            | Falls on record
    +sarcopenia                                 | info      | muscleNotAssessed            | Sarcopenia on record
    weight 60; weight 66 @2026-07-01            | info      | muscleNotAssessed            | Weight loss on record
    grip 14 none                                | info      | muscleIndeterminate          | reported without a unit
    grip 14 @2023-01-01                         | info      | muscleNotAssessed            | too old
    asmi 5 by DXA                               | info      | muscleIndeterminate          | strength is not known: measure grip
    +muscle_weakness; ck 2400 range 170         | critical  | muscleNotAssessed            | think of rhabdomyolysis; act today
    +guillain_barre @2026-11-15; +muscle_weakness | critical | muscleNotAssessed           | Guillain-Barré syndrome on record; act today
    +motor_neuron_disease; grip 14              | warning   | muscleProbable               | Motor neuron disease on record; review without delay
    b12 112; grip 14                            | warning   | b12DeficientAndMuscle        | Also probable sarcopenia
    b12 112; +paraesthesia; grip 14             | warning   | b12DeficientAndMuscle        | treat without waiting. Also probable
    b12 212; sarcf 5                            | info      | b12IndeterminateAndMuscle    | Screening for sarcopenia positive
    b12 212; grip 14                            | warning   | b12IndeterminateAndMuscle    | Also probable sarcopenia
    b12 400; grip 14                            | warning   | muscleProbable               | Grip strength 14 kg
    b12 112; grip 17                            | warning   | b12Deficient                 | Vitamin B12 112
""")
def test_one_card_says_what_is_found(case):
    [card], _ = made(case["patient"])
    assert card["indicator"] == case["indicator"]
    assert card["source"]["topic"]["code"] == case["topic"]
    assert case["summary has"] in card["summary"]
    assert len(card["summary"]) <= 139


@cases("""
    definition   | patient                   | summary has                                          | steps
    -------------+---------------------------+------------------------------------------------------+--------------------------
    sdoc-2020    | grip 14                   | performance is not known: measure gait speed         | measure_gait_or_sppb
    fnih-2014    | grip 14                   | muscle mass is not known, and decides                | order_muscle_mass_dxa_bia
    sdoc-2020    | gait 0.5                  | strength is not known: measure grip                  | measure_grip measure_chair_stand
    awgs-2019    | asmi 5 by DXA; grip 20    | performance is not known: measure gait speed or SPPB | measure_gait_or_sppb
    ewgsop2-2019 | gait 0.5                  | Gait speed 0.5 m/s (at most 0.8 m/s); strength is not known | measure_grip measure_chair_stand
""")
def test_what_would_decide_is_asked_for_and_nothing_else(case):
    [card], _ = made(case["patient"], definition=case["definition"])
    assert case["summary has"] in card["summary"]
    evaluation = evaluate(chart(case["patient"]), known(definition=case["definition"]), TOPICS)
    assert list(evaluation.muscle.next_steps) == case["steps"].split()


@pytest.mark.parametrize(
    ("definition", "text"),
    [("awgs-2019", "grip 20"), ("ewgsop2-2019", "asmi 6 by DXA"), ("ewgsop2-2019", "gait 1.1")],
)
def test_normal_measures_that_leave_a_definition_open_ask_for_no_attention(definition, text):
    assert made(text, definition=definition) == ([], ())


@cases("""
    patient                       | born       | why there is no card
    ------------------------------+------------+---------------------------
    b12 400                       | 1930-01-01 | age alone is no trigger
    grip 17                       | 1950-02-01 | nothing is wrong
    grip 17; +falls               | 1950-02-01 | measured and normal
    sarcf 2                       | 1950-02-01 | below its limit
    height 160; weight 60; bmi 24 | 1950-02-01 | no measure of muscle
    grip 14                       | 1980-02-01 | too young for the definition
    +falls                        | 1980-02-01 |
    grip 14                       | 2012-02-01 | a child
    +guillain_barre @2010-01-01   | 1950-02-01 | known for long, nothing about muscle
    rx statin                     | 1950-02-01 | a drug alone is no trigger
""")
def test_silence_where_there_is_nothing_to_say(case):
    assert made(case["patient"], born=case["born"]) == ([], ())


@cases("""
    guideline   | patient                              | suggestions
    ------------+--------------------------------------+-------------------------------------------------------------
    uk-ng239    | grip 14                              | Refer to physiotherapy / Order creatine kinase, TSH, 25-OH vitamin D, C-reactive protein / Measure muscle mass (DXA or BIA)
    uk-ng239    | grip 14; ck 90; tsh 2; vitd 80       | Refer to physiotherapy / Order C-reactive protein / Measure muscle mass (DXA or BIA)
    uk-ng239    | grip 14; ck 90; tsh 2; vitd 80; crp 2; order order_physiotherapy | Measure muscle mass (DXA or BIA)
    uk-ng239    | +falls                               | Have SARC-F answered
    uk-ng239    | sarcf 5                              |
    uk-ng239    | grip 14; asmi 5 by DXA; ck 90; tsh 2; vitd 80; crp 2 | Refer to physiotherapy / Refer to dietitian
    us-aafp2025 | b12 400; grip 14; asmi 5 by DXA; ck 90; tsh 2; vitd 80; crp 2 | Refer to physical therapy / Refer to dietitian / Add sarcopenia (M62.84) to the problem list
    uk-ng239    | grip 14; +toxic_neuropathy; ck 90; tsh 2; vitd 80; crp 2; asmi 6 by DXA | Refer to physiotherapy / Request nerve conduction study
    uk-ng239    | grip_right 14; grip_left 9; ck 90; tsh 2; vitd 80; crp 2; asmi 6 by DXA | Refer to physiotherapy
    uk-ng239    | +muscle_weakness; ck 2400 range 170  | Order creatine kinase, creatinine and eGFR, potassium / Have SARC-F answered
    uk-ng239    | +muscle_weakness; ck 2400 range 170; order creatine_kinase; order potassium; sarcf 2 | Order creatinine and eGFR
    uk-ng239    | b12 112; +vegan_diet; hb 130; folate 9; grip 14 | Cyanocobalamin 50 to 150 micrograms a day / Or hydroxocobalamin IM twice a year / Refer to physiotherapy / Order creatine kinase, TSH, 25-OH vitamin D, C-reactive protein / Measure muscle mass (DXA or BIA)
    uk-ng239    | b12 112; +paraesthesia; hb 130; folate 9; sarcf 5 | Hydroxocobalamin IM, neurological regimen / Order intrinsic factor antibody / Order coeliac serology
""")
def test_suggestions_fit_and_repeat_nothing(case):
    [card], _ = made(case["patient"], case["guideline"])
    labels = [suggestion["label"] for suggestion in card.get("suggestions", [])]
    assert labels == [label for label in case["suggestions"].split(" / ") if label]
    assert sum(s.get("isRecommended", False) for s in card.get("suggestions", [])) == bool(labels)


def actions(cards):
    return [a["resource"] for c in cards for s in c.get("suggestions", []) for a in s["actions"]]


@pytest.mark.parametrize("guideline", ["uk-ng239", "us-aafp2025"])
@pytest.mark.parametrize(
    "text",
    [
        "grip 14",
        "+falls",
        "grip 14; asmi 5 by DXA",
        "b12 112; grip 14",
        "grip 14; +numbness; b12 300",
    ],
)
def test_every_order_is_valid_fhir_for_this_patient(guideline, text):
    cards, _ = made(text, guideline)
    found = actions(cards)
    assert found
    for resource in found:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        owner = resource["for" if resource["resourceType"] == "Task" else "subject"]
        assert owner == {"reference": "Patient/1"}
        assert resource["encounter"] == {"reference": "Encounter/7"}


@pytest.mark.parametrize(
    "beside", ["+muscle_weakness", "+muscle_atrophy", "+frailty", "+sarcopenia"]
)
def test_m62_84_is_never_offered_beside_a_code_it_excludes(beside):
    text = "grip 14; asmi 5 by DXA; ck 90; tsh 2; vitd 80; crp 2"
    assert "M62.84" in str(made(text, "us-aafp2025"))
    cards, _ = made(f"{text}; {beside}", "us-aafp2025")
    assert "M62.84" not in str(actions(cards))


@pytest.mark.parametrize("definition", ["ewgsop2-2019", "awgs-2019", "sdoc-2020", "fnih-2014"])
def test_m62_84_is_offered_for_confirmed_sarcopenia_only(definition):
    measures = (
        "grip 12",
        "asmi 5 by DXA",
        "asm 12 by DXA; bmi 30",
        "gait 0.5",
        "chair 20",
        "sarcf 7",
    )
    for size in range(1, len(measures) + 1):
        for chosen in itertools.combinations(measures, size):
            text = "; ".join((*chosen, "ck 90; tsh 2; vitd 80; crp 2"))
            patient = chart(text)
            category = evaluate(patient, known("us-aafp2025", definition), TOPICS).muscle.category
            cards, _ = made(text, "us-aafp2025", definition)
            assert ("M62.84" in str(actions(cards))) == (category in CONFIRMED), text


def test_what_is_not_recommended_is_not_suggested():
    for text in ("grip 14", "grip 14; asmi 5 by DXA; gait 0.5", "b12 112; grip 14; asmi 5 by DXA"):
        for guideline in ("uk-ng239", "us-aafp2025"):
            cards, _ = made(text, guideline)
            drugs = [r for r in actions(cards) if r["resourceType"] == "MedicationRequest"]
            assert "cholecalciferol" not in str(drugs).lower()
            assert "testosterone" not in str(drugs).lower()
            assert "77080" not in str(cards)
            assert "77081" not in str(cards)


CLAIMS = re.compile(
    r"B12 (deficiency )?causes|caused by (low )?B12|restores?|reverses?|cures?|\d ?% risk"
    r"|due to (low )?B12|because of (low )?B12|explains the",
    re.IGNORECASE,
)
COMBINED = [
    ("b12 112; +paraesthesia; grip 14; asmi 5 by DXA; +falls", "uk-ng239", "ewgsop2-2019"),
    (
        "b12 212; mma 0.61; egfr 90; chair 19; weight 60; weight 66 @2026-07-01",
        "uk-ng239",
        "ewgsop2-2019",
    ),
    (
        "b12 212; +fatigue; egfr 80; grip_right 15; grip_left 9; rx statin",
        "uk-ng239",
        "ewgsop2-2019",
    ),
    ("b12 150; +vegan_diet; answers 2 1 1 0 -", "us-aafp2025", "awgs-2019"),
    (
        "b12 300; +numbness; +diabetic_neuropathy; grip 12; unable chair; asm 12 by DXA",
        "us-aafp2025",
        "ewgsop2-2019",
    ),
    ("b12 112; grip 17; gait 0.9; asmi 5.5", "uk-ng239", "awgs-2019"),
    ("rx metformin; +fatigue; +falls", "uk-ng239", "ewgsop2-2019"),
    ("b12 212; grip 15; rx systemic_corticosteroid; tsh 8 range 4", "bsh2014", "ewgsop2-2019"),
    ("b12 120; hb 74; grip 12; gait 0.6; asm 13 by DXA; height 150", "us-aafp2017", "sdoc-2020"),
    ("b12 112; +muscle_weakness; ck 2400 range 170; grip 14", "uk-ng239", "ewgsop2-2019"),
]


@pytest.mark.parametrize(("text", "guideline", "definition"), COMBINED)
def test_no_sentence_says_more_than_the_evidence(text, guideline, definition):
    cards, _ = made(text, guideline, definition)
    for card in cards:
        assert not CLAIMS.search(card["summary"] + card["detail"])
        assert "<" not in card["detail"]
        both = "AndMuscle" in card["source"]["topic"]["code"]
        knowledge, patient = known(guideline, definition), chart(text)
        evaluation = evaluate(patient, knowledge, TOPICS)
        if both and evaluation.tier in ("T1", "T2") and evaluation.muscle.positive:
            assert "trials of B12" in card["detail"]
            assert "for its own reasons" in card["detail"]


def test_the_comparison_is_shown_where_both_axes_and_another_cause_speak():
    [card], _ = made("b12 212; grip 15; rx systemic_corticosteroid")
    assert "| Onset | Gradual" in card["detail"]
    [card], _ = made("b12 212; grip 15")
    assert "| Onset |" not in card["detail"]
    [card], _ = made("b12 400; grip 15; rx systemic_corticosteroid")
    assert "| Onset |" not in card["detail"]


def test_b12_comes_before_muscle_and_its_words_are_those_of_its_own_card():
    [alone], _ = made("b12 112; +paraesthesia")
    [both], _ = made("b12 112; +paraesthesia; grip 14")
    assert both["detail"].startswith(alone["detail"])
    assert both["summary"].startswith(alone["summary"])
    assert both["suggestions"][0]["label"] == alone["suggestions"][0]["label"]


def test_every_word_of_the_contract_has_a_sentence():
    muscle = build_assessment_schema()["properties"]["sarcopenia"]["properties"]
    assert {*muscle["category"]["enum"]} == {*LABELS[SarcopeniaCategory]}
    assert {*muscle["flags"]["items"]["enum"]} == {*LABELS[SarcopeniaFlag]}
    assert {*muscle["nextSteps"]["items"]["enum"]} == {*LABELS[SarcopeniaStep]}


def test_the_record_keeps_names_and_no_values():
    patient = chart("b12 112; grip 13.7; +paraesthesia")
    record = build_record(evaluate(patient, known(), TOPICS), known(), TOPICS, ())
    assert record["findings"]["sarcopenia"] == "probable"
    assert record["tier"] == "T1"
    assert "muscle:strength" in record["rules"]
    assert record["knowledge"]["sarcopenia"] == "ewgsop2-2019@1.0.0"
    assert "13.7" not in str(record)


def test_the_dead_get_no_card():
    from patients import TODAY, patient, resources

    from services.chart.reader import read_chart

    record, _ = resources("grip 14; b12 112")
    dead = {**patient(), "deceasedBoolean": True}
    found = read_chart([dead, *record], "1", known().chart_knowledge, today=TODAY)
    assert cards_of(found) == (
        (),
        ("b12:deceased", "muscle:deceased"),
    )


def test_measures_that_could_not_be_looked_up_are_said():
    from patients import TODAY, patient, resources

    from services.chart.reader import read_chart

    record, _ = resources("+falls")
    found = read_chart(
        [patient(), *record],
        "1",
        known().chart_knowledge,
        today=TODAY,
        unknown=["muscle_observations", "medications"],
        incomplete=["questionnaire_responses"],
    )
    [card], _ = cards_of(found)
    assert "Could not be checked: prescriptions, measures of muscle." in card.detail
    assert "Only a part was available: questionnaires." in card.detail
