"""Published estimates from NHANES, computed again by `cobalamin backtest` and its report.

    python tests/nhanes/reproduce.py FHIR_FOLDER PEOPLE.csv.gz [--as-of DAY] [--engine spark]

FHIR_FOLDER holds adults as FHIR NDJSON (Patient, Observation, Condition, MedicationRequest; B12 in
pmol/L); PEOPLE has the survey's weight, stratum and sampling unit of each person. One run assesses
everybody under four definitions of sarcopenia; a report of each part of the people that was
published on says the shares. NHANES' own codes are read through the site's configuration,
`nhanes.toml`. Percentages are weighted; the interval is Taylor's for stratified clusters.
"""

import argparse
import csv
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("cobalamin")
DEFINITIONS = ("ewgsop2-2019", "awgs-2019", "sdoc-2020")  # beside the first, FNIH


class Estimate(NamedTuple):
    name: str
    cycles: str  # letters of the survey's cycles
    age: int  # and over
    table: str  # of the report
    rows: dict[str, str]  # what the rows to be added up say, by column; "~" in front: ends with it
    published: str


def b12(limit: str) -> dict[str, str]:
    return {"rule": "first-line-band", "limit": f"{limit} pmol/L"}


def raised(rule: str) -> dict[str, str]:
    return {"rule": rule, "says": "~raised"}


def finding(definition: str, name: str, level: str) -> dict[str, str]:
    return {"definition": definition, "finding": name, "level": level}


SAME = "from the same files"
B12, MUSCLE = "b12_limits", "muscle_findings"
MMA, HCY = raised("methylmalonic-acid"), raised("homocysteine")
WANTED = (
    Estimate("Grip weak (FNIH)", "G", 60, MUSCLE, finding("fnih-2014", "strength", "low"), "5 (NCHS Data Brief 179)"),
    Estimate("Grip low (EWGSOP2)", "GH", 60, MUSCLE, finding("ewgsop2-2019", "strength", "low"), f"5.86 (4.7 to 7.0), {SAME}"),
    Estimate("Grip low (SDOC)", "GH", 60, MUSCLE, finding("sdoc-2020", "strength", "low"), f"22.66 (20.2 to 25.1), {SAME}"),
    Estimate("Gait below 0.8 m/s (SDOC)", "AB", 60, MUSCLE, finding("sdoc-2020", "performance", "low"), f"27.81 (25.5 to 30.1), {SAME}"),
    Estimate("Gait below 1.0 m/s (AWGS)", "AB", 60, MUSCLE, finding("awgs-2019", "performance", "low"), f"56.61 (53.1 to 60.1), {SAME}"),
    Estimate("B12 below 148 pmol/L", "ABC", 20, B12, b12("below 148"), "2.2 (Mineva 2020); 2.25"),
    Estimate("B12 148 to below 222 pmol/L", "ABC", 20, B12, b12("148 to below 222"), "13 (Mineva 2020); 13.01"),
    Estimate("MMA above 0.271 umol/L", "ABC", 20, B12, MMA, "6.0 (Mineva 2020, age-specific limits); 6.68"),
    Estimate("Homocysteine above 13 umol/L", "ABC", 20, B12, HCY, "8.4 (Mineva 2020, harmonised assays); 7.67"),
    Estimate("B12 below 148 pmol/L", "ABC", 60, B12, b12("below 148"), f"3.45, {SAME}"),
    Estimate("B12 148 to below 222 pmol/L", "ABC", 60, B12, b12("148 to below 222"), f"11.95, {SAME}"),
    Estimate("MMA above 0.271 umol/L", "ABC", 60, B12, MMA, f"14.90, {SAME}"),
    Estimate("Homocysteine above 13 umol/L", "ABC", 60, B12, HCY, f"18.92, {SAME}"),
    Estimate("B12 below 148 pmol/L", "GH", 20, B12, b12("below 148"), f"1.82, {SAME}"),
    Estimate("B12 148 to below 222 pmol/L", "GH", 20, B12, b12("148 to below 222"), f"9.09, {SAME}"),
    Estimate("MMA above 0.271 umol/L", "GH", 20, B12, MMA, f"8.81, {SAME}"),
    Estimate("B12 below 148 pmol/L", "GH", 60, B12, b12("below 148"), f"2.71, {SAME}"),
    Estimate("MMA above 0.271 umol/L", "GH", 60, B12, MMA, f"17.42, {SAME}"),
)  # fmt: skip


