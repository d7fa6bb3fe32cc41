"""`cobalamin import-valueset`: a site's ValueSet becomes codes that are read, or a reason."""

import hashlib
import json
import tomllib

import pytest
from patients import TODAY, observation, patient
from tables import cases

LAB = "https://lab.hospital.example/tests"
LOINC = "http://loinc.org"
ATC = "http://www.whocc.no/atc"


def contains(*codes):
    """Entries of an expansion: "B12 Vitamin B12" under the laboratory's system."""
    split = (code.partition(" ") for code in codes)
    return [{"system": LAB, "code": c, "display": d or c} for c, _, d in split]


def value_set(**members):
    head = {
        "resourceType": "ValueSet",
        "url": "https://lab.hospital.example/fhir/ValueSet/b12",
        "version": "2026-10",
        "date": "2026-10-01",
        "title": "Vitamin B12 tests",
        "publisher": "Example Hospital laboratory",
        "status": "active",
        "copyright": "Example Hospital",
    }
    return {**head, **members}


@pytest.fixture
def imported(cobalamin, tmp_path):
    """Runs the command on ValueSets, one file each; gives the run and the file it wrote, if any."""

    def imported(*sets, options=("--value-set", "total_b12"), name="total-b12.toml"):
        files = []
        for number, resource in enumerate(sets):
            text = resource if isinstance(resource, str) else json.dumps(resource)
            (tmp_path / f"set{number}.json").write_text(text)
            files.append(f"set{number}.json")
        run = cobalamin("import-valueset", "--by", "A. Informatician", *options, *files)
        written = tmp_path / name
        return run, tomllib.loads(written.read_text()) if written.exists() else None

    return imported


def codes(document):
    return [code["code"] for source in document["source"] for code in source["codes"]]


def test_an_imported_code_is_read_by_assess_and_said_by_check_config(imported, cobalamin, tmp_path):
    run, document = imported(value_set(expansion={"contains": contains("B12S Serum B12")}))
    assert run.exit_code == 0, run.output
    [source] = document["source"]
    assert source["sha256"] == hashlib.sha256((tmp_path / "set0.json").read_bytes()).hexdigest()
    assert source["url"] == "https://lab.hospital.example/fhir/ValueSet/b12"
    assert (source["version"], source["date"], source["file"]) == (
        "2026-10",
        "2026-10-01",
        "set0.json",
    )
    assert (source["imported_by"], source["licence"]) == ("A. Informatician", "Example Hospital")
    result = observation(1, "b12 112")
    result["code"] = {"coding": [{"system": LAB, "code": "B12S"}]}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": r} for r in (patient(), result)]}
    (tmp_path / "patient.json").write_text(json.dumps(bundle))
    as_of = ("--as-of", TODAY.isoformat(), "patient.json")
    unread = cobalamin("assess", *as_of)
    assert json.loads(unread.stdout)["b12"]["category"] == "no-action"
    (tmp_path / "cobalamin.toml").write_text('[[value_set]]\nfile = "total-b12.toml"\n')
    read = cobalamin("assess", "--config", "cobalamin.toml", *as_of)
    assert json.loads(read.stdout)["b12"]["category"] == "deficient"
    checked = cobalamin("check-config", "cobalamin.toml")
    assert "total-b12.toml: 1 for total_b12" in " ".join(checked.output.split())
    assert "A. Informatician" in checked.output


@cases("""
    what the expansion lists                                  | taken up   | said
    ----------------------------------------------------------+------------+------------------------------------------
    {"system": LAB, "code": "a", "inactive": true}            | a          | inactive: taken up, for older records
    {"system": LAB, "code": "a", "abstract": true}            |            | abstract: a heading
    {"system": LAB, "code": "a", "abstract": true, "contains": [{"system": LAB, "code": "b"}]} | b | abstract: a heading
    {"code": "a"}                                             |            | no system
    {"system": LAB, "code": "a*"}                             |            | no code that could be matched
    {"system": LAB, "code": " a"}                             |            | no code that could be matched
    {"system": LAB, "code": "a"}, {"system": LAB, "code": "a"} | a         | repeated
    {"system": LOINC, "code": "2132-9"}                       |            | in total_b12 already
    {"system": OID, "code": "2132-9"}                         |            | in total_b12 already
    {"system": LOINC, "code": "13964-2"}                      |            | in methylmalonic_acid already, and a result is one measure
    {"system": LAB, "code": "a"}                              | a          | of a code system that no other code is from
    {"system": OID, "code": "99999-9"}                        | 99999-9    | the same code system
""")
def test_each_code_is_told_what_becomes_of_it(case, imported):
    text = case["what the expansion lists"]
    for name, url in (("LAB", LAB), ("LOINC", LOINC), ("OID", "urn:oid:2.16.840.1.113883.6.1")):
        text = text.replace(f": {name},", f": {json.dumps(url)},")
    also = contains("z")[0]  # so that a file is written
    run, document = imported(value_set(expansion={"contains": [*json.loads(f"[{text}]"), also]}))
    assert run.exit_code == 0, run.output
    assert codes(document) == [*case["taken up"].split(), "z"]
    assert case["said"] in run.output


