"""The service beside a bare Flask under the same server, in turns within one run.

    python tests/benchmarks/served.py [--rounds 7] [--calls 400]

The bare application decodes the same body and returns fixed JSON; it checks, evaluates, records and
logs nothing. Each round sends the same calls to both, in changing order; the figure is the CPU time
of the server's processes for each call, and the median over the rounds of the ratio. Latency is
measured at concurrency 8 with the client on the same machine. Prints a table and, with --json, a
file. Numbers of one run compare with each other; those of two machines do not.
"""

import argparse
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))

from conftest import free_port, sample

BARE = """
import os, sys, orjson
from flask import Flask, Response, request
from granian import Granian
from granian.constants import Interfaces

def application():
    app = Flask("bare")
    fixed = orjson.dumps({"cards": [{"summary": "x", "indicator": "info", "source": {"label": "y"},
                                     "detail": "z" * 1500}]})

    @app.post("/cds-services/<id_>")
    def call(id_):
        orjson.loads(request.get_data(cache=False))
        return Response(fixed, mimetype="application/json")

    return app

if __name__ == "__main__":
    Granian("bare:application", factory=True, address="127.0.0.1", port=int(sys.argv[1]),
            interface=Interfaces.WSGI, workers=int(sys.argv[2]), blocking_threads=16,
            backpressure=256, websockets=False, log_enabled=False).serve()
"""
PATIENT = b"sample-1"
PATIENTS = (b"p%07d" % number for number in itertools.count())
PATH = "/cds-services/b12-muscle-patient-view"


def body_of(size: int) -> bytes:
    """The sample patient with enough further results, read and unread ones, to weigh `size`."""
    call = sample("neuropathy")
    entries = call["prefetch"]["observations"]["entry"]
    template = json.dumps(entries[1])
    codes = ["718-7", "2160-0", "2823-3", "4548-4", "2345-7", "1742-6"]
    number = 0
    while len(json.dumps(call)) < size:
        entry = json.loads(template)
        entry["resource"]["id"] = f"more-{number}"
        entry["resource"]["code"]["coding"][0]["code"] = codes[number % len(codes)]
        entry["resource"]["effectiveDateTime"] = f"2026-0{number % 9 + 1}-11T08:40:00+00:00"
        entries.append(entry)
        number += 1
    return orjson.dumps(call)


@dataclass
class Server:
    name: str
    port: int
    process: subprocess.Popen[bytes]
    started: float

    def tree(self) -> list[psutil.Process]:
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def cpu(self) -> float:
        times = [process.cpu_times() for process in self.tree()]
        return sum(t.user + t.system for t in times)

    def resident(self) -> int:
        """Of the largest worker, in MB."""
        return max(process.memory_info().rss for process in self.tree()) // 1_000_000


def start(name: str, command: list[str], port: int, folder: Path, log: Path) -> Server:
    began = time.monotonic()
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    environment.pop("COBALAMIN_CONFIG", None)
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    body = body_of(2000)
    while True:
        try:
            send(port, body)
            return Server(name, port, process, time.monotonic() - began)
        except OSError:
            time.sleep(0.02)
            assert process.poll() is None, log.read_text()


def send(port: int, body: bytes, connection: http.client.HTTPConnection | None = None) -> float:
    used = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    began = time.perf_counter()
    # Each call is about another patient, as in a hospital's morning.
    used.request(
        "POST", PATH, body.replace(PATIENT, next(PATIENTS)), {"Content-Type": "application/json"}
    )
    answer = used.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    if connection is None:
        used.close()
    return (time.perf_counter() - began) * 1000


def burst(server: Server, body: bytes, calls: int, concurrency: int) -> list[float]:
    """Latencies in ms of `calls` calls over `concurrency` connections."""
    latencies: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        latencies.extend(send(server.port, body, connection) for _ in range(calls // concurrency))
        connection.close()

    clients = [threading.Thread(target=client) for _ in range(concurrency)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return latencies


def compare(ours: Server, bare: Server, size: int, rounds: int, calls: int) -> dict[str, Any]:
    body = body_of(size)
    per_call: dict[str, list[float]] = {ours.name: [], bare.name: []}
    latencies: list[float] = []
    for server in (ours, bare):
        burst(server, body, 100, 4)
    for number in range(rounds):
        for server in (ours, bare) if number % 2 else (bare, ours):
            before = server.cpu()
            took = burst(server, body, calls, 8)
            per_call[server.name].append((server.cpu() - before) / len(took) * 1e6)
            if server is ours:
                latencies += took
    ratios = [a / b for a, b in zip(per_call[ours.name], per_call[bare.name], strict=True)]
    ordered = sorted(latencies)
    return {
        "bytes": len(body),
        "us_per_call": round(statistics.median(per_call[ours.name])),
        "bare_us_per_call": round(statistics.median(per_call[bare.name])),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_min_max": [round(min(ratios), 2), round(max(ratios), 2)],
        "p50_ms": round(ordered[len(ordered) // 2], 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bare.py").write_text(BARE)
        cobalamin = Path(sys.executable).with_name("cobalamin")
        port, bare_port = free_port(), free_port()
        serve = [str(cobalamin), "serve", "--port", str(port), "--workers", "2"]
        ours = start("cobalamin", serve, port, folder, folder / "log")
        plain = [sys.executable, "bare.py", str(bare_port), "2"]
        bare = start("bare", plain, bare_port, folder, folder / "bare.log")
        try:
            rows = [
                compare(ours, bare, s, options.rounds, options.calls)
                for s in (2000, 20_000, 200_000)
            ]
            result = {
                "day": datetime.now(UTC).date().isoformat(),
                "cores": os.cpu_count(),
                "start_s": round(ours.started, 2),
                "resident_mb": ours.resident(),
                "sizes": rows,
            }
        finally:
            for server in (ours, bare):
                server.process.terminate()
                server.process.wait(20)
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
