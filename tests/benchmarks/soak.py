"""Half an hour of steady load: whether memory, files or threads grow, and whether any call fails.

    cd tests; python -m benchmarks.soak [--minutes 30] [--rate 40]

Calls of 2, 20 and 200 KB with tokens, each about a patient never seen before; one in ten leaves a
key to be fetched, one in fifty has a token that must be refused, one card in ten gets feedback.
Fails when a request is answered otherwise than it should be, and when memory after the first
sixth of the run has grown by more than --most-mb, files or threads by more than --most-handles.
The slope is that of the medians of each minute, with twice its standard error.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from served_process import running

from benchmarks.bodies import PATH, about_another, body_of, body_without
from benchmarks.client import Answer, Client, Request, closed, percentile, request
from benchmarks.hospital import Hospital, configuration
from benchmarks.processes import Held, Tree, load_average
from benchmarks.slow_server import slow_server

SIZES = {2_000: 60, 20_000: 35, 200_000: 5}  # share in 100
REFUSED, FETCHED, ANSWERED_FOR = 0.02, 0.1, 0.1
STATUS = {"call": 200, "fetch": 200, "refused": 401, "feedback": 200}
SAMPLE = 5.0  # seconds between two looks at the processes
RUSH, AT_ONCE = 800, 64  # calls before the run, together as one never has them in it
SETTLED = 1 / 6  # of the run: five minutes of thirty


@dataclass(frozen=True, slots=True)
class Sample:
    minute: float
    held: Held


class Caller:
    """A hospital at work; chance is the same in every run."""

    def __init__(self, hospital: Hospital, fhir: str) -> None:
        self._hospital = hospital
        self._chance = random.Random(12)
        self._bodies = {size: body_of(size) for size in SIZES}
        self._without = body_without("conditions", 2_000, fhir)

    def next(self) -> Request:
        chance = self._chance.random()
        if chance < REFUSED:
            body = about_another(self._bodies[2_000])
            return request(PATH, body, self._hospital.refused(), kind="refused")
        if chance < REFUSED + FETCHED:
            body = about_another(self._without)
            return request(PATH, body, self._hospital.token(), kind="fetch")
        size = self._chance.choices([*SIZES], [*SIZES.values()])[0]
        body = about_another(self._bodies[size])
        return request(PATH, body, self._hospital.token(), kind="call")

    def feedback(self, answer: Answer) -> Request | None:
        """To the first card of one answer in ten."""
        if answer.kind not in ("call", "fetch") or self._chance.random() > ANSWERED_FOR:
            return None
        path, now = f"{PATH}/feedback", datetime.now(UTC).isoformat()
        item = {"card": orjson.loads(answer.body)["cards"][0]["uuid"], "outcomeTimestamp": now}
        body = orjson.dumps({"feedback": [{**item, "outcome": "overridden"}]})
        return request(path, body, self._hospital.token(path), kind="feedback")


class Soak:
    """What was sent and answered, and what the processes held meanwhile."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.latencies: list[float] = []  # of calls that fetch nothing, seconds

    @property
    def failed(self) -> int:
        return sum(n for (kind, status), n in self.statuses.items() if status != STATUS[kind])

    def run(self, port: int, caller: Caller, tree: Tree, seconds: float, rate: float) -> None:
        began = time.perf_counter()
        due, look, told = began, began, began
        with Client(port) as client:
            while (now := time.perf_counter()) < began + seconds or client.open:
                while due <= now and due < began + seconds:
                    client.send(caller.next(), due)
                    due += 1 / rate
                if now >= look:
                    self.samples.append(Sample((now - began) / 60, tree.held()))
                    look += min(SAMPLE, seconds / 60)
                if now >= told:
                    print(self.row(), flush=True)
                    told += seconds / 15
                for answer in client.answers(min(due, look) - now):
                    self._keep(answer)
                    if answer.status == 200 and (more := caller.feedback(answer)) is not None:
                        client.send(more)
        self.samples.append(Sample((time.perf_counter() - began) / 60, tree.held()))
        print(self.row())

    def _keep(self, answer: Answer) -> None:
        self.statuses[answer.kind, answer.status] += 1
        if answer.kind == "call":
            self.latencies.append(answer.seconds)

    def row(self) -> str:
        held, told = self.samples[-1].held, self.latencies[-2000:] or [0.0]
        workers = " + ".join(f"{one:.1f}" for one in held.workers_mb)
        return (
            f"| {self.samples[-1].minute:.1f} | {sum(self.statuses.values()):,} | {self.failed} "
            f"| {held.main_mb:.1f} | {workers} | {held.mb:.1f} | {held.files} | {held.threads} "
            f"| {percentile(told, 0.5) * 1e3:.0f} | {percentile(told, 0.99) * 1e3:.0f} "
            f"| {load_average()} |"
        )


