"""The service as its users run it: `cobalamin serve`, its processes, its log."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from conformance.serving import free_port

START_SECONDS = STOP_SECONDS = 120  # however busy the machine is


class Running:
    """One `cobalamin serve`, in a folder that holds its configuration, log and records."""

    def __init__(
        self,
        folder: Path,
        configuration: str,
        *,
        workers: int = 1,
        port: int | None = None,
        log: Path | None = None,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = log or folder / "log"
        self.errors = folder / "errors"
        self._workers = workers
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cobalamin.toml").write_text(configuration)

    def start(self, *, wait: bool = True) -> "Running":
        """Starts it, log and errors behind what earlier starts wrote."""
        command = Path(sys.executable).with_name("cobalamin")
        options = ["--port", str(self.port), "--workers", str(self._workers)]
        self._began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out, self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [command, "serve", "--config", "cobalamin.toml", *options],
                cwd=self.folder,
                env={**os.environ, "XDG_STATE_HOME": str(self.folder / "state")},
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Until all its workers have started and one of them answers."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                answers = requests.get(f"{self.base}/health/ready", timeout=5).ok
                if answers and self._started() >= self._workers:
                    return
            except requests.RequestException:
                assert self.process.poll() is None, self.errors.read_text()
            time.sleep(0.02)
        raise AssertionError(f"not ready: {self.errors.read_text()}")

    def _started(self) -> int:
        """How many workers have said so since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._began)
            return log.read().count(b'"event":"start"')

    def workers(self) -> list[int]:
        """The ids of its worker processes."""
        main = self.process.pid
        try:
            children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        except OSError:
            return []
        return [pid for pid in map(int, children) if _is_worker(pid)]

    def worker_of(self, port: int) -> int:
        """The id of the worker that holds the connection which a client began at `port`."""
        ends = f"0100007F:{self.port:04X}", f"0100007F:{port:04X}"
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
        [socket] = [f"socket:[{row[9]}]" for row in rows if (row[1], row[2]) == ends]
        [worker] = [pid for pid in self.workers() if socket in _handles(pid)]
        return worker

    def kill(self) -> None:
        """As the machine would end: main process and workers at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """As an administrator would end it; the exit status."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The lines of the log; every one of them is JSON."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line]
        return [line for line in found if event in (None, line["event"])]

    def end(self) -> None:
        """Whatever became of it, nothing of it stays."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


def _handles(pid: int) -> set[str]:
    """What a process has open."""
    found = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(str(handle.readlink()))
    return found


def _is_worker(pid: int) -> bool:
    """Python's resource tracker is a child too."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"resource_tracker" not in words and words != b""


@contextmanager
def running(
    folder: Path,
    configuration: str,
    *,
    workers: int = 1,
    port: int | None = None,
    log: Path | None = None,
) -> Iterator[Running]:
    service = Running(folder, configuration, workers=workers, port=port, log=log)
    try:
        yield service.start()
    finally:
        service.end()
