"""Calls over kept connections from one thread, cheap enough to share two cores with the server.

Requests are made ready beforehand; what is measured is from the moment a request is due until its
answer is whole.
"""

import re
import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
SECONDS = 60  # until a call counts as not answered


@dataclass(frozen=True, slots=True)
class Request:
    """`kind` is the caller's own word for it."""

    message: bytes
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    kind: str
    status: int  # 0: the connection ended instead
    seconds: float
    body: bytes


def request(
    path: str, body: bytes, token: str | None = None, *, kind: str = "", method: str = "POST"
) -> Request:
    said = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{said}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Request(head.encode() + body, kind)


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.request: Request | None = None
        self.due = 0.0
        self.unsent = memoryview(b"")
        self.received = bytearray()

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body, when all is there."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = LENGTH.search(self.received, 0, end)
        assert length, bytes(self.received[:end])
        whole = end + 4 + int(length[1])
        if len(self.received) < whole:
            return None
        return int(self.received[9:12]), bytes(self.received[end + 4 : whole])


class Client:
    """Connections to one server; a request takes one that is idle, or opens another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Connection] = []
        self.open = 0  # calls without their answer

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_fault: object) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def send(self, wanted: Request, due: float | None = None) -> None:
        """`due`: when it should have gone, by `time.perf_counter`."""
        if self._idle:
            one = self._idle.pop()
        else:
            one = _Connection(self._port)
            self._selector.register(one.socket, selectors.EVENT_READ, one)
        one.request, one.due = wanted, time.perf_counter() if due is None else due
        one.unsent = memoryview(wanted.message)
        self.open += 1
        self._write(one)

    def answers(self, seconds: float) -> Iterator[Answer]:
        """What was answered; waits for the first at most so long."""
        for key, events in self._selector.select(max(seconds, 0)):
            one: _Connection = key.data
            if events & selectors.EVENT_WRITE:
                self._write(one)
            if events & selectors.EVENT_READ:
                yield from self._read(one)

    def _write(self, one: _Connection) -> None:
        try:
            one.unsent = one.unsent[one.socket.send(one.unsent) :]
        except BlockingIOError:
            pass
        except ConnectionError:
            one.unsent = memoryview(b"")  # reading will tell
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if one.unsent else 0)
        if self._selector.get_key(one.socket).events != wanted:
            self._selector.modify(one.socket, wanted, one)

    def _read(self, one: _Connection) -> Iterator[Answer]:
        try:
            piece = one.socket.recv(262_144)
        except ConnectionError:
            piece = b""
        one.received += piece
        answer = one.answer() if piece else (0, b"")
        if answer is None:
            return
        if not piece:
            self._selector.unregister(one.socket)
            one.socket.close()
        if one.request is not None:
            answered, one.request = one.request, None
            one.received.clear()
            self.open -= 1
            if piece:
                self._idle.append(one)
            yield Answer(answered.kind, answer[0], time.perf_counter() - one.due, answer[1])
        elif one in self._idle:
            self._idle.remove(one)


def closed(port: int, requests: Iterable[Request], concurrency: int) -> list[Answer]:
    """Each connection sends its next request when it has its answer."""
    waiting, answers = iter(requests), []
    with Client(port) as client:
        for _, wanted in zip(range(concurrency), waiting, strict=False):  # takes no more
            client.send(wanted)
        last = time.perf_counter()
        while client.open:
            for answer in client.answers(SECONDS):
                last = time.perf_counter()
                answers.append(answer)
                if (following := next(waiting, None)) is not None:
                    client.send(following)
            assert time.perf_counter() < last + SECONDS, "not answered"
    return answers


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
