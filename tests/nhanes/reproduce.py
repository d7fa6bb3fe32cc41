"""Published estimates from NHANES, computed again through `cobalamin assess`.

    python tests/nhanes/reproduce.py FHIR_FOLDER PEOPLE.csv.gz [--as-of DAY]

FHIR_FOLDER holds all adults as FHIR NDJSON (Patient, Observation, Condition, MedicationRequest,
each in the order of the patients; B12 in pmol/L); PEOPLE has the survey's weight, stratum and
sampling unit of each person. Every person is assessed by the command itself under four definitions
of sarcopenia; what is counted is what the assessment says, never the number that went in. NHANES'
own codes are read through the site's configuration, `nhanes.toml`. Percentages are weighted; the
interval is Taylor's for stratified clusters.
"""

import argparse
import csv
import gzip
import json
import math
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

HERE = Path(__file__).parent
DEFINITIONS = ("fnih-2014", "ewgsop2-2019", "awgs-2019", "sdoc-2020")
PEOPLE_IN_A_FILE = 500
T95 = 2.0  # about 30 to 60 degrees of freedom


def bundles(folder: Path) -> Iterator[dict[str, Any]]:
    """A Bundle for each patient, one at a time."""
    beside = {
        kind: groupby(
            _resources(folder / f"{kind}.ndjson"), key=lambda r: r["subject"]["reference"]
        )
        for kind in ("Observation", "Condition", "MedicationRequest")
    }
    waiting: dict[str, tuple[str, list[Any]] | None] = {}
    for kind, groups in beside.items():
        waiting[kind] = _next(groups)
    for patient in _resources(folder / "Patient.ndjson"):
        found = [patient]
        for kind, groups in beside.items():
            group = waiting[kind]
            if group is not None and group[0] == f"Patient/{patient['id']}":
                found += group[1]
                waiting[kind] = _next(groups)
        yield {"resourceType": "Bundle", "entry": [{"resource": r} for r in found]}
    left = {kind: group[0] for kind, group in waiting.items() if group is not None}
    if left:
        raise ValueError(f"not in the order of the patients: {left}")


