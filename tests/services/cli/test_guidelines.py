"""A site's own guideline: begun as a copy, refused until it is whole, compared with others."""

import json
from collections import Counter

import pytest
import tomlkit
from patients import TODAY, patient, resources
from tables import cases

from mappings.publications.definition import read_definition
from mappings.publications.guideline_file import list_guideline_ids, read_guideline
from mappings.terminology.value_set_file import load_value_sets
from services.exports.guideline_changes import compare_categories
from services.knowledge.site_checks import refuse_unknown_words

FILLED = {
    "title": "B12 in Example Hospital",
    "publisher": "Example Hospital",
    "citation": "Minutes of the medicines committee, 3 November 2026",
    "published": "2026-11-03",
    "url": "https://guidelines.hospital.example/b12",
    "reviewed": "2026-11-10",
    "reviewer": "A. Physician",
    "strength": "Consensus of the committee",
}
ATTRIBUTES = ("bibliographic_citation", "developer", "funding", "release_and_revision_dates")
CONFIGURATION = """
[[guideline]]
file = "our_b12.toml"
[b12]
guideline = "our-b12"
"""


def filled_in(path, edit=lambda document: None):
    """Fills in a copied guideline as a clinician would, and changes what `edit` does."""
    document = tomlkit.parse(path.read_text())
    for key, value in FILLED.items():
        document[key] = value
    for key in ATTRIBUTES:
        document["source_attributes"][key] = "Example Hospital"
    edit(document)
    path.write_text(tomlkit.dumps(document))


def row_of(document, observation, means, unit):
    for row in document["cutoffs"]:
        if (row["observation"], row["means"], row["unit"]) == (observation, means, unit):
            return row
    raise AssertionError


@pytest.fixture
def own(cobalamin, tmp_path):
    """Our-b12, filled in and named by a configuration; `edit` changes it."""

    def own(edit=lambda document: None):
        run = cobalamin("new-guideline", "our-b12", "--from", "uk-ng239")
        assert run.exit_code == 0, run.output
        filled_in(tmp_path / "our_b12.toml", edit)
        (tmp_path / "cobalamin.toml").write_text(CONFIGURATION)

    return own


