"""What one process does: a part of the input read, a bucket of patients assessed.

Both write files that are whole or not there, and say what was done in a file beside them: whoever
finds that file need not do it again.
"""

import gc
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import orjson

from cds_hooks.records.keyring import hash_patient
from services.population.run.assess import Assessor, BucketOutput, Evaluators
from services.population.run.line_filter import LineFilter
from services.population.run.parquet import publish, write_rows
from services.population.run.plan import RunPlan
from services.population.run.scan import PartScan, group_by_patient, scan_part

SCAN, ASSESS = "scan", "assess"  # the passes, and where each keeps what it did
DRUGS_FILE = "drugs.json"


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
        """With the medicines of the whole input, which `drugs` gives: asked once."""
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

    def scan_part(self, number: int) -> dict[str, Any]:
        """Reads part `number`; what was found, as its file says it."""
        part_scan = self.read_part(number)
        segments = part_scan.pack_segments()
        file = get_segments_file(self.work, number)
        draft = file.with_suffix(".part")
        with draft.open("wb") as handle:
            handle.writelines(segments)
        publish(draft, file)
        result = {**summarise_scan(part_scan), "segments": [len(segment) for segment in segments]}
        return write_step_result(get_result_file(self.work, SCAN, number), result)

    def assess_bucket(self, number: int) -> dict[str, Any]:
        """Assesses the patients of bucket `number`; what came of it, as its file says it."""
        assessor = self.get_assessor(lambda: orjson.loads((self.work / DRUGS_FILE).read_bytes()))
        output = assess_segments(assessor, self._read_segments(number))
        write_rows(output, self.plan.out, number)
        return write_step_result(
            get_result_file(self.work, ASSESS, number), summarise_output(output)
        )

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
    """The rows of all patients of one bucket."""
    output = BucketOutput()
    for patient, lines in group_by_patient(segments):
        assessor.assess_patient(patient, lines, output)
    return output


def summarise_scan(part_scan: PartScan) -> dict[str, Any]:
    return {
        "part": part_scan.part,
        "lines": part_scan.lines,
        "resources": dict(part_scan.resources),
        "kept": part_scan.kept_lines,
        "complaints": part_scan.complaints.as_json(),
        "drugs": part_scan.drugs,
    }


def summarise_output(output: BucketOutput) -> dict[str, Any]:
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


def write_step_result(file: Path, result: dict[str, Any]) -> dict[str, Any]:
    draft = file.with_suffix(".part")
    draft.write_bytes(orjson.dumps(result))
    publish(draft, file)
    return result


_worker: Worker | None = None


def start_worker(plan: RunPlan) -> None:
    """Makes this process a worker of `plan`; it ends with the process that started it."""
    global _worker  # noqa: PLW0603  # one for each process, made once
    _end_with_parent()
    _worker = Worker(plan)
    _worker.line_filter  # noqa: B018  # knowledge is read before the first part
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def run_step(stage: str, number: int) -> dict[str, Any]:
    """One step of the run in this process."""
    if _worker is None:
        raise RuntimeError("this process was not begun as a worker")
    return _worker.scan_part(number) if stage == SCAN else _worker.assess_bucket(number)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
