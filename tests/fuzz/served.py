"""The installed service as it is run, and how much memory its worker holds."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from conformance.serving import free_port
from token_issuers import Issuer, Key

CONFIGURATION = """
[server]
base_url = "https://cds.example.org"
[records]
url = "{records}"
key_file = "records.key"
[limits]
requests_per_minute_and_address = 10000000
[[tenant]]
id = "north"
issuer = "https://ehr.north.example/"
jwks_file = "north.json"
calls_per_minute = 10000000
comments = "encrypt"
"""


@dataclass
class Served:
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    issuer: Issuer | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.base}{path}", timeout=60)

    def post(self, path: str, document: Any) -> requests.Response:
        return requests.post(f"{self.base}{path}", json=document, timeout=60)

    def send(self, path: str, body: bytes) -> requests.Response:
        headers = {"Content-Type": "application/json"}
        return requests.post(f"{self.base}{path}", data=body, headers=headers, timeout=60)

    @property
    def resident(self) -> int:
        """Bytes of memory that the worker holds."""
        pages = Path(f"/proc/{self.worker}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def worker(self) -> int:
        """The process that answers: the one child that is not multiprocessing's own."""
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return max(map(int, children), key=_size)


def _size(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1])


@contextmanager
def served(folder: Path, *, tenants: bool = False, records: str | None = None) -> Iterator[Served]:
    """`cobalamin serve` with one worker: open to this machine, or to a tenant with tokens."""
    port = free_port()
    command: list[str | Path] = [Path(sys.executable).with_name("cobalamin"), "serve"]
    issuer = None
    if tenants:
        issuer = Issuer("https://ehr.north.example/", Key("ES384"))
        (folder / "north.json").write_text(json.dumps(issuer.jwks))
        (folder / "records.key").write_text(os.urandom(32).hex())
        (folder / "records.key").chmod(0o600)
        url = records or "sqlite:///records.sqlite3"
        (folder / "fuzz.toml").write_text(CONFIGURATION.format(records=url))
        command += ["--config", folder / "fuzz.toml"]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    environment.pop("COBALAMIN_CONFIG", None)
    log = folder / "log"
    with log.open("wb") as out, (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "1"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=errors,
        )
        try:
            _wait_for(port, process, folder / "errors")
            yield Served(port, process, log, issuer)
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes], errors: Path) -> None:
    for _ in range(1200):  # a minute: a busy machine takes a while
        time.sleep(0.05)
        try:
            if requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=1).ok:
                return
        except requests.ConnectionError:
            assert process.poll() is None, errors.read_text()
    raise AssertionError("the service does not start")
