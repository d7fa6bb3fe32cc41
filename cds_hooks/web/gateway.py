"""Run the WSGI application on the server's RSGI: a request takes a thread when it is whole.

Under WSGI a client that sends its body byte by byte would hold a thread as long as it likes, and a
few of them all threads. Here bodies are gathered by the event loop, under a time limit.
"""

import asyncio
import io
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import orjson
from granian.rsgi import (  # type: ignore[attr-defined]  # granian re-exports them unmarked
    ProtocolClosed,
    ProtocolError,
)

from cds_hooks.protocol.errors import build_operation_outcome

Headers = list[tuple[str, str]]
TIMEOUT_BODY = orjson.dumps(build_operation_outcome(HTTPStatus.REQUEST_TIMEOUT))


class RequestScope(Protocol):
    """What granian says of a request."""

    http_version: str
    client: str  # "address:port"
    server: str
    scheme: str
    method: str
    path: str
    query_string: str
    authority: str | None
    headers: Any


class Exchange(Protocol):
    """What granian lets be read and written."""

    async def __call__(self) -> bytes: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...


class Gateway:
    """One for each worker."""

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        *,
        max_body_bytes: int,
        body_timeout_s: float,
        threads: int,
        on_slow_body: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        """`on_slow_body` is called for a body that did not come, `on_end` when all is answered."""
        self._application = application
        self._max_body = max_body_bytes
        self._timeout = body_timeout_s
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._on_slow_body = on_slow_body
        self._on_end = on_end

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        self._on_end()

    async def __rsgi__(self, scope: RequestScope, exchange: Exchange) -> None:
        # A client that went away needs no answer.
        with suppress(ProtocolClosed, ProtocolError):
            await self._serve(scope, exchange)

    async def _serve(self, scope: RequestScope, exchange: Exchange) -> None:
        environ = build_environ(scope)
        try:
            async with asyncio.timeout(self._timeout):
                body = await self._read_body(environ, exchange)
        except TimeoutError:
            self._on_slow_body()
            headers = [("Content-Type", "application/json"), ("Connection", "close")]
            exchange.response_bytes(HTTPStatus.REQUEST_TIMEOUT, headers, TIMEOUT_BODY)
            return
        environ["wsgi.input"] = io.BytesIO(body)
        loop = asyncio.get_running_loop()
        answered = await loop.run_in_executor(self._threads, self._run_application, environ)
        exchange.response_bytes(*answered)

    async def _read_body(self, environ: dict[str, Any], exchange: Exchange) -> bytes:
        """The whole body; nothing of one that is too large, which the application then refuses."""
        declared = environ.get("CONTENT_LENGTH")
        if declared is None and "HTTP_TRANSFER_ENCODING" not in environ:
            return b""
        if declared is not None and declared.isdecimal():
            return await exchange() if int(declared) <= self._max_body else b""
        body = bytearray()
        async for chunk in exchange:
            body += chunk
            if len(body) > self._max_body:
                environ["CONTENT_LENGTH"] = str(len(body))
                return b""
        environ["CONTENT_LENGTH"] = str(len(body))
        return bytes(body)

    def _run_application(self, environ: dict[str, Any]) -> tuple[int, Headers, bytes]:
        starts: list[tuple[int, Headers]] = []

        def start(status: str, headers: Headers, _fault: object = None) -> None:
            starts.append((int(status.split(" ", 1)[0]), headers))

        written = self._application(environ, start)
        try:
            body = b"".join(written)
        finally:
            close = getattr(written, "close", None)
            if close is not None:
                close()
        status, headers = starts[-1]
        return status, headers, body


def build_environ(scope: RequestScope) -> dict[str, Any]:
    """The request as PEP 3333 has it, its body left out."""
    address, _, port = scope.client.rpartition(":")
    name, _, own_port = scope.server.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope.path).decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": name,
        "SERVER_PORT": own_port,
        "REMOTE_ADDR": address.strip("[]"),
        "REMOTE_PORT": port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for header, value in scope.headers.items():
        # "X_Client" would come out as "X-Client" does, past a proxy that only removes the latter.
        if "_" in header:
            continue
        key = header.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    if scope.authority and "HTTP_HOST" not in environ:  # HTTP/2 has no header for it
        environ["HTTP_HOST"] = scope.authority
    return environ
