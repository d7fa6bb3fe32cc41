"""Strength, mass and performance: just below, at and just above each printed limit; each unknown."""

import pytest
from patients import MEASURE, TODAY, known, muscle, patient
from tables import cases

from services.assessment.labels import find_reason
from services.chart.reader import read_chart
from services.evaluation.evaluate import evaluate
from services.hooks.topics import TOPICS


def wanted(case, found):
    """What a row says of strength, mass, performance and category, where it says something."""
    for name in ("strength", "mass", "performance", "category"):
        if case.get(name):
            assert found[name] == case[name], (name, found)
    for name, key in (("flag", "flags"), ("step", "nextSteps")):
        for word in case.get(name, "").split():
            assert word in found[key]


@cases("""
    definition   | sex    | measure            | strength
    -------------+--------+--------------------+---------
    ewgsop2-2019 | male   | grip 26.9          | low
    ewgsop2-2019 | male   | grip 26.999        | low
    ewgsop2-2019 | male   | grip 27            | normal
    ewgsop2-2019 | female | grip 15.9          | low
    ewgsop2-2019 | female | grip 16            | normal
    ewgsop2-2019 | female | chair 15           | normal
    ewgsop2-2019 | female | chair 15.1         | low
    awgs-2019    | male   | grip 27.9          | low
    awgs-2019    | male   | grip 28            | normal
    awgs-2019    | female | grip 17.9          | low
    awgs-2019    | female | grip 18            | normal
    awgs-2019    | female | chair 20           | unknown
    sdoc-2020    | male   | grip 35.4          | low
    sdoc-2020    | male   | grip 35.5          | normal
    sdoc-2020    | female | grip 19.9          | low
    sdoc-2020    | female | grip 20            | normal
    fnih-2014    | male   | grip 25.9          | low
    fnih-2014    | male   | grip 26            | normal
    fnih-2014    | female | grip 15.9          | low
    fnih-2014    | female | grip 16            | normal
    fnih-2014    | female | chair 20           | unknown
""")
def test_strength_at_each_limit(case):
    wanted(case, muscle(case["measure"], case["definition"], sex=case["sex"]))


@cases("""
    definition   | sex    | measure               | mass
    -------------+--------+-----------------------+--------
    ewgsop2-2019 | male   | asmi 6.99 by DXA      | low
    ewgsop2-2019 | male   | asmi 7 by DXA         | normal
    ewgsop2-2019 | female | asmi 5.49 by BIA      | low
    ewgsop2-2019 | female | asmi 5.5 by BIA       | normal
    ewgsop2-2019 | male   | asm 19.9 by DXA       | low
    ewgsop2-2019 | male   | asm 20 by DXA         | normal
    ewgsop2-2019 | female | asm 14.9 by DXA       | low
    ewgsop2-2019 | female | asm 15 by DXA         | normal
    awgs-2019    | male   | asmi 6.99 by DXA      | low
    awgs-2019    | male   | asmi 7 by BIA         | normal
    awgs-2019    | female | asmi 5.39 by DXA      | low
    awgs-2019    | female | asmi 5.4 by DXA       | normal
    awgs-2019    | female | asmi 5.69 by BIA      | low
    awgs-2019    | female | asmi 5.7 by BIA       | normal
    awgs-2019    | female | asm 12 by DXA         | unknown
    sdoc-2020    | female | asmi 4 by DXA         | unknown
    fnih-2014    | male   | asm 19.7 by DXA; bmi 25 | low
    fnih-2014    | male   | asm 19.725 by DXA; bmi 25 | normal
    fnih-2014    | female | asm 12.7 by DXA; bmi 25 | low
    fnih-2014    | female | asm 12.8 by DXA; bmi 25 | normal
    fnih-2014    | male   | asm 19.74 by DXA      | low
    fnih-2014    | male   | asm 19.75 by DXA      | normal
    fnih-2014    | female | asm 15.01 by DXA      | low
    fnih-2014    | female | asm 15.02 by DXA      | normal
    fnih-2014    | female | asm 12.7 by DXA; weight 64; height 160 | low
""")
def test_mass_at_each_limit(case):
    wanted(case, muscle(case["measure"], case["definition"], sex=case["sex"]))


