"""The report of a run: every number from the run's own files, with its denominator."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from run_rows import make_hospital, write_run

from services.cli.main import main


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
def viewed(tmp_path_factory) -> tuple[Path, dict]:
    out = write_run(tmp_path_factory.mktemp("viewed"), **make_hospital(400, compare=True))
    return out / "report", reported(out)


def test_everybody_is_in_one_category(viewed):
    people = make_hospital(400)["assessments"]
    wanted = Counter(person["b12_category"] for person in people)
    found = rows(viewed[1], "b12_category")
    assert {row["category"]: row["patients"] for row in found} == dict(wanted)
    assert {row["of"] for row in found} == {400}
    for row in found:
        share = 100 * row["patients"] / 400
        assert row["share %"] == pytest.approx(share, abs=0.005)
        assert row["from %"] <= share <= row["to %"]


def test_guidelines_are_compared_person_by_person(viewed):
    people = {
        r["patient"]: r
        for r in make_hospital(400, compare=True)["assessments"]
        if r["primary_pair"]
    }
    others = [
        r
        for r in make_hospital(400, compare=True)["assessments"]
        if r["b12_guideline"] == "us-aafp2025"
    ]
    wanted = Counter((people[o["patient"]]["b12_category"], o["b12_category"]) for o in others)
    table = rows(viewed[1], "confusion_b12_us-aafp2025")
    assert {(r["first says"], r["other says"]): r["patients"] for r in table} == dict(wanted)
    with (viewed[0] / "at_the_limits.csv").open(newline="") as lines:
        listed = list(csv.DictReader(lines))
    changed = {
        o["patient"] for o in others if o["b12_category"] != people[o["patient"]]["b12_category"]
    }
    assert changed <= {row["patient"] for row in listed}


def test_a_replay_counts_cards_by_visit_and_clinician_day(tmp_path):
    said = make_hospital(400, replay=True)
    figures = reported(write_run(tmp_path, **said))
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


def test_a_part_of_the_people_is_named_in_sql(tmp_path):
    people = make_hospital(400)["assessments"]
    out = write_run(tmp_path, people, survey=survey_of(people)[0])
    figures = reported(
        out, "--where", "age >= 60 and cycle = 'A'", "--into", str(tmp_path / "part")
    )
    inside = [p for n, p in enumerate(people) if n % 2 and (p["age"] or 0) >= 60]
    assert figures["people"] == len(inside)
