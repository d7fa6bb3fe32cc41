"""What a population run leaves behind, made by hand: Parquet files, run.json, complaints."""

import json
import random
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from services.population.rows import TABLES
from services.population.run.survey import write_survey

AS_OF = "2026-11-01"
NOBODY: dict[str, Any] = {
    "as_of": AS_OF, "age": 50, "sex": "female", "deceased": False, "primary_pair": True,
    "b12_guideline": "uk-ng239", "b12_category": "no-action", "b12_urgency": "none",
    "neurological": False, "b12_flags": [], "b12_next_steps": [], "b12_evidence": [],
    "indicator_class": None, "muscle_definition": "ewgsop2-2019",
    "muscle_category": "not_assessed", "strength": "unknown", "mass": "unknown",
    "performance": "unknown", "muscle_flags": [], "muscle_next_steps": [],
    "muscle_evidence": [], "tier": "T5", "differential": [], "missing": [], "unusable": [],
    "dropped": [],
}  # fmt: skip
RUN: dict[str, Any] = {
    "version": "0.1.0",
    "started": "2026-11-24T22:00:00+00:00",
    "finished": "2026-11-24T22:01:40+00:00",
    "asOf": AS_OF,
    "engine": "embedded, 2 processes",
    "inputs": ["Patient.ndjson", "Observation.ndjson.gz"],
    "knowledge": {"b12": ["uk-ng239@1.0.0"], "sarcopenia": ["ewgsop2-2019@1.0.0"]},
    "options": {"tenant": "local"},
    "counts": {
        "files": 2, "lines": 4000, "bytes": 1_300_000, "kept": 3100,
        "resources": {"Observation": 3600, "Patient": 400}, "patients": 400, "assessed": 399,
        "complaints": {"not-json": 2, "patient-missing": 1},
    },
}  # fmt: skip
COMPLAINTS = "Observation.ndjson.gz,17,not-json,1\nObservation.ndjson.gz,40,not-json,1\n,,patient-missing,1\n"


def make_evidence(
    rule: str, says: str, value: float, unit: str, limit: str | None
) -> dict[str, Any]:
    return {
        "rule": rule,
        "says": says,
        "value": value,
        "unit": unit,
        "date": "2026-10-01",
        "limit": limit,
    }


def write_run(
    out: Path,
    assessments: Iterable[Mapping[str, Any]],
    cards: Iterable[Mapping[str, Any]] = (),
    calls: Iterable[Mapping[str, Any]] = (),
    survey: str = "",
    **run: Any,
) -> Path:
    """A run's folder: rows lack what NOBODY says; `survey` is CSV, `run` goes into run.json."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [{**NOBODY, **row} for row in assessments]
    for table, given in (("assessments", rows), ("cards", list(cards)), ("calls", list(calls))):
        if given:
            _write_parquet(out / table, TABLES[table], given)
    if survey:
        (out / "survey.csv").write_text(survey)
        write_survey(out / "survey.csv", out, lambda patient: patient)
    said = {**RUN, **run}
    if "replay" in said:
        del said["asOf"]
    (out / "run.json").write_text(json.dumps(said))
    (out / "complaints.csv").write_text(f"file,line,reason,count\n{COMPLAINTS}")
    return out


def _write_parquet(folder: Path, columns: Mapping[str, str], rows: list[Mapping[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    lines = folder / "rows.ndjson"
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    typed = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT * FROM read_json('{lines}', format = 'newline_delimited',
                      columns = {{{typed}}}))
                TO '{folder}/00000.parquet' (FORMAT parquet, COMPRESSION zstd)"""
        )
    lines.unlink()


# B12: category, weight, urgency, range of the value in ng/L, limit, what a second guideline says.
B12 = (
    ("deficient", 5, "soon", (80, 179), "below 180 ng/L", "deficient"),
    ("deficient-functional", 1, "soon", (180, 350), "180 to 350 ng/L", "deficient-functional"),
    ("indeterminate", 16, "routine", (180, 350), "180 to 350 ng/L", "indeterminate"),
    ("unlikely", 34, "none", (351, 900), "above 350 ng/L", "unlikely"),
    ("high-b12", 2, "routine", (1001, 1900), "above 1000 ng/L", "high-b12"),
    ("on-treatment", 3, "none", None, "", "on-treatment"),
    ("uninterpretable", 1, "soon", None, "", "uninterpretable"),
    ("insufficient-data", 1, "routine", None, "", "insufficient-data"),
    ("at-risk-untested", 9, "routine", None, "", "at-risk-untested"),
    ("no-action", 28, "none", None, "", "no-action"),
)
MUSCLE = (
    ("not_assessed", 60, None), ("no_sarcopenia", 22, (17, 45)), ("probable", 9, (9, 15.9)),
    ("confirmed", 3, (9, 15.9)), ("severe", 2, (7, 15.5)), ("find_positive", 3, None),
    ("indeterminate", 1, None),
)  # fmt: skip
CARDS = {
    "deficient": (
        "b12Deficient",
        "critical",
        "Vitamin B12 {value:.0f} ng/L: deficient (below 180 ng/L). Start replacement and look for the cause.",
    ),
    "deficient-functional": (
        "b12DeficientFunctional",
        "warning",
        "Functional B12 deficiency: methylmalonic acid raised although vitamin B12 {value:.0f} ng/L.",
    ),
    "indeterminate": (
        "b12Indeterminate",
        "info",
        "Vitamin B12 {value:.0f} ng/L: indeterminate. Consider methylmalonic acid.",
    ),
    "at-risk-untested": (
        "b12AtRiskUntested",
        "info",
        "A reason to test vitamin B12 is on record and no result is.",
    ),
}
CAUSES = (
    "b12-deficiency",
    "corticosteroid",
    "statin",
    "thyroid-disease",
    "alcohol",
    "malnutrition",
)
WANTED = (
    "b12",
    "methylmalonic_acid",
    "homocysteine",
    "hemoglobin",
    "mcv",
    "kidney_function",
    "folate",
    "grip_strength",
    "gait_speed",
    "chair_stand_5x",
    "muscle_mass",
    "sarc_f",
)


