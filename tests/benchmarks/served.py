"""The service beside bare servers and a peer, in turns within one run.

    cd tests; python -m benchmarks.served [--rounds 5] [--seconds 1] [--json FILE] [--chart FILE]

Ours checks a token, records and logs each call and counts it; a bare Flask under the same server
decodes the body and returns fixed JSON of the same size, the plain server does the same without
Flask, HealthChain applies one rule, without tokens or records. Each round sends to each, in changing
order, calls that are each about another patient. `CPU` is that of the server's processes for a
call; the ratio is to the bare Flask of the same round, median and range over the rounds; `net` is
the ratio without the bare check of the signature, measured in the same round. The client is on the
same machine, and its CPU is not counted. Figures of one run compare with each other, not those of
two machines.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bodies import body_of
from benchmarks.client import closed, percentile
from benchmarks.processes import load_average
from benchmarks.rivals import Rival, in_turns, peer_of, rivals
from benchmarks.signatures import Check

FLASK = "bare Flask"
CHECKED = {"ours, ES384": "ES384", "ours, RS384": "RS384"}
HEADER = (
    "| KB | at once | server | CPU µs | ratio | range | net | range | calls/s | p50 ms | p95 ms "
    "| p99 ms |\n|--:|--:|---|--:|--:|---|--:|---|--:|--:|--:|--:|"
)


@dataclass
class Cell:
    """One server with one size and one concurrency; one value for each round."""

    cpu: list[float] = field(default_factory=list)  # microseconds for each call
    rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of every call of every round


def slice_of(rival: Rival, body: bytes, calls: int, concurrency: int, cell: Cell) -> None:
    requests = rival.requests(body, calls)
    cpu, began = rival.tree.cpu(), time.perf_counter()
    answers = closed(rival.port, requests, concurrency)
    took = time.perf_counter() - began
    cell.cpu.append((rival.tree.cpu() - cpu) / calls * 1e6)
    cell.rate.append(calls / took)
    cell.seconds += [answer.seconds for answer in answers]
    assert len(answers) == calls, rival.name
    assert {answer.status for answer in answers} == {200}, rival.name


def calls_in(rival: Rival, body: bytes, seconds: float) -> int:
    """How many it answers in so long, roughly; warms it up as well."""
    number = 40
    while True:
        cell = Cell()
        slice_of(rival, body, number, 8, cell)
        if number / cell.rate[0] > seconds / 4:
            return max(int(cell.rate[0] * seconds), 40)
        number *= 2


def ratios(over: Sequence[float], under: Sequence[float]) -> dict[str, float]:
    found = [a / b for a, b in zip(over, under, strict=True)]
    return {
        "median": round(statistics.median(found), 2),
        "least": round(min(found), 2),
        "most": round(max(found), 2),
    }


def compared(
    found: list[Rival],
    checks: dict[str, Check],
    size: int,
    concurrency: int,
    rounds: int,
    calls: dict[str, int],
) -> list[dict[str, Any]]:
    body = body_of(size)
    cells = {rival.name: Cell() for rival in found}
    checked: dict[str, list[float]] = {name: [] for name in checks}
    for number in range(rounds):
        for rival in in_turns(found, number):
            at_least = max(calls[rival.name], 2 * concurrency)
            slice_of(rival, body, at_least, concurrency, cells[rival.name])
        for name, check in checks.items():
            checked[name].append(check.microseconds())
    rows = []
    for name, cell in cells.items():
        row = {
            "bytes": len(body),
            "concurrency": concurrency,
            "server": name,
            "cpu_us": round(statistics.median(cell.cpu)),
            "ratio": ratios(cell.cpu, cells[FLASK].cpu),
            "calls_per_second": round(statistics.median(cell.rate)),
        }
        if name in CHECKED:
            spent = checked[CHECKED[name]]
            net = [a - b for a, b in zip(cell.cpu, spent, strict=True)]
            row["check_us"] = round(statistics.median(spent))
            row["net"] = ratios(net, cells[FLASK].cpu)
        for share in (50, 95, 99):
            row[f"p{share}_ms"] = round(percentile(cell.seconds, share / 100) * 1e3, 1)
        rows.append(row)
    return rows


def line(row: dict[str, Any]) -> str:
    parts = [f"{row['bytes'] / 1000:.0f}", row["concurrency"], row["server"], f"{row['cpu_us']:,}"]
    for name in ("ratio", "net"):
        one = row.get(name)
        parts += [one["median"], f"{one['least']} to {one['most']}"] if one else ["", ""]
    parts += [f"{row['calls_per_second']:,}", row["p50_ms"], row["p95_ms"], row["p99_ms"]]
    return f"| {' | '.join(map(str, parts))} |"


def measured(folder: Path, peer: Path | None, options: argparse.Namespace) -> dict[str, Any]:
    """All of it, told row by row on the way."""
    rows: list[dict[str, Any]] = []
    began = load_average()
    print(HEADER)
    with rivals(folder, peer) as found:
        checks = {name: Check(name) for name in CHECKED.values()}
        for size in options.sizes:
            calls = {one.name: calls_in(one, body_of(size), options.seconds) for one in found}
            for at_once in options.concurrency:
                told = compared(found, checks, size, at_once, options.rounds, calls)
                rows += told
                print("\n".join(map(line, told)), flush=True)
        held = {one.name: one.tree.held() for one in found}
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": f"{began} before, {load_average()} after",
        "rounds": options.rounds,
        "check_us": {
            algorithm: round(
                statistics.median(row["check_us"] for row in rows if row["server"] == name)
            )
            for name, algorithm in CHECKED.items()
        },
        "resident_mb": {
            name: [round(one.main_mb), *map(round, one.workers_mb)] for name, one in held.items()
        },
        "rows": rows,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of each server in a round")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 32, 128])
    peers = parser.add_mutually_exclusive_group()
    peers.add_argument("--peer", type=Path, help="a Python that has HealthChain; else one is made")
    peers.add_argument("--no-peer", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path, help="an SVG file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="served-") as name:
        folder = Path(name)
        peer = None if options.no_peer else options.peer or peer_of(folder)
        if peer is None:
            reason = "not wanted" if options.no_peer else "it cannot be installed here"
            print(f"HealthChain is not compared: {reason}")
        result = measured(folder, peer, options)
    print("\n" + "\n".join(f"{key}: {value}" for key, value in result.items() if key != "rows"))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    if options.chart:
        from benchmarks.chart import drawn

        options.chart.write_text(drawn(result["rows"]))


if __name__ == "__main__":
    main()
