"""What the cards rest on, as pages and as JSON."""

import ast
import json
import time
from pathlib import Path

import pytest
from patients import chart as chart_of
from patients import known
from tables import cases

import services.sarcopenia
import services.vitamin_b12
from mappings.knowledge_file import KnowledgeError
from mappings.publications.guideline_file import list_guideline_ids
from services.knowledge.site_checks import RESERVED_IDS, check_own_guidelines
from services.sarcopenia.assess import RULES
from services.sarcopenia.labels import CATEGORIES
from services.vitamin_b12.assess import assess
from services.web.evidence.catalogue import CODES, PAGES
from services.web.evidence.codes import build_code_lists, search_lists
from services.web.evidence.comparison import build_plot, build_rows
from services.web.evidence.glossary_sections import build_sections
from services.web.evidence.glossary_text import B12_RULES, B12_WHEN, MUSCLE_RULES
from services.web.evidence.muscle_glossary import list_combinations

PAGE = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
HERE = "https://cds.example"
KNOWN = known()
LISTS = build_code_lists(
    KNOWN, [*KNOWN.read_guidelines().values(), *KNOWN.read_definitions().values()]
)
ASSESSMENT = Path(services.__path__[0]) / "assessment" / "schemas" / "assessment.schema.json"


@pytest.mark.parametrize("id_", [*list_guideline_ids("b12"), *list_guideline_ids("sarcopenia")])
def test_each_publication_is_a_page_and_json(here, id_):
    page = here.get(f"/evidence/{id_}", headers=PAGE)
    told = here.get(f"/evidence/{id_}", headers=JSON).json
    assert page.status_code == 200
    assert len(told["sourceAttributes"]) == 13
    assert told["changes"][0]["version"] == told["version"]
    text = page.get_data(as_text=True)
    assert "Use of health status assessments data as expressed in the standards" in text
    assert "First version of these rules." in text
    assert told["notFor"][0] in text
    assert told["url"] in text
    assert text.count('id="limit-') == len(told["limits"])
    assert "Not stated" not in text


def test_where_a_card_leads_there_is_a_page(two):
    for path in ("uk-ng239", "uk-ng239+lab", "ewgsop2-2019", "b12-and-muscle", "orders"):
        assert two.get(f"/evidence/{path}", headers=PAGE).status_code == 200, path
    theirs = two.get("/evidence/uk-ng239+lab", headers=PAGE).get_data(as_text=True)
    assert "The limits of Our laboratory replace the printed ones." in theirs
    assert "below 145 pmol/L" in theirs
    assert two.get("/evidence/none", headers=PAGE).status_code == 404


def test_who_is_signed_in_reads_her_own_site(signing_in):
    with signing_in.session_transaction(base_url=HERE) as session:
        now = int(time.time())
        user = {"subject": "1", "name": "Ada", "tenants": ["other"]}
        session.update(id="of a test", user=user, began=now, seen=now)
    found = signing_in.get("/evidence", headers=PAGE, base_url=HERE)
    assert "uk-ng239+lab" in found.text
    assert found.headers["Cache-Control"] == "no-store"
    told = signing_in.get("/evidence/choices", headers=JSON, base_url=HERE)
    assert told.json["policy"]["result_max_age_months"]["value"] == 6
    assert told.headers["Cache-Control"] == "no-store"


def test_every_place_that_is_linked_is_there(here):
    """Links of the words, lists and tables lead to pages and rows that exist."""
    targets, paths = set(), ("rules", "choices", "orders", "side-by-side", "codes", "uk-ng239")
    for path in ("", *(f"/{one}" for one in paths), "/codes/total_b12", "/codes/order_cbc"):
        text = here.get(f"/evidence{path}", headers=PAGE).get_data(as_text=True)
        targets |= {part.partition('"')[0] for part in text.split('href="/evidence')[1:]}
    texts: dict[str, str] = {}
    for target in sorted(targets):
        page, _, place = target.partition("#")
        if page not in texts:
            found = here.get(f"/evidence{page}", headers=PAGE)
            assert found.status_code == 200, target
            texts[page] = found.get_data(as_text=True)
        assert not place or f'id="{place}"' in texts[page], target


def test_what_everybody_may_read_is_kept_and_tells_page_from_json(here, tmp_path):
    found = here.get("/evidence/uk-ng239", headers=PAGE)
    assert found.headers["Cache-Control"] == "public, max-age=300"
    assert {"Accept", "Cookie"} <= {part.strip() for part in found.headers["Vary"].split(",")}
    assert here.get("/evidence/none", headers=PAGE).headers["Cache-Control"] == "no-store"


