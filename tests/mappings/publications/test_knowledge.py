"""Every knowledge file is tested by being there."""

import ast
import csv
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import cases

import mappings.actions.order_template as order_template
import mappings.publications.guideline_file as guideline_file
import mappings.publications.laboratory as laboratory
from mappings.actions.order_template import draft_order, read_order_templates
from mappings.knowledge_file import KnowledgeError, read_changes, read_source_attributes
from mappings.publications.cutoffs import Cutoff, Undecided
from mappings.publications.definition import read_definition
from mappings.publications.guideline_file import (
    list_guideline_ids,
    read_groups,
    read_guideline,
    read_policy,
)
from mappings.publications.laboratory import read_laboratory_limits
from mappings.terminology.units import UNITS, convert_unit, normalise
from mappings.terminology.value_set_file import FOLDER, load_value_sets
from services.knowledge.site import load_knowledge

INDEX = load_value_sets()
IDS = list_guideline_ids()
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
DMD, ATC = "https://dmd.nhs.uk", "http://www.whocc.no/atc"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"


def test_the_guidelines_of_the_contract_are_there():
    assert {"bsh2014", "uk-ng239", "us-aafp2017", "us-aafp2025", "who"} <= {*IDS}


@pytest.mark.parametrize("id_", IDS)
def test_a_guideline_is_whole(id_):
    found = read_guideline(id_, INDEX)
    assert len(found.source_attributes) == 13
    assert all(row.locator for row in found.cutoffs)
    assert set(found.treatments) - {"severe"} == {
        "neurological", "autoimmune_gastritis", "surgical", "malabsorption", "dietary",
        "nitrous_oxide", "other",
    }  # fmt: skip
    assert {row.means for row in found.cutoffs if row.observation in ("total_b12", "active_b12")} <= {
        "deficient", "indeterminate", "unlikely", "high",
    }  # fmt: skip


@pytest.mark.parametrize("id_", IDS)
@given(value=st.floats(0, 20000))
def test_every_b12_level_has_a_band_in_every_printed_unit(id_, value):
    found = read_guideline(id_, INDEX)
    for observation in ("total_b12", "active_b12"):
        for unit in found.list_units(observation):
            assert found.find_first_met(observation, value, unit) is not None


@cases("""
    bound       | unit   | means
    ------------+--------+--------------
    < 83        | ng/L   | deficient
    < 180       | ng/L   | deficient
    <= 180      | ng/L   | spans
    < 181       | ng/L   | spans
    > 350       | ng/L   | spans
    > 1000      | ng/L   | high
    >= 1000     | ng/L   | spans
    < 133       | pmol/L | deficient
    < 150       | pmol/L | spans
    > 258       | pmol/L | unlikely
    >= 258      | pmol/L | spans
    > 259       | pmol/L | unlikely
    < 5         | ug/dL  | no limit
""")
def test_a_bound_decides_where_every_value_it_allows_agrees(case):
    comparator, value = case["bound"].split()
    read = read_guideline("uk-ng239", INDEX).interpret(
        "total_b12", float(value), comparator, case["unit"]
    )
    names = {Undecided.SPANS: "spans", Undecided.NO_LIMIT: "no limit"}
    assert (read.means if isinstance(read, Cutoff) else names[read]) == case["means"]


@cases("""
    observation | value | unit   | sex    | pregnant | means
    ------------+-------+--------+--------+----------+---------------
    hemoglobin  | 129.9 | g/L    | male   |          | anaemia
    hemoglobin  | 130   | g/L    | male   |          |
    hemoglobin  | 119.9 | g/L    | female |          | anaemia
    hemoglobin  | 120   | g/L    | female |          |
    hemoglobin  | 119   | g/L    |        |          |
    hemoglobin  | 109.9 | g/L    | female | yes      | anaemia
    hemoglobin  | 110   | g/L    | female | yes      |
    hemoglobin  | 79.9  | g/L    |        |          | severe_anaemia
    hemoglobin  | 80    | g/L    | male   |          | anaemia
    hemoglobin  | 79.9  | g/L    | female | yes      | anaemia
    hemoglobin  | 69.9  | g/L    | female | yes      | severe_anaemia
    egfr        | 59.9  | mL/min/{1.73_m2} | | | impaired
    egfr        | 60    | mL/min/{1.73_m2} | | |
    mcv         | 100   | fL     |        |          |
    mcv         | 100.1 | fL     |        |          | macrocytosis
    folate_serum | 2.9  | ug/L   |        |          | low
    folate_serum | 3    | ug/L   |        |          |
    folate_serum | 6.9  | nmol/L |        |          | low
    folate_serum | 7    | nmol/L |        |          |
    potassium   | 3.4   | mmol/L |        |          | low
    potassium   | 3.5   | meq/L  |        |          |
""")
def test_limits_common_to_all_guidelines(case):
    limits, _ = read_laboratory_limits(INDEX)
    row = limits.find_first_met(
        case["observation"],
        float(case["value"]),
        case["unit"],
        sex=case["sex"] or None,
        pregnant=bool(case["pregnant"]),
    )
    assert (row.means if row else "") == case["means"]


