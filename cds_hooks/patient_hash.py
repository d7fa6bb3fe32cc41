"""Patients in the records: a keyed hash, so that a record without the key file names nobody.

Ids are short and can be guessed; without a key, every guess could be tried.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from cds_hooks.secret_file import read_secret, refused
from cds_hooks.settings import ConfigurationFault, Fault

KEY_BYTES = 32
SEAL_BYTES = 8
KEY_NAME = "patient-hash.key"  # beside the SQLite database where no file is configured
SETTING = "records.key_file"


def patient_hash(key: bytes, tenant: str, identifier: str) -> str:
    """64 characters, the same for the same patient and tenant under one key."""
    message = f"{tenant}\x00{identifier}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, hashlib.sha256).hex()


class Keyring:
    """The key that records are written with, and those they were written with before.

    A new key replaces the current one when a site wants it; the old ones stay readable as long as
    records made with them are kept.
    """

    def __init__(self, current: bytes, *old: bytes) -> None:
        self._keys = {_key_id(key): key for key in (current, *old)}
        self.current_id = _key_id(current)

    @property
    def ids(self) -> tuple[str, ...]:
        """The current key's first."""
        return tuple(self._keys)

    def patient(self, tenant: str, identifier: str) -> str:
        """What stands for a patient, or an encounter, of `tenant` in what is written now."""
        return patient_hash(self._keys[self.current_id], tenant, identifier)

    def patients(self, tenant: str, identifier: str) -> tuple[str, ...]:
        """What may stand for them in what was written, under each key."""
        return tuple(patient_hash(key, tenant, identifier) for key in self._keys.values())

    def seal(self, tenant: str, mark: str) -> str:
        """A mark of evidence names resources: what is kept is a keyed hash of it."""
        return _seal(self._keys[self.current_id], tenant, mark)

    def seals(self, tenant: str, mark: str) -> frozenset[str]:
        """What may stand for a mark in what was written, under each key."""
        return frozenset(_seal(key, tenant, mark) for key in self._keys.values())

    def sign(self, tenant: str, message: bytes, key_id: str | None = None) -> str | None:
        """A keyed digest of the audit; None where the key is not in the ring."""
        key = self._keys.get(key_id or self.current_id)
        if key is None:
            return None
        return hmac.digest(_derived(key, tenant, b"audit"), message, hashlib.sha256).hex()

    def encrypt(self, tenant: str, text: str) -> str:
        """Free text that only this tenant's keys open again."""
        return self._cipher(tenant).encrypt(text.encode("utf-8", "replace")).decode()

    def decrypt(self, tenant: str, sealed: str) -> str | None:
        """None for what was encrypted with none of the keys, or altered."""
        try:
            return self._cipher(tenant).decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeDecodeError):
            return None

    def _cipher(self, tenant: str) -> MultiFernet:
        return MultiFernet(
            Fernet(base64.urlsafe_b64encode(_derived(key, tenant, b"comment")))
            for key in self._keys.values()
        )


def _key_id(key: bytes) -> str:
    """8 characters that tell keys apart and give nothing of them away."""
    return hashlib.blake2b(key, digest_size=4, person=b"cobalamin-key-id").hexdigest()


def _derived(key: bytes, tenant: str, purpose: bytes) -> bytes:
    """A key for one tenant and purpose, 32 bytes: none is of use for another."""
    return hmac.digest(key, purpose + b"\x00" + tenant.encode(), hashlib.sha256)


def _seal(key: bytes, tenant: str, mark: str) -> str:
    message = f"{tenant}\0{mark}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(message, key=key[:64], digest_size=SEAL_BYTES).hexdigest()


def read_key(path: Path) -> bytes:
    """The key in the file at `path`. Raises ConfigurationFault."""
    key = read_secret(path, SETTING)
    if len(key) < KEY_BYTES:
        reason = f"holds {len(key)} bytes; at least {KEY_BYTES} random ones are needed"
        raise refused(path, SETTING, reason)
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
        raise refused(path, SETTING, f"cannot be made: {fault.strerror}") from None


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
            raise refused(path, SETTING, f"is missing, and {database} was written with it")
        make_key(path)
    return read_key(path)


def read_keyring(
    database: Path | None, key_file: Path | None, old_key_files: Iterable[Path] = ()
) -> Keyring:
    """The keys of a database. Raises ConfigurationFault."""
    current = key_for_database(database, key_file)
    return Keyring(current, *map(read_key, old_key_files))