@cases("""
    definition   | measure         | performance
    -------------+-----------------+------------
    ewgsop2-2019 | gait 0.8        | low
    ewgsop2-2019 | gait 0.81       | normal
    ewgsop2-2019 | sppb 8          | low
    ewgsop2-2019 | sppb 9          | normal
    ewgsop2-2019 | tug 19.9        | normal
    ewgsop2-2019 | tug 20          | low
    ewgsop2-2019 | walk400 359     | normal
    ewgsop2-2019 | walk400 360     | low
    ewgsop2-2019 | walk400 6 min   | low
    awgs-2019    | gait 0.99       | low
    awgs-2019    | gait 1          | normal
    awgs-2019    | chair 11.9      | normal
    awgs-2019    | chair 12        | low
    awgs-2019    | sppb 9          | low
    awgs-2019    | sppb 10         | normal
    awgs-2019    | tug 30          | unknown
    awgs-2019    | walk400 900     | unknown
    sdoc-2020    | gait 0.79       | low
    sdoc-2020    | gait 0.8        | normal
    fnih-2014    | gait 0.79       | low
    fnih-2014    | gait 0.8        | normal
    ewgsop2-2019 | walk 5 over 4 m | low
    ewgsop2-2019 | walk 4.9 over 4 m | normal
    ewgsop2-2019 | walk 8 over 6 m | low
    ewgsop2-2019 | walk 5          | unknown
    ewgsop2-2019 | gait 2.88 km/h  | low
    ewgsop2-2019 | gait 79 cm/s    | low
    ewgsop2-2019 | sppb 7.5        | unknown
""")
def test_performance_at_each_limit(case):
    wanted(case, muscle(case["measure"], case["definition"]))


@cases("""
    measures                                | strength | step         | why
    ----------------------------------------+----------+--------------+------------------------------------
    grip 15.9 kg                            | low      |              | kilograms as dynamometers show them
    grip 15.9 kgf                           | low      |              | kilogram-force is the same
    grip 16 kgf                             | normal   |              |
    grip 156 N                              | low      |              | 15.9 kgf
    grip 157 N                              | normal   |              | 16.01 kgf
    grip 35.2 [lbf_av]                      | low      |              | LOINC's example unit: 15.97 kgf
    grip 35.3 [lbf_av]                      | normal   |              | 16.01 kgf
    grip 35.2 lb                            | low      |              | pounds, as American dynamometers show them
    grip 14 none                            | unknown  | clarify_unit | never guessed
    grip 14 stone                           | unknown  | clarify_unit |
    grip 300 kg                             | unknown  |              | not possible
    grip_right 14; grip_left 17             | normal   |              | the best hand counts
    grip_right 14; grip_left 15             | low      |              | never their sum
    grip_right 14; grip_right 17            | normal   |              | the best trial counts
    grip_right 14; grip_left 30 none        | unknown  | clarify_unit | the other hand cannot be read
    grip_right 17; grip_left 14 none        | normal   | clarify_unit | one normal trial is enough
    grip_right 17 @2026-10-01; grip_left 14 | low      |              | the newest day counts
    grip_sum 29                             | unknown  |              | a sum is refused
    grip_sum 29; grip_right 14              | low      |              |
    grip_score 95                           | unknown  |              | a score is no kilogram
    grip <16                                | low      |              | every value below is low
    grip <15                                | low      |              |
    grip <20                                | unknown  |              | may lie on either side
    grip >16                                | normal   |              |
    grip >15                                | unknown  |              |
    grip 17; chair 16                       | low      |              | either test suffices for low
    grip 15; chair 12                       | low      |              |
    grip 14 none; chair 12                  | normal   | clarify_unit | the other test decides
""")
def test_grip_is_read_by_its_unit_and_its_best_trial(case):
    wanted(case, muscle(case["measures"]))