@cases("""
    query              | lists                       | codes
    -------------------+-----------------------------+------
    2132-9             | total_b12                   | 1
    metformin          | metformin                   | all
    SNOMED gastrectomy | total_gastrectomy           | some
    grip strength      | grip_strength               | all
    6809               | metformin                   | 1
    no such thing      |                             |
""")
def test_a_search_finds_codes_and_words(case):
    found = search_lists(LISTS, case["query"])
    names = [one.list.value_set.name for one in found]
    if not case["lists"]:
        assert names == []
        return
    one = found[names.index(case["lists"])]
    if case["codes"] == "all":
        assert one.codes == one.list.codes
    elif case["codes"] == "1":
        assert len(one.codes) == 1
    assert one.codes


def test_every_code_has_its_source_confidence_and_licence(here):
    for name, one in LISTS.items():
        assert all(code.row.source and code.row.confidence for code in one.codes), name
        assert all(licence for _title, _version, licence in one.licences), name
    told = here.get("/evidence/codes/total_b12", headers=JSON).json
    assert told["systems"][0]["licence"].startswith("LOINC licence")
    assert "a limit of bsh2014, uk-ng239" in told["uses"][0]
    escaped = here.get("/evidence/codes?q=<script>alert(1)</script>", headers=PAGE)
    assert b"<script>alert" not in escaped.data


def test_every_name_of_an_assessment_has_its_words():
    schema = json.loads(ASSESSMENT.read_text())["properties"]
    assert [*B12_WHEN] == schema["b12"]["properties"]["category"]["enum"]
    assert {*CATEGORIES} == {*schema["sarcopenia"]["properties"]["category"]["enum"]}
    assert _named(services.vitamin_b12) | {"methylmalonic-acid", "homocysteine"} == {*B12_RULES}
    assert _named(services.sarcopenia) | {*RULES.values(), "measure", "screen"} == {*MUSCLE_RULES}


@cases("""
    category             | patient                                              | what of its sentence is seen
    ---------------------+------------------------------------------------------+-----------------------------
    on-treatment         | b12 150; rx hydroxocobalamin since 2020-01-01        | given by injection
    on-treatment         | b12 300; rx cyanocobalamin since 2020-01-01 route oral; +b12_deficiency | by mouth for a known deficiency
    uninterpretable      | b12 300; rx cyanocobalamin since 2020-01-01 route oral | a supplement
    deficient            | b12 150 @2026-10-01; rx hydroxocobalamin since 2026-10-05 | meets the guideline's limit
    deficient            | b12 150; rx cyanocobalamin since 2020-01-01 route oral dose 50; +b12_deficiency | meets the guideline's limit
    uninterpretable      | b12 150; +pregnancy @2026-06-01                      | pregnancy with total B12 alone
    deficient            | active 20; b12 500; +pregnancy @2026-06-01           | in pregnancy active B12 alone
    deficient-functional | b12 212; mma 0.5; egfr 75                            | raised methylmalonic acid with working kidneys
    indeterminate        | b12 212; mma 0.5; egfr 40                            | nothing measured resolves it
    deficient-functional | b12 212; mma 0.8; egfr 40; +fatigue                  | grossly raised one with symptoms
    deficient-functional | b12 400; hcy 20; +nitrous_oxide                      | homocysteine after nitrous oxide
    at-risk-untested     | mma 0.5; egfr 75                                     | a raised methylmalonic acid
    deficient-functional | mma 0.8; egfr 75                                     | it takes a grossly raised
    unlikely             | b12 212; mma 0.2                                     | normal methylmalonic acid resolves
    unlikely             | b12 400; mma 0.2; hcy 10; +nitrous_oxide             | both metabolites are normal
    uninterpretable      | b12 400; mma 0.2; hcy 10; +nitrous_oxide; +fatigue   | nitrous oxide
    at-risk-untested     | +pernicious_anaemia                                  | a cause that stays and is not treated
    at-risk-untested     | b12 150 @2024-01-01                                  | an old low result
    no-action            | b12 400 @2024-01-01                                  | No recent first-line result
    insufficient-data    | b12 150 none                                         | none can be read
    insufficient-data    | +paraesthesia; +ataxia                               | strong neurological signs
""")
def test_when_a_category_holds_is_as_its_sentence_says(case):
    assert assess(chart_of(case["patient"]), KNOWN.b12).category == case["category"]
    assert case["what of its sentence is seen"] in B12_WHEN[case["category"]]


def test_risk_factors_stand_where_they_were_read():
    """A list that is NICE's is not said to be another guideline's own."""
    for one in KNOWN.read_guidelines().values():
        if "Pulse" in one.testing.risk_locator and one.id != "uk-ng239":
            assert "NICE NG239" in one.testing.risk_locator, one.id


