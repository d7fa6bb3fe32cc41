"""The service as it is deployed: several workers, two hospitals, a FHIR server, metrics of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conformance.conftest import Ehr, ehr
from conformance.serving import ID, free_port, log_faults, sample
from token_issuers import Issuer, Key

__all__ = ["ehr"]
ROOT = Path(__file__).parents[2]
BASE = "https://cds.example.org"
CONFIGURATION = """
[server]
port = {port}
base_url = "https://cds.example.org"
body_timeout_s = 1
[metrics]
port = {metrics}
[records]
key_file = "records.key"
when_down = "spool"
spool = "spool"
[fhir]
deadline_ms = 2000
[[tenant]]
id = "north"
issuer = "https://ehr.north.example/"
jwks_url = "{ehr}/jwks"
fhir.server = "{ehr}"
[[tenant]]
id = "south"
issuer = "https://ehr.south.example/"
jwks_file = "south.json"
"""


class Deployed:
    """`cobalamin serve` with a configuration, and what it says of itself."""

    def __init__(self, folder: Path, server: Ehr) -> None:
        self.folder = folder
        self.north = Issuer("https://ehr.north.example/", Key("ES384"), jku=f"{server.base}/jwks")
        self.south = Issuer("https://ehr.south.example/", Key("ES384"))
        server.found["jwks"] = self.north.jwks
        (folder / "south.json").write_text(json.dumps(self.south.jwks))
        (folder / "records.key").write_bytes(os.urandom(32))
        (folder / "records.key").chmod(0o600)
        self.port, self.metrics_port = free_port(), free_port()
        text = CONFIGURATION.format(port=self.port, metrics=self.metrics_port, ehr=server.base)
        (folder / "cobalamin.toml").write_text(text)
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            Path(sys.executable).with_name("cobalamin"),
            "serve",
            "--config",
            "cobalamin.toml",
        ]
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}
        with (self.folder / "log").open("wb") as out, (self.folder / "errors").open("wb") as errors:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=out, stderr=errors
            )

    def wait_until_ready(self) -> None:
        self.wait_for(lambda: self.scraped().get("cobalamin_workers") == 2)
        self.wait_for(lambda: self.tenant_ready("north"))

    def wait_for(self, holds: Any, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.folder / "errors").read_text()
            try:
                if holds():
                    return
            except requests.ConnectionError:
                pass
            time.sleep(0.1)
        raise AssertionError("it did not come to that")

    def text(self) -> str:
        return requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60).text

    def scraped(self) -> dict[str, float]:
        """Each series with its value."""
        lines = (line for line in self.text().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def total(self, name: str, **labels: str) -> float:
        """Of all series of this name with these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value
            for series, value in self.scraped().items()
            if re.match(rf"{name}(\{{|$)", series) and all(one in series for one in wanted)
        )

    def tenant_ready(self, tenant: str) -> bool:
        return self.total("cobalamin_tenant_ready", tenant=tenant, part="keys") == 1

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def post(self, issuer: Issuer, path: str, document: dict[str, Any]) -> requests.Response:
        headers = {"Authorization": f"Bearer {issuer.token(f'{BASE}{path}')}"}
        return requests.post(self.url(path), json=document, headers=headers, timeout=60)

    def call(self, issuer: Issuer, name: str = "neuropathy", **members: Any) -> requests.Response:
        document = sample(name) | members
        return self.post(issuer, f"/cds-services/{ID.format(document['hook'])}", document)

    def workers(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(one) for one in path.read_text().split()]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(120) == 0
        assert log_faults(self.lines()) == []


@pytest.fixture(scope="module")
def hospital_server() -> Iterator[Ehr]:
    yield from ehr.__wrapped__()  # type: ignore[attr-defined]  # for a module instead of a test


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, hospital_server: Ehr) -> Iterator[Deployed]:
    made = Deployed(tmp_path_factory.mktemp("deployed"), hospital_server)
    made.wait_until_ready()
    yield made
    if made.process.poll() is None:
        made.stop()


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build of the image is sent: what .dockerignore lets in."""
    folder = tmp_path_factory.mktemp("context")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], folder / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    return folder
