"""What a committee reads of a population run."""

import base64
import csv
import hashlib
import html
import json
import re
from collections import Counter

import pytest
from click.testing import CliRunner
from run_rows import AS_OF, make_evidence, make_hospital, make_survey, write_run
from tables import cases

from services.cli.main import main
from services.population.report.build import make_report
from services.population.report.dataset import ReportError

VARIANTS = {
    "one day": ({}, ""),
    "a period": ({"replay": True}, ""),
    "guidelines compared": ({"compare": True}, ""),
    "a survey": ({"compare": True}, make_survey(300)),
}


@pytest.fixture(scope="module", params=VARIANTS, ids=list(VARIANTS))
def written(request, tmp_path_factory):
    """The report with its drawings, of each kind of run."""
    kind, weights = VARIANTS[request.param]
    out = tmp_path_factory.mktemp("run") / "out"
    given = make_hospital(300, **kind)
    write_run(out, **given, survey=weights)
    make_report(out)
    return out, given


def person(name, **others):
    return {"patient": name, **others}


def table(folder, name):
    return list(csv.reader((folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()))


def test_the_page_needs_nothing_from_anywhere(written):
    out, _ = written
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in html.unescape(page)
    assert not re.search(r"<(script|link|img|iframe|object|image|use)\b|\sstyle=|\son[a-z]+=", page)
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', page))
    anchors = set(re.findall(r'id="([^"]*)"', page))
    assert {link[1:] for link in re.findall(r'href="([^"]*)"', page)} <= anchors
    assert page.count('<figure role="img"') >= 6


def test_every_table_is_on_the_page_in_the_json_and_in_a_file(written):
    out, _ = written
    folder = out / "report"
    figures = json.loads((folder / "figures.json").read_bytes())["figures"]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert {file.stem for file in folder.glob("*.csv")} == set(figures)
    for name, figure in figures.items():
        assert f'<h3 id="{name}">' in page, name
        header, *rows = table(folder, name)
        assert len(rows) == figure["total"], name
        if figure["rows"]:
            assert header == figure["columns"], name


@pytest.mark.parametrize("written", ["a survey"], indirect=True)
def test_the_same_files_give_the_same_report(written, tmp_path):
    out, _ = written
    make_report(out, into=tmp_path)
    for file in sorted((out / "report").iterdir()):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


def test_people_are_counted_by_category(reported):
    given = make_hospital(200)
    found = reported(**given)
    counted = Counter(row["b12_category"] for row in given["assessments"])
    shown = {row["category"]: row["patients"] for row in found.rows("b12_category")}
    assert shown == counted
    measured = [row for row in given["assessments"] if row["b12_evidence"]]
    assert {row["of"] for row in found.rows("b12_category_measured")} == {len(measured)}
    ages = Counter()
    for row in given["assessments"]:
        ages["not known" if row["age"] is None else row["age"] // 10] += 1
    by_age = {row["age_band"]: row["of"] for row in found.rows("b12_category_by_age_band")}
    assert by_age["60 to 69"] == ages[6]
    assert by_age["0 to 19"] == ages[0] + ages[1]
    assert "200 people" in found.html


def test_a_result_too_old_to_decide_is_no_test(reported):
    low = make_evidence("first-line-band", "Vitamin B12 deficient", 150, "ng/L", "below 180 ng/L")
    old = make_evidence(
        "old-result", "Vitamin B12 low, but too old to decide by", 150, "ng/L", None
    )
    kidneys = make_evidence("kidney-function", "eGFR, kidneys working", 90, "mL/min", None)
    found = reported(
        assessments=[
            person("recent", b12_category="deficient", b12_evidence=[kidneys, low]),
            person("old and low", b12_category="at-risk-untested", b12_evidence=[old]),
            person("old", b12_evidence=[kidneys]),
            person("never", missing=["b12"]),
        ]
    )
    rows = found.rows("b12_category_measured")
    assert [(row["category"], row["patients"], row["of"]) for row in rows] == [("deficient", 1, 1)]
    said = found.html.replace("\N{NO-BREAK SPACE}", " ")
    assert "1 of 4 people (25.0 %). Of these, 1 of 1 (100.0 %) are deficient" in said
    missing = {row["missing"]: row["patients"] for row in found.rows("missing")}
    assert missing == {"b12": 1}


def test_nobody_is_counted_twice_for_two_results_of_one_kind(reported):
    twice = [
        make_evidence(
            "mass",
            "Muscle mass index low (12.6 kg, height 158 cm)",
            5.0,
            "kg/m2",
            "below 5.5 kg/m2",
        ),
        make_evidence(
            "mass",
            "Muscle mass index low (12.9 kg, height 158 cm)",
            5.2,
            "kg/m2",
            "below 5.5 kg/m2",
        ),
        make_evidence("mass", "Muscle mass low", 12.6, "kg", "below 15 kg"),
    ]
    other = [make_evidence("mass", "Muscle mass index normal", 6.0, "kg/m2", "below 5.5 kg/m2")]
    found = reported(
        assessments=[
            person("a", muscle_evidence=twice),
            person("b", muscle_evidence=other),
            person("c"),
        ]
    )
    low = found.row("muscle_limits", says="Muscle mass index low")
    assert (low["patients"], low["of"], low["limit"]) == (1, 2, "below 5.5 kg/m2")
    assert found.row("muscle_limits", says="Muscle mass low")["of"] == 1


def test_what_is_missing_is_counted_by_category(reported):
    found = reported(
        assessments=[
            person("a", b12_category="deficient", missing=["methylmalonic_acid"]),
            person("b", b12_category="deficient", missing=[]),
            person("c", missing=["b12", "methylmalonic_acid"]),
        ]
    )
    row = found.row("missing_by_b12", b12_category="deficient", missing="methylmalonic_acid")
    assert (row["patients"], row["of"]) == (1, 2)
    assert found.rows("missing")[0]["patients"] == 2
    assert "Methylmalonic acid" in found.html


def call(patient, at, *, encounter, practitioner, shown, withheld=0):
    return {
        "patient": patient, "at": at, "hook": "patient-view", "encounter": encounter,
        "practitioner": practitioner, "b12_category": "deficient",
        "muscle_category": "not_assessed", "tier": "T3", "shown": shown, "withheld": withheld,
    }  # fmt: skip


def card(patient, at, topic="b12Deficient", indicator="warning", withheld=None):
    return {
        "patient": patient, "at": at, "hook": "patient-view", "encounter": None,
        "practitioner": None, "topic": topic, "indicator": None if withheld else indicator,
        "summary": f"{topic} of {patient}", "suggestions": [], "shown": withheld is None,
        "withheld": withheld,
    }  # fmt: skip


def test_interruptions_are_per_visit_and_per_clinician_and_day(reported):
    monday, evening, tuesday = "2026-03-02T09:00:00", "2026-03-02T18:00:00", "2026-03-03T09:00:00"
    found = reported(
        assessments=[person("a"), person("b")],
        calls=[
            call("a", monday, encounter="e1", practitioner="d1", shown=2),
            call("a", evening, encounter="e1", practitioner="d1", shown=1),
            call("b", tuesday, encounter="e2", practitioner="d1", shown=0, withheld=1),
            call("b", tuesday, encounter=None, practitioner=None, shown=1),
        ],
        cards=[
            card("a", monday),
            card("a", monday, "muscleProbable"),
            card("a", evening),
            card("b", tuesday, withheld="snoozed"),
            card("b", tuesday),
        ],
        replay={"from": "2026-03-01", "to": "2026-03-31"},
    )
    every = found.row("visits", hook="all")
    assert (every["calls"], every["cards"], every["visits"]) == (4, 4, 2)
    assert every["cards per 100 visits"] == 150.0  # the call without a visit is in no visit
    assert every["cards per 100 calls"] == 100.0
    [days] = found.rows("clinician_days")
    assert (days["clinician-days"], days["cards a day"], days["most on a day"]) == (2, 1.5, 3)
    assert found.row("cards", topic="b12Deficient")["patients"] == 2
    reasons = {(row["reason"], row["topic"]) for row in found.rows("withheld")}
    assert reasons == {("snoozed", "b12Deficient")}
    assert "as it went by" in found.html


def test_one_day_is_no_rate_of_interruption(reported):
    found = reported(assessments=[person("a"), person("b")], cards=[card("a", f"{AS_OF}T00:00:00")])
    assert "visits" not in found.said["figures"]
    assert found.row("cards", topic="b12Deficient")["per 100 patients"] == 50.0
    assert "It is no rate of interruption" in found.html


def test_a_run_without_a_card_has_a_report(reported):
    found = reported(assessments=[person("a")])
    assert found.rows("cards") == []
    assert "0 of 1 people" in found.html
    assert "Without drawings" in found.html


def compared(name, first, other, value):
    """A person by two guidelines that draw the line at 180 and at 200."""
    limits = {
        "deficient": ("below 180 ng/L", "below 200 ng/L"),
        "indeterminate": ("180 to 350 ng/L", "200 to 300 ng/L"),
    }
    by = {
        "b12_category": first,
        "b12_evidence": [
            make_evidence(
                "first-line-band", f"Vitamin B12 {first}", value, "ng/L", limits[first][0]
            )
        ],
    }
    beside = {
        "b12_category": other, "b12_guideline": "us-aafp2025", "primary_pair": False,
        "b12_evidence": [make_evidence("first-line-band", f"Vitamin B12 {other}", value, "ng/L", limits[other][1])],
    }  # fmt: skip
    return [person(name, **by), person(name, **beside)]


KNOWLEDGE = {"b12": ["uk-ng239@1.0.0", "us-aafp2025@1.0.0"], "sarcopenia": ["ewgsop2-2019@1.0.0"]}


def test_agreement_is_cohens_kappa(reported):
    """20 of 50 yes by both, 15 no by both, 5 and 10 apart: kappa 0.4, as textbooks have it."""
    pairs = [("deficient", "deficient")] * 20 + [("deficient", "indeterminate")] * 5
    pairs += [("indeterminate", "deficient")] * 10 + [("indeterminate", "indeterminate")] * 15
    rows = [row for n, pair in enumerate(pairs) for row in compared(f"p{n:02}", *pair, 190.0)]
    nobody = [person("n"), person("n", b12_guideline="us-aafp2025", primary_pair=False)]
    found = reported(assessments=rows + nobody, knowledge=KNOWLEDGE)
    row = found.row("agreement", question="deficient, of either kind")
    assert (row["patients"], row["alike"], row["alike %"], row["kappa"]) == (50, 35, 70.0, 0.4)
    apart = {
        (row["first says"], row["other says"]): row["patients"]
        for row in found.rows("confusion_b12_us-aafp2025")
    }
    assert apart[("indeterminate", "deficient")] == 10
    assert apart[("no-action", "no-action")] == 1
    assert [row["patients"] for row in found.rows("changed")] == [10, 5]
    assert (
        found.row("b12_category_by_guideline", guideline="us-aafp2025", grade="deficient")[
            "patients"
        ]
        == 30
    )


def test_people_at_the_limits_have_the_result_and_both_limits(reported):
    found = reported(
        assessments=compared("a", "indeterminate", "deficient", 190.0)
        + compared("b", "deficient", "deficient", 120.0),
        knowledge=KNOWLEDGE,
    )
    [row] = found.rows("at_the_limits")
    assert (row["patient"], row["value"], row["unit"]) == ("a", 190.0, "ng/L")
    assert (row["limit"], row["other limit"]) == ("180 to 350 ng/L", "below 200 ng/L")
    [review] = found.rows("review")
    assert (review["patient"], review["changes by"]) == ("a", "us-aafp2025")


def test_names_of_one_grade_are_no_disagreement(reported):
    low = {"strength": "low", "muscle_category": "probable"}
    beside = {
        "muscle_definition": "awgs-2019",
        "muscle_category": "possible",
        "primary_pair": False,
    }
    found = reported(
        assessments=[person("a", **low), person("a", **{**low, **beside})],
        knowledge={
            "b12": ["uk-ng239@1.0.0"],
            "sarcopenia": ["ewgsop2-2019@1.0.0", "awgs-2019@1.0.0"],
        },
    )
    assert found.rows("changed") == []
    assert {row["alike %"] for row in found.rows("agreement")} == {100.0}
    assert 'class="n s7 same"' in found.html


def test_the_gravest_are_looked_at_first(reported):
    at = f"{AS_OF}T00:00:00"
    found = reported(
        assessments=[
            person("a", tier="T1"),
            person("b"),
            person("c", tier="T3"),
            person("d", tier="T2"),
        ],
        cards=[
            card("b", at, indicator="critical"),
            card("c", at),
            card("d", at),
            card("d", at, "x", "info"),
            card("a", at, indicator="info"),
        ],
    )
    assert [row["patient"] for row in found.rows("review")] == ["b", "d", "c", "a"]
    assert found.rows("review")[1]["summary"] == "b12Deficient of d"


def test_a_condition_chooses_people_and_their_cards(reported):
    at = f"{AS_OF}T00:00:00"
    found = reported(
        assessments=[person("a", age=70), person("b", age=59), person("c", age=None)],
        cards=[card("a", at), card("b", at)],
        where="age >= 60 -- the older",
    )
    assert found.said["people"] == 1
    assert found.row("cards", topic="b12Deficient")["cards"] == 1
    assert found.row("worst_card", indicator="warning")["of"] == 1
    assert "age &gt;= 60" in found.html


@cases("""
    where                                             | says
    --------------------------------------------------+---------------------------------
    age >                                             | cannot be used
    agee > 60                                         | It may name these columns:
    age > 60) UNION SELECT (1                         | cannot be used
    age > 60; DROP TABLE written                      | cannot be used
    age > 600                                         | nobody meets the condition
    exists (SELECT 1 FROM read_csv('/etc/hostname'))  | file system operations are disabled
    period = '2011-2012'                              | It may name these columns:
""")
def test_a_condition_that_cannot_be_used_says_why(case, reported):
    with pytest.raises(ReportError) as refused:
        reported(assessments=[person("a")], where=case["where"])
    assert case["says"] in str(refused.value)


def test_a_survey_chooses_weighs_and_divides(reported):
    weights = "patient,weight,stratum,unit,period,sex,number\n" + "".join(
        f"p{n:02},{n % 4},s{n % 3},u{n % 5},{'early' if n < 24 else 'late'},x,{n}\n"
        for n in range(48)
    )
    rows = [
        person(f"p{n:02}", age=60, b12_category="deficient" if n % 6 == 1 else "unlikely")
        for n in range(50)
    ]
    found = reported(assessments=rows, survey=weights, where="age >= 60 AND period = 'early'")
    assert (found.said["people"], found.said["withoutWeight"]) == (18, 14)
    deficient = found.row("b12_category", category="deficient")
    inside = [n for n in range(24) if n % 4]
    yes = sum(n % 4 for n in inside if n % 6 == 1)
    assert deficient["weighted %"] == pytest.approx(
        100 * yes / sum(n % 4 for n in inside), abs=0.006
    )
    assert deficient["from %"] < deficient["weighted %"] < deficient["to %"]
    assert {row["period"] for row in found.rows("b12_category_by_period")} == {"early"}
    assert {row["sex"] for row in found.rows("b12_category_by_sex")} == {"female"}
    assert "b12_category_by_number" in found.said["figures"]  # 18 values are few enough
    assert "14 without a weight are left out" in found.html


def test_a_table_without_weights_divides_all_the_same(reported):
    wards = "patient,ward\np0,north\np1,south\n"
    rows = [person(f"p{n}") for n in range(3)]
    found = reported(assessments=rows, survey=wards)
    assert (found.said["people"], found.said["weighted"]) == (3, False)
    assert [row["ward"] for row in found.rows("b12_category_by_ward")] == [
        "north",
        "not known",
        "south",
    ]
    assert reported(where="ward = 'north'").said["people"] == 1


def test_a_column_of_many_values_divides_nobody(reported):
    weights = "patient,weight,household\n" + "".join(f"p{n},1,h{n}\n" for n in range(60))
    found = reported(assessments=[person(f"p{n}") for n in range(60)], survey=weights)
    assert "b12_category_by_household" not in found.said["figures"]
    assert "not divided by household" in found.html


def test_no_small_number_leaves_with_a_report_that_hides_them(reported):
    shown = reported(**make_hospital(300, compare=True))
    names = [row["patient"] for row in shown.rows("review")]
    found = reported(mask_below=5)
    assert not (found.folder / "review.csv").exists()
    assert not (found.folder / "at_the_limits.csv").exists()
    files = [
        *found.folder.glob("*.csv"),
        found.folder / "figures.json",
        found.folder / "index.html",
    ]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not any(name in text for name in names), file.name
    for name in ("b12_category", "b12_category_by_age_band", "together", "missing_by_b12", "tier"):
        for row in found.rows(name):
            numbers = [
                row["patients"],
                row["of"],
                *(
                    [row["of"] - row["patients"]]
                    if isinstance(row["patients"], int) and isinstance(row["of"], int)
                    else []
                ),
            ]
            assert not any(isinstance(one, int) and 0 < one < 5 for one in numbers), row
            assert isinstance(row["patients"], int) or row["share %"] is None


def test_a_hidden_part_has_company(reported):
    """What alone is hidden could be computed from the others."""
    rows = [("deficient", 3), ("indeterminate", 20), ("unlikely", 30)]
    people = [
        person(f"{category}{n}", b12_category=category)
        for category, count in rows
        for n in range(count)
    ]
    found = reported(assessments=people, mask_below=5)
    shown = {row["category"]: row["patients"] for row in found.rows("b12_category")}
    assert shown == {"deficient": "<5", "indeterminate": "hidden", "unlikely": 30}


def test_an_earlier_report_is_replaced_and_nothing_else(reported, tmp_path):
    into = tmp_path / "there"
    into.mkdir()
    (into / "mine.csv").write_text("mine")
    reported(**make_hospital(60, compare=True), into=into)
    assert (into / "agreement.csv").exists()
    reported(
        assessments=[person("a")], knowledge={"b12": ["x@1"], "sarcopenia": ["y@1"]}, into=into
    )
    assert not (into / "agreement.csv").exists()
    assert (into / "mine.csv").read_text() == "mine"


def test_the_command_names_the_page_or_says_what_is_wrong(tmp_path):
    out = write_run(tmp_path / "out", [person("a")])
    asked = CliRunner().invoke(
        main, ["backtest-report", str(out), "--into", str(tmp_path / "into")]
    )
    assert (asked.exit_code, asked.stderr.strip()) == (0, str(tmp_path / "into" / "index.html"))
    (out / "run.json").write_text("{}")
    asked = CliRunner().invoke(main, ["backtest-report", str(out)])
    assert (asked.exit_code, "is none of a population run" in asked.stderr) == (1, True)
    asked = CliRunner().invoke(main, ["backtest-report", str(tmp_path)])
    assert (asked.exit_code, "holds no finished run" in asked.stderr) == (1, True)