def _resources(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


def _next(groups: Iterator[tuple[str, Iterable[Any]]]) -> tuple[str, list[Any]] | None:
    group = next(groups, None)
    return None if group is None else (group[0], list(group[1]))


def write(folder: Path, into: Path) -> list[Path]:
    """The Bundles, one on each line, in files that are read one after another."""
    files: list[Path] = []
    out = None
    for number, bundle in enumerate(bundles(folder)):
        if number % PEOPLE_IN_A_FILE == 0:
            if out is not None:
                out.close()
            files.append(into / f"{len(files):04}.ndjson")
            out = files[-1].open("wb")
        out.write(orjson.dumps(bundle) + b"\n")
    if out is not None:
        out.close()
    return files


def assessed(definition: str, files: list[Path], as_of: str) -> dict[str, dict[str, Any]]:
    """What `cobalamin assess` says of each person, reduced to what is counted."""
    command = [
        Path(sys.executable).with_name("cobalamin"), "assess", "--config", HERE / "nhanes.toml",
        "--sarcopenia-definition", definition, "--as-of", as_of, *files,
    ]  # fmt: skip
    found = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        for line in run.stdout:
            result = orjson.loads(line)
            found[result["patient"].removeprefix("Patient/")] = counted(result)
        complaints = run.stderr.read().decode()
    if run.returncode:
        raise RuntimeError(complaints)
    return found


def counted(result: dict[str, Any]) -> dict[str, Any]:
    """Levels and categories of one assessment, by what its evidence says."""
    kept: dict[str, Any] = {
        "b12": result["b12"]["category"],
        "muscle": result["sarcopenia"]["category"],
    }
    for evidence in result["b12"]["evidence"]:
        if "value" in evidence and evidence["rule"] in (
            "first-line-band",
            "methylmalonic-acid",
            "homocysteine",
        ):
            kept.setdefault(evidence["rule"], (evidence.get("limit", ""), evidence["says"]))
    muscle = result["sarcopenia"]
    kept["strength"], kept["performance"] = muscle["strength"], muscle["performance"]
    kept["intermediate"] = any("intermediate" in e["says"] for e in muscle["evidence"])
    return kept


def estimate(
    people: Iterable[dict[str, str]],
    inside: Callable[[dict[str, str]], bool],
    outcome: Callable[[str], bool | None],
) -> tuple[int, float, float, float]:
    """n, and the weighted percentage with its interval, of a domain of the survey."""
    weighted = total = 0.0
    rows: list[
        tuple[str, str, float, float]
    ] = []  # stratum, unit, weight in the domain, of these yes
    n = 0
    for person in people:
        weight = float(person["wt_mec_2yr"] or 0)
        if weight <= 0:
            continue
        answer = outcome(person["person_id"]) if inside(person) else None
        counts = answer is not None
        n += counts
        w, y = (weight, weight * bool(answer)) if counts else (0.0, 0.0)
        total, weighted = total + w, weighted + y
        cycle = person["cycle_letter"]
        rows.append(
            (
                f"{cycle}{person['sdmvstra']}",
                f"{cycle}{person['sdmvstra']}-{person['sdmvpsu']}",
                w,
                y,
            )
        )
    share = weighted / total
    units: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for stratum, unit, w, y in rows:
        units[stratum][unit] += (y - share * w) / total
    variance = 0.0
    for sums in units.values():
        if len(sums) > 1:
            mean = sum(sums.values()) / len(sums)
            variance += len(sums) / (len(sums) - 1) * sum((s - mean) ** 2 for s in sums.values())
    half = T95 * math.sqrt(variance)
    return n, 100 * share, 100 * (share - half), 100 * (share + half)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fhir", type=Path)
    parser.add_argument("people", type=Path)
    parser.add_argument("--as-of", default="2026-11-01")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    options = parser.parse_args()
    csv.field_size_limit(10**7)
    with gzip.open(options.people, "rt") as lines:
        people = [row for row in csv.DictReader(lines) if float(row["age_years"]) >= 20]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        files = write(options.fhir, Path(folder))
        runs = pool.map(lambda d: assessed(d, files, options.as_of), DEFINITIONS)
        found = dict(zip(DEFINITIONS, runs, strict=True))
    rows = table(people, found)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    print(f"{len(found[DEFINITIONS[0]])} adults assessed under {len(DEFINITIONS)} definitions")
    print("| estimate | n | computed, % (95 % interval) | published |")
    print("|---|--:|--:|---|")
    for name, n, share, low, high, published in rows:
        print(f"| {name} | {n} | {share:.2f} ({low:.1f} to {high:.1f}) | {published} |")


class Answers:
    """What the assessments say of a person; None where nothing was measured or decided."""

    def __init__(self, found: dict[str, dict[str, dict[str, Any]]]) -> None:
        self.found = found

    def low(self, definition: str, finding: str) -> Callable[[str], bool | None]:
        def answer(id_: str) -> bool | None:
            said = self.found[definition].get(id_, {}).get(finding, "unknown")
            return None if said == "unknown" else said == "low"

        return answer

    def grip(self, wanted: str) -> Callable[[str], bool | None]:
        """FNIH's three classes of grip: weak, intermediate, normal."""

        def answer(id_: str) -> bool | None:
            person = self.found["fnih-2014"].get(id_, {"strength": "unknown"})
            if person["strength"] == "unknown":
                return None
            normal = "intermediate" if person["intermediate"] else "normal"
            return wanted == ("weak" if person["strength"] == "low" else normal)

        return answer

    def result(self, rule: str, limit: str = "", says: str = "") -> Callable[[str], bool | None]:
        """Whether the result was compared with `limit`, or is said to be `says`."""

        def answer(id_: str) -> bool | None:
            said = self.found["fnih-2014"].get(id_, {}).get(rule)
            return None if said is None else said[0].startswith(limit) and said[1].endswith(says)

        return answer


def domain(cycles: str, age: int) -> Callable[[dict[str, str]], bool]:
    return lambda person: person["cycle_letter"] in cycles and float(person["age_years"]) >= age


def table(
    people: list[dict[str, str]], found: dict[str, dict[str, dict[str, Any]]]
) -> list[tuple[Any, ...]]:
    """Every estimate, with the published one beside it."""
    said = Answers(found)
    deficient = said.result("first-line-band", limit="below 148 pmol/L")
    marginal = said.result("first-line-band", limit="below 222 pmol/L")
    mma_raised = said.result("methylmalonic-acid", says="raised")
    hcy_raised = said.result("homocysteine", says="raised")
    wanted: list[tuple[str, str, int, Callable[[str], bool | None], str]] = [
        ("Grip weak (FNIH), 60 and over, 2011-12", "G", 60, said.grip("weak"), "5 (NCHS Data Brief 179)"),
        ("Grip intermediate, 60 and over, 2011-12", "G", 60, said.grip("intermediate"), "13 (NCHS Data Brief 179)"),
        ("Grip normal, 60 and over, 2011-12", "G", 60, said.grip("normal"), "82 (NCHS Data Brief 179)"),
        ("Grip low (EWGSOP2), 60 and over, 2011-14", "GH", 60, said.low("ewgsop2-2019", "strength"), "5.86 (4.7 to 7.0), from the same files"),
        ("Grip low (SDOC), 60 and over, 2011-14", "GH", 60, said.low("sdoc-2020", "strength"), "22.66 (20.2 to 25.1), from the same files"),
        ("Gait below 0.8 m/s (SDOC), 60 and over, 1999-2002", "AB", 60, said.low("sdoc-2020", "performance"), "27.81 (25.5 to 30.1), from the same files"),
        ("Gait below 1.0 m/s (AWGS), 60 and over, 1999-2002", "AB", 60, said.low("awgs-2019", "performance"), "56.61 (53.1 to 60.1), from the same files"),
        ("B12 below 148 pmol/L, 20 and over, 1999-2004", "ABC", 20, deficient, "2.2 (Mineva 2020); 2.25 from the same files"),
        ("B12 148 to below 222 pmol/L, 20 and over, 1999-2004", "ABC", 20, marginal, "13 (Mineva 2020); 13.01"),
        ("MMA above 0.271 umol/L, 20 and over, 1999-2004", "ABC", 20, mma_raised, "6.0 (Mineva 2020, age-specific limits); 6.68"),
        ("Homocysteine above 13 umol/L, 20 and over, 1999-2004", "ABC", 20, hcy_raised, "8.4 (Mineva 2020, harmonised assays); 7.67"),
        ("B12 below 148 pmol/L, 60 and over, 1999-2004", "ABC", 60, deficient, "3.45, from the same files"),
        ("B12 148 to below 222 pmol/L, 60 and over, 1999-2004", "ABC", 60, marginal, "11.95, from the same files"),
        ("MMA above 0.271 umol/L, 60 and over, 1999-2004", "ABC", 60, mma_raised, "14.90, from the same files"),
        ("Homocysteine above 13 umol/L, 60 and over, 1999-2004", "ABC", 60, hcy_raised, "18.92, from the same files"),
        ("B12 below 148 pmol/L, 20 and over, 2011-14", "GH", 20, deficient, "1.82, from the same files"),
        ("B12 148 to below 222 pmol/L, 20 and over, 2011-14", "GH", 20, marginal, "9.09, from the same files"),
        ("MMA above 0.271 umol/L, 20 and over, 2011-14", "GH", 20, mma_raised, "8.81, from the same files"),
        ("B12 below 148 pmol/L, 60 and over, 2011-14", "GH", 60, deficient, "2.71, from the same files"),
        ("MMA above 0.271 umol/L, 60 and over, 2011-14", "GH", 60, mma_raised, "17.42, from the same files"),
    ]  # fmt: skip
    return [
        (name, *estimate(people, domain(cycles, age), answer), published)
        for name, cycles, age, answer, published in wanted
    ]


if __name__ == "__main__":
    main()
