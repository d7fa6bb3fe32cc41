"""The two axes together: tier, what else it may be, and the union of what to do."""

import pytest
from patients import TODAY, assessed, muscle
from tables import cases


@cases("""
    patient                                       | tier | why
    ----------------------------------------------+------+------------------------------------------
    b12 112; +paraesthesia                        | T1   | deficient and a neurological finding
    b12 112; +paraesthesia; grip 14               | T1   | whatever muscle is
    b12 212; mma 0.61; egfr 90; +numbness         | T1   | functional counts
    b12 112; grip 14                              | T2   |
    b12 212; grip 14                              | T2   | indeterminate is positive
    b12 212; +numbness; grip 14                   | T2   | indeterminate with signs is not T1
    +pregnancy; b12 150; grip 14                  | T2   | uninterpretable that asks for an action
    b12 112; grip 17                              | T3   |
    b12 112                                       | T3   | muscle unknown changes nothing
    b12 400; grip 14                              | T3   |
    grip 14                                       | T3   |
    +falls                                        | T4   | a trigger, and muscle not measured
    sarcf 5                                       | T4   | screened, strength not measured
    grip 14 none                                  | T4   |
    +fatigue; rx metformin                        | T4   | a B12 test is due
    b12 212 none                                  | T4   |
    b12 400; grip 17                              | T5   |
    b12 400                                       | T5   | age alone is no trigger
    sarcf 2; +falls                               | T5   | answered
    +falls; grip 17; b12 400                      | T5   |
    rx hydroxocobalamin since 2026-01-01          | T5   | treated
""")
def test_the_tier_is_an_order_of_attention(case):
    assert muscle(case["patient"])["tier"] == case["tier"]


@cases("""
    patient                                       | cause                | pointers
    ----------------------------------------------+----------------------+--------------
    rx systemic_corticosteroid; grip 14           | corticosteroid       | m0
    draft systemic_corticosteroid; grip 14        | corticosteroid       | m0
    +long_term_steroid_use; grip 14               | corticosteroid       | c0
    rx statin; grip 14                            | statin               | m0
    ck 300 range 170; grip 14                     | myopathy             | o0
    ck 1700 range 170; grip 14                    | myopathy             | o0
    ck 1701 range 170; grip 14                    | rhabdomyolysis       | o0
    tsh 8 range 4; grip 14                        | thyroid              | o0
    +thyroid_disease; grip 14                     | thyroid              | c0
    +weight_loss; grip 14                         | malnutrition         | c0
    weight 60; weight 64 @2026-07-01; grip 14     | malnutrition         | o0 o1
    +cachexia; grip 14                            | cachexia             | c0
    crp 40 range 5; grip 14                       | cachexia             | o0
    +immobility; grip 14                          | immobility           | c0
    +diabetic_neuropathy; grip 14                 | diabetes             | c0
    +toxic_neuropathy; grip 14                    | other-neuropathy     | c0
    +motor_neuron_disease; grip 14                | motor-neuron-disease | c0
    +guillain_barre; grip 14                      | guillain-barre       | c0
    +rhabdomyolysis; grip 14                      | rhabdomyolysis       | c0
    +myasthenia_gravis; grip 14                   | neuromuscular-junction | c0
    vitd 20 range 50; grip 14                     | vitamin-d            | o0
    k 3.1 range 3.5; grip 14                      | electrolytes         | o0
    b12 112; +paraesthesia; grip 14               | b12-deficiency       | o0 c1
""")
def test_what_the_record_points_to(case):
    kinds = {"m": "MedicationRequest/m", "c": "Condition/c", "o": "Observation/o"}
    wanted = [kinds[p[0]] + p[1:] for p in case["pointers"].split()]
    assert muscle(case["patient"])["differential"][case["cause"]] == wanted


