"""A week of a hospital's calls as the log has it, with two faults put in for reports to find.

    cd tests; python -m simulation.week FILE [--seed N] [--calls N]

The application, its logger and its feedback are the real ones; only the clock is the simulation's.
Some calls leave keys to be fetched from a FHIR server, a real one on this machine, which is slow
on Wednesday. One topic is answered every time, and overridden 95 times of a hundred.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog

from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import LOCAL_TENANT, FhirAccess
from cds_hooks.records.store import Records
from cds_hooks.telemetry.logs import build_processors
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_services
from simulation.fortnight import Hospital, drawn

SLOW_DAY = datetime(2026, 11, 4, tzinfo=UTC).date()  # a Wednesday
SLOW_SECONDS = 0.25
PATIENTS = 160
FETCHED = {"medications": "MedicationRequest", "conditions": "Condition"}
FETCHING = 0.12  # of the calls
OVERRIDDEN = {"overridden": 95, "accepted": 5}
DEADLINE_MS = 10_000  # no search is given up, however busy the machine


class Week(Hospital):
    """One run; `disliked` is the topic that is nearly always overridden."""

    days = 7

    def __init__(
        self, log: Any, folder: Path, seed: int, disliked: str | None, records_url: str | None
    ) -> None:
        super().__init__({"mode": "on"}, seed, PATIENTS, folder)
        self.disliked = disliked
        self.lines = log
        self.ehr = _Ehr(self)
        url = records_url or f"sqlite:///{folder / 'week.sqlite3'}"
        key = folder / "week.key"
        key.touch(mode=0o600)
        key.write_bytes(b"k" * 64)
        self.records = Records.open(url, key)
        tenant = replace(
            LOCAL_TENANT, fhir=FhirAccess(allow_loopback=True, deadline_ms=DEADLINE_MS)
        )
        app = create_app(
            make_context(
                {"local": build_services(self.known, "https://cds.example", {"mode": "on"})},
                Settings(tenants=(tenant,)),
                self.records,
                Telemetry(
                    structlog.wrap_logger(None, processors=[self._remember, *self.makers()]),
                    "simulation",
                ),
                clock=lambda: self.now,
            )
        )
        self.client = app.test_client()

    def makers(self) -> list[Any]:
        def write(_logger: Any, _level: str, line: bytes) -> Any:
            self.lines.write(line + b"\n")
            raise structlog.DropEvent

        return [*build_processors(lambda: self.now), write]

    def _remember(self, _logger: Any, _level: str, event: dict[str, Any]) -> dict[str, Any]:
        self.log.append(dict(event))
        return event

    def _audit(self, *_given: Any) -> None:
        """The fortnight's: here nothing is compared."""

    def _build_body(self, one: Any, encounter: str, hook: str, drafts: list[Any]) -> dict[str, Any]:
        body = super()._build_body(one, encounter, hook, drafts)
        chance = drawn(f"fetch {encounter} {hook} {len(drafts)}", self.seed)
        if chance.random() < FETCHING:
            body["fhirServer"] = self.ehr.base
            for key in FETCHED:
                del body["prefetch"][key]
        return body

    def _answers(self, topic: str) -> dict[str, int]:
        return OVERRIDDEN if topic == self.disliked else super()._answers(topic)


class _Ehr(ThreadingHTTPServer):
    """The FHIR server with the patients of a week."""

    daemon_threads = True

    def __init__(self, week: Week) -> None:
        super().__init__(("127.0.0.1", 0), _Search)
        self.week = week
        self.base = f"http://127.0.0.1:{self.server_port}/fhir"

    def found(self, url: str) -> bytes:
        parts = urlsplit(url)
        patient = self.week.patients[int(parse_qs(parts.query)["patient"][0])]
        kind = parts.path.rpartition("/")[2]
        entry = [{"resource": r} for r in patient.record if r["resourceType"] == kind]
        return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entry}).encode()


class _Search(BaseHTTPRequestHandler):
    server: _Ehr
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait for each other

    def do_GET(self) -> None:
        if self.server.week.now.date() == SLOW_DAY:
            time.sleep(SLOW_SECONDS)
        body = self.server.found(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Silent."""


@contextmanager
def lived(
    log: Any,
    folder: Path,
    *,
    seed: int = 7,
    calls: int = 700,
    disliked: str | None = None,
    records_url: str | None = None,
) -> Iterator[Week]:
    """A week that is over: its lines in `log`, its records in `week.sqlite3` of `folder`."""
    week = Week(log, folder, seed, disliked, records_url)
    thread = threading.Thread(target=week.ehr.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        week.run(calls)
        yield week
    finally:
        week.ehr.shutdown()
        week.ehr.server_close()
        thread.join()
        week.records.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--calls", type=int, default=700)
    parser.add_argument("--disliked", default="orderFolicAcid")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        options.file.open("wb") as log,
        lived(
            log, Path(folder), seed=options.seed, calls=options.calls, disliked=options.disliked
        ) as week,
    ):
        print(f"{week.tally.calls} calls, {week.tally.cards} cards")


if __name__ == "__main__":
    main()
