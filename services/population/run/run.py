"""Run a backtest on this machine: both passes, by all its cores.

A run that was killed is resumed: what a step has finished stands in files, and is not done again.
"""

import csv
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson

from services.population.rows import TABLES
from services.population.run.parquet import lock_folder, publish
from services.population.run.plan import RunPlan
from services.population.run.scan import Complaints
from services.population.run.worker import (
    ASSESS,
    DRUGS_FILE,
    SCAN,
    BucketResult,
    ScanResult,
    get_result_file,
    get_work_folder,
    run_assessment,
    run_scan,
    start_worker,
    write_step_result,
)

RUN_FILE = "run.json"
COMPLAINTS_FILE = "complaints.csv"
KnowledgeLabels = Mapping[
    str, list[str]
]  # "b12" and "sarcopenia": ids with versions, the first first
Result = TypeVar("Result", ScanResult, BucketResult)
MAX_LOCATED = 10_000  # complaints that are listed one by one


class RunError(ValueError):
    """The output folder does not fit this run."""


class Watcher(Protocol):
    """Receives the progress of a run."""

    def begin(self, stage: str, total: int, unit: str) -> None: ...
    def advance(self, by: int) -> None: ...


@dataclass(slots=True)
class RunCounts:
    """What was read, kept, assessed and complained of, so far."""

    lines: Counter[int] = field(default_factory=Counter)  # by part
    resources: Counter[str] = field(default_factory=Counter)
    kept_lines: int = 0
    assessed: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    complaints: Complaints = field(default_factory=Complaints)
    drugs: dict[str, Any] = field(default_factory=dict)

    def add_scan(self, result: ScanResult) -> None:
        self.lines[result["part"]] = result["lines"]
        self.resources.update(result["resources"])
        self.kept_lines += result["kept"]
        self.drugs.update(result["drugs"])
        self.complaints.merge(result["complaints"])

    def add_assessments(self, result: BucketResult) -> None:
        self.assessed += result["assessed"]
        self.rows.update(result["rows"])
        self.complaints.merge(result["complaints"])


def run_backtest(
    plan: RunPlan, labels: KnowledgeLabels, workers: int, watcher: Watcher, *, fresh: bool = False
) -> dict[str, Any]:
    """Run `plan`, resume it, or with `fresh` begin anew; returns the contents of run.json.

    Raises RunError where the folder holds something else, OSError where it cannot be written, and
    BrokenProcessPool where a worker was killed: what was done until then stays done.
    """
    with open_run(plan, fresh=fresh) as earlier:
        if earlier is not None:
            return earlier
        started = datetime.now(UTC)
        counts = RunCounts()
        with _start_pool(plan, workers) as pool:
            sizes = measure_parts(plan)
            watcher.begin("reading", sum(sizes), "bytes")
            for number, result in _run_steps(pool, plan, SCAN, run_scan, range(len(sizes))):
                counts.add_scan(result)
                watcher.advance(sizes[number])
            write_step_result(get_work_folder(plan.out) / DRUGS_FILE, counts.drugs)
            watcher.begin("assessing", counts.resources["Patient"], "patients")
            buckets = range(plan.buckets)
            for _number, done in _run_steps(pool, plan, ASSESS, run_assessment, buckets):
                counts.add_assessments(done)
                watcher.advance(done["assessed"])
        return finish_run(plan, labels, counts, started, f"embedded, {workers} processes")


def measure_parts(plan: RunPlan) -> list[int]:
    """Bytes of each part, as they are on disk."""
    return [(p.end or plan.sources[p.source].size) - p.start for p in plan.parts]


