"""A real PostgreSQL and a real FHIR server that misbehaves, both on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from postgresql import running_postgresql


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a PostgreSQL that lives as long as the tests."""
    with running_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.sqlite3'}"
    import psycopg

    url: str = request.getfixturevalue("postgresql_url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


class FhirServer(ThreadingHTTPServer):
    """Answers by the behaviour that a test sets for a resource type."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviours: dict[str, Any] = {}
        self.over = threading.Event()  # what never ends ends then
        self.seen: list[tuple[str, str | None]] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/fhir"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: FhirServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        kind = self.path.removeprefix("/fhir/").split("?")[0].split("/")[0]
        self.server.behaviours[kind](self)

    def json(self, document: Any, status: int = 200) -> None:
        self.body(orjson.dumps(document), status, "application/fhir+json")

    def body(self, data: bytes, status: int = 200, kind: str = "text/html") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.server.over.wait(0.05):
            self.wfile.write(b" ")

    def log_message(self, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def fhir_server() -> Iterator[FhirServer]:
    server = FhirServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key for the hash of patients."""
    path = tmp_path / "patient-hash.key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    return path