def luhn(code):
    """LOINC's check digit (mod 10) holds."""
    body, _, check = code.partition("-")
    digits = [int(d) for d in reversed(body)]
    total = sum(sum(divmod(d * 2, 10)) if i % 2 == 0 else d for i, d in enumerate(digits))
    return (10 - total % 10) % 10 == int(check)


D = [[(i + j) % 5 + 5 * ((i >= 5) ^ (j >= 5)) for j in range(10)] for i in range(10)]
for i in range(5, 10):
    D[i] = [(i - j) % 5 + 5 if j < 5 else (i - j) % 5 for j in range(10)]
P = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]


def verhoeff(code):
    """The check digit of SNOMED CT and dm+d identifiers holds."""
    check, permutation = 0, list(range(10))
    for digit in map(int, reversed(code)):
        check = D[check][permutation[digit]]
        permutation = [permutation[P[1][n]] for n in range(10)]
    return check == 0


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.csv")), ids=lambda path: path.stem)
def test_every_code_passes_its_check_digit(path):
    for row in csv.DictReader(path.read_text().splitlines()):
        if row["system"] == LOINC:
            assert luhn(row["code"]), row["code"]
        if row["system"] in (SNOMED, DMD):
            assert verhoeff(row["code"]), row["code"]


TRAPS = [
    "25130-6",
    "25428-4",
    "25531-5",
    "17820-2",
    "37309-2",
    "5140-4",
    "28390-3",
    "2170-9",
    "15152-2",
    "15039-1",
    "49264-5",
    "32341-0",
    "72157-1",
    "2630-2",
    "34627-0",
    "32287-5",
    "42520-7",
    "82385-6",
    "58859-0",
    "54300-9",
    "2282-2",
    "26916-7",
    "69405-9",
    "50384-7",
    "76633-7",
    "102097-3",
    "13775-2",
    "56539-0",
]


@pytest.mark.parametrize("code", TRAPS)
def test_codes_that_public_software_gets_wrong_mean_nothing_here(code):
    assert INDEX.look_up(LOINC, code) == ()


@cases("""
    system | code             | value sets
    -------+------------------+-----------------------------------------
    LOINC  | 2132-9           | total_b12
    LOINC  | 14685-2          | total_b12
    LOINC  | 72160-5          | active_b12
    LOINC  | 13964-2          | methylmalonic_acid
    LOINC  | 13776-0          | methylmalonic_acid_urine
    LOINC  | 2283-0           | folate_rbc
    SNOMED | 190634004        | b12_deficiency
    SNOMED | 190633005        | folate_deficiency
    ICD    | E53.8            | nonspecific_b_vitamin_deficiency
    ICD    | R79.83           | hyperhomocysteinaemia
    ICD    | E72.11           | homocystinuria
    ICD    | M62.84           | sarcopenia
    ATC    | A02BC05          | proton_pump_inhibitor
    ATC    | A02BC99          | proton_pump_inhibitor
    ATC    | A02B             |
    ATC    | B03BA03          | hydroxocobalamin b12_product
    ATC    | V03AB33          | hydroxocobalamin_antidote
    ATC    | A10BD07          |
    DMD    | 109081006        | metformin
    SNOMED | 109081006        | metformin
    urn:oid:2.16.840.1.113883.6.1 | 2132-9 | total_b12
    LOINC  | 190634004        |
    SNOMED | 2132-9           |
""")
def test_what_a_code_means(case):
    systems = {"LOINC": LOINC, "SNOMED": SNOMED, "ICD": ICD, "ATC": ATC, "DMD": DMD}
    found = INDEX.look_up(systems.get(case["system"], case["system"]), case["code"])
    assert {match.value_set.name for match in found} == set(case["value sets"].split())