@contextmanager
def open_run(plan: RunPlan, *, fresh: bool = False) -> Iterator[dict[str, Any] | None]:
    """Lock the folder of the run; yields the contents of run.json if it is finished, else None.

    With `fresh`, what an earlier run left is taken away first.
    """
    out, work = plan.out, get_work_folder(plan.out)
    out.mkdir(parents=True, exist_ok=True)
    with lock_folder(out, ".lock", RunError(f"{out}: another run is writing there")):
        if fresh:
            _clear_output(out)
        fingerprint = plan.compute_fingerprint()
        result_file = out / RUN_FILE
        if result_file.exists():
            result = orjson.loads(result_file.read_bytes())
            if result.get("fingerprint") != fingerprint:
                raise RunError(
                    f"{out}: holds the result of other inputs, settings or knowledge; name another "
                    "folder, or begin anew with --fresh"
                )
            yield result
            return
        fingerprint_file = work / "fingerprint"
        if fingerprint_file.exists() and fingerprint_file.read_text("utf-8") != fingerprint:
            raise RunError(
                f"{out}: holds a run that was begun with other inputs, settings or knowledge; name "
                "another folder, or begin anew with --fresh"
            )
        for stage in (SCAN, ASSESS):
            (work / stage).mkdir(parents=True, exist_ok=True)
        fingerprint_file.write_text(fingerprint, "utf-8")
        yield None


def _clear_output(out: Path) -> None:
    """Remove what an earlier run made in `out`, and nothing else."""
    for folder in (*TABLES, "work", "report"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for file in (RUN_FILE, COMPLAINTS_FILE):
        (out / file).unlink(missing_ok=True)


@contextmanager
def _start_pool(plan: RunPlan, workers: int) -> Iterator[ProcessPoolExecutor]:
    # Processes begun afresh: a copy of this one would share its threads' locks.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(plan,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run_steps(
    pool: ProcessPoolExecutor,
    plan: RunPlan,
    stage: str,
    step: Callable[[int], Result],
    numbers: Iterable[int],
) -> Iterator[tuple[int, Result]]:
    """Run `step` for each number: yields the results, those of an earlier run first."""
    work = get_work_folder(plan.out)
    pending: dict[Future[Result], int] = {}
    for number in numbers:
        file = get_result_file(work, stage, number)
        if file.exists():
            yield number, orjson.loads(file.read_bytes())
        else:
            pending[pool.submit(step, number)] = number
    for future in as_completed(pending):
        yield pending[future], future.result()


def finish_run(
    plan: RunPlan, labels: KnowledgeLabels, counts: RunCounts, started: datetime, engine: str
) -> dict[str, Any]:
    """Write the complaints and run.json, and remove the work folder."""
    _write_complaints(plan, counts)
    result = {
        "version": version("cobalamin-cds"),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "asOf": plan.as_of.isoformat(),
        **describe_replay(plan),
        "engine": engine,
        "inputs": [source.name for source in plan.sources],
        "knowledge": labels,
        "options": {"tenant": plan.tenant, "answers": plan.answers},
        "counts": {
            "files": len(plan.sources),
            "lines": sum(counts.lines.values()),
            "bytes": sum(source.size for source in plan.sources),
            "resources": dict(sorted(counts.resources.items())),
            "kept": counts.kept_lines,
            "patients": counts.resources["Patient"],
            "assessed": counts.assessed,
            "rows": dict(counts.rows),
            "complaints": dict(sorted(counts.complaints.counted.items())),
        },
        "fingerprint": plan.compute_fingerprint(),
    }
    draft = plan.out / f"{RUN_FILE}.part"
    draft.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    publish(draft, plan.out / RUN_FILE)
    shutil.rmtree(get_work_folder(plan.out))
    return result


def describe_replay(plan: RunPlan) -> dict[str, Any]:
    """The first and the last day of a replay; nothing as of a day."""
    if plan.since is None:
        return {}
    return {"replay": {"from": plan.since.isoformat(), "to": plan.as_of.isoformat()}}


def _write_complaints(plan: RunPlan, counts: RunCounts) -> None:
    """file, line, reason and count: located ones singly, the rest of each reason together."""
    located, lines_read = Counter[str](), Counter[int]()
    parts, lines_before = plan.parts, {}  # lines of the file before each part
    for part in parts:
        lines_before[part.number] = lines_read[part.source]
        lines_read[part.source] += counts.lines[part.number]
    with (plan.out / COMPLAINTS_FILE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "line", "reason", "count"])
        places = sorted(
            (
                plan.sources[parts[part].source].name,
                0 if line is None else lines_before[part] + line + 1,
                reason,
            )
            for part, line, reason in counts.complaints.located
        )
        for name, line, reason in places[:MAX_LOCATED]:
            located[reason] += 1
            table.writerow([name, line or "", reason, 1])
        for reason, count in sorted((counts.complaints.counted - located).items()):
            table.writerow(["", "", reason, count])