def make_hospital(
    people: int = 400, *, compare: bool = False, replay: bool = False
) -> dict[str, Any]:
    """Rows of a hospital that never was, the same each time; they go into `write`."""
    chance = random.Random(7)
    rows: list[dict[str, Any]] = []
    cards: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for number in range(people):
        row, value = _make_person(chance, number)
        rows.append(row)
        if compare:
            rows += _make_others(row, value)
        visits = chance.randint(1, 4) if replay else 1
        for visit in range(visits):
            day = (
                date(2026, 1, 5) + timedelta(days=chance.randint(0, 290))
                if replay
                else date.fromisoformat(AS_OF)
            )
            at = datetime.combine(day, datetime.min.time()) + timedelta(
                hours=chance.randint(8, 17) if replay else 0
            )
            call = {
                "patient": row["patient"],
                "at": at.isoformat(),
                "hook": "patient-view",
                "encounter": f"e{number}-{visit}" if replay else None,
                "practitioner": f"d{chance.randint(1, 12)}" if replay else None,
            }
            made = list(_make_cards(chance, row, value, call, repeat=visit > 0))
            cards += made
            if replay:
                shown = sum(card["shown"] for card in made)
                calls.append(
                    {
                        **call,
                        "b12_category": row["b12_category"],
                        "muscle_category": row["muscle_category"],
                        "tier": row["tier"],
                        "shown": shown,
                        "withheld": len(made) - shown,
                    }
                )
    said: dict[str, Any] = {"assessments": rows, "cards": cards, "calls": calls}
    if compare:
        said["knowledge"] = {
            "b12": ["uk-ng239@1.0.0", "us-aafp2025@1.0.0"],
            "sarcopenia": ["ewgsop2-2019@1.0.0", "awgs-2019@1.0.0"],
        }
    if replay:
        said["replay"] = {"from": "2026-01-01", "to": "2026-10-31"}
    return said


def _make_person(chance: random.Random, number: int) -> tuple[dict[str, Any], float | None]:
    age = min(99, max(3, round(chance.gauss(56, 21)))) if chance.random() > 0.01 else None
    b12 = chance.choices(B12, [one[1] for one in B12])[0]
    muscle = chance.choices(MUSCLE, [one[1] for one in MUSCLE])[0]
    value = round(chance.uniform(*b12[3])) if b12[3] else None
    grip = round(chance.uniform(*muscle[2]), 1) if muscle[2] else None
    low = muscle[0] in ("probable", "confirmed", "severe")
    deficient = b12[0].startswith("deficient")
    neurological = deficient and chance.random() < 0.2
    positive = deficient or b12[0] == "indeterminate"
    tier = (
        "T1"
        if neurological
        else "T2"
        if positive and low
        else "T3"
        if positive or low
        else "T4"
        if b12[0] == "at-risk-untested"
        else "T5"
    )
    missing = [one for one in WANTED if chance.random() < 0.7]
    missing = [
        one
        for one in missing
        if not (one == "b12" and value) and not (one == "grip_strength" and grip)
    ]
    if value is None and "b12" not in missing and b12[0] in ("at-risk-untested", "no-action"):
        missing.insert(0, "b12")
    if age is None:
        missing.insert(0, "birth_date")
    return {
        **NOBODY, "patient": f"{number * 7919:016x}", "age": age,
        "sex": chance.choice(("male", "female", "female", None) if number % 50 == 0 else ("male", "female")),
        "b12_category": b12[0], "b12_urgency": "urgent" if neurological else b12[2], "neurological": neurological,
        "b12_evidence": ([make_evidence("first-line-band", f"Vitamin B12 {b12[0]}", value, "ng/L", b12[4])] if value else [])
        + ([make_evidence("methylmalonic-acid", "Methylmalonic acid raised", 0.61, "umol/L", "above 0.28 umol/L")] if b12[0] == "deficient-functional" else []),
        "b12_next_steps": {"deficient": ["start-b12-replacement", "identify-cause"], "indeterminate": ["consider-mma"], "at-risk-untested": ["order-total-or-active-b12"]}.get(b12[0], []),
        "indicator_class": chance.choice(("low", "adequate", "possible-deficiency")) if chance.random() < 0.05 else None,
        "muscle_category": muscle[0], "strength": "low" if low else "normal" if grip else "unknown",
        "mass": "low" if muscle[0] in ("confirmed", "severe") else "unknown", "performance": "low" if muscle[0] == "severe" else "unknown",
        "muscle_evidence": [make_evidence("strength", "Grip strength low" if low else "Grip strength normal", grip, "kg", "below 16 kg")] if grip else [],
        "muscle_next_steps": ["refer_physio_resistance_exercise"] if low else [], "tier": tier,
        "differential": [one for one in CAUSES if chance.random() < 0.04], "missing": missing,
        "unusable": ["total_b12:no-unit"] if b12[0] == "insufficient-data" else [],
        "dropped": [{"reason": "other-patient", "n": 1}] if chance.random() < 0.02 else [],
    }, value  # fmt: skip


