"""Folders whose paths are short, and disks that are full."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from issuers import Issuer, Place, place

OPEN = """
[fhir]
allow_loopback = true
[limits]
requests_per_minute_and_address = 10000000
[records]
url = "sqlite:///records.sqlite3"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
def ehr() -> Iterator[Place]:
    """Where an EHR publishes its keys."""
    with place() as server:
        yield server


class Disk:
    """A file system of its own, small enough to be filled."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size

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
        yield Disk(folder, kilobytes)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Hospital:
    """A tenant with an issuer whose keys lie at a place on this machine, or in a file."""

    def __init__(self, base: str, jku: str | None = None) -> None:
        self.issuer = Issuer("https://ehr.north.example/", jku=jku)
        self.audience = base

    def token(self, path: str = "/cds-services/b12-muscle-patient-view") -> str:
        return self.issuer.token(f"{self.audience}{path}")
