"""Fetching an EHR's keys: seldom, from one place, and without it for a while."""

import socket
import threading
from contextlib import suppress

import pytest
from tables import cases
from token_issuers import Issuer, Key, place
from waiting import wait_until

from cds_hooks.security import key_sets
from cds_hooks.security.key_sets import (
    FRESH_SECONDS,
    UNKNOWN_KEY_SECONDS,
    FetchedKeys,
    KeysUnavailableError,
)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def ehr():
    with place() as made:
        made.issuer = Issuer("https://ehr.example/", Key(kid="one"))
        made.answer = made.issuer.jwks
        yield made
        made.answering.set()


@pytest.fixture
def fetched(ehr):
    """A key set of the EHR, its clock, and what was told of each fetch."""
    clock, told = Clock(), []
    return FetchedKeys(f"{ehr.base}/jwks.json", told.append, now=clock), clock, told


def test_keys_are_fetched_once_and_kept(ehr, fetched):
    keys, clock, told = fetched
    assert ehr.paths == []  # nothing before it is needed
    for _ in range(5):
        assert keys.find_key("one", "ES384") is not None
    clock.now += FRESH_SECONDS
    assert keys.find_key("one", "ES384") is not None
    assert ehr.paths == ["/jwks.json"]
    clock.now += 1
    assert keys.find_key("one", "ES384") is not None
    assert len(ehr.paths) == 2
    assert told == ["ok", "ok"]


def test_a_new_key_is_found_when_it_is_first_used(ehr, fetched):
    keys, clock, _told = fetched
    assert keys.find_key("one", "ES384") is not None
    ehr.answer = Issuer("x", Key(kid="two")).jwks
    clock.now += UNKNOWN_KEY_SECONDS
    assert keys.find_key("two", "ES384") is not None
    assert keys.find_key("one", "ES384") is None  # it was withdrawn


def test_unknown_keys_make_few_fetches(ehr, fetched):
    """Whoever invents key ids makes the EHR's endpoint work once in a while, not each time."""
    keys, clock, _told = fetched
    for second in range(300):
        clock.now = 1000.0 + second
        assert keys.find_key(f"invented-{second}", "ES384") is None
    assert len(ehr.paths) == 300 / UNKNOWN_KEY_SECONDS


def test_many_threads_make_one_fetch(ehr, fetched):
    keys, _clock, _told = fetched
    ehr.answering.clear()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(keys.find_key("one", "ES384")))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: ehr.paths)
    ehr.answering.set()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert None not in found
    assert len(ehr.paths) == 1


@cases("""
    seconds                     | known
    ----------------------------+------
    FRESH_SECONDS               | yes
    FRESH_SECONDS + 1           | yes
    STALE_SECONDS               | yes
    STALE_SECONDS + 1           |
""")
def test_while_the_endpoint_is_down_keys_stay_good_for_a_while(ehr, fetched, case):
    keys, clock, told = fetched
    assert keys.find_key("one", "ES384") is not None
    ehr.status = 503
    clock.now += eval(case["seconds"], vars(key_sets))
    if case["known"]:
        assert keys.find_key("one", "ES384") is not None
    else:
        with pytest.raises(KeysUnavailableError):
            keys.find_key("one", "ES384")
        assert told[-1] == "status-503"


def test_an_endpoint_that_comes_back_is_heard(ehr, fetched):
    keys, clock, _told = fetched
    ehr.status = 500
    with pytest.raises(KeysUnavailableError):
        keys.find_key("one", "ES384")
    ehr.status = 200
    with pytest.raises(KeysUnavailableError):  # not at once
        keys.find_key("one", "ES384")
    clock.now += UNKNOWN_KEY_SECONDS
    assert keys.find_key("one", "ES384") is not None


BROKEN = {
    "HTML": (b"<html>Login</html>", 200, {}, "not JSON"),
    "an error": ({"keys": []}, 500, {}, "status-500"),
    "no keys": ({"keys": []}, 200, {}, "no usable key"),
    "another document": ({"issuer": "x"}, 200, {}, "is no key set"),
    "huge": (b"[" + b" " * 300_000 + b"]", 200, {}, "too-large"),
    "a redirect": ({}, 302, {"Location": "https://evil.example/jwks.json"}, "status-302"),
}


@pytest.mark.parametrize(
    ("answer", "status", "headers", "reason"), BROKEN.values(), ids=BROKEN.keys()
)
def test_what_is_no_key_set_is_none(ehr, fetched, answer, status, headers, reason):
    keys, _clock, told = fetched
    ehr.answer, ehr.status, ehr.headers = answer, status, headers
    with pytest.raises(KeysUnavailableError):
        keys.find_key("one", "ES384")
    assert reason in told[-1]
    assert len(ehr.paths) == 1


def test_an_endpoint_that_is_not_there_is_told(fetched, ehr):
    told = []
    keys = FetchedKeys("http://127.0.0.1:9/jwks.json", told.append)
    with pytest.raises(KeysUnavailableError):
        keys.find_key("one", "ES384")
    assert told == ["ConnectionError"]


def test_a_slow_endpoint_holds_nobody_for_long(ehr, fetched, monkeypatch):
    monkeypatch.setattr(key_sets, "SOCKET_TIMEOUTS", (0.2, 0.2))
    keys, _clock, told = fetched
    ehr.answering.clear()  # and it does not answer before the test is over
    with pytest.raises(KeysUnavailableError):
        keys.find_key("one", "ES384")
    assert len(told) == 1


def test_an_endpoint_that_drips_holds_nobody_for_long(monkeypatch):
    """Byte by byte in the headers, where the time-out of the socket begins anew each time."""
    monkeypatch.setattr(key_sets, "TOTAL_SECONDS", 0.5)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip():
            connection, _address = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
                while not over.wait(0.1):
                    connection.sendall(b"b")

        thread = threading.Thread(target=drip)
        thread.start()
        told = []
        keys = FetchedKeys(f"http://127.0.0.1:{listening.getsockname()[1]}/keys", told.append)
        with pytest.raises(KeysUnavailableError):  # while it still drips
            keys.find_key("one", "ES384")
        over.set()
        thread.join()
    assert told == ["too-slow"]
