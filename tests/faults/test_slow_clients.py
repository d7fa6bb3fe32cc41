"""Clients that take their time hold nobody up but themselves."""

import socket
import threading
from contextlib import ExitStack, suppress

import pytest
from served_process import running

from faults.conftest import OPEN
from faults.load import PATH, Load

MANY = 300
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("slow"), OPEN) as one:
        yield one


def dripping(connections, data, over):
    """Sends one byte on each connection, again and again."""
    for place in range(len(data)):
        for connection in connections:
            with suppress(OSError):
                connection.send(data[place : place + 1])
        if over.wait(0.1):
            return


@pytest.mark.parametrize(
    ("at_once", "in_drips"),
    [
        (b"", b""),
        (b"", HEAD),
        (HEAD + b"Content-Length: 4000\r\n\r\n", b"{" + b" " * 4000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n" * 500),
        (HEAD + b"Content-Length: 4000\r\n\r\n", b""),
        (b"GET /cds-services HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    ],
    ids=[
        "idle connections",
        "headers in drips",
        "bodies in drips",
        "chunks in drips",
        "bodies that never come",
        "answers that nobody reads",
    ],
)
def test_others_are_served_meanwhile(service, at_once, in_drips):
    over = threading.Event()
    with ExitStack() as opened:
        slow = [
            opened.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            for _ in range(MANY)
        ]
        for connection in slow:
            connection.sendall(at_once)
        thread = threading.Thread(target=dripping, args=(slow, in_drips, over))
        thread.start()
        try:
            with Load(service.port, clients=2) as load:
                load.wait_for(40)
        finally:
            over.set()
            thread.join()
    assert not load.tally.unanswered
    assert not load.tally.refused
    assert load.tally.slowest < 5
