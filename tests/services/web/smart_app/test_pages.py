"""The app's pages by HTTP: what they show, and what they never do."""

import re
from dataclasses import replace

import orjson
import pytest
from patients import known
from smart_launches import DECADE, app_of, launch
from tables import cases

from cds_hooks.protocol.prefetch import PrefetchAnswer, PrefetchState
from services.assessment.b12_steps import B12Step
from services.assessment.labels import get_sentence
from services.chart.model import UnusableReason
from services.knowledge.site import load_knowledge

PATHS = ("", "summary", "leaflet")
GERMAN = load_knowledge({"language": {"code": "de"}})
ENGLISH = re.compile(r"\b(the|and|of|is|are|with|for|not|by|below|above|since|as|from)\b")


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    """One application for each language; which launches there are is told before each call."""
    launches = {}
    made = {
        code: app_of(launches, tmp_path_factory.mktemp(code), knows)
        for code, knows in (("en", known()), ("de", GERMAN))
    }
    yield launches, made
    for app in made.values():
        app.teardown()


@pytest.fixture
def pages(apps):
    """What a page of a launch answers."""
    launches, made = apps

    def get(opened, path="", code="en", **options):
        launches.clear()
        launches["one"] = opened
        return made[code].test_client().get(f"/smart/p/one/{path}", **options)

    return get


def text_of(answer):
    page = re.sub(r"(?s)<script.*?</script>|<head>.*?</head>", " ", answer.text)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_kept_and_nothing_is_inline(pages, path):
    answer = pages(launch(DECADE), path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", answer.text)
    assert "Patient/1" not in answer.text


def test_reasons_have_value_limit_and_place(pages):
    said = text_of(pages(launch("b12 112; +paraesthesia; grip 14")))
    assert "Vitamin B12 112 ng/L: deficient (below 180 ng/L)." in said
    assert "recommendation 1.3.9 and table 1" in said
    assert get_sentence(B12Step, B12Step.URGENT_NEUROLOGY_HAEMATOLOGY_ADVICE) in said
    assert known().comparison["statement"]["says"] in said


def test_what_could_not_be_had_is_never_nothing(pages):
    opened = launch(
        "b12 200",
        unknown={"medications": PrefetchState.FAILED, "conditions": PrefetchState.LEFT_OUT},
    )
    said = text_of(pages(opened))
    assert "Prescriptions : could not be looked up." in said
    assert "Problem list : was not looked up." in said
    assert "No result on record: Active B12" in said


@cases("""
    patient                         | born       | not had       | B12 reads                                | to act             | quiet
    --------------------------------+------------+---------------+------------------------------------------+--------------------+------
    b12 400                         | 1960-06-02 |               | deficiency is unlikely by what           | nothing is pressing | yes
    b12 400                         | 1960-06-02 | conditions    | deficiency is unlikely by what           |                    | no
    b12 400                         | 1960-06-02 | medications   | deficiency is unlikely by what           |                    | no
    b12 400; +nitrous_oxide         | 1960-06-02 |               | 400 ng/L does not reassure after nitrous |                    | no
    b12 400; +fatigue               | 1960-06-02 |               | deficiency is unlikely by what           | at the next planned | yes
    b12 90                          | 2016-06-02 |               | guideline does not apply at this age     |                    | no
    grip 40                         | 1960-06-02 | observations  | No usable B12 result                     |                    | no
    b12 90; rx hydroxocobalamin since 2024-01-01 | 1960-06-02 |  | Vitamin B12 treatment | at the next planned | no
    b12 150; +pregnancy @2026-06-01 | 1990-06-02 |               | total B12 cannot be interpreted          | within weeks       | no
    b12 112 none                    | 1960-06-02 |               | cannot be read as it was reported        | within weeks       | no
    mma 0.6; egfr 80                | 1960-06-02 |               | a test is due                            | at the next planned | no
""")
def test_nothing_reassures_that_was_not_seen_or_is_not_for_this_patient(pages, case):
    unknown = {case["not had"]: PrefetchState.FAILED} if case["not had"] else None
    opened = launch(case["patient"], unknown=unknown, born=case["born"])
    page = pages(opened)
    b12 = re.search(
        r'(?s)<section class="card[^>]*aria-label="Vitamin B12".*?</section>', page.text
    )
    assert b12
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", b12[0]))
    assert case["B12 reads"] in said
    assert case["to act"] in said
    assert ("nothing is pressing" in said) == (case["to act"] == "nothing is pressing")
    assert ("tone-edge-good" in b12[0]) == (case["quiet"] == "yes")
    for path in ("", "summary"):
        told = "what is missing can change these findings" in text_of(pages(opened, path))
        assert told == bool(unknown)


def test_of_a_child_it_says_whom_to_ask(pages):
    for path in ("", "summary"):
        said = text_of(pages(launch("b12 90; hb 100; grip 10", born="2016-06-02"), path))
        assert "Take a paediatrician&#39;s advice" in said
        assert "No bands: not applied: under 16 years" in said or path
        assert "pressing" not in said


def test_results_that_could_not_be_had_are_not_said_to_be_absent(pages):
    opened = launch("grip 20", unknown={"observations": PrefetchState.FAILED})
    said = text_of(pages(opened))
    assert "No result on record" not in said
    assert "Results : could not be looked up." in said


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"topic": "b12Deficient", "hook": "patient-view"}, "about vitamin B12."),
        ({"topic": "muscleProbable"}, "about muscle."),
        ({"topic": "orderFolicAcid"}, "about an order;"),
        ({"topic": 7}, None),
        ({}, None),
    ],
)
def test_the_card_that_the_app_was_opened_from(pages, context, said):
    told = text_of(pages(replace(launch("b12 200"), app_context=context)))
    assert (f"Opened from a card {said}" in told) if said else ("Opened from" not in told)


