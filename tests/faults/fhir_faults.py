"""A FHIR server that fails in every way that a test names, on real sockets."""

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

LONG = 20  # seconds: far beyond any deadline
NOTHING = json.dumps({"resourceType": "Bundle", "type": "searchset"}).encode()
SECRET = b"Nobody-Knows"  # in each answer that is no answer: it must not come out anywhere


def answer(body: bytes, status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    said = {"Content-Type": "application/fhir+json", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in said.items())
    count = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {count}\r\n\r\n".encode() + body


def _hang(_c: socket.socket, over: threading.Event) -> None:
    over.wait(LONG)


def _reset(connection: socket.socket, _over: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _reset_midway(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(answer(NOTHING, length=1000))
    time.sleep(0.05)
    _reset(connection, over)


def _drip(whole: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def drip(connection: socket.socket, over: threading.Event) -> None:
        for place in range(len(whole)):
            if over.wait(0.03):
                return
            connection.sendall(whole[place : place + 1])

    return drip


def _huge(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(answer(b'{"resourceType": "Bundle", "x": "', length=10**12))
    while not over.is_set():
        connection.sendall(SECRET * 8192)


def _says(whole: bytes) -> Callable[[socket.socket, threading.Event], None]:
    return lambda connection, _over: connection.sendall(whole)


def _slow(connection: socket.socket, over: threading.Event) -> None:
    over.wait(0.15)
    connection.sendall(answer(NOTHING))


HTML = b"<html><body>" + SECRET + b"</body></html>"
BROKEN = b'{"resourceType": "Bundle", "entry": [{"resource": {"id": "' + SECRET
BEHAVIOURS: dict[str, Callable[[socket.socket, threading.Event], None]] = {
    "is slow": _slow,
    "hangs": _hang,
    "resets": _reset,
    "resets midway": _reset_midway,
    "promises more": _says(answer(NOTHING, length=len(NOTHING) + 500)),
    "promises less": _says(answer(NOTHING, length=20)),
    "sends HTML": _says(answer(HTML, Content_Type="text/html")),
    "sends half": _says(answer(BROKEN)),
    "sends nothing": _says(answer(b"")),
    "sends deep JSON": _says(answer(b"[" * 100_000)),
    "sends noise": _says(b"\x00\xff" * 500 + b"\r\n\r\n"),
    "sends bad gzip": _says(answer(SECRET * 9, Content_Encoding="gzip")),
    "sends bad chunks": _says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"),
    "sends headers without end": _says(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 5000),
    "sends 500": _says(answer(HTML, "500 Internal Server Error")),
    "sends 302": _says(answer(b"", "302 Found", Location="https://evil.example/fhir")),
    "sends 404": _says(answer(b"", "404 Not Found")),
    "sends 999": _says(answer(b"", "999 ?")),
    "drips the body": _drip(answer(NOTHING.ljust(4000))),
    "drips the headers": _drip(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"b" * 4000),
    "sends without end": _huge,
}


class FaultyServer:
    """Answers each query by the behaviour of its resource type; one connection, one query."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.base = f"http://127.0.0.1:{self._socket.getsockname()[1]}/fhir"
        self.behaviours: dict[str, str] = {}
        self.well: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()  # queries of each resource type
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked:
                piece = connection.recv(65536)
                if not piece:
                    return
                asked += piece
            kind = asked.split(b" ")[1].split(b"/")[2].split(b"?")[0].decode()
            self.asked[kind] += 1
            behaviour = self.behaviours.get(kind)
            if behaviour is None:
                body = self.well.get(kind, NOTHING)
                connection.sendall(answer(body, Connection="close"))
            else:
                BEHAVIOURS[behaviour](connection, self.over)

    def close(self) -> None:
        self.over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    server = FaultyServer()
    try:
        yield server
    finally:
        server.close()


def well(call: dict[str, Any]) -> dict[str, bytes]:
    """What a server says that holds what `call` has as prefetch."""
    prefetch = call["prefetch"]
    names = {
        "Patient": "patient",
        "Observation": "observations",
        "Condition": "conditions",
        "MedicationRequest": "medications",
    }
    return {kind: json.dumps(prefetch[key]).encode() for kind, key in names.items()}