def _make_others(row: dict[str, Any], value: float | None) -> list[dict[str, Any]]:
    """The same person by a guideline with a band from 200 to 300, and by another definition."""
    category = row["b12_category"]
    said = row["b12_evidence"]
    if value is not None and category in ("deficient", "indeterminate", "unlikely"):
        category = "deficient" if value < 200 else "indeterminate" if value <= 300 else "unlikely"
        limit = {
            "deficient": "below 200 ng/L",
            "indeterminate": "200 to 300 ng/L",
            "unlikely": "above 300 ng/L",
        }[category]
        said = [make_evidence("first-line-band", f"Vitamin B12 {category}", value, "ng/L", limit)]
    grip = next((one["value"] for one in row["muscle_evidence"]), None)
    muscle = {
        "confirmed": "sarcopenia",
        "severe": "severe_sarcopenia",
        "probable": "possible",
        "find_positive": "screen_positive",
    }.get(row["muscle_category"], row["muscle_category"])
    if muscle == "no_sarcopenia" and grip is not None and grip < 18:
        muscle = "possible"
    return [
        {**row, "primary_pair": False, "b12_guideline": "us-aafp2025", "b12_category": category, "b12_evidence": said},
        {**row, "primary_pair": False, "muscle_definition": "awgs-2019", "muscle_category": muscle,
         "muscle_evidence": [{**one, "limit": "below 18 kg"} for one in row["muscle_evidence"]]},
    ]  # fmt: skip


def _make_cards(
    chance: random.Random,
    row: dict[str, Any],
    value: float | None,
    call: dict[str, Any],
    *,
    repeat: bool,
) -> Iterable[dict[str, Any]]:
    found = []
    if row["b12_category"] in CARDS:
        topic, indicator, summary = CARDS[row["b12_category"]]
        found.append((topic, indicator, summary.format(value=value or 0)))
    if row["muscle_category"] in ("probable", "confirmed", "severe"):
        found.append(
            (
                "muscleLoss",
                "warning",
                f"Sarcopenia {row['muscle_category']} (EWGSOP2): grip strength low.",
            )
        )
    for place, (topic, indicator, summary) in enumerate(found):
        withheld = (
            "repeat"
            if repeat and chance.random() < 0.7
            else "limit"
            if place > 0 and chance.random() < 0.3
            else None
        )
        yield {
            **call, "topic": topic, "indicator": None if withheld else indicator,
            "summary": None if withheld else summary, "suggestions": [] if withheld else ["Order methylmalonic acid"],
            "shown": withheld is None, "withheld": withheld,
        }  # fmt: skip


def make_survey(people: int = 400) -> str:
    """Weights, two units in each of ten strata, and a period, of the people of `hospital`."""
    chance = random.Random(3)
    lines = ["patient,weight,stratum,unit,period"]
    for number in range(people):
        weight = 0 if number % 41 == 0 else chance.randint(500, 9000)
        lines.append(
            f"{number * 7919:016x},{weight},s{number % 10},{chance.randint(1, 2)},{'2011-2012' if number % 3 else '2013-2014'}"
        )
    return "\n".join(lines) + "\n"


def multiply_rows(out: Path, times: int) -> None:
    """Every row of a run `times` over, each time of other patients."""
    with duckdb.connect() as connection:
        for folder in (one for one in out.iterdir() if one.is_dir() and one.name in TABLES):
            connection.execute(
                f"""COPY (SELECT * REPLACE (md5(patient || k) AS patient)
                          FROM read_parquet('{folder}/00000.parquet'), range({times}) t(k))
                    TO '{folder}/many.parquet' (FORMAT parquet, COMPRESSION zstd)"""
            )
            (folder / "00000.parquet").unlink()