@cases("""
    definition   | measures                              | strength | performance | why
    -------------+---------------------------------------+----------+-------------+--------------------
    ewgsop2-2019 | unable walk400                        | unknown  | low         | not completed counts
    ewgsop2-2019 | unable chair                          | low      | unknown     |
    ewgsop2-2019 | unable walk                           | unknown  | low         |
    ewgsop2-2019 | unable tug                            | unknown  | low         |
    ewgsop2-2019 | unable grip                           | unknown  | unknown     | pain is no weakness
    awgs-2019    | unable chair                          | unknown  | low         | performance there
    ewgsop2-2019 | unable chair @2026-10-01; chair 12    | normal   | unknown     | done since
    ewgsop2-2019 | chair 12 @2026-10-01; unable chair    | low      | unknown     | the newest counts
""")
def test_unable_counts_as_the_definition_says(case):
    wanted(case, muscle(case["measures"], case["definition"]))


@cases("""
    measures                               | mass    | flag                           | step          | why
    ---------------------------------------+---------+--------------------------------+---------------+-----
    asm 12.6 by DXA; height 158            | low     |                                |               | 5.05
    asm 14.5 by DXA; height 158            | normal  | mass_index_absolute_discordant |               | the index goes first: 5.81
    asm 15.5 by DXA; height 172            | low     | mass_index_absolute_discordant |               | 5.24
    asm 12.6 by DXA                        | low     |                                | record_height | absolute limit
    asmi 5.2                               | low     | method_missing                 |               | EWGSOP2 asks for none
    lean 40                                | unknown |                                |               | total lean mass is not ASM
    asm 12.6 by DXA; height 1.58 m         | low     |                                |               |
    asm 27.8 lb by DXA; height 158         | low     |                                |               |
""")
def test_mass_prefers_the_index(case):
    wanted(case, muscle(case["measures"]))


@cases("""
    sex    | measures       | mass    | flag                           | why
    -------+----------------+---------+--------------------------------+----------------
    male   | asmi 6.9       | low     | method_missing                 | both methods agree
    male   | asmi 7.1       | normal  | method_missing                 |
    female | asmi 5.3       | low     | method_missing                 |
    female | asmi 5.5       | unknown | method_missing method_required | 5.4 or 5.7
    female | asmi 5.8       | normal  | method_missing                 |
    female | asmi 5.5 by bioimpedance (InBody) | low |                 |
    female | asmi 5.5 by dual-energy x-ray absorptiometry | normal | |
    female | asmi 5.5 by DXA and BIA | unknown | method_required       | both named is none
""")
def test_awgs_needs_the_method_where_its_limits_part(case):
    wanted(case, muscle(case["measures"], "awgs-2019", sex=case["sex"]))


@cases("""
    definition   | measures          | strength | mass    | performance | category      | flag        | step
    -------------+-------------------+----------+---------+-------------+---------------+-------------+--------------------
    ewgsop2-2019 | grip 15           | low      |         |             | probable      | sex_missing |
    ewgsop2-2019 | grip 16           | unknown  |         |             | indeterminate | sex_missing | record_sex_parameter
    ewgsop2-2019 | grip 26.9         | unknown  |         |             | indeterminate | sex_missing | record_sex_parameter
    ewgsop2-2019 | grip 27           | normal   |         |             | no_sarcopenia | sex_missing |
    ewgsop2-2019 | chair 16          | low      |         |             | probable      |             |
    ewgsop2-2019 | gait 0.7          |          |         | low         |               |             |
    ewgsop2-2019 | asmi 5.4 by DXA   |          | low     |             |               | sex_missing |
    ewgsop2-2019 | asmi 6 by DXA     |          | unknown |             |               | sex_missing | record_sex_parameter
    awgs-2019    | asmi 5.5          |          | unknown |             |               | sex_missing | record_sex_parameter
    sdoc-2020    | grip 19; gait 0.7 | low      |         | low         | sarcopenia    | sex_missing |
""")
def test_without_a_sex_only_what_needs_none_is_decided(case):
    wanted(case, muscle(case["measures"], case["definition"], sex="unknown"))


