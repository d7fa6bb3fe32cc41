"""The report of a run: every number from the run's own files, with its denominator."""

import csv
import html
import json
import math
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner
from example_rows import hospital, write

from services.cli import main


def reported(out: Path, *arguments: str) -> dict:
    done = CliRunner().invoke(main, ["backtest-report", str(out), *arguments])
    assert done.exit_code == 0, done.output
    into = (
        Path(arguments[arguments.index("--into") + 1]) if "--into" in arguments else out / "report"
    )
    return json.loads((into / "figures.json").read_text())


def rows(figures: dict, name: str) -> list[dict]:
    table = figures["figures"][name]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


@pytest.fixture(scope="module")
def viewed(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("viewed"), **hospital(400, compare=True))


def test_everybody_is_in_one_category(viewed):
    people = hospital(400)["assessments"]
    wanted = Counter(person["b12_category"] for person in people)
    found = rows(reported(viewed), "b12_category")
    assert {row["category"]: row["patients"] for row in found} == dict(wanted)
    assert {row["of"] for row in found} == {400}
    for row in found:
        share = 100 * row["patients"] / 400
        assert row["share %"] == pytest.approx(share, abs=0.005)
        assert row["from %"] <= share <= row["to %"]


def test_the_interval_is_wilsons(viewed):
    [row] = [r for r in rows(reported(viewed), "b12_category") if r["category"] == "indeterminate"]
    p, n, z = row["patients"] / row["of"], row["of"], 1.959964
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (row["from %"], row["to %"]) == pytest.approx(
        (100 * (middle - half), 100 * (middle + half)), abs=0.006
    )


def test_guidelines_are_compared_person_by_person(viewed):
    people = {
        r["patient"]: r for r in hospital(400, compare=True)["assessments"] if r["primary_pair"]
    }
    others = [
        r for r in hospital(400, compare=True)["assessments"] if r["b12_guideline"] == "us-aafp2025"
    ]
    wanted = Counter((people[o["patient"]]["b12_category"], o["b12_category"]) for o in others)
    table = rows(reported(viewed), "confusion_b12_us-aafp2025")
    assert {(r["first says"], r["other says"]): r["patients"] for r in table} == dict(wanted)
    with (viewed / "report" / "at_the_limits.csv").open(newline="") as lines:
        listed = list(csv.DictReader(lines))
    changed = {
        o["patient"] for o in others if o["b12_category"] != people[o["patient"]]["b12_category"]
    }
    assert changed <= {row["patient"] for row in listed}


def test_a_replay_counts_cards_by_visit_and_clinician_day(tmp_path):
    said = hospital(400, replay=True)
    figures = reported(write(tmp_path, **said))
    calls = said["calls"]
    shown = sum(call["shown"] for call in calls)
    [everything] = [r for r in rows(figures, "visits") if r["hook"] == "all"]
    assert (everything["calls"], everything["cards"]) == (len(calls), shown)
    visits = len({call["encounter"] for call in calls})
    assert everything["cards per 100 visits"] == pytest.approx(100 * shown / visits, abs=0.01)
    [days] = rows(figures, "clinician_days")
    assert days["clinician-days"] == len({(c["practitioner"], c["at"][:10]) for c in calls})


def survey_of(people: list[dict]) -> tuple[str, list[tuple[str, str, str, float]]]:
    units = [
        (p["patient"], f"s{n % 5}", f"s{n % 5}u{n % 15}", 0.5 + n % 7) for n, p in enumerate(people)
    ]
    lines = [f"{patient},{weight},{stratum},{unit},{'A' if n % 2 else 'B'}"
             for n, (patient, stratum, unit, weight) in enumerate(units)]  # fmt: skip
    return "\n".join(["patient,weight,stratum,unit,cycle", *lines]) + "\n", units


def test_weighted_shares_are_taylors_of_stratified_clusters(tmp_path):
    """The same sums in plain Python: a ratio estimate linearised over strata and their units."""
    people = hospital(400)["assessments"]
    text, units = survey_of(people)
    figures = reported(write(tmp_path, people, survey=text))
    [row] = [r for r in rows(figures, "b12_category") if r["category"] == "indeterminate"]
    yes = {p["patient"] for p in people if p["b12_category"] == "indeterminate"}
    total = sum(weight for *_, weight in units)
    share = sum(weight for patient, *_, weight in units if patient in yes) / total
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for patient, stratum, unit, weight in units:
        sums[stratum][unit] += weight * ((patient in yes) - share) / total
    variance = 0.0
    for of_stratum in sums.values():
        n, mean = len(of_stratum), sum(of_stratum.values()) / len(of_stratum)
        variance += n / (n - 1) * sum((z - mean) ** 2 for z in of_stratum.values())
    half = 2.2281 * math.sqrt(variance)  # Student's t, 15 units less 5 strata
    assert row["weighted %"] == pytest.approx(100 * share, abs=0.006)
    assert (row["from %"], row["to %"]) == pytest.approx(
        (100 * (share - half), 100 * (share + half)), abs=0.02
    )


def test_a_part_of_the_people_is_named_in_sql(tmp_path):
    people = hospital(400)["assessments"]
    out = write(tmp_path, people, survey=survey_of(people)[0])
    figures = reported(
        out, "--where", "age >= 60 and cycle = 'A'", "--into", str(tmp_path / "part")
    )
    inside = [p for n, p in enumerate(people) if n % 2 and (p["age"] or 0) >= 60]
    assert figures["people"] == len(inside)


@pytest.mark.parametrize(
    ("where", "says"),
    [("agee >= 60", "agee"), ("age >=", "cannot be used"), ("age >= 200", "nobody")],
)
def test_a_condition_that_cannot_be_used_is_said(where, says, viewed, tmp_path):
    done = CliRunner().invoke(
        main, ["backtest-report", str(viewed), "--where", where, "--into", str(tmp_path)]
    )
    assert done.exit_code == 1
    assert says.casefold() in done.output.casefold()


def test_small_numbers_can_be_hidden_everywhere(viewed, tmp_path):
    figures = reported(viewed, "--mask-below", "5", "--into", str(tmp_path))
    for name in figures["figures"]:
        for row in rows(figures, name):
            count = row.get("patients")
            assert not isinstance(count, int) or count == 0 or count >= 5, name
    hashes = {person["patient"] for person in hospital(400)["assessments"]}
    for file in tmp_path.iterdir():
        assert not [one for one in hashes if one in file.read_text()], file


def test_the_same_run_gives_the_same_report(viewed, tmp_path):
    reported(viewed, "--into", str(tmp_path / "one"))
    reported(viewed, "--into", str(tmp_path / "two"))
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_the_page_asks_nobody_for_anything(viewed):
    reported(viewed)
    page = html.unescape((viewed / "report" / "index.html").read_text())
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]+"', page)
    for title in (
        "Would-be cards",
        "Guidelines compared",
        "What is missing",
        "What this cannot say",
    ):
        assert title in page


def test_a_folder_without_a_run_is_refused(tmp_path):
    done = CliRunner().invoke(main, ["backtest-report", str(tmp_path)])
    assert done.exit_code == 1
    assert "run.json" in done.output