def test_a_part_is_said_to_be_a_part(pages):
    opened = launch("b12 200")
    partly = replace(opened.answers["observations"], is_complete=False)
    said = text_of(pages(replace(opened, answers={**opened.answers, "observations": partly})))
    assert "Results : looked up in part." in said
    assert "Not all results could be had" in said


def test_another_patients_resources_are_left_out_and_said_to_be(pages):
    opened = launch("b12 200")
    [own] = opened.answers["observations"].resources
    other = {**own, "id": "x", "subject": {"reference": "Patient/2"}}
    other["valueQuantity"] = {**own["valueQuantity"], "value": 77}
    both = PrefetchAnswer("observations", PrefetchState.FOUND, (own, other))
    answer = pages(replace(opened, answers={**opened.answers, "observations": both}))
    assert "resources of another patient" in text_of(answer)
    assert "77" not in text_of(answer)


def test_a_result_without_a_unit_is_told_and_not_read(pages):
    said = text_of(pages(launch("b12 112 none")))
    assert get_sentence(UnusableReason, UnusableReason.NO_UNIT) in said
    assert "It was not read as any value." in said
    assert "deficient (below" not in said


@pytest.mark.parametrize("path", ["", "summary"])
def test_a_name_is_text(pages, path):
    answer = pages(launch("b12 200", name={"name": [{"text": "<script>alert(1)</script>"}]}), path)
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ([{"family": "Roe", "given": ["Jane", "Q"]}], "Jane Q Roe"),
        ([{"use": "old", "text": "Before"}, {"use": "official", "text": "Now"}], "Now"),
        ([{"family": ["Roe"], "given": None}], "Roe"),
        ("Roe", None),
        ([], None),
    ],
)
def test_whose_chart_it_is(pages, name, shown):
    said = text_of(pages(launch("b12 200", name={"name": name}), "summary"))
    assert f"summary Print {shown} · born 2 Jun 1948 ·".replace(" None ·", "") in said


@pytest.mark.parametrize("path", ["", "summary"])
def test_german_pages_have_no_english_sentence(pages, path):
    for text in (DECADE, "b12 112; mma 0.61; +paraesthesia; grip 14; rx systemic_corticosteroid"):
        page = pages(launch(text), path, "de").text
        # Where a limit is printed, and who printed it, stays as it was published.
        page = re.sub(r'<(td|span) class="[^"]*(?:secondary|place)[^"]*"[^>]*>[^<]*</\1>', "", page)
        page = re.sub(
            r"(?s)<p class=\"small text-body-secondary.*?</p>|<p class=\"mb-2\"><strong>[^<]*:</strong>.*?</p>",
            "",
            page,
        )
        page = re.sub(
            r"(?s)<script.*?</script>|<head>.*?</head>|<a class=\"visually-hidden.*?</a>", "", page
        )
        found = [line for line in re.findall(r">([^<>]+)<", page) if ENGLISH.search(line)]
        assert found == []


def test_the_leaflet_in_the_patients_language(pages):
    answer = pages(launch("b12 200"), "leaflet?language=de")
    assert 'lang="de"' in answer.text
    assert "Essen mit Vitamin B12" in text_of(answer)
    assert "Noch nicht ärztlich geprüft" in text_of(answer)
    assert "Food with vitamin B12" in text_of(pages(launch("b12 200"), "leaflet?language=xx"))


def test_a_launch_that_there_is_not(apps):
    asked = apps[1]["en"].test_client()
    page = asked.get("/smart/p/none/", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "Open the app from the patient" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert orjson.loads(asked.get("/smart/p/none/").data)["resourceType"] == "OperationOutcome"


def test_a_patient_of_whom_nothing_is_known(pages):
    opened = launch("")
    nothing = {key: PrefetchAnswer(key, PrefetchState.FAILED) for key in opened.answers}
    for path in PATHS:
        assert pages(replace(opened, answers=nothing), path).status_code == 200


def test_styles_and_scripts_may_be_kept(apps):
    with apps[1]["en"].test_client().get("/smart/files/print.js") as answer:
        assert "no-store" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize("value", [0, 5e-324, 1e-300, 1e300, 1.7e308])
def test_no_value_is_so_odd_that_the_page_fails(tmp_path, value):
    opened = launch("grip_right 12 @2026-03-09")
    key = (
        "muscle_observations" if opened.answers["muscle_observations"].resources else "observations"
    )
    [grip] = opened.answers[key].resources
    odd = {**grip, "valueQuantity": {**grip["valueQuantity"], "value": value}}
    answers = {**opened.answers, key: PrefetchAnswer(key, PrefetchState.FOUND, (odd,))}
    app = app_of({"odd": replace(opened, answers=answers)}, tmp_path)
    assert app.test_client().get("/smart/p/odd/").status_code == 200
    app.teardown()
