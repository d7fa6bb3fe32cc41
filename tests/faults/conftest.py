"""Folders whose paths are short, and disks that are full."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from token_issuers import Issuer

from faults.load import PATH

OPEN = """
[fhir]
allow_loopback = true
[limits]
requests_per_minute_and_address = 10000000
[records]
url = "sqlite:///records.sqlite3"
"""

# Behind the table [records].
SPOOL = 'when_down = "spool"\nspool = "spool"\n'


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process writes to an SQLite database, and does not come to an end."""
    program = (
        "import sqlite3, sys\n"
        "held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=120)\n"
        "held.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield
            holder.kill()  # as good as a rollback
    finally:
        holder.kill()


class Disk:
    """A file system of its own, small enough to be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Takes what is left."""
        with (self.folder / "ballast").open("ab", buffering=0) as file:
            for piece in (64 * 1024, 4096, 512, 1):
                try:
                    while file.write(b"\0" * piece) == piece:
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.folder).free


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Disk]:
    """Skips the test where nobody may mount one."""
    folder.mkdir(parents=True)
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Hospital:
    """A tenant that is known by its tokens."""

    def __init__(self, folder: Path) -> None:
        self.issuer = Issuer("https://ehr.north.example/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "north.json").write_text(json.dumps(self.issuer.jwks))

    def token(self) -> str:
        """For one call."""
        return self.issuer.token(f"{BASE}{PATH}")


BASE = "https://cds.example.org"
TENANT = f"""
[server]
base_url = "{BASE}"
[limits]
calls_per_minute = 10000000
requests_per_minute_and_address = 10000000
[[tenant]]
id = "north"
issuer = "https://ehr.north.example/"
jwks_file = "north.json"
[records]
url = "sqlite:///records.sqlite3"
"""
