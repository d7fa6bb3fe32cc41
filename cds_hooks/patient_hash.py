"""Patients in the records: a keyed hash, so that a record without the key file names nobody.

Ids are short and can be guessed; without a key, every guess could be tried.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cds_hooks.settings import ConfigurationFault, Fault

KEY_BYTES = 32
KEY_NAME = "patient-hash.key"  # beside the SQLite database where no file is configured
SETTING = "records.key_file"


def patient_hash(key: bytes, tenant: str, identifier: str) -> str:
    """64 characters, the same for the same patient and tenant under one key."""
    message = f"{tenant}\x00{identifier}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, hashlib.sha256).hex()


def read_key(path: Path) -> bytes:
    """The key in the file at `path`. Raises ConfigurationFault."""
    try:
        with path.open("rb") as file:
            readable = os.fstat(file.fileno()).st_mode & 0o007
            key = file.read()
    except OSError as fault:
        raise _refused(path, f"cannot be read: {fault.strerror}") from None
    if readable:
        raise _refused(path, "is open to every user of this machine; use mode 0600")
    if len(key) < KEY_BYTES:
        raise _refused(path, f"holds {len(key)} bytes; at least {KEY_BYTES} random ones are needed")
    return key


def make_key(path: Path) -> None:
    """Puts a new key at `path`; where another process was first, its key stays."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A file of its own, then a link: nobody ever reads half a key.
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
    except OSError as fault:
        raise _refused(path, f"cannot be made: {fault.strerror}") from None


def key_for_database(database: Path | None, key_file: Path | None) -> bytes:
    """The key of the records in the SQLite file `database`; None for a database elsewhere.

    A key is made only together with a new SQLite database. Anywhere else a missing file is a
    mistake: a second key would silently part the records of one patient. Raises ConfigurationFault.
    """
    if database is None:
        if key_file is None:
            fault = Fault("", SETTING, "is required with PostgreSQL: all replicas share one key")
            raise ConfigurationFault([fault])
        return read_key(key_file)
    # Asked before the key is looked for: whoever makes the database has made the key by then.
    is_new = not database.exists()
    path = key_file or database.with_name(KEY_NAME)
    if not path.exists():
        if not is_new:
            raise _refused(path, f"is missing, and {database} was written with it")
        make_key(path)
    return read_key(path)


def _refused(path: Path, reason: str) -> ConfigurationFault:
    return ConfigurationFault([Fault(str(path), SETTING, reason)])
