"""Secrets are files that the configuration points to."""

import os
from pathlib import Path

from cds_hooks.settings import ConfigurationFault, Fault


def read_secret(path: Path, setting: str) -> bytes:
    """What the file at `path`, named by `setting`, holds. Raises ConfigurationFault."""
    try:
        with path.open("rb") as file:
            readable = os.fstat(file.fileno()).st_mode & 0o007
            secret = file.read()
    except OSError as fault:
        raise refused(path, setting, f"cannot be read: {fault.strerror}") from None
    if readable:
        raise refused(path, setting, "is open to every user of this machine; use mode 0600")
    return secret


def refused(path: Path, setting: str, reason: str) -> ConfigurationFault:
    return ConfigurationFault([Fault(str(path), setting, reason)])
