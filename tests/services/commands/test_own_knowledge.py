"""A site's own codes and guidelines, from a terminology server and an editor to an assessment."""

import json
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from click.testing import CliRunner

from services.cli import main

DRUGS = "https://hospital.example/drugs"
LOINC = "http://loinc.org"


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def cobalamin(folder: Path, *arguments: object) -> Done:
    with chdir(folder):
        done = CliRunner().invoke(main, list(map(str, arguments)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def value_set(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "url": "https://terminology.hospital.example/ValueSet/metformin",
        "version": "3",
        "title": "Metformin at our hospital",
        **more,
    }


def contains(*codes: Any) -> dict[str, Any]:
    return {"expansion": {"contains": [{"system": DRUGS, **code} for code in codes]}}


MET = {"code": "MET500", "display": "Metformin 500 mg"}
IMPORTED = [
    ("one code", contains(MET), "1 codes", ["MET500"]),
    ("a class above it", contains({"abstract": True, "contains": [{"system": DRUGS, **MET}]}), "1 abstract", ["MET500"]),
    ("a retired code", contains(MET, {"code": "OLD", "display": "Old", "inactive": True}), "1 inactive", ["MET500"]),
    ("a code twice", contains(MET, MET), "1 twice", ["MET500"]),
    ("a code without a name", contains(MET, {"code": "X"}), "1 without a name", ["MET500"]),
    ("a list without expansion", {"compose": {"include": [{"system": DRUGS, "concept": [MET]}]}}, "1 codes", ["MET500"]),
]  # fmt: skip


@pytest.mark.parametrize(("document", "says", "codes"), [row[1:] for row in IMPORTED], ids=[row[0] for row in IMPORTED])  # fmt: skip
def test_value_sets_are_imported_with_where_they_came_from(document, says, codes, tmp_path):
    (tmp_path / "vs.json").write_text(json.dumps(value_set(**document)))
    done = cobalamin(
        tmp_path, "import-valueset", "--value-set", "metformin", "--out", "m.toml", "vs.json"
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    text = (tmp_path / "m.toml").read_text()
    assert 'url = "https://terminology.hospital.example/ValueSet/metformin"' in text
    assert [code for code in ("MET500", "OLD", '"X"') if code in text] == codes


REFUSED = [
    ("a filter", {"compose": {"include": [{"system": DRUGS, "filter": [{"property": "concept", "op": "is-a", "value": "M"}]}]}}, "expand it first"),
    ("a whole code system", {"compose": {"include": [{"system": DRUGS}]}}, "expand it first"),
    ("another value set", {"compose": {"include": [{"concept": [MET], "valueSet": ["urn:x"]}]}}, "other ValueSets"),
    ("what is left out", {"compose": {"include": [], "exclude": [{"system": DRUGS}]}}, "excludes codes"),
    ("a page of many", {"expansion": {"total": 900, "contains": [{"system": DRUGS, **MET}]}}, "1 of 900"),
    ("nothing", contains(), "no code"),
    ("another resource", {"resourceType": "CodeSystem"}, "is no ValueSet"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])  # fmt: skip
def test_what_is_no_list_of_codes_is_refused_with_the_reason(document, why, tmp_path):
    (tmp_path / "vs.json").write_text(json.dumps(value_set(**document)))
    done = cobalamin(
        tmp_path, "import-valueset", "--value-set", "metformin", "--out", "m.toml", "vs.json"
    )
    assert done.returncode == 2
    assert why in done.stderr
    assert not (tmp_path / "m.toml").exists()


def bundle(value: float, drug: dict[str, str] | None = None) -> dict[str, Any]:
    about = {"reference": "Patient/1"}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": "1", "gender": "female", "birthDate": "1950-01-01"},
        {
            "resourceType": "Observation", "id": "b", "status": "final", "subject": about,
            "code": {"coding": [{"system": LOINC, "code": "2132-9"}]},
            "effectiveDateTime": "2026-11-01",
            "valueQuantity": {"value": value, "unit": "ng/L", "code": "ng/L"},
        },
    ]  # fmt: skip
    if drug:
        resources.append({
            "resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order",
            "subject": about, "authoredOn": "2020-01-01", "medicationCodeableConcept": {"coding": [drug]},
        })  # fmt: skip
    return {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}


def assessed(folder: Path, config: str, document: dict[str, Any]) -> dict[str, Any]:
    (folder / "c.toml").write_text(config)
    (folder / "patient.json").write_text(json.dumps(document))
    done = cobalamin(
        folder, "assess", "--config", "c.toml", "--as-of", "2026-11-20", "patient.json"
    )
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout)


def test_an_imported_code_is_read_by_an_assessment(tmp_path):
    (tmp_path / "vs.json").write_text(json.dumps(value_set(**contains(MET))))
    cobalamin(tmp_path, "import-valueset", "--value-set", "metformin", "--out", "m.toml", "vs.json")
    drug = {"system": DRUGS, "code": "MET500"}
    before = assessed(tmp_path, "", bundle(300, drug))
    after = assessed(tmp_path, '[[value_set]]\nfile = "m.toml"\n', bundle(300, drug))
    assert not [e for e in before["b12"]["evidence"] if e["rule"] == "risk-factor"]
    assert [e["resource"] for e in after["b12"]["evidence"] if e["rule"] == "risk-factor"] == [
        "MedicationRequest/m"
    ]


OWN = '[b12]\nguideline = "our-b12"\n[[guideline]]\nfile = "our_b12.toml"\n'


def own_guideline(folder: Path) -> Path:
    done = cobalamin(folder, "new-guideline", "our-b12", "--from", "uk-ng239")
    assert done.returncode == 0, done.stderr
    return folder / "our_b12.toml"


def filled_in(file: Path, **changes: str) -> None:
    text = file.read_text()
    text = text.replace('reviewed = "TO FILL IN"', "reviewed = 2026-11-20").replace(
        "TO FILL IN: ", "Our "
    )
    for old, new in changes.items():
        text = text.replace(old.replace("_", " "), new)
    file.write_text(text)


def test_a_copy_starts_no_service_until_it_is_filled_in(tmp_path):
    file = own_guideline(tmp_path)
    (tmp_path / "c.toml").write_text(OWN)
    done = cobalamin(tmp_path, "check-config", "c.toml")
    assert done.returncode == 1
    for key in ("our_b12.toml", "title", "publisher", "citation", "reviewed", "reviewer"):
        assert key in done.stderr
    filled_in(file)
    assert cobalamin(tmp_path, "check-config", "c.toml").returncode == 0


def test_a_copy_keeps_the_comments_and_is_not_written_over(tmp_path):
    file = own_guideline(tmp_path)
    assert "# NICE NG239, people aged 16 and over." in file.read_text()
    again = cobalamin(tmp_path, "new-guideline", "our-b12", "--from", "uk-ng239")
    assert again.returncode == 1
    assert "our_b12.toml: File exists" in again.stderr


def test_a_site_decides_by_its_own_limits(tmp_path):
    filled_in(own_guideline(tmp_path), **{"below_=_180": "below = 200"})
    assert assessed(tmp_path, "", bundle(190))["b12"]["category"] == "indeterminate"
    said = assessed(tmp_path, OWN, bundle(190))["b12"]
    assert (said["guideline"], said["category"]) == ("our-b12", "deficient")


@pytest.mark.parametrize("original", ["uk-ng239", "us-aafp2025", "bsh2014", "who", "ewgsop2-2019", "awgs-2019", "sdoc-2020", "fnih-2014"])  # fmt: skip
def test_every_guideline_can_be_copied(original, tmp_path):
    cobalamin(tmp_path, "new-guideline", "our-own", "--from", original)
    filled_in(tmp_path / "our_own.toml")
    key = "definition" if original[:4] in ("ewgs", "awgs", "sdoc", "fnih") else "guideline"
    table = "sarcopenia" if key == "definition" else "b12"
    config = f'[{table}]\n{key} = "our-own"\n[[guideline]]\nfile = "our_own.toml"\n'
    (tmp_path / "c.toml").write_text(config)
    done = cobalamin(tmp_path, "check-config", "c.toml")
    assert done.returncode == 0, done.stderr
    same = cobalamin(tmp_path, "diff-guidelines", "--json", original, "our_own.toml")
    about = {d["what"].split(".")[0] for d in orjson.loads(same.stdout)["differences"]}
    assert about == {"id", "version", "title", "publisher", "citation", "reviewed", "reviewer", "basedOn"}  # fmt: skip


def test_a_difference_in_words_and_in_patients(tmp_path):
    filled_in(own_guideline(tmp_path), **{"below_=_180": "below = 200"})
    for name, value in (("a", 150), ("b", 190), ("c", 300)):
        (tmp_path / f"{name}.json").write_text(json.dumps(bundle(value)))
    done = cobalamin(
        tmp_path,
        "diff-guidelines",
        "--json",
        "uk-ng239",
        "our_b12.toml",
        "a.json",
        "b.json",
        "c.json",
    )
    said = orjson.loads(done.stdout)
    [limit] = [d for d in said["differences"] if d["what"] == "total_b12 deficient, ng/L"]
    assert limit["first"].startswith("below 180 ng/L")
    assert limit["other"].startswith("below 200 ng/L")
    assert said["categories"] == [
        {"first": "deficient", "other": "deficient", "patients": 1},
        {"first": "indeterminate", "other": "deficient", "patients": 1},
        {"first": "indeterminate", "other": "indeterminate", "patients": 1},
    ]
    [changed] = said["changed"]
    assert (changed["first"], changed["other"]) == ("indeterminate", "deficient")
    assert any("190 ng/L, limit below 200 ng/L" in result for result in changed["results"])


def test_guidelines_about_different_things_are_not_compared(tmp_path):
    done = cobalamin(tmp_path, "diff-guidelines", "uk-ng239", "awgs-2019")
    assert done.returncode == 1
    assert "about another thing" in done.stderr