@cases("""
    members                                                                     | reason
    ----------------------------------------------------------------------------+---------------------------------------------
    {"compose": {"include": [{"system": "s", "filter": [{"op": "is-a"}]}]}}     | has a filter, which says codes by a rule
    {"compose": {"include": [{"valueSet": ["https://x"]}]}}                     | refers to another value set
    {"compose": {"include": [{"system": "http://loinc.org"}]}}                  | means a whole code system
    {"compose": {"include": [{"system": "urn:s", "concept": [{"code": "a"}]}], "exclude": [{"system": "urn:s", "filter": [{}]}]}} | compose.exclude has a filter
    {"compose": {}}                                                             | includes nothing
    {"expansion": {"contains": []}}                                             | the expansion is empty
    {"expansion": {"total": 9, "contains": [{"system": "urn:s", "code": "a"}]}} | has 1 of 9 codes
    {"expansion": {"offset": 5, "contains": [{"system": "urn:s", "code": "a"}]}} | a page that begins at 5
    {"expansion": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/valueset-toocostly", "valueBoolean": true}], "contains": [{"system": "urn:s", "code": "a"}]}} | not complete
    {"expansion": {"contains": [{"system": "http://loinc.org", "code": "2132-9"}]}} | there is no code to add
    {}                                                                          | neither an expansion nor a compose
    {"resourceType": "CodeSystem"}                                              | is not a ValueSet but CodeSystem
""")
def test_what_is_no_list_of_codes_is_refused_with_the_reason(case, imported):
    run, document = imported(value_set(**json.loads(case["members"])))
    assert run.exit_code == 2
    assert document is None
    assert case["reason"] in " ".join(run.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "said"), [("<ValueSet/>", "is XML"), ("{", "is not JSON at line")]
)
def test_other_files_are_refused(text, said, imported):
    run, document = imported(text)
    assert (run.exit_code, document) == (2, None)
    assert said in run.output


def test_codes_listed_one_by_one_are_taken_and_what_is_excluded_is_not(imported):
    concepts = [{"code": "a", "display": "A"}, {"code": "b", "display": "B"}]
    compose = {
        "include": [{"system": LAB, "concept": concepts}],
        "exclude": [{"system": LAB, "concept": [{"code": "b"}]}],
    }
    run, document = imported(value_set(compose=compose))
    assert (run.exit_code, codes(document)) == (0, ["a"])


def test_what_was_exported_comes_back_as_what_it_was(imported, cobalamin, tmp_path):
    assert cobalamin("export-knowledge", "out").exit_code == 0
    exported = json.loads((tmp_path / "out" / "ValueSet-total-b12.json").read_text())
    exported["compose"]["include"].append({"system": LAB, "concept": [{"code": "B12S"}]})
    run, document = imported(exported, options=())
    assert run.exit_code == 0, run.output
    assert (document["value_set"], codes(document)) == ("total_b12", ["B12S"])


def test_several_files_keep_where_each_code_came_from_and_a_file_is_not_overwritten(imported):
    sets = [value_set(expansion={"contains": contains(*which)}) for which in ("ab", "bc")]
    _run, document = imported(*sets)
    assert [[c["code"] for c in one["codes"]] for one in document["source"]] == [["a", "b"], ["c"]]
    again, _ = imported(*sets)
    assert again.exit_code == 1
    assert "--replace writes over it" in again.output
    replaced, _ = imported(*sets, options=("--value-set", "total_b12", "--replace"))
    assert replaced.exit_code == 0


def test_a_class_of_drugs_that_is_read_already_needs_no_code_of_its_own(imported):
    listed = [{"system": ATC, "code": "C10AA05", "display": "atorvastatin"}]
    run, _ = imported(value_set(expansion={"contains": listed}), options=("--value-set", "statin"))
    assert "in statin already" in run.output


def test_a_site_may_bring_a_value_set_of_its_own(imported, cobalamin, tmp_path):
    listed = value_set(expansion={"contains": contains("ALC Alcohol misuse")})
    unknown, _ = imported(listed, options=("--value-set", "vegan_diets"))
    assert unknown.exit_code == 1
    assert "there is vegan_diet" in unknown.output
    options = ("--value-set", "alcohol_misuse", "--kind", "condition", "--title", "Alcohol misuse")
    run, document = imported(listed, options=options, name="alcohol-misuse.toml")
    assert (run.exit_code, document["title"]) == (0, "Alcohol misuse")
    (tmp_path / "cobalamin.toml").write_text('[[value_set]]\nfile = "alcohol-misuse.toml"\n')
    assert "166 value sets" not in cobalamin("check-config").output
    assert cobalamin("check-config", "cobalamin.toml").exit_code == 0


@cases("""
    value_set | code              | fault
    ----------+-------------------+----------------------------------------------------------
    total_b12 | 13964-2           | 13964-2: is in methylmalonic_acid already
    total_b12 | B12*              | own.toml: source.0.codes.0.code
    nothing   | B12               | own.toml: value_set: no value set nothing; a new one needs kind and title
""")
def test_a_file_changed_by_hand_is_refused_where_it_cannot_be_relied_on(case, cobalamin, tmp_path):
    (tmp_path / "own.toml").write_text(
        f'value_set = "{case["value_set"]}"\n[[source]]\nfile = "x.json"\nsha256 = "{"0" * 64}"\n'
        'imported = 2026-11-20\nimported_by = "A. Informatician"\n'
        f'codes = [{{ system = "{LOINC}", code = "{case["code"]}", display = "x" }}]\n'
    )
    (tmp_path / "cobalamin.toml").write_text('[[value_set]]\nfile = "own.toml"\n')
    run = cobalamin("check-config", "cobalamin.toml")
    assert run.exit_code == 1
    assert case["fault"] in run.output.replace("\n", "")