def bundle(text, **person):
    record, _ = resources(text)
    entries = [{"resource": resource} for resource in (patient(**person), *record)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def test_a_copy_keeps_comments_and_order_and_says_where_each_limit_is_from(cobalamin, tmp_path):
    run = cobalamin("new-guideline", "our-b12", "--from", "uk-ng239")
    assert 'guideline = "our-b12"' in run.output
    text = (tmp_path / "our_b12.toml").read_text()
    assert text.startswith("# our-b12: begun as a copy of uk-ng239 version 1.0.0.")
    assert "# NICE NG239, people aged 16 and over." in text
    assert text.index("cutoffs = [") < text.index("[testing]") < text.index("[follow_up]")
    document = tomlkit.parse(text)
    assert document["based_on"]["id"] == "uk-ng239"
    assert all(row["source"] for row in document["cutoffs"])
    again = cobalamin("new-guideline", "our-b12", "--from", "uk-ng239")
    assert (again.exit_code, "is there already" in again.output) == (1, True)


def test_a_copy_is_refused_until_it_is_filled_in(cobalamin, tmp_path):
    cobalamin("new-guideline", "our-b12", "--from", "uk-ng239")
    (tmp_path / "cobalamin.toml").write_text(CONFIGURATION)
    run = cobalamin("check-config", "cobalamin.toml")
    assert run.exit_code == 1
    for key in (*FILLED, *(f"source_attributes.{name}" for name in ATTRIBUTES)):
        assert key in run.output
    assert "our_b12.toml: title, publisher" in run.output


def test_what_was_filled_in_is_in_force_everywhere(own, cobalamin, tmp_path):
    def edit(document):
        for means, edge in (
            ("deficient", "below"),
            ("indeterminate", "at_most"),
            ("unlikely", "above"),
        ):
            row = row_of(document, "total_b12", means, "ng/L")
            row[edge] = {"deficient": 230}.get(means, row[edge])

    own(edit)
    checked = cobalamin("check-config", "cobalamin.toml")
    assert checked.exit_code == 0, checked.output
    said = " ".join(checked.output.replace("│", " ").split())
    assert "our_b12.toml: our-b12@0.1.0, reviewed 2026-11-10 by A. Physician" in said
    (tmp_path / "person.json").write_text(json.dumps(bundle("b12 212 ng/L")))
    given = ("--as-of", TODAY.isoformat(), "person.json")
    run = cobalamin("assess", "--config", "cobalamin.toml", *given)
    found = json.loads(run.stdout)["b12"]
    assert (found["guideline"], found["category"]) == ("our-b12", "deficient")
    assert "NICE guideline NG239. 6 March 2024: recommendation 1.3.9" in str(found["evidence"])
    other = cobalamin("assess", "--config", "cobalamin.toml", "--b12-guideline", "uk-ng239", *given)
    assert json.loads(other.stdout)["b12"]["category"] == "indeterminate"
    exported = cobalamin("export-knowledge", "--config", "cobalamin.toml", "out")
    assert exported.exit_code == 0, exported.output
    library = json.loads((tmp_path / "out" / "Library-our-b12.json").read_text())
    assert (library["status"], library["reviewer"]) == ("active", [{"name": "A. Physician"}])


def test_definitions_of_sarcopenia_are_copied_as_well(cobalamin, tmp_path):
    run = cobalamin("new-guideline", "our-muscle", "--from", "awgs-2019", "--out", "muscle.toml")
    assert 'definition = "our-muscle"' in run.output
    filled_in(tmp_path / "muscle.toml")
    (tmp_path / "cobalamin.toml").write_text(
        '[[guideline]]\nfile = "muscle.toml"\n[sarcopenia]\ndefinition = "our-muscle"\n'
    )
    checked = cobalamin("check-config", "cobalamin.toml")
    assert checked.exit_code == 0, checked.output
    assert "our-muscle@0.1.0" in checked.output


@pytest.mark.parametrize("origin", [*list_guideline_ids("b12"), *list_guideline_ids("sarcopenia")])
def test_every_guideline_can_be_copied_and_says_the_same(origin, cobalamin, tmp_path):
    cobalamin("new-guideline", "our-own", "--from", origin)
    filled_in(tmp_path / "our_own.toml")
    differing = compared(cobalamin, origin, "our_own.toml")["differences"]
    assert {one["part"] for one in differing} == {"about", "source attributes"}


@cases("""
    arguments                        | said
    ---------------------------------+------------------------------------
    uk-ng239 --from bsh2014          | uk-ng239 is there already
    ours --from none                 | no guideline none; there are bsh2014
    Our_B12 --from uk-ng239          | small letters, digits and hyphens
    ours --from who --out none/x.toml | none/x.toml: No such file
""")
def test_what_cannot_be_begun_is_said(case, cobalamin):
    run = cobalamin("new-guideline", *case["arguments"].split())
    assert run.exit_code != 0
    assert case["said"] in " ".join(run.output.replace("│", " ").split())


def change(key, value):
    def edit(document):
        document[key] = value

    return edit


def change_limit(which, /, **members):
    def edit(document):
        row = row_of(document, "total_b12", which, "ng/L")
        for key, value in members.items():
            row[key] = value

    return edit


def drop_limit(means):
    def edit(document):
        document["cutoffs"].remove(row_of(document, "total_b12", means, "ng/L"))

    return edit


def change_treatment(**members):
    def edit(document):
        document["treatment"][0].update(members)

    return edit


FAULTS = {
    "a gap between two limits": (change_limit("unlikely", above=400), "no row says what 375 ng/L is"),
    "no row for what is low": (drop_limit("unlikely"), "no row says what 675 ng/L is"),
    "a meaning that no rule reads": (change_limit("deficient", means="low"), "means is none of deficient"),
    "a measure that is not read here": (change_limit("high", observation="ferritin"), "results are not read in ng/L"),
    "a step without a sentence": (change_treatment(steps=["start-b21"]), "no sentence for the next step start-b21"),
    "a situation that is missing": (change_treatment(situation="severe"), "treatment: none for neurological"),
    "an order that does not exist": (change_treatment(templates=["b12"]), "no order template for en-GB"),
    "a date that is none": (change("published", "spring 2026"), "published: is no date"),
    "an id that ships": (change("id", "uk-ng239"), "is a guideline that ships"),
    "a flag without a sentence": (change("flags", ["beware"]), "no sentence for the flag beware"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "said"), FAULTS.values(), ids=FAULTS)
def test_a_guideline_that_cannot_be_relied_on_stops_the_start(edit, said, own, cobalamin):
    own(edit)
    run = cobalamin("check-config", "cobalamin.toml")
    assert run.exit_code == 1
    assert "our_b12.toml" in run.output
    assert said in run.output.replace("\n", "")


def test_every_step_that_ships_has_its_sentence():
    index = load_value_sets()
    for id_ in list_guideline_ids():
        refuse_unknown_words(read_guideline(id_, index), f"{id_}.toml")
    for id_ in list_guideline_ids("sarcopenia"):
        assert read_definition(id_, index).algorithm


def compared(cobalamin, *arguments):
    run = cobalamin("diff-guidelines", "--json", "--as-of", TODAY.isoformat(), *arguments)
    assert run.exit_code == 0, run.output
    return json.loads(run.output)


@cases("""
    A            | B          | what                                    | by A               | by B
    -------------+------------+-----------------------------------------+--------------------+-------------------
    uk-ng239     | bsh2014    | Vitamin B12 in ng/L: deficient          | below 180 ng/L     | below 200 ng/L
    uk-ng239     | bsh2014    | Vitamin B12 in ng/L: indeterminate      | at most 350 ng/L   |
    uk-ng239     | bsh2014    | rule                                    | symptom and risk   | clinical picture
    uk-ng239     | us-aafp2025 | Metformin, for how long                |                    | above 48 months
    ewgsop2-2019 | awgs-2019  | Grip strength in kg, men: low strength  | below 27 kg        | below 28 kg
    ewgsop2-2019 | awgs-2019  | algorithm                               | ewgsop2            | awgs2019
""")
def test_differences_are_said_in_words(case, cobalamin):
    found = compared(cobalamin, case["A"], case["B"])["differences"]
    said = [one for one in found if one["part"] != "where limits stand"]
    [one] = [one for one in said if one["what"] == case["what"]]
    assert (one["a"] or "").startswith(case["by A"])
    assert (one["b"] or "").startswith(case["by B"])
    assert bool(one["a"]) == bool(case["by A"])
    assert bool(one["b"]) == bool(case["by B"])


def test_a_guideline_differs_from_itself_in_nothing(cobalamin):
    assert compared(cobalamin, "who", "who")["differences"] == []
    said = cobalamin("diff-guidelines", "who", "who")
    assert "who@1.1.0 and who@1.1.0 say the same." in said.output


def test_a_file_is_compared_with_what_it_was_copied_from(own, cobalamin):
    def edit(document):
        row_of(document, "total_b12", "deficient", "ng/L")["below"] = 200
        document["testing"]["risk_factors"].remove("vegan_diet")

    own(edit)
    found = compared(cobalamin, "uk-ng239", "our_b12.toml")
    [risk] = [one for one in found["differences"] if one["what"] == "risk factor: Vegan diet"]
    assert (risk["a"], risk["b"]) == ("counts", None)
    limits = [one for one in found["differences"] if one["part"] == "limits"]
    assert [(one["a"], one["b"]) for one in limits] == [("below 180 ng/L", "below 200 ng/L")]
    assert (found["a"], found["b"]) == ("uk-ng239@1.0.0", "our-b12@0.1.0")


def test_patients_who_change_are_named_with_the_results_at_the_limit(cobalamin, tmp_path):
    people = [bundle(text) for text in ("b12 112", "b12 190", "b12 199.9", "b12 200", "b12 900")]
    (tmp_path / "people.ndjson").write_text("\n".join(map(json.dumps, people)))
    found = compared(cobalamin, "uk-ng239", "bsh2014", "people.ndjson")["patients"]
    assert (found["compared"], found["changed"]) == (5, 3)
    counted = {(one["a"], one["b"]): one["patients"] for one in found["categories"]}
    assert counted == {
        ("deficient", "deficient"): 1,
        ("indeterminate", "deficient"): 2,
        ("indeterminate", "unlikely"): 1,
        ("unlikely", "unlikely"): 1,
    }
    [result] = found["who"][0]["results"]
    assert (result["value"], result["unit"], result["a"]["limit"]) == (
        190.0,
        "ng/L",
        "180 to 350 ng/L",
    )
    assert result["b"] == {"says": "Vitamin B12 deficient", "limit": "below 200 ng/L"}
    shown = cobalamin(
        "diff-guidelines", "--as-of", TODAY.isoformat(), "uk-ng239", "bsh2014", "people.ndjson"
    )
    assert "3 of 5 patients change." in shown.output


def test_what_cannot_be_compared_is_said(cobalamin, tmp_path):
    (tmp_path / "people.ndjson").write_text(json.dumps(bundle("b12 190")) + "\n{}\n")
    run = cobalamin("diff-guidelines", "uk-ng239", "bsh2014", "people.ndjson")
    assert run.exit_code == 2
    assert "people.ndjson:2: neither a FHIR Bundle" in run.output
    assert cobalamin("diff-guidelines", "uk-ng239", "none").exit_code == 1
    assert cobalamin("diff-guidelines", "uk-ng239", "none.toml").exit_code == 1
    other = cobalamin("diff-guidelines", "uk-ng239", "awgs-2019")
    assert (other.exit_code, "the other about muscle" in other.output) == (2, True)


def test_every_patient_is_counted_though_not_every_one_is_named():
    def judged(category):
        return {"patient": "Patient/1", "b12": {"category": category, "evidence": []}}

    pairs = [(judged("deficient"), judged("unlikely"))] * 5
    found = compare_categories(iter(pairs), "b12", most=2)
    assert found.confusion == Counter({("deficient", "unlikely"): 5})
    assert (len(found.patients), found.changed) == (2, 5)
