"""HTTP byte by byte: what is sent is what a case says, and what comes back is all that came."""

import socket
import time
from dataclasses import dataclass

DEADLINE = 5.0  # seconds for an answer


class NoAnswer(Exception):
    """The server closed, or said nothing within the deadline."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Wire:
    """One connection, opened anew where the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None
        self._read = b""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._read = None, b""

    def ask(
        self,
        pieces: list[bytes],
        methods: list[str],
        pause: float = 0.0,
        deadline: float = DEADLINE,
    ) -> list[Answer]:
        """Sends `pieces`, and reads one answer for each of `methods`. Raises NoAnswer."""
        fresh = self._socket is None
        began = time.monotonic()
        try:
            return self._ask(pieces, methods, pause, deadline, began)
        except NoAnswer:
            self.close()
            if fresh or time.monotonic() - began > 1:
                raise
        # An idle connection that the server closed meanwhile is no fault.
        return self._ask(pieces, methods, pause, deadline, time.monotonic())

    def _ask(
        self,
        pieces: list[bytes],
        methods: list[str],
        pause: float,
        deadline: float,
        began: float,
    ) -> list[Answer]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for place, piece in enumerate(pieces):
                if place and pause:
                    time.sleep(pause)
                self._socket.sendall(piece)
        except OSError:
            pass  # it may have answered and closed before it had read all
        answers = []
        until = time.monotonic() + deadline
        for method in methods:
            answers.append(self._answer(method, until, began))
            if answers[-1].headers.get("connection", "").lower() == "close":
                self.close()
                break
        return answers

    def leave(self, data: bytes) -> None:
        """Sends a part of a request on a connection of its own, and goes away."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as gone:
                gone.sendall(data)
        except OSError:
            pass

    def _answer(self, method: str, until: float, began: float) -> Answer:
        head = self._until(b"\r\n\r\n", until)
        status = int(head.split(b" ", 2)[1])
        if status < 200:
            return self._answer(method, until, began)
        lines = head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks(until)
        else:
            body = self._exactly(int(headers.get("content-length", "0")), until)
        return Answer(status, headers, body, time.monotonic() - began)

    def _chunks(self, until: float) -> bytes:
        body = b""
        while True:
            size = int(self._until(b"\r\n", until).split(b";")[0], 16)
            body += self._exactly(size + 2, until)[:size]
            if size == 0:
                return body

    def _until(self, mark: bytes, until: float) -> bytes:
        while mark not in self._read:
            self._more(until)
        found, _, self._read = self._read.partition(mark)
        return found + mark

    def _exactly(self, size: int, until: float) -> bytes:
        while len(self._read) < size:
            self._more(until)
        found, self._read = self._read[:size], self._read[size:]
        return found

    def _more(self, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0 or self._socket is None:
            raise NoAnswer("nothing within the deadline")
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(65536)
        except OSError as fault:
            raise NoAnswer(type(fault).__name__) from None
        if not data:
            raise NoAnswer("closed")
        self._read += data
