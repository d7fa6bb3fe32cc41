"""Clients that call as fast as they are answered, and remember what they were told."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import orjson
from conformance.serving import sample
from waiting import PATIENCE, wait_until

PATH = "/cds-services/b12-muscle-patient-view"
PATIENT = b"sample-1"
NUMBERS = itertools.count(1)
TIMEOUT = PATIENCE  # seconds until a call counts as not answered


def body() -> bytes:
    """A sample call about a patient that nobody has seen before."""
    return _BODY.replace(PATIENT, f"fault-{next(NUMBERS)}".encode())


_BODY = json.dumps(sample("neuropathy")).encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call was answered with."""

    id: str
    cards: frozenset[str]
    seconds: float


@dataclass
class Tally:
    """What became of the calls."""

    sent: int = 0
    answered: list[Answer] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)  # by status
    unanswered: Counter[str] = field(default_factory=Counter)  # by what happened instead

    @property
    def slowest(self) -> float:
        return max((answer.seconds for answer in self.answered), default=0.0)


class Client:
    """One connection after the other to services that share the work.

    A refused connection is no call yet, nor is one that ended before the call was sent: it goes to
    the next service, or is tried again.
    """

    def __init__(
        self,
        ports: Sequence[int],
        tally: Tally,
        *,
        token: Callable[[], str] | None = None,
        keep: bool = True,
        first: int = 0,
    ) -> None:
        self._ports = ports
        self._tally = tally
        self._token = token
        self._keep = keep
        self._next = first
        self._connection: http.client.HTTPConnection | None = None

    def call(self) -> int | None:
        """The status; None where there was no answer, or nobody to ask."""
        began = time.monotonic()
        connection = self._connected()
        if connection is None:
            time.sleep(0.01)
            return None
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token()}"
        try:
            connection.request("POST", PATH, body(), headers)
        except ConnectionError:
            self.close()  # before the service had the whole call
            return None
        self._tally.sent += 1
        try:
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as fault:
            self._tally.unanswered[type(fault).__name__] += 1
            self.close()
            return None
        if not self._keep or answer.will_close:
            self.close()
        self._keep_answer(answer, data, time.monotonic() - began)
        return answer.status

    def _keep_answer(self, answer: http.client.HTTPResponse, data: bytes, took: float) -> None:
        if answer.status != 200:
            self._tally.refused[answer.status] += 1
            return
        cards = frozenset(card["uuid"] for card in orjson.loads(data)["cards"])
        self._tally.answered.append(Answer(answer.headers["X-Request-Id"], cards, took))

    def _connected(self) -> http.client.HTTPConnection | None:
        for _ in self._ports if self._connection is None else ():
            port = self._ports[self._next % len(self._ports)]
            self._next += 1
            made = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
            try:
                made.connect()
            except ConnectionError:
                continue
            self._connection = made
            break
        return self._connection

    @property
    def own_port(self) -> int:
        """Where its connection begins."""
        assert self._connection is not None
        return int(self._connection.sock.getsockname()[1])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def once(port: int, token: str | None = None, tally: Tally | None = None) -> int | None:
    """The status of one call on a connection of its own."""
    given = None if token is None else lambda: token
    client = Client([port], Tally() if tally is None else tally, token=given)
    try:
        return client.call()
    finally:
        client.close()


class Load:
    """Threads that call until they are told to stop."""

    def __init__(
        self,
        *ports: int,
        clients: int = 6,
        token: Callable[[], str] | None = None,
        keep: bool = True,
    ) -> None:
        self._over = threading.Event()
        self._tallies = [Tally() for _ in range(clients)]
        self._threads = [
            threading.Thread(
                target=self._run, args=(Client(ports, tally, token=token, keep=keep, first=place),)
            )
            for place, tally in enumerate(self._tallies)
        ]

    def _run(self, client: Client) -> None:
        while not self._over.is_set():
            client.call()
        client.close()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Returns when each client has its last answer."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def tally(self) -> Tally:
        """All clients together."""
        whole = Tally()
        for one in self._tallies:
            whole.sent += one.sent
            whole.answered += one.answered
            whole.refused += one.refused
            whole.unanswered += one.unanswered
        return whole

    def wait_for(self, answers: int, seconds: float = PATIENCE) -> None:
        """Until so many more calls were answered."""
        until = len(self.tally.answered) + answers
        wait_until(
            lambda: len(self.tally.answered) >= until, seconds, lambda: f"only {self.tally}"[:500]
        )

    def wait_for_each(self, calls: int = 1) -> None:
        """Until each client has ended the call that it is at, and has sent so many more."""
        until = [tally.sent + calls for tally in self._tallies]
        wait_until(
            lambda: all(
                tally.sent >= sent for tally, sent in zip(self._tallies, until, strict=True)
            )
        )
