"""Connections that stay open, on every worker of a service, and tokens presented on all at once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from served_process import Running
from waiting import PATIENCE

from faults.load import Client, Tally

MAX_TRIES = 50


class Caller:
    """One connection, on which any token can be presented."""

    def __init__(self, port: int, tally: Tally) -> None:
        self._token = ""
        self.client = Client([port], tally, token=lambda: self._token)

    def present(self, token: str) -> int | None:
        """The status of a call with this token."""
        self._token = token
        return self.client.call()


@contextmanager
def connected(
    ports: Sequence[int], tally: Tally, token: Callable[[], str], status: int = 200
) -> Iterator[list[Caller]]:
    """A caller for each of `ports`, connected at the same instant by a call with a token."""
    callers = [Caller(port, tally) for port in ports]
    try:
        with ThreadPoolExecutor(len(callers)) as threads:
            statuses = [*threads.map(lambda caller: caller.present(token()), callers)]
        assert statuses == [status] * len(callers)
        yield callers
    finally:
        for caller in callers:
            caller.client.close()


@contextmanager
def connected_to_each_worker(
    service: Running, number: int, tally: Tally, token: Callable[[], str], status: int = 200
) -> Iterator[list[Caller]]:
    """So many callers; connected anew until each worker has some, as the kernel deals them out."""
    for _ in range(MAX_TRIES):
        with connected([service.port] * number, tally, token, status) as callers:
            if {service.worker_of(caller.client.own_port) for caller in callers} == set(
                service.workers()
            ):
                yield callers
                return
    raise AssertionError(f"{MAX_TRIES} times one worker got every connection")


def at_once(callers: Sequence[Caller], tokens: Sequence[str]) -> list[Counter[int | None]]:
    """The statuses of each token, presented by all callers at the same instant."""
    gate = threading.Barrier(len(callers))

    def present(caller: Caller) -> list[int | None]:
        statuses = []
        for token in tokens:
            gate.wait(PATIENCE)
            statuses.append(caller.present(token))
        return statuses

    with ThreadPoolExecutor(len(callers)) as threads:
        found = [*threads.map(present, callers)]
    return [Counter(statuses) for statuses in zip(*found, strict=True)]
