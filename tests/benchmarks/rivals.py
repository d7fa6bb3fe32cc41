"""The servers that are compared, each in processes of its own: ours, the bare ones, a peer."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from served_process import free_port, running

from benchmarks.bare import BYTES
from benchmarks.bodies import PATH, about_another, body_of
from benchmarks.client import Request, closed, request
from benchmarks.hospital import Hospital, configuration
from benchmarks.processes import Tree

HERE = Path(__file__).parent
PEER_PATH = "/cds/cds-services/b12"
WORKERS = 2
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Rival:
    """A server under a name, and how it is asked."""

    name: str
    port: int
    tree: Tree
    path: str = PATH
    token: Callable[[], str] | None = None

    def requests(self, body: bytes, number: int) -> list[Request]:
        """Each about another patient, and with a token of its own where tokens are asked for."""
        return [
            request(self.path, about_another(body), self.token() if self.token else None)
            for _ in range(number)
        ]


@contextmanager
def _process(command: list[str], folder: Path, **more: str) -> Iterator[int]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), **more}
    with (folder / f"log-{free_port()}").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def _ready(rival: Rival) -> Rival:
    """When it has answered a few calls with a card."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            answers = closed(rival.port, rival.requests(body_of(2_000), 8), 4)
        except OSError:
            time.sleep(0.1)
            continue
        assert all(one.status == 200 and b'"summary"' in one.body for one in answers), answers[0]
        return rival
    raise AssertionError(f"{rival.name} does not start")


@contextmanager
def rivals(folder: Path, peer: Path | None, workers: int = WORKERS) -> Iterator[list[Rival]]:
    """All of them, started; `peer` is an interpreter that has HealthChain."""
    with ExitStack() as stack:
        hospitals = [Hospital("ES384"), Hospital("RS384")]
        written = configuration(folder / "ours", hospitals)
        service = stack.enter_context(running(folder / "ours", written, workers=workers))
        tree = Tree(service.process.pid)
        found = [
            _ready(Rival(f"ours, {one.algorithm}", service.port, tree, token=one.token))
            for one in hospitals
        ]
        size = len(closed(service.port, found[0].requests(body_of(2_000), 1), 1)[0].body)

        def start(name: str, port: int, path: str, *command: str) -> None:
            started = stack.enter_context(_process([*command], folder, **{BYTES: str(size)}))
            found.append(_ready(Rival(name, port, Tree(started), path)))

        for name, kind in (("bare Flask", "flask"), ("plain server", "plain")):
            port = free_port()
            module = (sys.executable, "-m", "benchmarks.bare", kind)
            start(name, port, PATH, *module, str(port), "--workers", str(workers))
        for number in sorted({1, workers}) if peer else ():
            port, program = free_port(), str(HERE / "healthchain_peer.py")
            command = (str(peer), program, str(port), "--workers", str(number))
            start(f"HealthChain x{number}", port, PEER_PATH, *command)
        yield found


def peer_of(folder: Path) -> Path | None:
    """An interpreter with HealthChain, made in `folder`; None where it cannot be had."""
    python = folder / "peer" / "bin" / "python"
    made = [sys.executable, "-m", "venv", str(folder / "peer")]
    fetched = [str(python), "-m", "pip", "install", "-q", "healthchain==0.16.1", "uvicorn"]
    for command in (made, fetched):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
    return python


def in_turns(found: list[Rival], round_: int) -> list[Rival]:
    """The same in another order in each round, so that nobody is always first."""
    begin = round_ % len(found)
    turned = list(itertools.islice(itertools.cycle(found), begin, begin + len(found)))
    return turned[::-1] if round_ % 2 else turned