@cases("""
    patient                                       | why nothing is pointed to
    ----------------------------------------------+--------------------------------------
    grip 14                                       | nothing on record
    was systemic_corticosteroid; grip 14          | no longer taken
    ck 5000; grip 14                              | no range of the laboratory
    ck 5000 @2025-11-19 range 170; grip 14        | over a year old
    tsh 3 range 4; grip 14                        |
    -weight_loss; grip 14                         | resolved
    weight 61; weight 64 @2026-07-01; grip 14     | 4.7 percent
    weight 60; weight 64 @2026-04-30; grip 14     | over more than 6 months
    b12 400; grip 14                              | B12 is not in question
""")
def test_what_is_not_there_points_to_nothing(case):
    assert muscle(case["patient"])["differential"] == {}


@cases("""
    patient                                    | steps                                                   | flag
    -------------------------------------------+---------------------------------------------------------+-------------------------
    b12 112; grip 14                           | b12_pathway_treat refer_physio_resistance_exercise      |
    b12 212; grip 14                           | b12_pathway_mma assess_secondary_causes                 |
    b12 212; +numbness; grip 14                | neuro_exam                                              |
    rx systemic_corticosteroid; grip 14        | review_steroid                                          |
    +weight_loss; grip 14                      | weight_loss_workup refer_dietitian_protein              |
    ck 2000 range 170; grip 14                 | urgent_ck_rhabdo                                        | alternative_cause_urgent
    ck 2000 range 170; +muscle_weakness        | urgent_ck_rhabdo                                        | alternative_cause_urgent
    +guillain_barre @2026-11-10; grip 14       | urgent_neuro_review                                     | alternative_cause_urgent
    +motor_neuron_disease; +muscle_weakness    | urgent_neuro_review                                     | alternative_cause_urgent
    +falls; grip 14                            | falls_assessment                                        |
    grip 14; asmi 5 by DXA                     | refer_dietitian_protein falls_assessment                |
    grip 14                                    | order_muscle_mass_dxa_bia measure_gait_or_sppb          |
    sarcf 5                                    | measure_grip measure_chair_stand                        |
    +falls                                     | complete_sarc_f measure_grip                            |
""")
def test_steps_of_both_axes_and_of_other_causes(case):
    found = muscle(case["patient"])
    assert {*case["steps"].split()} <= {*found["nextSteps"]}
    assert ("alternative_cause_urgent" in found["flags"]) == bool(case["flag"])


@pytest.mark.parametrize(
    "text",
    [
        "+guillain_barre @2020-01-01; grip 14",  # known for years
        "+motor_neuron_disease @2026-01-01; grip 14",
        "ck 2000 range 170",  # nothing about muscle is in question
        "ck 2000; grip 14",
    ],
)
def test_what_is_known_for_long_or_not_in_question_is_not_urgent(text):
    assert "alternative_cause_urgent" not in muscle(text)["flags"]


def test_treatment_of_nerves_never_waits_for_a_measure_of_muscle():
    waits = muscle("b12 112; +paraesthesia; grip 14")
    assert "order_muscle_mass_dxa_bia" not in waits["nextSteps"]
    assert waits["nextSteps"][0] == "b12_pathway_treat"
    assert "order_muscle_mass_dxa_bia" in muscle("b12 112; grip 14")["nextSteps"]


def test_age_alone_asks_for_nothing():
    found = muscle("b12 400", born="1930-01-01")
    assert (found["category"], found["nextSteps"], found["tier"]) == ("not_assessed", [], "T5")


@pytest.mark.parametrize(
    "measures",
    ["", "; grip 14; asmi 5 by DXA; gait 0.5; sarcf 9", "; ck 9000 range 170; +weight_loss"],
)
@pytest.mark.parametrize(
    "text",
    [
        "b12 112; +paraesthesia",
        "b12 212; +fatigue",
        "b12 400",
        "+pregnancy; b12 150",
        "mma 0.9; egfr 90",
    ],
)
def test_muscle_changes_nothing_about_b12(text, measures):
    assert assessed(text + measures) == assessed(text), TODAY