def _named(package):
    """The rules that the code of a package writes evidence under."""
    writes = ("reading", "result", "findings", "remark", "unusable")
    calls = (
        node
        for file in Path(package.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    )
    return {
        call.args[0].value
        for call in calls
        if call.func.attr in writes and call.args and isinstance(call.args[0], ast.Constant)
    }


@cases("""
    section           | name                   | indicator                                    | where
    ------------------+------------------------+----------------------------------------------+------------------------------
    b12-categories    | deficient              | warning, critical on the same day, info once treatment has begun | below 180 ng/L
    b12-categories    | deficient-functional   | warning, critical on the same day, info once treatment has begun | Practical Neurology
    b12-categories    | insufficient-data      | info, warning where days matter, critical on the same day |
    b12-categories    | at-risk-untested       | info                                         |
    b12-categories    | on-treatment           | info                                         |
    b12-categories    | high-b12               | info                                         | above 1000 ng/L: AAFP 2025
    b12-categories    | indeterminate          | info, warning where days matter, critical on the same day | at most 350 ng/L
    b12-categories    | no-action              |                                              |
    b12-next-steps    | start-im-b12-neuro-regimen |                                          | treatment, neurological: BNF
    b12-next-steps    | order-active-b12       |                                              | pregnancy
    muscle-categories | severe                 | warning, critical where a cause cannot wait  | ewgsop2-2019
    muscle-categories | possible               | warning, critical where a cause cannot wait  |
    muscle-next-steps | urgent_ck_rhabdo       |                                              | Rhabdomyolysis
    orders            | folic-acid, deficient  | critical                                     | BSH 2014
    answers           | action-completed       |                                              | CDS Hooks
""")
def test_a_word_says_how_loud_it_is_and_where_it_stands(case):
    [section] = [one for one in build_sections(KNOWN) if one.id == case["section"]]
    [word] = [one for one in section.words if one.name == case["name"]]
    assert (word.indicator or "") == case["indicator"]
    places = " ".join(place.says for place in word.where)
    assert case["where"] in places if case["where"] else not places


def test_words_are_told_in_the_language_of_the_site(german):
    told = german.get("/evidence/rules", headers=JSON).json
    assert told["language"] == "de"
    steps = next(one for one in told["sections"] if one["id"] == "b12-next-steps")
    assert all(word["translated"] for word in steps["words"])
    page = german.get("/evidence/rules", headers=PAGE).get_data(as_text=True)
    assert 'lang="de"' in page
    assert "cards here speak Deutsch" in page


def test_a_choice_of_the_site_stands_beside_what_ships(german):
    page = german.get("/evidence/choices", headers=PAGE).get_data(as_text=True)
    assert "ships with 12" in page
    told = german.get("/evidence/choices", headers=JSON).json
    assert told["policy"]["result_max_age_months"]["value"] == 6
    assert told["attention"]["cards"]["values"]["patient-view"] == "1"


def test_findings_combine_on_the_page_as_they_do_for_patients():
    parts, table = list_combinations(KNOWN.muscle.definition)
    assert parts == ("strength", "mass", "performance")
    told = dict(table)
    assert told["low", "low", "low"] == "severe sarcopenia"
    assert told["normal", "low", "low"] == "no sarcopenia"
    assert len(table) == 27


def test_guidelines_stand_side_by_side():
    guidelines = [*KNOWN.read_guidelines().values()]
    table = build_rows(guidelines)
    printed = {
        one.id: str(cell[-2])
        for one, cell in zip(guidelines, table[0].cells, strict=True)
        if cell[-2].means == "indeterminate"
    }
    assert printed["uk-ng239"] == "at most 350 ng/L"
    assert sum(len(cell) for row in table for cell in row.cells) == sum(
        len(one.cutoffs) for one in guidelines
    )
    plot = build_plot(guidelines, KNOWN)
    deficient = next(series for series in plot.series if series.name == "deficient")
    assert ("uk-ng239", (0.0, 180.0), "below 180 ng/L: deficient") in deficient.points
    high = next(series for series in plot.series if series.name == "high")
    told = {point[0]: point[2] for point in high.points}
    assert told["uk-ng239"] == "above 1000 ng/L: high, not printed by uk-ng239 itself"
    assert told["us-aafp2025"] == "above 1000 ng/L: high"


def test_orders_are_shown_with_their_templates(here):
    told = here.get("/evidence/orders", headers=JSON).json
    assert {rule["id"] for rule in told["rule"]} == {*KNOWN.order_rules}
    assert {one["id"] for one in told["template"]} == {*KNOWN.templates.by_id}


def test_no_guideline_of_a_site_hides_a_page(tmp_path):
    file = tmp_path / "ours.toml"
    file.write_text('subject = "b12"')
    assert {*PAGES, CODES} == RESERVED_IDS
    with pytest.raises(KnowledgeError, match=r"ours\.toml.*id.*rules is the name of another page"):
        check_own_guidelines({"rules": file}, known().index)
