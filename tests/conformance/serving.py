"""The installed service, run as its users run it; and calls that do not grow old."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import requests
from answer_schemas import CHECKED
from jsonschema import Draft202012Validator

from cds_hooks.telemetry.logs import read_log_line_schema

DAY = re.compile(r"^(\d{4}-\d{2}-\d{2})(T.*)?$")
ID = "b12-muscle-{}"
START_SECONDS = STOP_SECONDS = 120  # however busy the machine is
ANSWER_SECONDS = 60


def free_port() -> int:
    """A port that nobody listens on.

    It lies below those that the kernel gives to clients: none can take it before a server does.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def rolled(node: Any, by: timedelta) -> Any:
    """`node` with every date moved, so that samples do not grow old."""
    match node:
        case dict():
            return {key: rolled(value, by) for key, value in node.items()}
        case list():
            return [rolled(value, by) for value in node]
        case str() if found := DAY.match(node):
            return (date.fromisoformat(found[1]) + by).isoformat() + (found[2] or "")
    return node


def sample(name: str) -> dict[str, Any]:
    """A bundled sample call, as if its day were today; births stay where they are."""
    document = json.loads((files("services.hooks") / "samples" / f"{name}.json").read_text())
    by = today() - date.fromisoformat(document.pop("sampleDay"))
    born = document["prefetch"]["patient"]["birthDate"]
    call: dict[str, Any] = rolled(document, by)
    call["prefetch"]["patient"]["birthDate"] = born
    return call


def today() -> date:
    return datetime.now(UTC).date()


def log_faults(lines: Iterable[dict[str, Any]]) -> list[str]:
    """Where lines break the schema that is published for them."""
    validator = Draft202012Validator(read_log_line_schema())
    return [
        f"{line.get('event')} {error.json_path}: {error.message}"
        for line in lines
        for error in validator.iter_errors(line)
    ]


class Service:
    """The running service, and every answer checked as it comes."""

    def __init__(self, base: str, log: Path, state: Path) -> None:
        self.base = base
        self.log = log
        self.state = state
        self.session = requests.Session()

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(f"{self.base}{path}", timeout=ANSWER_SECONDS, **options)

    def post(self, path: str, document: Any = None, **options: Any) -> requests.Response:
        if "data" not in options:
            options["json"] = document
        return self.session.post(f"{self.base}{path}", timeout=ANSWER_SECONDS, **options)

    def call(self, document: dict[str, Any], **options: Any) -> requests.Response:
        return self.post(f"/cds-services/{ID.format(document.get('hook'))}", document, **options)

    def cards(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.call(document)
        assert answer.status_code == 200, answer.text
        CHECKED["Cards"].validate(answer.json())
        cards: list[dict[str, Any]] = answer.json()["cards"]
        return cards

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line]


@contextmanager
def serving(folder: Path, configuration: str | None = None) -> Iterator[Service]:
    """`cobalamin serve`, from an empty folder, with records of its own."""
    port = free_port()
    log = folder / "log"
    command = Path(sys.executable).with_name("cobalamin")
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    environment.pop("COBALAMIN_CONFIG", None)
    if configuration is not None:
        (folder / "cobalamin.toml").write_text(configuration)
        environment["COBALAMIN_CONFIG"] = str(folder / "cobalamin.toml")
    with log.open("wb") as out, (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [command, "serve", "--port", str(port), "--workers", "1"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=errors,
        )
        base = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        ready = False
        while not ready:
            assert time.monotonic() < deadline, (folder / "errors").read_text()
            time.sleep(0.05)
            try:
                ready = requests.get(f"{base}/health/ready", timeout=20).ok
            except requests.ConnectionError:
                assert process.poll() is None, (folder / "errors").read_text()
        running = Service(base, log, folder / "state")
        yield running
        running.session.close()
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
    lines = running.lines()
    assert log_faults(lines) == []
    assert lines[-1]["event"] == "stop"
