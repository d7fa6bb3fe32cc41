"""Read and make the secret files that the configuration points to."""

import contextlib
import os
import secrets
from pathlib import Path

from cds_hooks.config.pages import OpenID
from cds_hooks.config.settings import ConfigurationError, ConfigurationProblem

KEY_BYTES = 32


def read_secret(path: Path, setting: str) -> bytes:
    """The bytes of the secret file at `path`, which `setting` names. Raises ConfigurationError."""
    try:
        with path.open("rb") as file:
            readable = os.fstat(file.fileno()).st_mode & 0o007
            secret = file.read()
    except OSError as fault:
        raise make_secret_error(path, setting, f"cannot be read: {fault.strerror}") from None
    if readable:
        raise make_secret_error(
            path, setting, "is open to every user of this machine; use mode 0600"
        )
    return secret


def read_key(path: Path, setting: str) -> bytes:
    """A key of at least 32 random bytes. Raises ConfigurationError."""
    key = read_secret(path, setting)
    if len(key) < KEY_BYTES:
        reason = f"holds {len(key)} bytes; at least {KEY_BYTES} random ones are needed"
        raise make_secret_error(path, setting, reason)
    return key


def read_client_secret(openid: OpenID) -> str | None:
    """The client secret for the OpenID provider; None for a public client.

    Raises ConfigurationError.
    """
    path, setting = openid.client_secret_file, "pages.openid.client_secret_file"
    if path is None:
        return None
    secret = read_secret(path, setting).decode(errors="replace").strip()
    if not secret or not secret.isprintable():
        raise make_secret_error(path, setting, "is not one line of text")
    return secret


def make_key(path: Path, setting: str) -> None:
    """Make a new key file at `path`; where another process was first, its key stays."""
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
        raise make_secret_error(path, setting, f"cannot be made: {fault.strerror}") from None


def make_secret_error(path: Path, setting: str, reason: str) -> ConfigurationError:
    return ConfigurationError([ConfigurationProblem(str(path), setting, reason)])
