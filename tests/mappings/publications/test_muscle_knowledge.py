"""Definitions, differential, comparison and questionnaire: every file is tested by being there."""

import ast
import json
import shutil
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class
from tables import cases

import mappings.publications.differential as differential
import mappings.publications.guideline_file as guideline_file
import mappings.terminology.questionnaire as questionnaire
from mappings.export.terminology import build_own_artefacts
from mappings.fhir_validation import validate_resource
from mappings.knowledge_file import KnowledgeError
from mappings.publications.definition import read_definition
from mappings.publications.differential import read_comparison, read_differential
from mappings.publications.guideline_file import list_guideline_ids, read_groups, read_policy
from mappings.terminology.questionnaire import read_questionnaire
from mappings.terminology.units import convert_unit
from mappings.terminology.value_set_file import load_value_sets
from services.sarcopenia.stages import ALGORITHMS

INDEX = load_value_sets()
IDS = ("awgs-2019", "ewgsop2-2019", "fnih-2014", "sdoc-2020")
MEASURE = "https://cobalamin.example/fhir/CodeSystem/muscle-measure"


def test_the_definitions_of_the_contract_are_there():
    assert list_guideline_ids("sarcopenia") == IDS


@pytest.mark.parametrize("id_", IDS)
def test_a_definition_is_whole(id_):
    found = read_definition(id_, INDEX)
    assert len(found.source_attributes) == 13
    assert found.algorithm in ALGORITHMS
    assert all(row.locator and row.confidence in ("high", "medium") for row in found.cutoffs)
    grip = {(row.sex, row.means) for row in found.cutoffs if row.observation == "grip_strength"}
    assert {("male", "low_strength"), ("female", "low_strength")} <= grip


@pytest.mark.parametrize("id_", IDS)
def test_both_sexes_have_a_limit_wherever_one_has(id_):
    rows = [row for row in read_definition(id_, INDEX).cutoffs if row.sex]
    for row in rows:
        others = [r for r in rows if r.sex != row.sex]
        assert any(
            (r.observation, r.means, r.method) == (row.observation, row.means, row.method)
            for r in others
        )


@cases("""
    code                  | value set
    ----------------------+-----------------------
    chair-stand-5x-time   | chair_stand_5x
    sppb-total            | sppb
    walk-400m-time        | walk_400m
    asm                   | asm
    asm-index             | asm_height2
    calf-circumference    | calf_circumference
    sarc-f-total          | sarc_f
    sarc-calf-total       | sarc_calf
    sarc-f-strength       | sarc_f_strength
    sarc-f-walking        | sarc_f_walking
    sarc-f-rise           | sarc_f_rise
    sarc-f-climb          | sarc_f_climb
    sarc-f-falls          | sarc_f_falls
    grip-strength-max     | grip_strength
    grip-strength-combined | grip_strength_combined
    walk-time             | walk_time
    walk-distance         | walk_distance
""")
def test_measures_without_loinc_have_the_projects_own_codes(case):
    [match] = INDEX.look_up(MEASURE, case["code"])
    assert match.value_set.name == case["value set"]


@cases("""
    value   | unit     | kilograms
    --------+----------+----------
    16      | kgf      | 16
    35.274  | [lbf_av] | 16.0000
    156.906 | N        | 15.9999
""")
def test_forces_in_kilograms(case):
    found = convert_unit(float(case["value"]), case["unit"], "kgf")
    assert found == pytest.approx(float(case["kilograms"]), abs=1e-4)


def test_a_mass_is_no_force_by_itself():
    assert convert_unit(16, "kg", "kgf") is None
    assert convert_unit(16, "[lb_av]", "[lbf_av]") is None