@cases("""
    written        | unit
    ---------------+-----------------
    ng/l           | ng/L
    pg/mL          | ng/L
    µmol/L         | umol/L
    μmol/l         | umol/L
    mcmol/L        | umol/L
    mcg/L          | ug/L
    nmol/mL        | umol/L
    mL/min/1.73m2  | mL/min/{1.73_m2}
    mL/min/1.73 m² | mL/min/{1.73_m2}
    ml/min/1.73m^2 | mL/min/{1.73_m2}
    mEq/L          | meq/L
    furlong        |
    NG/L           |
""")
def test_spellings_of_units(case):
    assert (normalise(case["written"]) or "") == case["unit"]


@cases("""
    value | unit   | target | gives
    ------+--------+--------+------
    280   | nmol/L | umol/L | 0.28
    281   | nmol/L | umol/L | 0.281
    0.18  | ug/L   | ng/L   | 180
    12.4  | g/dL   | g/L    | 124
    180   | ng/L   | pmol/L |
    5     | mmol/L | meq/L  |
""")
def test_rescaling_is_exact_and_stays_in_its_dimension(case):
    given_value = float(case["value"])
    scaled = convert_unit(given_value, case["unit"], case["target"])
    assert scaled == (float(case["gives"]) if case["gives"] else None)


@given(st.integers(1, 10**7), st.sampled_from(sorted(UNITS)))
def test_a_unit_is_itself(value, unit):
    assert convert_unit(value, unit, unit) == value


@given(st.integers(1, 10**6))
def test_thousandths_never_move_across_a_limit(nanomoles):
    scaled = convert_unit(nanomoles, "nmol/L", "umol/L")
    assert scaled is not None
    assert (scaled > 0.28) == (nanomoles > 280)
    assert (scaled > 0.75) == (nanomoles > 750)


@pytest.mark.parametrize("locale", ["en-GB", "en-US"])
def test_order_templates_are_read_validated_and_copied(locale):
    templates = read_order_templates(locale, INDEX)
    for template in templates.by_id.values():
        one = draft_order(template, "Patient/1", None)
        one["code"] = "changed"
        other = draft_order(template, "Patient/2", "Encounter/1")
        assert other.get("code") != "changed"
        if other["resourceType"] == "Condition":
            continue
        assert other["status"] == "draft"
        assert other["intent"] == "proposal"
        patient = "for" if other["resourceType"] == "Task" else "subject"
        assert other[patient] == {"reference": "Patient/2"}
        if other["resourceType"] == "MedicationRequest":
            concept = other["medicationCodeableConcept"]
            assert concept["coding"][0]["code"]
            assert concept["text"]
            for dosage in other["dosageInstruction"]:
                assert dosage["timing"]
                assert dosage["route"]
                assert dosage["doseAndRate"]


GUIDELINE_FAULTS = {
    "unknown key": ('locale = "en-GB"', 'locale = "en-GB"\nlocal = 1', "local"),
    "two edges": ("below = 180,", "below = 180, at_most = 180,", "cutoffs"),
    "unit that is never read": ('below = 180, unit = "ng/L"', 'below = 180, unit = "g/L"', "g/L"),
    "value set that is not there": ('"total_b12", below = 180', '"b12", below = 180', "no such"),
    "limit never reached": ("at_most = 350, unit", "at_most = 170, unit", "reached"),
    "template that is not there": ('"order_active_b12"]', '"order_b12"]', "order_b12"),
    "risk factor that is not there": ('"vegan_diet", "inad', '"vegans", "inad', "vegans"),
    "no locator": (', locator = "BNF, hydroxocobalamin"', "", None),
    "another id": ('id = "uk-ng239"', 'id = "uk-ng240"', "name of the file"),
    "not TOML": ("cutoffs = [", "cutoffs = [[", "file"),
}


