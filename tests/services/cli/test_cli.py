"""The command as its users run it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from patients import patient, resources

from cds_hooks.web import server
from services.assessment.schema import build_assessment_schema
from services.cli.main import main
from services.hooks import self_test

ROOT = Path(__file__).parents[3]
VALIDATOR = Draft202012Validator(build_assessment_schema())


def cobalamin(*arguments, given=None, **environment):
    command = [Path(sys.executable).with_name("cobalamin"), *map(str, arguments)]
    return subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", **environment},
    )


def bundle(text="b12 112"):
    record, _ = resources(text)
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in [patient(), *record]],
    }


def assessed(run):
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    for line in lines:
        VALIDATOR.validate(line)
    return lines


def test_a_bundle_on_standard_input():
    run = cobalamin("assess", "--as-of", "2026-11-20", given=json.dumps(bundle()))
    assert run.returncode == 0, run.stderr
    [result] = assessed(run)
    assert (result["patient"], result["asOf"]) == ("Patient/1", "2026-11-20")
    assert result["b12"]["category"] == "deficient"


def test_one_document_on_each_line_and_the_bad_ones_named(tmp_path):
    two = {"resourceType": "Bundle", "entry": [{"resource": patient()}] * 2}
    lines = [bundle(), {"resourceType": "Patient"}, two, bundle("b12 400")]
    file = tmp_path / "people.ndjson"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n{broken\n")
    run = cobalamin("assess", "--as-of", "2026-11-20", file, tmp_path / "none.json")
    assert run.returncode == 2
    assert [r["b12"]["category"] for r in assessed(run)] == ["deficient", "unlikely"]
    complaints = run.stderr.splitlines()
    assert [line.rpartition("/")[2].split(": ")[0] for line in complaints] == [
        "people.ndjson:2",
        "people.ndjson:3",
        "people.ndjson:5",
        "none.json",
    ]


def test_the_guideline_and_the_day_are_chosen():
    given = json.dumps(bundle("b12 190"))
    other = cobalamin("assess", "--b12-guideline", "bsh2014", "--as-of", "2026-11-20", given=given)
    assert assessed(other)[0]["b12"]["category"] == "deficient"
    before = cobalamin("assess", "--as-of", "2026-10-31", given=given)
    assert assessed(before)[0]["b12"]["category"] == "no-action"
    unknown = cobalamin("assess", "--b12-guideline", "none", given=given)
    assert unknown.returncode == 1
    assert "no guideline none" in unknown.stderr


@pytest.mark.parametrize(
    "sample", ["neuropathy", "functional", "untested", "folic-acid", "muscle-loss"]
)
def test_a_hook_request_gets_its_cards_too(sample):
    file = ROOT / "services" / "hooks" / "samples" / f"{sample}.json"
    run = cobalamin("assess", "--as-of", "2026-11-20", file)
    [result] = assessed(run)
    assert len(result["cards"]) == 1
    tried = cobalamin("try", "--sample", sample, "--json")
    [card] = json.loads(tried.stdout)["cards"]
    assert card["summary"] == result["cards"][0]["summary"]


def test_try_shows_the_card():
    run = cobalamin("try")
    assert run.returncode == 0
    assert "Vitamin B12 128 ng/L: deficient" in run.stdout
    assert cobalamin("try", "--sample", "none").returncode == 2


def test_check_config_says_what_is_in_force():
    run = cobalamin("check-config")
    assert run.returncode == 0
    assert "uk-ng239@1.0.0" in run.stdout
    assert "ewgsop2-2019@1.0.0" in run.stdout
    assert "result_max_age_months" in run.stdout


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[b12]\nguideline = 'x'", "b12.guideline: no guideline x"),
        ("[b12]\nlaboratory = 'none.toml'", "none.toml: file: No such file"),
        ("[sarcopenia]\ndefinition = 'x'", "sarcopenia.definition: no definition x"),
        ("[sarcopenia]\nminimum_age = 12", "sarcopenia.minimum_age: must be a whole number"),
        ("[policy]\nnone = 1", "policy.none: no such choice"),
        ("[policy]\nresult_max_age_months = 0", "must be a number above 0"),
        (
            "[[local_code]]\nsystem = 'https://lab.example'\ncode = 'c'\nvalue_set = 'none'",
            "local_code[0]: no value set none",
        ),
        ("[server]\nport = 'x'", "server.port"),
    ],
)
def test_check_config_names_the_fault(monkeypatch, tmp_path, text, fault):
    """In this process, which takes a tenth of the time."""
    served = []
    monkeypatch.setattr(server, "run", lambda *what: served.append(what))
    file = tmp_path / "cobalamin.toml"
    file.write_text(text)
    run = CliRunner().invoke(main, ["check-config", str(file)])
    assert run.exit_code == 1
    assert fault in " ".join(run.stderr.split())
    assert CliRunner().invoke(main, ["serve", "--config", str(file)]).exit_code == 1
    assert served == []


def test_a_configuration_with_a_fault_ends_the_process(tmp_path):
    file = tmp_path / "cobalamin.toml"
    file.write_text("[server]\nport = 'x'")
    for command in (("check-config", file), ("serve", "--config", file)):
        run = cobalamin(*command)
        assert run.returncode == 1
        assert "server.port" in run.stderr


@pytest.mark.parametrize(
    "name", ["log-line", "configuration", "hook-request", "assessment", "case"]
)
def test_schemas_are_printed(name):
    printed = json.loads(cobalamin("schema", name).stdout)
    Draft202012Validator.check_schema(printed)
    assert printed["type"] == "object"


def test_serve_does_not_start_where_a_golden_call_differs(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    served = []
    monkeypatch.setattr(server, "run", lambda *what: served.append(what))
    monkeypatch.setattr(self_test, "find_failed_calls", lambda *_known: ("golden/leber",))
    assert CliRunner().invoke(main, ["serve"]).exit_code == 1
    monkeypatch.setattr(self_test, "find_failed_calls", lambda *_known: ())
    assert CliRunner().invoke(main, ["serve"]).exit_code == 0
    assert len(served) == 1


def test_serve_refuses_other_machines():
    run = cobalamin("serve", "--host", "0.0.0.0")
    assert run.returncode == 1
    assert "no tenant is configured" in run.stderr


def test_a_sites_own_code_and_limits_are_used(tmp_path):
    (tmp_path / "lab.toml").write_text(
        'id = "lab"\ntitle = "Our laboratory"\nversion = "1.0.0"\nreviewed = 2026-11-22\n'
        'reviewer = "A. Chemist"\ncutoffs = [\n'
        '  { observation = "total_b12", below = 200, unit = "ng/L", means = "deficient", '
        'locator = "table 2", confidence = "high" },\n'
        '  { observation = "total_b12", at_least = 200, unit = "ng/L", means = "unlikely", '
        'locator = "table 2", confidence = "high" },\n]\n'
    )
    (tmp_path / "cobalamin.toml").write_text(
        '[b12]\nlaboratory = "lab.toml"\n[[local_code]]\nsystem = "https://lab.example"\n'
        'code = "B12"\nvalue_set = "total_b12"\n'
    )
    document = bundle("b12 190")
    observation = document["entry"][1]["resource"]
    observation["code"] = {"coding": [{"system": "https://lab.example", "code": "B12"}]}
    run = cobalamin(
        "assess",
        "--as-of",
        "2026-11-20",
        given=json.dumps(document),
        COBALAMIN_CONFIG=str(tmp_path / "cobalamin.toml"),
    )
    [result] = assessed(run)
    assert result["b12"]["category"] == "deficient"
    assert result["b12"]["guideline"] == "uk-ng239+lab"
    assert "show-profile-and-lab-rule" in result["b12"]["flags"]


def test_a_draft_in_a_bundle_is_an_order_about_to_be_made():
    record, drafts = resources("draft folic_acid dose 5000; +fatigue")
    document = {
        "resourceType": "Bundle",
        "entry": [{"resource": resource} for resource in [patient(), *record, *drafts]],
    }
    run = cobalamin("assess", "--as-of", "2026-11-20", given=json.dumps(document))
    [result] = assessed(run)
    assert result["b12"]["category"] == "at-risk-untested"
    assert "check-b12-before-folic-acid" in result["b12"]["nextSteps"]


def test_the_definition_of_sarcopenia_is_chosen():
    given = json.dumps(bundle("grip 17"))
    [european] = assessed(cobalamin("assess", "--as-of", "2026-11-20", given=given))
    assert european["sarcopenia"]["category"] == "no_sarcopenia"
    run = cobalamin(
        "assess", "--sarcopenia-definition", "awgs-2019", "--as-of", "2026-11-20", given=given
    )
    [asian] = assessed(run)
    assert asian["sarcopenia"]["definition"] == "awgs-2019"
    assert asian["sarcopenia"]["category"] == "possible"
    unknown = cobalamin("assess", "--sarcopenia-definition", "none", given=given)
    assert unknown.returncode == 1
    assert "no definition none" in unknown.stderr


def test_every_input_gets_both_axes_a_tier_and_a_differential():
    texts = ("", "b12 112", "grip 14; rx statin", "+falls")
    lines = "\n".join(json.dumps(bundle(text)) for text in texts)
    results = assessed(cobalamin("assess", "--as-of", "2026-11-20", given=lines))
    assert len(results) == len(texts)
    for result in results:
        assert {"b12", "sarcopenia", "tier", "differential"} <= {*result}


def test_a_sites_own_walk_grip_and_age_are_used(tmp_path):
    (tmp_path / "cobalamin.toml").write_text(
        "[sarcopenia]\nminimum_age = 80\n"
        '[[local_code]]\nsystem = "https://physio.example"\ncode = "WALK6M"\n'
        'value_set = "walk_time"\ndistance_m = 6\n'
        '[[local_code]]\nsystem = "https://physio.example"\ncode = "ASMI"\n'
        'value_set = "asm_height2"\nmethod = "BIA"\n'
    )
    document = bundle("walk 8; asmi 5.6")
    for entry, code in zip(document["entry"][1:], ("WALK6M", "ASMI"), strict=True):
        coding = {"system": "https://physio.example", "code": code}
        entry["resource"]["code"] = {"coding": [coding]}
    run = cobalamin(
        "assess",
        "--sarcopenia-definition",
        "awgs-2019",
        "--as-of",
        "2026-11-20",
        given=json.dumps(document),
        COBALAMIN_CONFIG=str(tmp_path / "cobalamin.toml"),
    )
    [result] = assessed(run)
    assert result["sarcopenia"]["performance"] == "low"
    assert result["sarcopenia"]["mass"] == "low"
    assert result["sarcopenia"]["category"] == "out_of_scope_age"
    assert "(8 s for 6 m)" in str(result["sarcopenia"]["evidence"])


def test_a_site_with_its_own_canonical_base_reads_what_says_the_default(tmp_path):
    file = ROOT / "services" / "hooks" / "samples" / "muscle-loss.json"
    assert "https://cobalamin.example/fhir/CodeSystem/muscle-measure" in file.read_text()
    (tmp_path / "cobalamin.toml").write_text("[site]\ncanonical = 'https://cds.example/fhir/'")
    own = file.read_text().replace("https://cobalamin.example/", "https://cds.example/")
    (tmp_path / "own.json").write_text(own)
    options = ("--config", tmp_path / "cobalamin.toml", "--as-of", "2026-11-20")
    [default] = assessed(cobalamin("assess", "--as-of", "2026-11-20", file))
    for given in (file, tmp_path / "own.json"):
        [found] = assessed(cobalamin("assess", *options, given))
        cards = json.dumps(found.pop("cards"))
        assert found == {key: value for key, value in default.items() if key != "cards"}
        assert "https://cds.example/fhir/CodeSystem/card-topic" in cards
        assert "https://cobalamin.example/" not in cards