FAULTS = {
    "unknown key": ("mass_order =", "mass_orders = []\nmass_order =", "mass_orders"),
    "unit that is never read": ('below = 27, unit = "kg"', 'below = 27, unit = "g"', "never read|not read"),
    "measure that is not there": ('"grip_strength", below = 27', '"grip", below = 27', "no such"),
    "meaning that is not known": ('means = "low_mass"', 'means = "thin"', "cutoffs"),
    "unable without a limit": ('"walk_400m", means = "low_performance"', '"walk_400m", means = "low_strength"', "no limit"),
    "child": ("minimum_age = 65", "minimum_age = 17", "minimum_age"),
    "algorithm that is not known": ('algorithm = "ewgsop2"', 'algorithm = "ewgsop3"', "algorithm"),
    "another id": ('id = "ewgsop2-2019"', 'id = "ewgsop2-2020"', "name of the file"),
    "mass without a limit": ('mass_order = ["asm_height2", "asm"]', 'mass_order = ["asm_bmi"]', "no limit"),
    "no locator": ('locator = "severity: TUG 20 s or more; table 1 as quoted in PMC10355810", ', "", "locator"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS)
def test_a_broken_definition_stops_the_start(tmp_path, monkeypatch, old, new, said):
    text = (guideline_file.GUIDELINES / "ewgsop2_2019.toml").read_text()
    assert old in text
    (tmp_path / "ewgsop2_2019.toml").write_text(text.replace(old, new))
    monkeypatch.setattr(guideline_file, "GUIDELINES", tmp_path)
    with pytest.raises(KnowledgeError, match=said) as fault:
        read_definition("ewgsop2-2019", INDEX)
    assert fault.value.file == "ewgsop2_2019.toml"


@pytest.mark.parametrize("id_", ["none", "uk-ng239", "../pyproject"])
def test_what_is_no_definition_is_refused(id_):
    with pytest.raises(KnowledgeError, match=r"sarcopenia\.definition: no definition"):
        read_definition(id_, INDEX)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('conditions = ["cachexia"]', 'conditions = ["wasting"]'),
        ('title = "Cachexia or inflammation"', 'titel = "Cachexia"'),
        ("times_upper_limit = 10", "times_upper_limit = 0"),
    ],
)
def test_a_broken_differential_stops_the_start(tmp_path, monkeypatch, old, new):
    text = (differential.CLINICAL / "differential.toml").read_text()
    assert old in text
    (tmp_path / "differential.toml").write_text(text.replace(old, new))
    monkeypatch.setattr(differential, "CLINICAL", tmp_path)
    with pytest.raises(KnowledgeError, match=r"differential\.toml"):
        read_differential(INDEX)


def test_steps_of_causes_are_words_of_the_assessment():
    from services.sarcopenia.labels import NEXT_STEPS

    for cause in read_differential(INDEX):
        assert {*cause.steps} <= {*NEXT_STEPS}


def test_the_comparison_says_what_is_known_and_no_more():
    comparison = read_comparison()
    assert [row["aspect"] for row in comparison["row"]] == [
        "Cause", "Companions", "Onset", "Reversibility", "Markers",
    ]  # fmt: skip
    assert "did not improve" in comparison["statement"]["says"]
    assert {study["name"] for study in comparison["study"]} >= {"B-PROOF", "OPEN"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"title": "SARC-F"', '"titel": "SARC-F"', "titel"),
        ('"resourceType": "Questionnaire"', '"resourceType": "Questionnaires"', "resource"),
        ("{", "", "file"),
    ],
)
def test_a_broken_questionnaire_stops_the_start(tmp_path, monkeypatch, old, new, said):
    file = tmp_path / "sarc_f.json"
    shutil.copy(questionnaire.FILE, file)
    file.write_text(file.read_text().replace(old, new, 1))
    monkeypatch.setattr(questionnaire, "FILE", file)
    with pytest.raises(KnowledgeError, match=said):
        read_questionnaire.__wrapped__()


def test_what_is_exported_is_valid_fhir():
    found = build_own_artefacts(INDEX, read_questionnaire())
    assert {name.partition("/")[0] for name in found} == {"Questionnaire", "CodeSystem"}
    for resource in found.values():
        validate_resource(json.loads(json.dumps(resource)))
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    own = {concept["code"] for concept in found["CodeSystem/muscle-measure"]["concept"]}
    assert {"asm", "walk-distance", "grip-strength-combined"} <= own
    unable = found["CodeSystem/muscle-measure-result"]["concept"]
    assert [concept["code"] for concept in unable] == ["unable"]


def test_groups_and_policy_of_muscle_are_read():
    assert "falls" in read_groups(INDEX)["muscle_trigger"]
    assert read_policy()["muscle_measure_max_age_months"] == 24


def test_no_limit_of_a_definition_stands_in_the_code():
    root = Path(__file__).parents[3] / "services"
    limits = {row.limit for id_ in IDS for row in read_definition(id_, INDEX).cutoffs}
    limits -= {1.0}  # a place in a list as well
    for path in [*root.glob("sarcopenia/*.py"), root / "evaluation" / "combination.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                if isinstance(node.value, bool):
                    continue
                assert node.value not in limits, f"{path.name}:{node.lineno}"
