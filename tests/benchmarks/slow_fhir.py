"""Calls that leave one key out, with a FHIR server that takes its time: how long clinicians wait.

    cd tests; python -m benchmarks.slow_fhir [--rate 50] [--seconds 30] [--delay 0.2]

Calls come as they come, by chance and whether or not earlier ones were answered; the time of each
is from the moment it should have been sent. Late is what took longer than the deadline of fetching,
400 ms, and the service's own time, which is the median of the same call with nothing left out.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from served_process import running

from benchmarks.bodies import PATH, about_another, body_of, body_without
from benchmarks.client import Answer, Client, Request, closed, percentile, request
from benchmarks.hospital import Hospital, configuration
from benchmarks.processes import load_average
from benchmarks.slow_server import slow_server

DEADLINE = 0.4  # seconds, as the configuration has it by default
SIZE = 20_000
GOAL = 0.45  # seconds, of the 99th percentile


def by_chance(port: int, requests: Sequence[Request], rate: float) -> list[Answer]:
    """So many a second on average, as independent people send them."""
    chance, answers = random.Random(7), []
    due = time.perf_counter()
    with Client(port) as client:
        for wanted in requests:
            due += chance.expovariate(rate)
            while (left := due - time.perf_counter()) > 0:
                answers += client.answers(left)
            client.send(wanted, due)
        while client.open:
            answers += client.answers(1)
    return answers


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=50, help="calls a second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--delay", type=float, default=0.2, help="of the FHIR server, seconds")
    options = parser.parse_args(arguments)
    hospital = Hospital("RS384")
    with tempfile.TemporaryDirectory(prefix="slow-") as name, slow_server(options.delay) as fhir:
        folder = Path(name)
        written = configuration(folder, [hospital], fhir)
        with running(folder, written, workers=2) as service:

            def sent(body: bytes, number: int) -> list[Request]:
                return [request(PATH, about_another(body), hospital.token()) for _ in range(number)]

            whole, without = body_of(SIZE), body_without("conditions", SIZE, fhir)
            closed(service.port, sent(without, 32), 8)
            own = statistics.median(
                one.seconds for one in closed(service.port, sent(whole, 100), 1)
            )
            began = load_average()
            calls = sent(without, max(int(options.rate * options.seconds), 1))
            answers = by_chance(service.port, calls, options.rate)
        fetches = Counter(line["reason"] for line in service.lines("fetch"))
    taken = [one.seconds for one in answers]
    late = sum(one > DEADLINE + own for one in taken)
    refused = sum(one.status != 200 for one in answers)
    print(f"{datetime.now(UTC).date()}, load {began} before, {load_average()} after")
    print("| calls | FHIR ms | own ms | p50 ms | p95 ms | p99 ms | most ms | late | failed |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    times = [percentile(taken, share) for share in (0.5, 0.95, 0.99)]
    told = [options.delay, own, *times, max(taken)]
    shown = " | ".join(f"{one * 1e3:.0f}" for one in told)
    print(f"| {len(taken):,} | {shown} | {late / len(taken):.1%} | {refused} |")
    print(f"fetches: {dict(fetches)}; goal: p99 below {GOAL * 1e3:.0f} ms")
    return 1 if refused or times[2] > GOAL or sum(fetches.values()) != len(answers) + 32 else 0


if __name__ == "__main__":
    raise SystemExit(main())