@cases("""
    measures                        | strength | category     | flag  | step
    --------------------------------+----------+--------------+-------+-------------
    grip 14 @2024-11-20             | low      | probable     |       |
    grip 14 @2024-11-19             | unknown  | not_assessed | stale | measure_grip
    grip 14 @2024-11-19; chair 12   | normal   |              | stale |
    grip 14 @2024-11-19; grip 17    | normal   |              |       |
""")
def test_a_measure_over_two_years_old_asks_for_a_new_one(case):
    found = muscle(case["measures"])
    wanted(case, found)
    assert ("stale" in found["flags"]) == (case["flag"] == "stale")


@cases("""
    measures                            | asymmetric
    ------------------------------------+-----------
    grip_right 20; grip_left 16         |
    grip_right 20; grip_left 15.9       | yes
    grip_right 20; grip_left 15.9 @2026-10-01 |
    grip 20; grip 10                    |
    grip_right 20; grip_right 10        |
""")
def test_hands_that_differ_are_flagged(case):
    found = muscle(case["measures"])
    assert ("grip_asymmetry_red_flag" in found["flags"]) == bool(case["asymmetric"])
    assert ("neuro_exam" in found["nextSteps"]) == bool(case["asymmetric"])
    if case["asymmetric"]:
        assert found["differential"]["other-neuropathy"] == ["Observation/o0", "Observation/o1"]


@cases("""
    definition   | born       | category         | strength | why
    -------------+------------+------------------+----------+---------------------------
    ewgsop2-2019 | 1961-11-20 | probable         | low      | 65 today
    ewgsop2-2019 | 1961-11-21 | out_of_scope_age | low      | 65 tomorrow
    awgs-2019    | 1966-11-20 | possible         | low      | 60 today
    awgs-2019    | 1966-11-21 | out_of_scope_age | low      |
    ewgsop2-2019 | 2008-11-20 | out_of_scope_age | low      | 18 today
    ewgsop2-2019 | 2008-11-21 | out_of_scope_age | unknown  | adults' limits say nothing of a child
    ewgsop2-2019 | 1961       | indeterminate    | low      | 64 or 65
    ewgsop2-2019 | 1960       | probable         | low      | 65 whatever the day
    ewgsop2-2019 | 1962       | out_of_scope_age | low      | 64 whatever the day
    ewgsop2-2019 | 1961-11    | indeterminate    | low      |
    ewgsop2-2019 | 1961-10    | probable         | low      |
    ewgsop2-2019 |            | indeterminate    | low      | unknown is not old
""")
def test_age_gates(case):
    found = muscle("grip 14", case["definition"], born=case["born"] or None)
    wanted(case, found)
    assert ("record_birth_date" in found["nextSteps"]) == (found["category"] == "indeterminate")
    adult = found["category"] == "out_of_scope_age" and found["strength"] == "low"
    assert ("low_grip_below_reference" in found["flags"]) == adult


def test_mass_of_two_days_may_have_changed_and_is_not_called_discordant():
    found = muscle("asm 14 by DXA @2026-05-01; asmi 5.6 by DXA @2026-10-01")
    assert found["mass"] == "normal"
    assert "mass_index_absolute_discordant" not in found["flags"]


@pytest.mark.parametrize("measures", ["grip 17", "grip 14", "gait 0.5", "sarcf 5"])
def test_without_an_age_only_the_age_is_asked_for(measures):
    found = muscle(measures, born=None)
    assert (found["category"], found["nextSteps"]) == ("indeterminate", ["record_birth_date"])


@cases("""
    measures                       | evidence
    -------------------------------+---------------------------------------
    +falls                         | Repeated falls
    fallen 2                       | Falls in the past 12 months
    weight 60; weight 64 @2026-07-01 | Weight, falling
""")
def test_a_trigger_is_evidence(case):
    found = muscle(case["measures"])
    assert case["evidence"] in [e["says"] for e in found["evidence"] if e["rule"] == "trigger"]
    assert found["tier"] == "T4"


