"""Worker process of a population run: scan a part of the input, assess a bucket of patients.

Both steps write files that are whole or not there, and a result file beside them: a step whose
result file exists is not done again.
"""

import gc
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import orjson

from cds_hooks.records.keyring import hash_patient
from services.population.run.assess import Assessor, BucketOutput, Evaluators
from services.population.run.line_filter import LineFilter
from services.population.run.parquet import publish, write_rows
from services.population.run.plan import RunPlan
from services.population.run.scan import ComplaintsJson, PartScan, group_by_patient, scan_part

SCAN, ASSESS = "scan", "assess"  # the passes, and where each keeps what it did
DRUGS_FILE = "drugs.json"


class ScanResult(TypedDict):
    """What was found in one part, as its result file holds it."""

    part: int
    lines: int
    resources: dict[str, int]  # by type
    kept: int  # lines
    complaints: ComplaintsJson
    drugs: dict[str, dict[str, Any]]  # by reference
    segments: NotRequired[list[int]]  # bytes of each bucket's; not on Spark, which holds them


class BucketResult(TypedDict):
    """What was done with one bucket, as its result file holds it."""

    assessed: int  # patients
    rows: dict[str, int]  # by table
    complaints: ComplaintsJson


class Worker:
    """One process of a run."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self._parts = plan.parts
        self.work = get_work_folder(plan.out)
        self._assessor: Assessor | None = None

    @cached_property
    def evaluators(self) -> Evaluators:
        return self.plan.load_evaluators()

    @cached_property
    def line_filter(self) -> LineFilter:
        return LineFilter(self.evaluators.knowledge.index, for_replay=self.plan.since is not None)

    def get_assessor(self, drugs: Callable[[], dict[str, Any]]) -> Assessor:
        """The assessor of this process; `drugs` gives the medicines of the whole input, once."""
        if self._assessor is None:
            plan = self.plan
            self._assessor = Assessor(
                self.evaluators,
                plan.as_of,
                drugs(),
                lambda patient: hash_patient(plan.key, plan.tenant, patient),
                since=plan.since,
                answers=plan.answers,
            )
        return self._assessor

    def read_part(self, number: int) -> PartScan:
        part = self._parts[number]
        plan = self.plan
        return scan_part(
            part, plan.sources[part.source], self.line_filter, plan.buckets, plan.max_line_bytes
        )

    def scan_part(self, number: int) -> ScanResult:
        """Read part `number`: writes its segments and its result, which it returns."""
        part_scan = self.read_part(number)
        segments = part_scan.pack_segments()
        file = get_segments_file(self.work, number)
        draft = file.with_suffix(".part")
        with draft.open("wb") as handle:
            handle.writelines(segments)
        publish(draft, file)
        result = summarise_scan(part_scan)
        result["segments"] = [len(segment) for segment in segments]
        write_step_result(get_result_file(self.work, SCAN, number), result)
        return result

    def assess_bucket(self, number: int) -> BucketResult:
        """Assess the patients of bucket `number`: writes their rows and the result it returns."""
        assessor = self.get_assessor(lambda: orjson.loads((self.work / DRUGS_FILE).read_bytes()))
        output = assess_segments(assessor, self._read_segments(number))
        write_rows(output, self.plan.out, number)
        result = summarise_output(output)
        write_step_result(get_result_file(self.work, ASSESS, number), result)
        return result

    def _read_segments(self, bucket: int) -> Iterator[tuple[int, bytes]]:
        for part in self._parts:
            start, length = self._segment_places[part.number][bucket]
            if length:
                with get_segments_file(self.work, part.number).open("rb") as file:
                    file.seek(start)
                    yield part.number, file.read(length)

    @cached_property
    def _segment_places(self) -> list[list[tuple[int, int]]]:
        """(start, length) of each segment, by part and bucket."""
        places = []
        for part in self._parts:
            result = orjson.loads(get_result_file(self.work, SCAN, part.number).read_bytes())
            start, row = 0, []
            for length in result["segments"]:
                row.append((start, length))
                start += length
            places.append(row)
        return places


def assess_segments(assessor: Assessor, segments: Iterable[tuple[int, bytes]]) -> BucketOutput:
    """Assess all patients of one bucket."""
    output = BucketOutput()
    for patient, lines in group_by_patient(segments):
        assessor.assess_patient(patient, lines, output)
    return output


def summarise_scan(part_scan: PartScan) -> ScanResult:
    return {
        "part": part_scan.part,
        "lines": part_scan.lines,
        "resources": dict(part_scan.resources),
        "kept": part_scan.kept_lines,
        "complaints": part_scan.complaints.as_json(),
        "drugs": part_scan.drugs,
    }


def summarise_output(output: BucketOutput) -> BucketResult:
    return {
        "assessed": output.assessed,
        "rows": {table: len(lines) for table, lines in output.lines.items()},
        "complaints": output.complaints.as_json(),
    }


def get_work_folder(out: Path) -> Path:
    return out / "work"


def get_segments_file(work: Path, part: int) -> Path:
    return work / SCAN / f"{part:05}.segments"


def get_result_file(work: Path, stage: str, number: int) -> Path:
    return work / stage / f"{number:05}.json"


def write_step_result(file: Path, result: Mapping[str, Any]) -> None:
    """Write the result of a step, whole or not at all: whoever finds it need not do the step."""
    draft = file.with_suffix(".part")
    draft.write_bytes(orjson.dumps(result))
    publish(draft, file)


_worker: Worker | None = None


def start_worker(plan: RunPlan) -> None:
    """Make this process a worker of `plan`; it ends with the process that started it."""
    global _worker  # noqa: PLW0603  # one for each process, made once
    _end_with_parent()
    _worker = Worker(plan)
    _worker.line_filter  # noqa: B018  # knowledge is read before the first part
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def run_scan(number: int) -> ScanResult:
    """Scan one part in this process."""
    return _get_worker().scan_part(number)


def run_assessment(number: int) -> BucketResult:
    """Assess one bucket in this process."""
    return _get_worker().assess_bucket(number)


def _get_worker() -> Worker:
    if _worker is None:
        raise RuntimeError("this process was not begun as a worker")
    return _worker


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
