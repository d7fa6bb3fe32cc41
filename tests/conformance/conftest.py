"""The installed service, run as its users run it, and a FHIR server for it to ask."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from serving import Service, sample, serving

PATIENT = """
[fhir]
allow_loopback = true
deadline_ms = 60000
"""


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as it is without a configuration."""
    with serving(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="session")
def patient_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One that waits for FHIR servers as long as it takes, however busy the machine is."""
    with serving(tmp_path_factory.mktemp("patient"), PATIENT) as running:
        yield running


class Ehr(ThreadingHTTPServer):
    """A FHIR server that answers each search with what a test puts into `found`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.found: dict[str, Any] = {}
        self.answering = threading.Event()  # cleared, questions wait
        self.answering.set()
        self.tokens: set[str | None] = set()
        self.paths: list[str] = []
        self.traces: list[tuple[str | None, str | None]] = []
        self.base = f"http://127.0.0.1:{self.server_port}/fhir"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: Ehr
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.answering.wait(60)
        self.server.paths.append(self.path)
        trace = self.headers.get("traceparent"), self.headers.get("tracestate")
        self.server.traces.append(trace)
        self.server.tokens.add(self.headers.get("Authorization"))
        kind = self.path.removeprefix("/fhir/").split("?")[0].split("/")[0]
        document = self.server.found.get(kind, {"resourceType": "Bundle", "type": "searchset"})
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def ehr() -> Iterator[Ehr]:
    server = Ehr()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.answering.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def call() -> Callable[[str], dict[str, Any]]:
    return sample
