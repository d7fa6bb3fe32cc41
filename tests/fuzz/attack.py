"""Thousands of broken requests against the running service, and what must hold of every answer.

    cd tests && python -m fuzz.attack [--requests 20000] [--seed 1] [--tenants] [--only NUMBER]

Every complete request is answered within five seconds, never by a 5xx; whatever is not 2xx is an
OperationOutcome; whatever is 200 is what its schema says; a call in order is answered afterwards;
and the worker's memory does not grow. A fault is printed with its number and its bytes: the same
seed, number and day make the same request again.
"""

import argparse
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from answer_schemas import CHECKED

from fuzz.cases import Case, Cases
from fuzz.served import Served, served
from fuzz.wire import DEADLINE, Answer, NoAnswer, Wire

CONNECTIONS = 4
# What the server itself says to what is not HTTP, before the application sees anything.
NOT_HTTP = {400, 408, 413, 414, 417, 431, 501, 505}
NOT_HTTP_SECONDS = 0.5  # it may wait for the rest of what it was announced
MEBIBYTE = 1024 * 1024


@dataclass
class Report:
    """What came of a run."""

    seed: int
    requests: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    resident: list[int] = field(default_factory=list)  # bytes, after each third
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def grown(self) -> int:
        """Bytes between the first third and the last."""
        return self.resident[-1] - self.resident[0]

    def __str__(self) -> str:
        held = ", ".join(f"{size / MEBIBYTE:.1f}" for size in self.resident)
        return (
            f"seed {self.seed}: {self.requests} requests, slowest {self.slowest:.2f} s, "
            f"resident MiB {held}\n  kinds {dict(self.kinds)}\n"
            f"  answers {dict(sorted(self.statuses.items()))}"
        )


def attack(service: Served, seed: int, requests: int) -> Report:
    """`requests` cases over a few connections, in three thirds."""
    cases = Cases(seed, service.issuer)
    report = Report(seed)
    turn = threading.Lock()
    third = max(requests // 3, 1)
    for start in range(0, 3 * third, third):
        numbers = iter(range(start, start + third))
        threads = [
            threading.Thread(target=_work, args=(service, cases, numbers, report, turn))
            for _ in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report.resident.append(service.resident)
    return report


def _work(
    service: Served, cases: Cases, numbers: Any, report: Report, turn: threading.Lock
) -> None:
    wire = Wire(service.port)
    while True:
        with turn:
            number = next(numbers, None)
        if number is None or len(report.faults) > 20:
            break
        case = cases.of(number)
        answers, fault = one(wire, case)
        with turn:
            report.requests += max(len(case.methods), 1)
            report.kinds[case.kind] += 1
            report.statuses.update(_told(answer) for answer in answers)
            report.slowest = max([report.slowest, *(answer.seconds for answer in answers)])
            if fault is not None:
                report.faults.append(
                    f"number {number}, {case.kind}: {fault}\n{case.pieces!r:.6000}"
                )
    wire.close()


def _told(answer: Answer) -> str:
    return f"{answer.status}" if "x-request-id" in answer.headers else f"{answer.status} bare"


def one(wire: Wire, case: Case) -> tuple[list[Answer], str | None]:
    """What was answered to one case, and what is wrong with it."""
    if not case.methods:
        wire.leave(case.pieces[0])
        return [], None
    if not case.is_http:
        wire.close()
    try:
        deadline = DEADLINE if case.is_http else NOT_HTTP_SECONDS
        answers = wire.ask(case.pieces, case.methods, case.pause, deadline)
    except NoAnswer as fault:
        # What is not HTTP may wait for the rest of what it announced, or be hung up on.
        return [], None if not case.is_http else f"no answer: {fault}"
    finally:
        if not case.is_http:
            wire.close()
    if case.is_http and len(answers) < len(case.methods):
        return answers, f"{len(answers)} answers to {len(case.methods)} requests"
    found = (
        fault_of(answer, method, path, is_http=case.is_http)
        for answer, method, path in zip(answers, case.methods, case.paths, strict=False)
    )
    return answers, next((fault for fault in found if fault), None)


def fault_of(answer: Answer, method: str, path: str, *, is_http: bool) -> str | None:
    """Why an answer is not one that may be given."""
    if answer.status >= 500 and not (answer.status in NOT_HTTP and not is_http):
        return f"status {answer.status}: {answer.body[:300]!r}"
    bare = "x-request-id" not in answer.headers and answer.status != 408
    if bare:
        return None if not is_http and answer.status in NOT_HTTP else f"bare {answer.status}"
    if answer.seconds > 5 + 1:
        return f"{answer.seconds:.1f} s"
    if method == "HEAD":
        return None
    if answer.status == 204:
        return None if not answer.body else "a body with 204"
    if answer.status != 200:
        return _schema_fault(answer, "OperationOutcome")
    if method != "POST":
        return None
    return _schema_fault(answer, "Received" if "/feedback" in path else "Cards")


def _schema_fault(answer: Answer, name: str) -> str | None:
    if answer.headers.get("content-type") != "application/json":
        return f"{answer.status} of type {answer.headers.get('content-type')}"
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError as fault:
        return f"{answer.status} is not JSON: {fault}"
    for fault in CHECKED[name].iter_errors(document):
        return f"{answer.status} is no {name}: {fault.json_path} {fault.message[:200]}"
    return None


def still_answers(service: Served, seed: int = 0) -> bool:
    """Whether a call in order gets cards."""
    case = Cases(seed, service.issuer).good(next(NUMBERS))
    wire = Wire(service.port)
    answers, fault = one(wire, case)
    wire.close()
    return fault is None and answers[0].status == 200


NUMBERS = count(10**9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tenants", action="store_true", help="tokens, and what is behind them")
    parser.add_argument("--only", type=int, help="one case, by its number")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), tenants=given.tenants) as service,
    ):
        if given.only is not None:
            case = Cases(given.seed, service.issuer).of(given.only)
            print(case, one(Wire(service.port), case), sep="\n")
            return
        report = attack(service, given.seed, given.requests)
        print(report, *report.faults, sep="\n")
        assert not report.faults
        assert still_answers(service)


if __name__ == "__main__":
    main()
