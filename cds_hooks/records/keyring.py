"""Keys of the records: keyed hashes of patients, signatures of the audit, encrypted comments.

A record without the key file names nobody.

Ids are short and can be guessed; without a key, every guess could be tried.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from cds_hooks.config.secrets import make_key, make_secret_error, read_key
from cds_hooks.config.settings import ConfigurationError, ConfigurationProblem

SEAL_BYTES = 8
KEY_NAME = "patient-hash.key"  # beside the SQLite database where no file is configured
SETTING = "records.key_file"


def hash_patient(key: bytes, tenant: str, identifier: str) -> str:
    """64 characters, the same for the same patient and tenant under one key."""
    message = f"{tenant}\x00{identifier}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, hashlib.sha256).hex()


class Keyring:
    """The key that records are written with, and those they were written with before.

    A new key replaces the current one when a site wants it; the old ones stay readable as long as
    records made with them are kept.
    """

    def __init__(self, current: bytes, *old: bytes) -> None:
        self._keys = {_compute_key_id(key): key for key in (current, *old)}
        self.current_id = _compute_key_id(current)

    @property
    def ids(self) -> tuple[str, ...]:
        """The current key's first."""
        return tuple(self._keys)

    def hash_patient(self, tenant: str, identifier: str) -> str:
        """What stands for a patient, or an encounter, of `tenant` in what is written now."""
        return hash_patient(self._keys[self.current_id], tenant, identifier)

    def list_patient_hashes(self, tenant: str, identifier: str) -> tuple[str, ...]:
        """What may stand for them in what was written, under each key."""
        return tuple(hash_patient(key, tenant, identifier) for key in self._keys.values())

    def seal(self, tenant: str, mark: str) -> str:
        """A mark of evidence names resources: what is kept is a keyed hash of it."""
        return _seal(self._keys[self.current_id], tenant, mark)

    def list_seals(self, tenant: str, mark: str) -> frozenset[str]:
        """What may stand for a mark in what was written, under each key."""
        return frozenset(_seal(key, tenant, mark) for key in self._keys.values())

    def sign(self, tenant: str, message: bytes, key_id: str | None = None) -> str | None:
        """A keyed digest of the audit; None where the key is not in the ring."""
        key = self._keys.get(key_id or self.current_id)
        if key is None:
            return None
        return hmac.digest(_derive_key(key, tenant, b"audit"), message, hashlib.sha256).hex()

    def encrypt(self, tenant: str, text: str) -> str:
        """Free text that only this tenant's keys open again."""
        return self._make_cipher(tenant).encrypt(text.encode("utf-8", "replace")).decode()

    def decrypt(self, tenant: str, sealed: str) -> str | None:
        """None for what was encrypted with none of the keys, or altered."""
        try:
            return self._make_cipher(tenant).decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeDecodeError):
            return None

    def _make_cipher(self, tenant: str) -> MultiFernet:
        return MultiFernet(
            Fernet(base64.urlsafe_b64encode(_derive_key(key, tenant, b"comment")))
            for key in self._keys.values()
        )


def _compute_key_id(key: bytes) -> str:
    """8 characters that tell keys apart and give nothing of them away."""
    return hashlib.blake2b(key, digest_size=4, person=b"cobalamin-key-id").hexdigest()


def _derive_key(key: bytes, tenant: str, purpose: bytes) -> bytes:
    """A key for one tenant and purpose, 32 bytes: none is of use for another."""
    return hmac.digest(key, purpose + b"\x00" + tenant.encode(), hashlib.sha256)


def _seal(key: bytes, tenant: str, mark: str) -> str:
    message = f"{tenant}\0{mark}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(message, key=key[:64], digest_size=SEAL_BYTES).hexdigest()


def get_database_key(database: Path | None, key_file: Path | None) -> bytes:
    """The key of the records in the SQLite file `database`; None for a database elsewhere.

    A key is made only together with a new SQLite database. Anywhere else a missing file is a
    mistake: a second key would silently part the records of one patient. Raises ConfigurationError.
    """
    if database is None:
        if key_file is None:
            fault = ConfigurationProblem(
                "", SETTING, "is required with PostgreSQL: all replicas share one key"
            )
            raise ConfigurationError([fault])
        return read_key(key_file, SETTING)
    # Asked before the key is looked for: whoever makes the database has made the key by then.
    is_new = not database.exists()
    path = key_file or database.with_name(KEY_NAME)
    if not path.exists():
        if not is_new:
            raise make_secret_error(
                path, SETTING, f"is missing, and {database} was written with it"
            )
        make_key(path, SETTING)
    return read_key(path, SETTING)


def read_keyring(
    database: Path | None, key_file: Path | None, old_key_files: Iterable[Path] = ()
) -> Keyring:
    """The keys of a database. Raises ConfigurationError."""
    current = get_database_key(database, key_file)
    return Keyring(current, *(read_key(file, SETTING) for file in old_key_files))
