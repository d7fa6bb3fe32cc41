"""The workers' values together: nothing goes backwards when one dies, and no file stays for ever."""

import json
import os
import subprocess
import sys
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

from cds_hooks.telemetry.metrics import DIRECTORY_VARIABLE
from cds_hooks.telemetry.prometheus_server import MetricsApplication, serve_metrics

WORKER = """
import sys
from cds_hooks.telemetry.metrics import Metrics, use_multiprocess_files
use_multiprocess_files()
metrics = Metrics()
metrics.requests["north", "s", "call", "200"].inc(int(sys.argv[1]))
metrics.calls["north", "s"].observe(0.003)
metrics.calls["north", "s"].observe(0.3)
metrics.ready[()].set(float(sys.argv[2]))
metrics.workers[()].set(1)
metrics.tenant_ready["north", "keys"].set(float(sys.argv[3]))
print("counted", flush=True)
sys.stdin.read()
"""


class Workers:
    """Processes that count into one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def start(self, requests, ready=1, keys=1):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(requests), str(ready), str(keys)],
            env={**os.environ, DIRECTORY_VARIABLE: str(self.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert worker.stdout.readline() == b"counted\n"
        self.running.append(worker)
        return worker

    def kill(self, worker):
        worker.kill()
        worker.communicate()
        self.running.remove(worker)


@pytest.fixture
def workers(tmp_path):
    made = Workers(tmp_path)
    yield made
    for worker in list(made.running):
        made.kill(worker)


def asked(exposition, path):
    begun = []
    environ = {}
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = path
    body = b"".join(exposition(environ, lambda status, headers: begun.append(status)))
    return begun[0], body.decode()


def values(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


REQUESTS = 'cobalamin_requests_total{endpoint="call",service="s",status="200",tenant="north"}'
COUNT = 'cobalamin_call_duration_seconds_count{service="s",tenant="north"}'
BUCKET = 'cobalamin_call_duration_seconds_bucket{le="0.005",service="s",tenant="north"}'


def test_workers_are_added_up_and_the_dead_still_count(workers):
    exposition = MetricsApplication(workers.folder)
    first, second = workers.start(3), workers.start(4)
    seen = values(asked(exposition, "/metrics")[1])
    assert (seen[REQUESTS], seen[COUNT], seen["cobalamin_workers"]) == ("7.0", "4.0", "2.0")
    workers.kill(first)
    workers.start(5)
    for _ in range(2):  # what was added up is not added again
        seen = values(asked(exposition, "/metrics")[1])
        assert (seen[REQUESTS], seen[COUNT], seen[BUCKET]) == ("12.0", "6.0", "3.0")
        assert seen["cobalamin_workers"] == "2.0"
    workers.kill(second)
    assert values(asked(exposition, "/metrics")[1])[REQUESTS] == "12.0"


def test_files_of_dead_workers_become_one(workers):
    exposition = MetricsApplication(workers.folder)
    for _ in range(3):
        workers.kill(workers.start(1))
    asked(exposition, "/metrics")
    assert {file.name for file in workers.folder.iterdir()} == {
        "counter_dead.db",
        "histogram_dead.db",
    }
    assert values(asked(exposition, "/metrics")[1])[REQUESTS] == "3.0"


def test_the_probe_names_the_tenant_that_is_degraded(workers):
    exposition = MetricsApplication(workers.folder)
    workers.start(1)
    assert asked(exposition, "/health/ready") == ("200 OK", '{"status":"ready"}')
    workers.start(1, keys=0)
    status, body = asked(exposition, "/health/ready")
    assert status == "200 OK"
    assert json.loads(body) == {"status": "ready", "degraded": {"north": ["keys"]}}
    workers.start(1, ready=0)
    status, body = asked(exposition, "/health/ready")
    assert status == "503 Service Unavailable"
    assert json.loads(body)["status"] == "not ready"


def test_without_a_worker_the_service_is_not_ready(tmp_path):
    status, body = asked(MetricsApplication(tmp_path), "/health/ready")
    assert (status, body) == ("503 Service Unavailable", '{"status":"not ready"}')


def test_other_paths_are_not_found(tmp_path):
    assert asked(MetricsApplication(tmp_path), "/cds-services")[0] == "404 Not Found"


def test_the_folder_is_there_while_it_is_needed_and_a_taken_port_is_said_at_once():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            serve_metrics(*taken.getsockname())
        port = taken.getsockname()[1]
    with serve_metrics("127.0.0.1", port):
        folder = Path(os.environ[DIRECTORY_VARIABLE])
        assert list(folder.iterdir()) == []
    assert DIRECTORY_VARIABLE not in os.environ
    assert not folder.exists()