def survey(people: Path, into: Path) -> None:
    """Weight, stratum, unit and cycle of the adults who were examined."""
    csv.field_size_limit(10**7)
    with gzip.open(people, "rt") as lines, into.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["patient", "weight", "stratum", "unit", "cycle"])
        for row in csv.DictReader(lines):
            weight = float(row["wt_mec_2yr"] or 0)
            if float(row["age_years"]) >= 20 and weight > 0:
                stratum = f"{row['cycle_letter']}{row['sdmvstra']}"
                unit = f"{stratum}-{row['sdmvpsu']}"
                table.writerow([row["person_id"], weight, stratum, unit, row["cycle_letter"]])


def reported(out: Path, where: str, into: Path) -> dict[str, Any]:
    """The figures of a report of those whom `where` names."""
    run(["backtest-report", out, "--where", where, "--into", into])
    figures: dict[str, Any] = json.loads((into / "figures.json").read_text())["figures"]
    return figures


def run(arguments: list[Any]) -> None:
    done = subprocess.run(
        [COMMAND, *map(str, arguments)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)


def estimates(out: Path, folder: Path) -> Iterator[tuple[Estimate, list[dict[str, Any]]]]:
    """Each estimate with the rows of the report that say it."""
    found: dict[str, dict[str, Any]] = {}
    for one in WANTED:
        cycles = ", ".join(f"'{letter}'" for letter in one.cycles)
        where = f"age >= {one.age} AND cycle IN ({cycles})"
        if where not in found:
            found[where] = reported(out, where, folder / f"report-{len(found)}")
        table = found[where][one.table]
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
        yield one, [row for row in rows if all(_fits(row[k], v) for k, v in one.rows.items())]


def said(rows: list[dict[str, Any]]) -> str:
    """n and the weighted share; of rows that were added up there is no interval."""
    share = sum(row["weighted %"] for row in rows)
    [n] = {row["of"] for row in rows}
    bounds = f" ({rows[0]['from %']:.1f} to {rows[0]['to %']:.1f})" if len(rows) == 1 else ""
    return f"{n} | {share:.2f}{bounds}"


def _fits(said: str, wanted: str) -> bool:
    return said.endswith(wanted[1:]) if wanted.startswith("~") else said == wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fhir", type=Path)
    parser.add_argument("people", type=Path)
    parser.add_argument("--as-of", default="2026-11-01")
    parser.add_argument("--engine", default="embedded")
    parser.add_argument("--master", default="local-cluster[2,1,1024]")
    parser.add_argument("--out", type=Path, help="keep the run and its report there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        out = options.out or work / "out"
        survey(options.people, work / "survey.csv")
        compared = [part for one in DEFINITIONS for part in ("--compare", one)]
        run([
            "backtest", "--config", HERE / "nhanes.toml", "--out", out, "--as-of", options.as_of,
            "--sarcopenia-definition", "fnih-2014", *compared, "--survey", work / "survey.csv",
            "--engine", options.engine, "--master", options.master, options.fhir,
        ])  # fmt: skip
        print("| estimate | ages | cycles | n | computed, % (95 % interval) | published |")
        print("|---|---|---|--:|--:|---|")
        for one, rows in estimates(out, work):
            print(f"| {one.name} | {one.age}+ | {one.cycles} | {said(rows)} | {one.published} |")


if __name__ == "__main__":
    main()
