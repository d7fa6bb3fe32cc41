"""The report of `cobalamin report`, made by that command in a process of its own.

What reports are made with is large and knows no limit of time; a worker that answers hooks loads
none of it. A report is kept for a minute, for who asks for the same again.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from werkzeug.exceptions import GatewayTimeout, ServiceUnavailable

from cds_hooks.config.settings import Settings
from cds_hooks.telemetry.metrics import DIRECTORY_VARIABLE

COMMAND = (sys.executable, "-m", "services.cli.report", "--from-records", "--json")
MAX_SECONDS = 40.0  # for one report; proxies wait for about a minute
CACHE_SECONDS = 60.0
MAX_CACHED = 16  # reports
MAX_WAITING = 3  # requests, the one that is answered among them: hooks need threads too
NICENESS = 10  # hooks go first


class ReportFailedError(ServiceUnavailable):
    """The command ended without a report: the records are down, or it could not be run."""


class ReportBusyError(ServiceUnavailable):
    """Others wait for reports already."""


class ReportTimeoutError(GatewayTimeout):
    """It was ended: so many records take longer."""


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """What a report is about: always one tenant; None is no limit."""

    tenant: str
    since: str | None = None  # YYYY-MM-DD
    until: str | None = None
    service: str | None = None
    topic: str | None = None

    def as_options(self) -> list[str]:
        options = {
            "tenant": self.tenant,
            "since": self.since,
            "until": self.until,
            "service": self.service,
            "topic": self.topic,
        }
        return [f"--{name}={value}" for name, value in options.items() if value is not None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A table of the report."""

    title: str
    says: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def as_dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Highlight:
    """One thing that stands out. `where` names the figure to look at."""

    says: str
    more: str
    where: str
    problem: bool


@dataclass(frozen=True, slots=True)
class Report:
    figures: Mapping[str, Figure]
    highlights: Sequence[Highlight]


class ReportRunner:
    """Of one worker: one at a time."""

    def __init__(
        self,
        settings: Settings,
        *,
        command: Sequence[str] = COMMAND,
        seconds: float = MAX_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        file = ["--config", settings.file] if settings.file else []
        self._command = [*command, *file]
        self._seconds = seconds
        self._now = now
        self._kept: dict[ReportQuery, tuple[float, Report]] = {}
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)

    def get_report(self, query: ReportQuery) -> Report:
        """The report for `query`, at most a minute old.

        Raises ReportFailedError, ReportBusyError and ReportTimeoutError.
        """
        cached = self._find_fresh(query)
        if cached is not None:
            return cached
        if not self._places.acquire(blocking=False):
            raise ReportBusyError
        try:
            if not self._turn.acquire(timeout=self._seconds):
                raise ReportBusyError
            try:
                return self._find_fresh(query) or self._store(query, self._make_report(query))
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _find_fresh(self, query: ReportQuery) -> Report | None:
        made_at, report = self._kept.get(query, (0.0, None))
        return report if self._now() - made_at < CACHE_SECONDS else None

    def _store(self, query: ReportQuery, report: Report) -> Report:
        self._kept.pop(query, None)
        while len(self._kept) >= MAX_CACHED:
            del self._kept[next(iter(self._kept))]
        self._kept[query] = self._now(), report
        return report

    def _make_report(self, query: ReportQuery) -> Report:
        output = self._run_command([*self._command, *query.as_options()])
        try:
            document = orjson.loads(output)
            return Report(
                {name: Figure(**figure) for name, figure in document["figures"].items()},
                [
                    Highlight(
                        highlight["says"],
                        highlight["more"],
                        highlight["where"],
                        highlight["problem"],
                    )
                    for highlight in document["findings"]
                ],
            )
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise ReportFailedError from None

    def _run_command(self, command: Sequence[str]) -> bytes:
        # What the command lays aside goes with this, however it ends.
        with TemporaryDirectory(prefix="cobalamin-governance-") as folder:
            return self._run_in(folder, command)

    def _run_in(self, folder: str, command: Sequence[str]) -> bytes:
        # Not into the metrics of this service: the command is no worker of it.
        environment = {
            name: value for name, value in os.environ.items() if name != DIRECTORY_VARIABLE
        }
        environment["TMPDIR"] = folder
        try:
            process = subprocess.Popen(  # noqa: S603  # our own command; what is chosen is checked
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError:
            raise ReportFailedError from None
        with process:
            with contextlib.suppress(OSError):  # it is gone already, or may not be told to
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            try:
                output, _ = process.communicate(timeout=self._seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ReportTimeoutError from None
        if process.returncode != 0:
            raise ReportFailedError
        return output
