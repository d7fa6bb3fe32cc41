"""Requests to other machines: to public addresses, without redirects, and ended when told to.

A name is resolved once for each request, and the connection goes to the address that was judged:
what a name server says in between changes nothing.
"""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection

# A query may be sent once more where the server closed an idle connection or is starting again.
RETRY_ONCE = Retry(
    total=1,
    redirect=0,
    status_forcelist=(502, 503, 504),
    allowed_methods=frozenset({"GET"}),
    backoff_factor=0,
    respect_retry_after_header=False,
    raise_on_status=False,
)
_thread_state = threading.local()
logging.getLogger("requests_hardened").setLevel(logging.CRITICAL)


class CancellableRequest:
    """What one thread asks for; another may end it, wherever it waits.

    Time-outs of sockets begin anew with each byte, so a server that drips would never meet one.
    """

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None
        self._is_cancelled = False
        self._lock = threading.Lock()

    def __enter__(self) -> "CancellableRequest":
        _thread_state.attempt = self
        return self

    def __exit__(self, *_fault: object) -> None:
        _thread_state.attempt = None
        with self._lock:
            self._is_cancelled, self._connection = True, None

    def set_connection(self, connection: HTTPConnection) -> None:
        with self._lock:
            if self._is_cancelled:
                raise TimeoutError
            self._connection = connection

    def cancel(self) -> None:
        """Whatever it waits for now fails at once; after it nothing more is sent."""
        with self._lock:
            self._is_cancelled = True
            # Connections of urllib3 have their socket from its making on, before TLS is agreed.
            sock = getattr(self._connection, "sock", None)
            if sock is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # closed already


@contextmanager
def limit_time(seconds: float) -> Iterator[threading.Event]:
    """What this thread asks for meanwhile is ended after so long; the event says that it was."""
    is_over = threading.Event()
    with CancellableRequest() as attempt:

        def end() -> None:
            is_over.set()
            attempt.cancel()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield is_over
        finally:
            timer.cancel()


def _register_connection(connection: HTTPConnection) -> None:
    attempt = getattr(_thread_state, "attempt", None)
    if attempt is not None:
        attempt.set_connection(connection)


class _CancellableHTTPConnection(HTTPConnection):
    def connect(self) -> None:
        _register_connection(self)
        super().connect()

    def request(self, *args: Any, **options: Any) -> None:
        _register_connection(self)
        super().request(*args, **options)


class _CancellableHTTPSConnection(HTTPSConnection):
    def connect(self) -> None:
        _register_connection(self)
        super().connect()

    def request(self, *args: Any, **options: Any) -> None:
        _register_connection(self)
        super().request(*args, **options)


class _CancellableHTTPPool(HTTPConnectionPool):
    ConnectionCls = _CancellableHTTPConnection


class _CancellableHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _CancellableHTTPSConnection


class _CancellableAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _CancellableHTTPPool,
            "https": _CancellableHTTPSPool,
        }


class _FilteringAdapter(_CancellableAdapter, IPFilterAdapter):  # type: ignore[misc]  # no published types
    """Connects to public addresses, and to this machine where that is allowed."""


def make_session(
    *,
    connections: int,
    loopback: bool = False,
    private_addresses: bool = False,
    retry: Retry = RETRY_ONCE,
) -> requests.Session:
    """A session that reaches https, and http on this machine where `loopback` is set."""
    session = requests.Session()
    restrict_session(
        session,
        connections=connections,
        loopback=loopback,
        private_addresses=private_addresses,
        retry=retry,
    )
    return session


def restrict_session(
    session: requests.Session,
    *,
    connections: int,
    loopback: bool = False,
    private_addresses: bool = False,
    retry: Retry = RETRY_ONCE,
) -> None:
    """Makes a session, of this library or one that extends it, reach what `session` may."""
    session.trust_env = False  # no proxy, netrc or certificate bundle by accident
    session.adapters.clear()
    for scheme in ("https://", "http://") if loopback else ("https://",):
        if private_addresses:
            adapter = _CancellableAdapter()
        else:
            adapter = _FilteringAdapter(  # type: ignore[call-arg]  # no published types
                is_https_proto=scheme == "https://", allow_loopback=loopback
            )
        adapter.max_retries = retry
        adapter.init_poolmanager(connections, connections)
        session.mount(scheme, adapter)
