"""Population runs through the command itself: whole, killed, on odd exports, on Spark."""

import csv
import gzip
import json
import random
import shutil
import subprocess
import sys
import time
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import duckdb
import orjson
import pytest
from backports import zstd
from benchmarks.population import hospital
from broken_exports import BROKEN_EXPORTS
from waiting import wait_until

AS_OF = "2026-11-01"
COMMAND = Path(sys.executable).with_name("cobalamin")
PEOPLE = 240


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> Path:
    return hospital(tmp_path_factory.mktemp("export"), PEOPLE)


def backtest(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "backtest", "--no-report", "--workers", "2", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


def ran(out: Path, *arguments: object) -> Path:
    found = backtest("--out", out, *arguments)
    assert found.returncode == 0, found.stderr
    return out


def rows(out: Path, table: str = "assessments", columns: str = "*") -> list[tuple]:
    """Rows in an order of their own; of nobody's hash, since each folder has its own key."""
    found = duckdb.sql(f"SELECT {columns} FROM '{out}/{table}/*.parquet'").fetchall()
    return sorted(found, key=repr)


def run_of(out: Path) -> dict:
    return orjson.loads((out / "run.json").read_bytes())


@pytest.fixture(scope="module")
def whole(export, tmp_path_factory) -> Path:
    """Three pairs of guidelines, with the key that the other runs share."""
    out = tmp_path_factory.mktemp("whole")
    return ran(out, "--as-of", AS_OF, "--compare", "us-aafp2025", "--compare", "awgs-2019", export)


def beside(whole: Path, out: Path) -> Path:
    """A folder for a run under the same key."""
    out.mkdir(exist_ok=True)
    key = out / "patient-hash.key"
    key.write_bytes((whole / "patient-hash.key").read_bytes())
    key.chmod(0o600)
    return out


COMPARED = ("--as-of", AS_OF, "--compare", "us-aafp2025", "--compare", "awgs-2019")


def test_every_patient_has_a_row_for_each_pair(whole):
    assert run_of(whole)["counts"]["assessed"] == PEOPLE
    pairs = duckdb.sql(
        f"SELECT b12_guideline, muscle_definition, primary_pair, count(DISTINCT patient)"
        f" FROM '{whole}/assessments/*.parquet' GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert pairs == [
        ("uk-ng239", "awgs-2019", False, PEOPLE),
        ("uk-ng239", "ewgsop2-2019", True, PEOPLE),
        ("us-aafp2025", "ewgsop2-2019", False, PEOPLE),
    ]
    assert not (whole / "work").exists()


def test_nobody_is_named(whole, export):
    lines = (export / "Patient.000.ndjson").read_bytes().splitlines()
    names = {orjson.loads(line)["id"] for line in lines}
    written = b"".join(
        f.read_bytes() for f in whole.rglob("*") if f.suffix in (".parquet", ".json", ".csv")
    )
    text = repr(rows(whole)) + repr(rows(whole, "cards"))
    assert names
    assert not [name for name in names if name in text or name.encode() in written]


def bundles(export: Path) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    drugs = {}
    for file in sorted(export.glob("*.ndjson")):
        for line in file.read_bytes().splitlines():
            resource = orjson.loads(line)
            about = resource.get("subject", resource.get("patient", {})).get("reference", "")
            if resource["resourceType"] == "Medication":
                drugs[resource["id"]] = resource
            id_ = (
                resource["id"]
                if resource["resourceType"] == "Patient"
                else about.rpartition("/")[2]
            )
            found.setdefault(id_, []).append(resource)
    found.pop("", None)
    return {id_: [*resources, *drugs.values()] for id_, resources in found.items()}


def as_bundle(resources: list[dict]) -> dict:
    return {"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]}


def test_a_run_says_what_assess_says(whole, export, tmp_path):
    """The same patients one by one through `cobalamin assess`: the same categories and evidence."""
    lines = [orjson.dumps(as_bundle(rs)) for rs in bundles(export).values()]
    (tmp_path / "bundles.ndjson").write_bytes(b"\n".join(lines))
    assess = subprocess.run(
        [COMMAND, "assess", "--as-of", AS_OF, tmp_path / "bundles.ndjson"],
        capture_output=True,
        check=True,
    )
    wanted = []
    for line in assess.stdout.splitlines():
        said = orjson.loads(line)
        b12, muscle = said["b12"], said["sarcopenia"]
        evidence = [(e["rule"], e.get("value"), e.get("limit")) for e in b12["evidence"]]
        wanted.append((b12["category"], b12["urgency"], b12["flags"], b12["nextSteps"], evidence,
                       muscle["category"], muscle["flags"], said["tier"]))  # fmt: skip
    found = [
        (*b12, [(e["rule"], e["value"], e["limit"]) for e in evidence], *rest)
        for *b12, evidence, category, flags, tier in duckdb.sql(
            "SELECT b12_category, b12_urgency, b12_flags, b12_next_steps, b12_evidence,"
            f" muscle_category, muscle_flags, tier FROM '{whole}/assessments/*.parquet' WHERE primary_pair"
        ).fetchall()
        for rest in [(category, flags, tier)]
    ]
    assert len(wanted) == PEOPLE
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def test_files_may_come_in_any_order_packed_or_not_many_or_one(whole, export, tmp_path):
    shuffled = random.Random(7)
    lines = [line for file in export.glob("*.ndjson") for line in file.read_bytes().splitlines()]
    shuffled.shuffle(lines)
    third = len(lines) // 3
    folder = tmp_path / "export"
    (folder / "below").mkdir(parents=True)
    (folder / "a.ndjson").write_bytes(b"\n".join(lines[:third]))
    (folder / "b.ndjson.gz").write_bytes(
        gzip.compress(b"\n".join(lines[third : 2 * third]) + b"\n")
    )
    packed = [zstd.compress(line + b"\n") for line in lines[2 * third :]]
    (folder / "below" / "c.ndjson.zst").write_bytes(b"".join(packed))
    out = ran(beside(whole, tmp_path / "out"), *COMPARED, folder)
    assert rows(out) == rows(whole)
    assert rows(out, "cards") == rows(whole, "cards")


def test_a_folder_of_bundles(whole, export, tmp_path):
    folder = tmp_path / "bundles"
    folder.mkdir()
    for id_, resources in bundles(export).items():
        # As Synthea has it: what refers to each other does so by urn.
        entries = [
            {"fullUrl": f"urn:uuid:{r['resourceType']}-{r['id']}", "resource": r} for r in resources
        ]
        text = json.dumps(
            {"resourceType": "Bundle", "type": "collection", "entry": entries}, indent=1
        )
        text = text.replace(f'"Patient/{id_}"', f'"urn:uuid:Patient-{id_}"')
        (folder / f"{id_}.json").write_text(text)
    out = ran(beside(whole, tmp_path / "out"), *COMPARED, folder)
    assert rows(out) == rows(whole)


def test_nothing_that_is_dropped_would_have_changed_an_answer(whole, export, monkeypatch, tmp_path):
    """The sieve drops what no rule reads: with everything kept, every row is the same."""
    from services.population.run.assess import BucketOutput
    from services.population.run.line_filter import LineFilter
    from services.population.run.plan import RunPlan
    from services.population.run.scan import group_by_patient, scan_part
    from services.population.run.sources import find_files
    from services.population.run.worker import Worker

    plan = RunPlan(
        out=tmp_path, sources=find_files([export]), clinical={}, guidelines=(), definitions=(),
        as_of=date(2026, 11, 1), tenant="local", key=b"k" * 32, base_url="http://localhost",
    )  # fmt: skip
    assessments = {}
    for drop_unread in (True, False):
        worker = Worker(plan)
        line_filter = LineFilter(worker.evaluators.knowledge.index, drop_unread=drop_unread)
        scans = [
            scan_part(p, plan.sources[p.source], line_filter, 1, plan.max_line_bytes)
            for p in plan.parts
        ]
        drugs = {key: drug for scan in scans for key, drug in scan.drugs.items()}
        output = BucketOutput()
        segments = [(number, scan.pack_segments()[0]) for number, scan in enumerate(scans)]
        for patient, lines in group_by_patient(segments):
            assessor = worker.get_assessor(lambda drugs=drugs: drugs)
            assessor.assess_patient(patient, lines, output)
        assessments[drop_unread] = [orjson.loads(line) for line in output.lines["assessments"]]
        kept = sum(scan.kept_lines for scan in scans)
        resources = sum(sum(scan.resources.values()) for scan in scans)
        assert (kept < 0.7 * resources) == drop_unread
    for assessed in assessments.values():
        for row in assessed:
            row.pop("dropped")
    assert assessments[True] == assessments[False]


def kill_in_each_stage(command: list[object], work: Path) -> bool:
    """Kills a run as soon as a stage has written something; False where one was over before."""
    for stage in ("scan", "scan", "assess"):
        before = set((work / stage).glob("*.json"))
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while run.poll() is None and not set((work / stage).glob("*.json")) - before:
            time.sleep(0.02)
        if run.poll() is not None:
            return False
        run.kill()
        run.wait()
    return True


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(tmp_path):
    export = hospital(tmp_path / "export", 6000)
    whole = ran(tmp_path / "whole", "--as-of", AS_OF, export)
    for attempt in range(10):
        out = beside(whole, tmp_path / f"out-{attempt}")
        options = ["--no-report", "--workers", "2", "--out", out, "--as-of", AS_OF, export]
        command = [COMMAND, "backtest", *options]
        if kill_in_each_stage(command, out / "work"):
            break
    else:
        raise AssertionError("each run was over before it could be killed")
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert {f.name: f.read_bytes() for f in (out / "assessments").iterdir()} == {
        f.name: f.read_bytes() for f in (whole / "assessments").iterdir()
    }
    assert rows(out, "cards") == rows(whole, "cards")


@pytest.mark.slow
def test_workers_end_with_a_run_that_was_killed(tmp_path):
    export = hospital(tmp_path / "export", 3000)
    run = subprocess.Popen(
        [COMMAND, "backtest", "--no-report", "--workers", "2", "--out", tmp_path / "out", export],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    listed = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    wait_until(lambda: len(listed.read_text().split()) >= 3)  # two workers, Python's own tracker
    children = listed.read_text().split()
    run.kill()
    run.wait()
    wait_until(lambda: not [child for child in children if Path(f"/proc/{child}").exists()])


def test_a_finished_run_is_not_done_again(whole, export):
    before = {f: f.stat().st_mtime_ns for f in whole.rglob("*.parquet")}
    ran(whole, *COMPARED, export)
    assert {f: f.stat().st_mtime_ns for f in whole.rglob("*.parquet")} == before


@pytest.mark.slow
def test_a_folder_with_another_run_is_refused_until_begun_anew(whole, export, tmp_path):
    out = ran(beside(whole, tmp_path / "out"), *COMPARED, export)
    other = backtest("--out", out, "--as-of", "2025-11-01", export)
    assert other.returncode == 1
    assert "--fresh" in other.stderr
    ran(out, "--fresh", "--as-of", "2025-11-01", export)
    assert run_of(out)["asOf"] == "2025-11-01"


@pytest.mark.slow
def test_a_result_by_another_text_of_a_guideline_is_no_result_of_this_one(export, tmp_path):
    """The site's own file under the same name and in the same place, with another limit in it."""
    limits = tmp_path / "limits.toml"
    shutil.copy(Path(__file__).parents[3] / "nhanes" / "limits.toml", limits)
    config = tmp_path / "c.toml"
    config.write_text('[b12]\nguideline = "bsh2014"\nlaboratory = "limits.toml"\n')
    run = ("--out", tmp_path / "out", "--config", config, "--as-of", AS_OF, export)
    assert backtest(*run).returncode == 0
    assert backtest(*run).returncode == 0
    limits.write_text(limits.read_text().replace("148", "150"))
    changed = backtest(*run)
    assert changed.returncode == 1
    assert "--fresh" in changed.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name a file or a folder"),
        (["nowhere"], "no such file"),
        (["--compare", "ng999", "."], "no guideline ng999"),
        (["--replay-to", "2026-01-01", "."], "needs --replay-from"),
        (["--as-of", "2026-01-01", "--replay-from", "2026-01-01", "."], "name one"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(arguments, says, tmp_path):
    found = backtest("--out", tmp_path / "out", *arguments)
    assert found.returncode in (1, 2)
    assert says in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("name", BROKEN_EXPORTS)
@pytest.mark.slow
def test_peculiar_exports_end_with_counted_located_complaints(name, tmp_path):
    export, out = tmp_path / "export", tmp_path / "out"
    export.mkdir()
    expected = BROKEN_EXPORTS[name](export)
    found = backtest("--out", out, "--as-of", AS_OF, export)
    assert found.returncode in (0, 2), found.stderr
    assert "Traceback" not in found.stderr
    with (out / "complaints.csv").open(newline="") as lines:
        said = list(csv.DictReader(lines))
    for complaint in expected.complaints:
        assert any(
            row["reason"] == complaint.reason
            and row["file"].endswith(complaint.file)
            and (complaint.line is None or row["line"] == str(complaint.line))
            for row in said
        ), (complaint, said)
    counts = run_of(out)["counts"]["complaints"]
    assert {reason: counts.get(reason) for reason in expected.counts} == expected.counts
    assert counts.keys() == {c.reason for c in expected.complaints} | expected.counts.keys()
    values = [
        evidence["value"]
        for (evidences,) in (rows(out, columns="b12_evidence") if expected.b12 else ())
        for evidence in evidences
        if evidence["rule"] == "first-line-band"
    ]
    assert sorted(values) == sorted(expected.b12.values())


def test_a_replay_makes_the_calls_that_would_have_been(export, tmp_path):
    out = ran(tmp_path / "out", "--replay-from", "2025-11-01", "--replay-to", "2026-10-31", export)
    [(calls, shown, withheld)] = duckdb.sql(
        f"SELECT count(*), sum(shown), sum(withheld) FROM '{out}/calls/*.parquet'"
    ).fetchall()
    assert calls > PEOPLE / 4
    [listed] = duckdb.sql(
        f"SELECT count(*) FILTER (shown), count(*) FILTER (NOT shown) FROM '{out}/cards/*.parquet'"
    ).fetchall()
    assert (shown, withheld) == listed
    assert run_of(out)["replay"] == {"from": "2025-11-01", "to": "2026-10-31"}


@pytest.mark.skipif(
    shutil.which("java") is None or find_spec("pyspark") is None,
    reason="needs Java and the extra spark",
)
@pytest.mark.slow
def test_spark_gives_every_row_that_the_embedded_engine_gives(whole, export, tmp_path):
    """Two worker processes of a cluster of its own, three pairs of guidelines, and a replay."""
    out = beside(whole, tmp_path / "out")
    spark = ("--engine", "spark", "--master", "local-cluster[2,1,1024]")
    ran(out, *spark, *COMPARED, export)
    assert run_of(out)["engine"].startswith("Spark")
    for table in ("assessments", "cards"):
        assert rows(out, table) == rows(whole, table)
    counted = ("assessed", "kept", "lines", "resources", "rows", "complaints")
    assert {k: run_of(out)["counts"][k] for k in counted} == {
        k: run_of(whole)["counts"][k] for k in counted
    }