def test_muscle_mass_without_a_readable_limit_is_a_measure_too():
    found = muscle("asm 16 by DXA; height 160", "awgs-2019", sex="other")
    assert (found["category"], found["tier"]) == ("indeterminate", "T4")


@cases("""
    measures                                  | flag
    ------------------------------------------+-------------------------
    grip 14; asmi 6 by DXA                    | mass_normal_strength_low
    grip 17; asmi 5 by DXA                    | low_mass_only
""")
def test_mass_and_strength_that_part_are_flagged(case):
    wanted(case, muscle(case["measures"]))


def test_what_is_odd_is_flagged_whatever_the_age():
    found = muscle("grip_right 30; grip_left 14; asmi 6", born="1980-01-01")
    assert found["category"] == "out_of_scope_age"
    assert {"grip_asymmetry_red_flag", "method_missing"} <= {*found["flags"]}


def test_awgs_says_that_performance_was_not_measured():
    assert "awgs_performance_not_assessed" in muscle("grip 19", "awgs-2019")["flags"]
    assert "awgs_performance_not_assessed" not in muscle("grip 19; gait 1.1", "awgs-2019")["flags"]


def test_fnih_says_intermediate_grip():
    said = [e["says"] for e in muscle("grip 27", "fnih-2014", sex="male")["evidence"]]
    assert said == ["Grip strength intermediate"]
    said = [e["says"] for e in muscle("grip 32", "fnih-2014", sex="male")["evidence"]]
    assert said == ["Grip strength normal"]


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("http://loinc.org", code)
        for code in (
            *("83189-2", "83191-8", "83193-4", "62951-8", "62952-6"),  # circulate, no LOINC codes
            "66217-1",  # 8 feet, not Timed Up and Go
            "66253-6",  # balance points, not the SPPB's total
            "66264-3",  # whether five rises are safe, not their time
            "66247-8",  # rises in 30 seconds
            "41957-2",  # speed over a day
            "38269-7",  # a report about bone
            "83311-1",
        )
    ]
    + [("http://snomed.info/sct", "249869000"), ("http://www.ama-assn.org/go/cpt", "77081")],
)
def test_codes_that_mean_something_else_are_not_known(system, code):
    from patients import index

    assert index().look_up(system, code) == ()


def test_every_measure_says_value_unit_day_limit_and_locator():
    found = muscle("grip 14; asmi 5.2 by DXA; gait 0.7; sarcf 5")
    for evidence in found["evidence"]:
        assert {"rule", "says", "resource", "value", "unit", "date", "limit", "locator"} <= {
            *evidence
        }
    assert [e["rule"] for e in found["evidence"]] == ["strength", "mass", "performance", "screen"]


def read(*found):
    whole = read_chart([patient(), *found], "1", known().chart_knowledge, today=TODAY)
    return evaluate(whole, known(definition="awgs-2019"), TOPICS).muscle


def measured(code, value, unit, system=MEASURE, **more):
    quantity = {"value": value, "unit": unit, "code": unit}
    return {
        "resourceType": "Observation",
        "id": f"m-{code}",
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-11-01",
        "valueQuantity": quantity,
        **more,
    }


@pytest.mark.parametrize(
    ("more", "mass"),
    [
        ({"device": {"display": "InBody 770 BIA"}}, "low"),
        ({"device": {"display": "Hologic Horizon DXA"}}, "normal"),
        ({"device": {"reference": "Device/1"}}, "unknown"),
        (
            {
                "contained": [
                    {"resourceType": "Device", "id": "d", "deviceName": [{"name": "Lunar DXA"}]}
                ],
                "device": {"reference": "#d"},
            },
            "normal",
        ),
        ({"method": {"coding": [{"code": "x", "display": "Bioelectrical impedance"}]}}, "low"),
        ({"method": {"text": "dialysis"}}, "unknown"),  # no "dxa" or "bia" inside a word
        ({"method": {"text": "phobia"}}, "unknown"),
    ],
)
def test_the_method_stands_in_method_or_device(more, mass):
    assert read(measured("asm-index", 5.5, "kg/m2", **more)).mass == mass