def slope(samples: Sequence[Sample]) -> tuple[float, float]:
    """MB an hour, and twice the standard error of that."""
    minutes: dict[int, list[float]] = {}
    for one in samples:
        minutes.setdefault(int(one.minute), []).append(one.held.mb)
    at, mb = [*minutes], [statistics.median(held) for held in minutes.values()]
    if len(at) < 4:
        return 0.0, float("inf")
    line = statistics.linear_regression(at, mb)
    left = [y - line.slope * x - line.intercept for x, y in zip(at, mb, strict=True)]
    spread = sum((x - statistics.fmean(at)) ** 2 for x in at)
    error = (sum(one**2 for one in left) / (len(at) - 2) / spread) ** 0.5
    return line.slope * 60, 2 * error * 60


def faults(soak: Soak, most_mb: float, most_handles: int) -> Iterator[str]:
    """What is wrong; growth is from the first tenth to the last of what is left of the run."""
    end = soak.samples[-1].minute
    settled = [one for one in soak.samples if one.minute >= end * SETTLED]
    part = max(len(settled) // 10, 1)
    grown = {
        name: statistics.median(get(one.held) for one in settled[-part:])
        - statistics.median(get(one.held) for one in settled[:part])
        for name, get in {
            "MB": lambda held: held.mb,
            "files": lambda held: held.files,
            "threads": lambda held: held.threads,
        }.items()
    }
    rise, error = slope(settled)
    told = ", ".join(f"{value:+.1f} {name}" for name, value in grown.items())
    print(f"\nfrom minute {end * SETTLED:.1f} to {end:.1f}: {told}")
    print(f"slope {rise:+.2f} MB an hour, give or take {error:.2f}")
    for name, value in grown.items():
        if value > (most_mb if name == "MB" else most_handles):
            yield f"{name} grew by {value:.1f}"
    if soak.failed:
        yield f"{soak.failed} failed: {dict(soak.statuses)}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=40, help="calls a second")
    parser.add_argument("--most-mb", type=float, default=10, help="of all processes together")
    parser.add_argument("--most-handles", type=int, default=10)
    options = parser.parse_args(arguments)
    soak, hospital = Soak(), Hospital()
    print("| minute | answered | failed | main MB | workers MB | all MB | files | threads "
          "| p50 ms | p99 ms | load |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as name,
        slow_server(0.05) as fhir,
        running(Path(name), configuration(Path(name), [hospital], fhir), workers=2) as service,
    ):
        tree, caller = Tree(service.process.pid), Caller(hospital, fhir)
        # Threads and buffers that the first busy moment brings out are there before anything counts.
        rushed = min(RUSH, int(options.rate * options.minutes * 60 / 10))
        closed(service.port, [caller.next() for _ in range(rushed)], AT_ONCE)
        soak.run(service.port, caller, tree, options.minutes * 60, options.rate)
        fetched = Counter(line["reason"] for line in service.lines("fetch"))
    found = [*faults(soak, options.most_mb, options.most_handles)]
    print(
        f"{dict(soak.statuses)}, fetches: {dict(fetched)}\n"
        + ("\n".join(found) or "no growth, no failure")
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
