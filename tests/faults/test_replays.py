"""One token on many connections at the same instant: one call is let in."""

import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

from faults.conftest import TENANT, Hospital
from faults.load import Client, Tally
from faults.recorded import figures
from served_process import running

CONNECTIONS = 20  # one worker with one of them at most: once in 25,000 runs
TRIES = 60


def at_once(tokens, makers, warm, look=lambda: None):
    """The statuses of each token, presented on all connections at the same instant.

    Each connection has been used once, with a token of `warm`, when `look` is called.
    """
    gate = threading.Barrier(len(makers))
    statuses = [[] for _ in makers]
    presented = dict(enumerate(warm))

    def present(place):
        client = makers[place](lambda: presented[place])
        assert client.call() == 200
        if gate.wait(30) == 0:
            look()
        for token in tokens:
            presented[place] = token
            gate.wait(30)
            statuses[place].append(client.call())
        client.close()

    threads = [threading.Thread(target=present, args=(place,)) for place in range(len(makers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [Counter(found) for found in zip(*statuses, strict=True)]


def connections(pid):
    """How many sockets a process has open."""
    count = 0
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            count += str(handle.readlink()).startswith("socket:")
    return count


def test_two_workers_of_one_service(folder):
    hospital = Hospital(folder)
    tally = Tally()
    with running(folder, TENANT, workers=2) as service:
        before = {pid: connections(pid) for pid in service.workers()}
        after = {}
        found = at_once(
            [hospital.token() for _ in range(TRIES)],
            [lambda token: Client([service.port], tally, token=token)] * CONNECTIONS,
            [hospital.token() for _ in range(CONNECTIONS)],
            lambda: after.update({pid: connections(pid) for pid in before}),
        )
    assert len(before) == 2
    assert all(after[pid] > before[pid] for pid in before)  # each worker has some of them
    assert found == [{200: 1, 401: CONNECTIONS - 1}] * TRIES
    kept = figures(f"sqlite:///{folder}/records.sqlite3", tally, tenant="north")
    assert kept.is_sound, kept
    assert kept.recorded == TRIES + CONNECTIONS
    assert {line["reason"] for line in service.lines("auth-refused")} == {"replayed"}