def test_the_device_may_come_with_the_answer():
    device = {"resourceType": "Device", "id": "1", "deviceName": [{"name": "Tanita BIA"}]}
    mass = measured("asm-index", 5.5, "kg/m2", device={"reference": "Device/1"})
    assert read(mass, device).mass == "low"
    mass["device"] = {"reference": "https://ehr.example/fhir/Device/1"}
    assert read(device, mass).mass == "low"


def test_a_panel_is_read_by_its_components():
    loinc = "http://loinc.org"

    def part(code, value, unit):
        return {
            "code": {"coding": [{"system": loinc, "code": code}]},
            "valueQuantity": {"value": value, "unit": unit},
        }

    panel = measured(
        "62825-5", 1, "1", loinc, component=[part("66255-1", 4.1, "s"), part("66254-4", 4, "m")]
    )
    del panel["valueQuantity"]
    assert read(panel).performance == "low"
    walk = measured(
        "83144-6", 1, "1", loinc, component=[part("83169-3", 4.4, "s"), part("83170-1", 3.9, "s")]
    )
    del walk["valueQuantity"]
    assert read(walk).performance == "normal"  # the faster of two trials: 1.03 m/s
    grip = measured(
        "83145-3", 1, "1", loinc, component=[part("83174-3", 17, "kg"), part("83173-5", 18.5, "kg")]
    )
    del grip["valueQuantity"]
    assert read(grip).strength == "normal"


@pytest.mark.parametrize(("seconds", "performance"), [(3.9, "normal"), (4.1, "low")])
def test_the_course_of_a_walk_may_be_the_whole_and_its_time_a_component(seconds, performance):
    part = {
        "code": {"coding": [{"system": MEASURE, "code": "walk-time"}]},
        "valueQuantity": {"value": seconds, "unit": "s"},
    }
    assert read(measured("walk-distance", 4, "m", component=[part])).performance == performance


def test_the_method_of_a_panel_holds_for_its_components():
    quantity = {"value": 5.5, "unit": "kg/m2"}
    part = {
        "code": {"coding": [{"system": MEASURE, "code": "asm-index"}]},
        "valueQuantity": quantity,
    }
    panel = measured(
        "38269-7", 1, "1", "http://loinc.org", component=[part], method={"text": "BIA"}
    )
    del panel["valueQuantity"]
    assert read(panel).mass == "low"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "entered-in-error"},
        {"status": "preliminary"},
        {"subject": {"reference": "Patient/2"}},
        {"effectiveDateTime": None},
        {"effectiveDateTime": "2099-01-01"},
    ],
)
def test_what_must_not_be_read_is_not_read(change):
    grip = {**measured("grip-strength-max", 14, "kg"), **change}
    assert read({k: v for k, v in grip.items() if v is not None}).category == "not_assessed"


@cases("""
    measures    | category      | step                     | says
    ------------+---------------+--------------------------+--------------------------------
    walk 5      | indeterminate | clarify_unit             | no-distance
    walk 5 none over 4 m | indeterminate | clarify_unit    | no-unit
    grip_sum 29 | not_assessed  | complete_sarc_f measure_grip | a sum of both hands
    grip_score 95 | not_assessed | measure_grip            | an age-adjusted score
    lean 40     | not_assessed  |                          | total lean mass is not appendicular
""")
def test_what_is_not_read_is_said(case):
    found = muscle(case["measures"])
    wanted(case, found)
    assert bool(found["nextSteps"]) == bool(case["step"])
    assert (find_reason(case["says"]) or case["says"]) in str(found["evidence"])


def test_seven_newtons_are_not_seven_kilograms():
    found = read(measured("grip-strength-max", 7, "N")).evidence
    assert found[0].value == pytest.approx(0.7138, abs=1e-4)
    assert "(7 N)" in found[0].says
