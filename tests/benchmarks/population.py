"""A synthetic hospital's bulk export, and how fast its files can be decoded at all.

    cd tests; python -m benchmarks.population generate --patients N --into DIR [--seed S]
              [--files K] [--gzip | --zstd] [--processes P]
    cd tests; python -m benchmarks.population decode DIR [--processes P] [--json FILE]
    cd tests; python -m benchmarks.population run DIR [--processes P] [--master spark://...]

The same seed and numbers give the same bytes, however many processes write them. The resources of a
patient are spread over the files in no order, as servers leave them. `decode` reads every line with
orjson and keeps nothing; `run` tells what `cobalamin backtest` over the same files takes, beside it.
Seconds of a run are of the whole command, its start and that of Spark included.
"""

import argparse
import gzip
import json
import math
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import orjson
import psutil

from benchmarks.processes import Tree
from benchmarks.synthetic import Writer
from benchmarks.synthetic_records import FORMULARY

STRETCH = 5_000  # people written at a time
PART = 64 << 20  # bytes of a file that are decoded at a time
LOOK_SECONDS = 0.2  # between two looks at the memory of a run
SECONDS = 600  # until a stretch before one's own counts as lost
ENDINGS = {"gzip": ".gz", "zstd": ".zst", None: ""}


class Plan(NamedTuple):
    """What is to be written."""

    folder: Path
    patients: int
    seed: int
    files: int  # of Observations; of other types a quarter
    compression: str | None  # "gzip" or "zstd"

    @property
    def stretches(self) -> int:
        return math.ceil(self.patients / STRETCH)

    @property
    def practitioners(self) -> int:
        return max(3, self.patients // 500)

    def names(self, kind: str) -> list[Path]:
        count = self.files if kind == "Observation" else math.ceil(self.files / 4)
        ending = f".ndjson{ENDINGS[self.compression]}"
        return [self.folder / f"{kind}.{number:03}{ending}" for number in range(count)]


def hospital(
    folder: Path,
    patients: int = 300,
    *,
    seed: int = 1,
    files: int = 2,
    compression: str | None = None,
    processes: int = 1,
) -> Path:
    """`folder` with the export of a hospital of so many patients. It must be empty or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    plan = Plan(folder, patients, seed, files, compression)
    drugs = "".join(f"{line}\n" for line in FORMULARY).encode()
    plan.names("Medication")[0].write_bytes(_packed(drugs, compression))
    if processes == 1:
        for stretch in range(plan.stretches):
            _append(_written(plan, stretch))
        return folder
    processes = min(processes, plan.stretches) or 1
    forked = multiprocessing.get_context("fork")
    turn, done = forked.Condition(), forked.Value("q", 0)
    with ProcessPoolExecutor(processes, forked, _take_turns, (turn, done)) as pool:
        for _ in pool.map(_write_in_turn, [plan] * plan.stretches, range(plan.stretches)):
            pass
    return folder


def _take_turns(turn: Any, done: Any) -> None:
    global _TURN, _DONE  # what a process of the pool is given at its start
    _TURN, _DONE = turn, done


_TURN: Any = None
_DONE: Any = None


def _write_in_turn(plan: Plan, stretch: int) -> None:
    """Stretches are made side by side, and appended in their order."""
    pieces = _written(plan, stretch)
    with _TURN:
        if not _TURN.wait_for(lambda: _DONE.value == stretch, SECONDS):
            raise TimeoutError("the stretch before was never written")
        _append(pieces)
        _DONE.value = stretch + 1
        _TURN.notify_all()


def _written(plan: Plan, stretch: int) -> dict[Path, bytes]:
    """What a stretch of people adds to each file."""
    chance = Random(f"{plan.seed}:{stretch}")
    writer = Writer(chance, plan.practitioners)
    first = stretch * STRETCH
    for number in range(first, min(first + STRETCH, plan.patients)):
        writer.write(number)
    pieces = {}
    for kind, lines in writer.lines.items():
        chance.shuffle(lines)
        files = plan.names(kind)
        for position, file in enumerate(files):
            own = lines[position :: len(files)]
            data = "".join([f"{line}\n" for line in own]).encode()
            pieces[file] = _packed(data, plan.compression)
    return pieces


def _packed(data: bytes, compression: str | None) -> bytes:
    """A member or frame of its own: tools that pack in parallel write many into one file."""
    if compression == "gzip":
        return gzip.compress(data, 5, mtime=0)
    if compression == "zstd":
        from backports import zstd

        return zstd.compress(data, 3)
    return data


def _append(pieces: dict[Path, bytes]) -> None:
    for file, piece in pieces.items():
        with file.open("ab") as stream:
            stream.write(piece)


class Decoded(NamedTuple):
    """What decoding took."""

    records: int
    bytes: int  # once unpacked
    cpu_seconds: float


def decode(folder: Path, processes: int) -> tuple[Decoded, float]:
    """Every line below `folder` decoded, in so many processes; and the seconds that it took."""
    began = time.perf_counter()
    parts = list(_parts(folder))
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        found = list(pool.map(_decode_part, parts))
    took = time.perf_counter() - began
    sums = zip(*found, strict=True)
    return Decoded(*(sum(one) for one in sums)), took


def _parts(folder: Path) -> Iterator[tuple[Path, int, int]]:
    """The largest first, so that no process is left with one at the end."""
    found = []
    for file in folder.rglob("*.ndjson*"):
        size = file.stat().st_size
        whole = file.suffix != ".ndjson"
        starts = [0] if whole else range(0, size, PART)
        found += [(file, start, size if whole else min(start + PART, size)) for start in starts]
    return iter(sorted(found, key=lambda part: part[2] - part[1], reverse=True))


def _decode_part(part: tuple[Path, int, int]) -> Decoded:
    file, start, end = part
    began = _cpu()
    records = size = 0
    with _opened(file) as stream:
        if start:
            stream.seek(start - 1)
            position = start - 1 + len(stream.readline())
        else:
            position = 0
        packed = file.suffix != ".ndjson"
        for line in stream if packed or position < end else ():
            orjson.loads(line)
            records += 1
            size += len(line)
            if not packed and position + size >= end:
                break
    return Decoded(records, size, _cpu() - began)


def _opened(file: Path) -> Any:
    if file.suffix == ".gz":
        return gzip.open(file)
    if file.suffix == ".zst":
        from backports import zstd

        return zstd.open(file)
    return file.open("rb", buffering=1 << 20)


def _cpu(whose: int = resource.RUSAGE_SELF) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


class Ran(NamedTuple):
    """What a run took, with all its processes."""

    patients: int
    seconds: float
    cpu_seconds: float | None  # None where Spark's processes do not tell
    most_mb: float  # resident at one moment, pages that processes share counted for each


def run(folder: Path, processes: int, master: str | None) -> Ran:
    """`cobalamin backtest` as of a day over `folder`, without a report."""
    command = [Path(sys.executable).with_name("cobalamin"), "backtest", "--no-report"]
    command += ["--as-of", "2026-11-01", "--workers", processes]
    command += ["--engine", "spark", "--master", master] if master else []
    with tempfile.TemporaryDirectory() as out:
        before, began, most = _cpu(resource.RUSAGE_CHILDREN), time.perf_counter(), 0.0
        arguments = [*map(str, command), "--out", out, str(folder)]
        running = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tree = Tree(running.pid)
        while running.poll() is None:
            with suppress(psutil.Error):
                most = max(most, tree.held().mb)
            time.sleep(LOOK_SECONDS)
        took = time.perf_counter() - began
        if running.returncode:
            raise RuntimeError(f"the run ended with status {running.returncode}")
        counts = json.loads((Path(out) / "run.json").read_bytes())["counts"]
    # What Spark starts is not waited for by whoever started it, so the kernel adds nothing up.
    used = None if master else _cpu(resource.RUSAGE_CHILDREN) - before
    return Ran(counts["assessed"], took, used, most)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    generating = commands.add_parser("generate")
    generating.add_argument("--patients", type=int, required=True)
    generating.add_argument("--into", type=Path, required=True)
    generating.add_argument("--seed", type=int, default=1)
    generating.add_argument("--files", type=int, default=8, help="of Observations")
    packing = generating.add_mutually_exclusive_group()
    for name in ("gzip", "zstd"):
        packing.add_argument(f"--{name}", dest="compression", action="store_const", const=name)
    decoding = commands.add_parser("decode")
    decoding.add_argument("folder", type=Path)
    decoding.add_argument("--json", type=Path)
    running = commands.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("--master", help="run on this Spark instead of the embedded engine")
    for command in (generating, decoding, running):
        command.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    {"generate": _generate, "decode": _decode, "run": _run}[options.command](options)


def _generate(options: argparse.Namespace) -> None:
    began = time.perf_counter()
    hospital(
        options.into,
        options.patients,
        seed=options.seed,
        files=options.files,
        compression=options.compression,
        processes=options.processes,
    )
    size = sum(file.stat().st_size for file in options.into.iterdir())
    took = time.perf_counter() - began
    print(f"{options.into}: {options.patients:,} patients, {size / 1e6:,.0f} MB, {took:.1f} s")


def _decode(options: argparse.Namespace) -> None:
    found, took = decode(options.folder, options.processes)
    row = {"seconds": round(took, 2), **found._asdict(), "processes": options.processes}
    print(
        f"{found.records:,} records, {found.bytes / 1e6:,.0f} MB: {took:.2f} s, "
        f"{found.cpu_seconds:.2f} s of CPU, {found.records / took:,.0f} records/s, "
        f"{found.bytes / 1e6 / took:,.0f} MB/s in {options.processes} processes"
    )
    if options.json:
        options.json.write_text(json.dumps(row))


def _run(options: argparse.Namespace) -> None:
    ran = run(options.folder, options.processes, options.master)
    print(
        f"{ran.patients:,} patients: {ran.seconds:.1f} s, "
        f"{ran.patients / ran.seconds:,.0f} patients/s, {ran.most_mb:,.0f} MB at most"
    )
    if ran.cpu_seconds is not None:
        decoded, _took = decode(options.folder, options.processes)
        print(
            f"{ran.cpu_seconds:.1f} s of CPU, "
            f"{ran.cpu_seconds / decoded.cpu_seconds:.1f} times the CPU of decoding"
        )


if __name__ == "__main__":
    main()
