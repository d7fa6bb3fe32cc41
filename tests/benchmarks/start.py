"""How long the service takes from its start to its first answer, and how much memory it then holds.

    cd tests; python -m benchmarks.start [--times 7] [--workers 2]

The first answer is that to a call, with a token; each start is on an empty database.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from served_process import START_SECONDS, Running

from benchmarks.bodies import PATH, about_another, body_of
from benchmarks.client import closed, request
from benchmarks.hospital import Hospital, configuration
from benchmarks.processes import Held, Tree, load_average


@dataclass(frozen=True, slots=True)
class Start:
    seconds: float
    cpu: float  # seconds, of all processes; a busy machine moves it less
    held: Held


def started(service: Running, hospital: Hospital) -> Start:
    began = time.perf_counter()
    service.start(wait=False)
    body = body_of(2_000)
    while time.perf_counter() < began + START_SECONDS:
        call = request(PATH, about_another(body), hospital.token())
        try:
            answer = closed(service.port, [call], 1)[0]
        except OSError:
            time.sleep(0.005)
            continue
        assert answer.status == 200, answer
        seconds = time.perf_counter() - began
        service.wait_until_ready()
        tree = Tree(service.process.pid)
        return Start(seconds, tree.cpu(), tree.held())
    raise AssertionError(service.errors.read_text())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    print(f"{datetime.now(UTC).date()}, load {load_average()}")
    hospital, starts = Hospital(), []
    for _ in range(options.times):
        with tempfile.TemporaryDirectory(prefix="start-") as name:
            folder = Path(name)
            service = Running(folder, configuration(folder, [hospital]), workers=options.workers)
            try:
                starts.append(started(service, hospital))
            finally:
                service.end()
    seconds = [one.seconds for one in starts]
    cpu = statistics.median(one.cpu for one in starts)
    held = [
        statistics.median(figure(one.held) for one in starts)
        for figure in (lambda h: h.main_mb, lambda h: h.workers_mb[0], lambda h: h.mb)
    ]
    print("| starts | to first answer s | range | CPU s | main MB | worker MB | all MB |")
    print("|--:|--:|---|--:|--:|--:|--:|")
    print(
        f"| {len(starts)} | {statistics.median(seconds):.2f} "
        f"| {min(seconds):.2f} to {max(seconds):.2f} | {cpu:.2f} "
        f"| {' | '.join(f'{one:.0f}' for one in held)} |"
    )


if __name__ == "__main__":
    main()
