"""Serve `/metrics` for Prometheus: all workers of this service together, on an own address.

Each worker keeps its values in files of a folder that the main process has made for it. A worker
that dies leaves its counts there, so none goes backwards; its gauges go with it.
"""

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from pathlib import Path
from socketserver import ThreadingMixIn
from tempfile import TemporaryDirectory
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from cds_hooks.telemetry.metrics import DIRECTORY_VARIABLE

StartResponse = Any  # what PEP 3333 calls start_response
SUMMED_TYPES = ("counter", "histogram")
DEAD = "dead"  # stands in a file's name where others have the number of a process


class MetricsApplication:
    """A WSGI application: `/metrics`, and which tenants are degraded at `/health/ready`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        MultiProcessCollector(self._registry, str(folder))
        ProcessCollector(namespace="cobalamin_main", registry=self._registry)

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "GET", "/metrics":
                return _send_response(start, HTTPStatus.OK, CONTENT_TYPE, self.render_metrics())
            case "GET", "/health/ready":
                ready, document = self.read_readiness()
                status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
                return _send_response(start, status, "application/json", orjson.dumps(document))
        return _send_response(start, HTTPStatus.NOT_FOUND, "text/plain", b"see /metrics\n")

    def render_metrics(self) -> bytes:
        """The exposition of all workers."""
        with self._lock:
            forget_dead_workers(self._folder)
            return generate_latest(self._registry)

    def read_readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether every worker is fit to answer, and what fails which tenant.

        Names of tenants are for whoever may read the metrics; the public probe only counts them.
        """
        with self._lock:
            forget_dead_workers(self._folder)
            samples = [s for family in self._registry.collect() for s in family.samples]
        ready = [s.value for s in samples if s.name == "cobalamin_ready"]
        degraded: dict[str, list[str]] = {}
        for sample in samples:
            if sample.name == "cobalamin_tenant_ready" and not sample.value:
                degraded.setdefault(sample.labels["tenant"], []).append(sample.labels["part"])
        is_ready = ready == [1.0]
        document: dict[str, Any] = {"status": "ready" if is_ready else "not ready"}
        return is_ready, {**document, "degraded": degraded} if degraded else document


def _send_response(start: StartResponse, status: HTTPStatus, kind: str, body: bytes) -> list[bytes]:
    start(
        f"{status.value} {status.phrase}", [("Content-Type", kind), ("Cache-Control", "no-store")]
    )
    return [body]


def forget_dead_workers(folder: Path) -> None:
    """Gauges of processes that are no more go; their counts are added up in one file.

    A service whose workers are replaced again and again would otherwise fill the disk.
    """
    files: dict[str, list[Path]] = {}
    for file in folder.glob("*.db"):
        files.setdefault(file.stem.rpartition("_")[2], []).append(file)
    for process in files.keys() - {DEAD}:
        if not _is_alive(process):
            mark_process_dead(process, str(folder))
            for file in files[process]:
                if file.name.startswith(SUMMED_TYPES):
                    _merge_counts(file, folder)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's: the number was given again
        return True
    return True


def _merge_counts(file: Path, folder: Path) -> None:
    """Adds the counts of `file` to those of the dead, and removes it."""
    kind = file.name.partition("_")[0]
    sums = folder / f"{kind}_{DEAD}.db"
    counts: dict[str, float] = {}
    for path in (sums, file):
        if path.exists():
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):
                counts[key] = counts.get(key, 0.0) + value
    draft = sums.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    written = MmapedDict(str(draft))
    for key, value in counts.items():
        written.write_value(key, value, 0.0)
    written.close()
    draft.replace(sums)
    file.unlink()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    timeout = 10  # a client that says nothing holds no thread for longer

    def log_message(self, *args: Any) -> None:
        """Standard error is for faults."""


def serve_metrics(host: str, port: int) -> AbstractContextManager[None]:
    """Serves the metrics of the processes that are started within. Raises OSError at once.

    The folder of their values is this process's own: empty at its start, gone with it.
    """
    folder = TemporaryDirectory(prefix="cobalamin-metrics-", ignore_cleanup_errors=True)
    kind = _Server6 if ":" in host else _Server
    try:
        server = make_server(host, port, MetricsApplication(Path(folder.name)), kind, _QuietHandler)
    except OSError:
        folder.cleanup()
        raise
    return _run_server(server, folder)


@contextmanager
def _run_server(server: WSGIServer, folder: "TemporaryDirectory[str]") -> Iterator[None]:
    with folder as name, server:
        os.environ[DIRECTORY_VARIABLE] = name
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            del os.environ[DIRECTORY_VARIABLE]