@pytest.mark.parametrize(("old", "new", "said"), GUIDELINE_FAULTS.values(), ids=GUIDELINE_FAULTS)
def test_a_broken_guideline_stops_the_start(tmp_path, monkeypatch, old, new, said):
    text = (guideline_file.GUIDELINES / "uk_ng239.toml").read_text()
    if said is None:
        old, new, said = 'locator = "BNF, hydroxocobalamin"\n', "", "locator"
    assert old in text
    (tmp_path / "uk_ng239.toml").write_text(text.replace(old, new, 1))
    monkeypatch.setattr(guideline_file, "GUIDELINES", tmp_path)
    with pytest.raises(KnowledgeError) as fault:
        read_guideline("uk-ng239", INDEX)
    assert fault.value.file == "uk_ng239.toml"
    assert said in str(fault.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("uk.toml", '"status": "draft"', '"status": "draft", "stat": 1', "stat"),
        ("common.toml", '"code": "13964-2"', '"code": "25531-5"', "in no value set"),
        ("common.toml", 'concept = "tsh"', 'concept = "thyrotropin"', "no value set"),
        ("uk.toml", '"intent": "proposal",\n  "code"', '"code"', "intent"),
        ("uk.toml", 'id = "order_total_b12"', 'id = "order_tsh"', "is there twice"),
        ("us.toml", 'locale = "en-US"', 'locale = "en-GB"', "is not en-US"),
    ],
)
def test_a_broken_order_template_stops_the_start(tmp_path, monkeypatch, name, old, new, said):
    shutil.copytree(order_template.FOLDER, tmp_path / "templates")
    file = tmp_path / "templates" / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    monkeypatch.setattr(order_template, "FOLDER", tmp_path / "templates")
    order_template._read_document.cache_clear()
    try:
        with pytest.raises(KnowledgeError, match=said) as fault:
            read_order_templates("en-US" if name == "us.toml" else "en-GB", INDEX)
        assert fault.value.file == name
    finally:
        order_template._read_document.cache_clear()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('rule = "potassium"', 'rule = "sodium"', "no label of the rule sodium"),
        (
            '"correct-hypokalaemia", ',
            '"correct-kalium", ',
            "no sentence for the step correct-kalium",
        ),
        ('["hypokalaemia"]', '["low_kalium"]', "no value set low_kalium"),
        (
            '[[markers]]\nobservation = "potassium"',
            '[[markers]]\nobservation = "tsh"',
            "has no limit",
        ),
        ('["order_potassium"]', '["order_kalium"]', "no order template order_kalium"),
        ("{ monitor-potassium =", "{ check-cbc =", "check-cbc is none of its steps"),
    ],
)
def test_a_broken_marker_stops_the_start(tmp_path, monkeypatch, old, new, said):
    text = laboratory.FILE.read_text()
    assert old in text
    file = tmp_path / "laboratory.toml"
    file.write_text(text.replace(old, new, 1))
    monkeypatch.setattr(laboratory, "FILE", file)
    with pytest.raises(KnowledgeError, match=said) as fault:
        load_knowledge()
    assert fault.value.file == "laboratory.toml"


def test_groups_and_policy_are_read():
    assert "paraesthesia" in read_groups(INDEX)["neurological"]
    assert read_policy({"result_max_age_months": 6})["result_max_age_months"] == 6


def test_no_limit_of_a_guideline_stands_in_the_code():
    root = Path(__file__).parents[3] / "services"
    limits = {row.limit for id_ in IDS for row in read_guideline(id_, INDEX).cutoffs}
    for path in [*root.glob("vitamin_b12/*.py"), *root.glob("from_fhir/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                molar = path.name == "combined_indicator.py" and node.value == 1000
                assert molar or node.value not in limits, f"{path.name}:{node.lineno}"


def test_schemas_are_json():
    for path in (guideline_file.FOLDER / "schemas").glob("*.json"):
        assert json.loads(path.read_text())["title"]


def test_every_guideline_and_definition_tells_its_history_and_all_that_is_asked_of_its_source():
    asked = read_source_attributes()
    schema = json.loads(
        (Path(guideline_file.FOLDER) / "schemas" / "guideline.schema.json").read_text()
    )
    assert [*asked.names] == schema["properties"]["source_attributes"]["required"]
    read = [read_guideline(id_, INDEX) for id_ in list_guideline_ids("b12")]
    for one in (*read, *(read_definition(id_, INDEX) for id_ in list_guideline_ids("sarcopenia"))):
        answers = asked.list_answers(one.source_attributes)
        assert len(answers) == 13
        assert all(text for _, text in answers)
        assert one.changes[0].version == one.version
        assert [*one.changes] == sorted(one.changes, key=lambda change: change.day, reverse=True)


def test_a_history_ends_with_the_version_of_the_file():
    change = {"version": "1.0.0", "date": "2026-11-22", "what": "First version."}
    document = {"version": "1.1.0", "change": [change]}
    with pytest.raises(KnowledgeError, match=r"version 1\.0\.0, not of this file's"):
        read_changes(document, "x.toml")
    assert read_changes({"version": "1.1.0"}, "x.toml") == ()
