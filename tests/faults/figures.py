"""Faults injected into the running service, and what became of the calls meanwhile.

    cd tests; python -m faults.figures [--kills 50] [--seconds 60]

`lost` counts calls that were answered and have no record, `twice` records that are there twice,
`other cards` answers whose cards are not those on record; each must be 0, and every chain must
verify. What is recorded beyond the answered was on its way when the fault came.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from postgresql import Server, postgresql_server
from served_process import Running, running

from faults.conftest import OPEN, SPOOL, locked
from faults.kills import killed
from faults.load import Load
from faults.recorded import Figures, drained, figures
from faults.replicas import Replicas, connections_cut, replicas

HEADER = (
    "| fault | sent | answered | refused | no answer | recorded | lost | twice | other cards "
    "| chain |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|---|"
)


def row(name: str, found: Figures) -> str:
    numbers = (
        *(found.sent, found.answered, found.refused, found.unanswered, found.recorded),
        *(found.lost, found.twice, found.incomplete),
    )
    chain = "; ".join(found.faults) or "whole"
    return f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} | {chain} |"


def again(seconds: float) -> Iterator[int]:
    """Once, and again for so long."""
    until = time.monotonic() + seconds
    for number in itertools.count(1):
        yield number
        if time.monotonic() > until:
            return


def swapped(folder: Path, seconds: float) -> Figures:
    """Old and new service in turns on one database, each ended by SIGTERM."""
    url = f"sqlite:///{folder}/records.sqlite3"
    configuration = OPEN.replace("sqlite:///", f"sqlite:///{folder}/")
    one, other = (Running(folder / name, configuration) for name in ("old", "new"))
    try:
        one.start()
        with Load(one.port, other.port) as load:
            for _ in again(seconds):
                other.start()
                load.wait_for(50)
                one.stop()
                one, other = other, one
    finally:
        one.end()
        if hasattr(other, "process"):
            other.end()
    return figures(url, load.tally)


def held(folder: Path, seconds: float, policy: str) -> Figures:
    """SQLite locked by another process, again and again."""
    with running(folder, OPEN + policy, workers=2) as service, Load(service.port) as load:
        for _ in again(seconds):
            load.wait_for(50)
            with locked(folder / "records.sqlite3"):
                time.sleep(4)
        load.wait_for(20)
        load.stop()
        drained(folder / "spool", seconds=120)
    return figures(f"sqlite:///{folder}/records.sqlite3", load.tally)


def on_postgresql(
    folder: Path, seconds: float, policy: str, fault: Callable[[Server, Replicas], None]
) -> Figures:
    """`fault` again and again under load on two replicas, with tokens."""
    with (
        postgresql_server() as server,
        replicas(folder, server.url, policy) as two,
    ):
        with Load(*two.ports, token=two.hospital.token) as load:
            for _ in again(seconds):
                load.wait_for(50)
                fault(server, two)
            load.wait_for(20)
        for one in two.both:
            drained(one.folder / "spool", seconds=120)
        return figures(server.url, load.tally, two.key, "north")


def kill_one(_server: Server, two: Replicas) -> None:
    two.both[0].kill()
    time.sleep(0.5)
    two.both[0].start()
    two.both.reverse()


def stop_database(server: Server, _two: Replicas) -> None:
    server.stop()
    time.sleep(1)
    server.start()


def cut_connections(server: Server, _two: Replicas) -> None:
    with connections_cut(server.url):
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60, help="for all other faults together")
    options = parser.parse_args()
    each = options.seconds / 7
    print(HEADER)
    sound = True
    cases: dict[str, Callable[[Path], Figures]] = {
        f"kill -9 of workers and services, {options.kills} times, SQLite": lambda folder: killed(
            folder, OPEN, f"sqlite:///{folder}/records.sqlite3", options.kills
        )[0],
        "old and new service swapped, SQLite": lambda folder: swapped(folder, each),
        "SQLite locked, refuse": lambda folder: held(folder, each, ""),
        "SQLite locked, spool": lambda folder: held(folder, each, SPOOL),
        "a replica killed -9, PostgreSQL": lambda f: on_postgresql(f, each, "", kill_one),
        "PostgreSQL restarted, refuse": lambda f: on_postgresql(f, each, "", stop_database),
        "PostgreSQL restarted, spool": lambda f: on_postgresql(f, each, SPOOL, stop_database),
        "connections cut, spool": lambda f: on_postgresql(f, each, SPOOL, cut_connections),
    }
    for name, case in cases.items():
        with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as folder:
            found = case(Path(folder))
        sound = sound and found.is_sound
        print(row(name, found), flush=True)
    raise SystemExit(0 if sound else 1)


if __name__ == "__main__":
    main()
