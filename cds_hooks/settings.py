"""The configuration file: read once, every fault reported together, nothing guessed.

Without a file the service is for its own machine alone. With one, nothing is let in that the file
does not name. Secrets are files that the configuration points to.
"""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parent / "schemas" / "configuration.schema.json"
VARIABLE = "COBALAMIN_CONFIG"  # names the file where the command line does not
CLINICAL = ("b12", "sarcopenia", "policy", "local_code")


class ConfigurationFault(ValueError):
    """Every fault of one file: (key, reason)."""

    def __init__(self, file: str, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{file}: {key}: {reason}" for key, reason in faults))
        self.file = file
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a site chooses. The defaults serve callers on this machine and nobody else."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    base_url: str = "http://127.0.0.1:8000"  # how clients and browsers reach the service
    max_body_bytes: int = 8 * 1024 * 1024
    cors_origins: tuple[str, ...] = ()
    allow_loopback_origins: bool = True
    fhir_servers: tuple[str, ...] = ()  # base URLs without a slash at the end
    allow_loopback_fhir: bool = True
    fhir_deadline_ms: int = 400  # for all queries of one call together
    fhir_max_pages: int = 5
    fhir_max_bytes: int = 16 * 1024 * 1024
    records_url: str = ""
    records_key_file: Path = Path()
    log_level: str = "info"
    file: str | None = None
    clinical: Mapping[str, Any] = field(default_factory=dict)  # tables that the services read

    def listening_on(self, host: str | None, port: int | None, workers: int | None) -> "Settings":
        """These settings with what the command line gave; a base URL that only repeated the old
        address follows to the new one."""
        moved = replace(
            self,
            host=host or self.host,
            port=port or self.port,
            workers=workers or self.workers,
        )
        if self.base_url != _local_url(self.host, self.port):
            return moved
        return replace(moved, base_url=_local_url(moved.host, moved.port))


def _local_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def state_folder() -> Path:
    """Where records live unless the configuration says otherwise."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "cobalamin"


def default_records_url() -> str:
    return f"sqlite:///{state_folder() / 'records.sqlite3'}"


def configuration_file(given: Path | None) -> Path | None:
    """The file named on the command line, else by the environment, else none."""
    named = os.environ.get(VARIABLE)
    return given or (Path(named) if named else None)


def load_settings(path: Path | None) -> Settings:
    """The settings of `path`; None: the defaults. Raises ConfigurationFault."""
    if path is None:
        return Settings(
            records_url=default_records_url(), records_key_file=state_folder() / "patient-hash.key"
        )
    document = _read(path)
    faults = _faults(document)
    if faults:
        raise ConfigurationFault(str(path), faults)
    return _settings(document, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigurationFault(str(path), [("file", fault.strerror or "unreadable")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigurationFault(str(path), [("file", str(fault))]) from None


def _faults(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    faults = [
        (".".join(str(part) for part in fault.absolute_path) or "file", fault.message)
        for fault in validator.iter_errors(document)
    ]
    if faults:
        return faults
    for place, server in enumerate(document.get("fhir", {}).get("servers", ())):
        reason = server_fault(server)
        if reason:
            faults.append((f"fhir.servers.{place}", reason))
    if "url" in document.get("records", {}) and "key_file" not in document["records"]:
        faults.append(("records.key_file", "is required with records.url"))
    return faults


def server_fault(url: str) -> str | None:
    """Why `url` cannot be a FHIR server's base; None where it can."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must be an http or https URL"
    if parts.username or parts.password:
        return "must not contain credentials"
    if parts.query or parts.fragment:
        return "must be a base URL without query"
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return "must be https outside this machine"
    return None


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine; a name other than localhost is not resolved."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _settings(document: Mapping[str, Any], path: Path) -> Settings:
    server, cors, fhir = (document.get(table, {}) for table in ("server", "cors", "fhir"))
    records = document.get("records", {})
    host, port = server.get("host", "127.0.0.1"), server.get("port", 8000)
    key_file = records.get("key_file")
    return Settings(
        host=host,
        port=port,
        workers=server.get("workers", 2),
        base_url=server.get("base_url", _local_url(host, port)).rstrip("/"),
        max_body_bytes=server.get("max_body_bytes", 8 * 1024 * 1024),
        cors_origins=tuple(cors.get("origins", ())),
        allow_loopback_origins=cors.get("allow_loopback", False),
        fhir_servers=tuple(url.rstrip("/") for url in fhir.get("servers", ())),
        allow_loopback_fhir=fhir.get("allow_loopback", False),
        fhir_deadline_ms=fhir.get("deadline_ms", 400),
        fhir_max_pages=fhir.get("max_pages", 5),
        fhir_max_bytes=fhir.get("max_response_bytes", 16 * 1024 * 1024),
        records_url=records.get("url", default_records_url()),
        records_key_file=path.parent / key_file
        if key_file
        else state_folder() / "patient-hash.key",
        log_level=document.get("log", {}).get("level", "info"),
        file=str(path),
        clinical=_clinical(document, path),
    )


def _clinical(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    tables = {name: document[name] for name in CLINICAL if name in document}
    if "laboratory" in tables.get("b12", {}):
        beside = path.parent / tables["b12"]["laboratory"]
        tables["b12"] = {**tables["b12"], "laboratory": str(beside)}
    return tables


def refuse_exposed(host: str) -> str | None:
    """Why the service will not listen on `host`; None where it will."""
    if is_loopback(host):
        return None
    return (
        f"{host} is reachable from other machines, and no tenant is configured who may call: "
        "put a reverse proxy that authenticates callers on this machine and listen on 127.0.0.1"
    )
