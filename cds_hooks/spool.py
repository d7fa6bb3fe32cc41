"""Records that wait in a folder while the database is down.

One file for each record, whole or not there: written beside, flushed to the disk, then renamed.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

WAITING = ".json"
USED = "used"  # folder of empty files, one for each token that was used meanwhile


class Spool:
    """A folder of this machine; its workers share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used = folder / USED

    def prepare(self) -> None:
        """Raises OSError where the folder cannot be made or written."""
        self._used.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = self.folder / f".{uuid4()}"
        probe.touch(0o600)
        probe.unlink()

    def keep(self, record: dict[str, Any]) -> None:
        """Returns when `record` is on the disk. Raises OSError."""
        name = str(uuid4())
        draft = self.folder / f".{name}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(orjson.dumps(record))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self.folder / f"{name}{WAITING}")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def waiting(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Each record that waits, with its file; one that another process has taken is passed."""
        for file in sorted(self.folder.glob(f"*{WAITING}")):
            with suppress(FileNotFoundError):
                yield file, orjson.loads(file.read_bytes())

    def count(self) -> int:
        """How many records wait. Raises OSError."""
        with os.scandir(self.folder) as entries:
            return sum(entry.name.endswith(WAITING) for entry in entries)

    def use_once(self, tenant: str, digest: str) -> bool:
        """Whether the token was not used before, by any process of this machine. Raises OSError."""
        try:
            (self._used / _name(tenant, digest)).touch(0o600, exist_ok=False)
        except FileExistsError:
            return False
        return True

    def was_used(self, tenant: str, digest: str) -> bool:
        return (self._used / _name(tenant, digest)).exists()

    def forget_used(self, before: float) -> None:
        """Forgets tokens that were used before `before`, in seconds since 1970."""
        with os.scandir(self._used) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime < before:
                        Path(entry.path).unlink()


def _name(tenant: str, digest: str) -> str:
    return hashlib.blake2b(f"{tenant}\0{digest}".encode(), digest_size=24).hexdigest()
