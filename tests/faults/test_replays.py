"""One token on many connections at the same instant: one call is let in."""

import os
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

from faults.conftest import TENANT, Hospital
from faults.load import Client, Tally
from faults.recorded import figures
from running import running

CONNECTIONS = 6
TRIES = 60


def at_once(clients, tokens):
    """The statuses of each token, presented by all clients at the same instant."""
    gate = threading.Barrier(len(clients))
    statuses = [[] for _ in clients]
    presented = {}

    def present(place, make):
        client = clients[place] = make(lambda: presented[place])
        for token in tokens:
            presented[place] = token
            gate.wait(30)
            statuses[place].append(client.call())
        client.close()

    threads = [
        threading.Thread(target=present, args=(place, make)) for place, make in enumerate(clients)
    ]
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
            count += os.readlink(handle).startswith("socket:")
    return count


def maker(ports, tally):
    return lambda token: Client(ports, tally, token=token)


def test_two_workers_of_one_service(folder):
    hospital = Hospital(folder)
    tallies = [Tally() for _ in range(CONNECTIONS)]
    with running(folder, TENANT, workers=2) as service:
        before = {pid: connections(pid) for pid in service.workers()}
        made = [maker([service.port], tally) for tally in tallies]
        tokens = [hospital.token() for _ in range(TRIES)]
        found = at_once(made, tokens)
        assert len(before) == 2
    assert found == [{200: 1, 401: CONNECTIONS - 1}] * TRIES
    whole = Tally()
    for tally in tallies:
        whole.answered += tally.answered
        whole.sent += tally.sent
    kept = figures(f"sqlite:///{folder}/records.sqlite3", whole, tenant="north")
    assert kept.is_sound, kept
    assert kept.recorded == TRIES
    reasons = {line["reason"] for line in service.lines("auth-refused")}
    assert reasons == {"replayed"}
