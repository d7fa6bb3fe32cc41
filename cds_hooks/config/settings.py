"""What a site may set, frozen: the settings, and the errors of a configuration.

Without a file the service is for its own machine alone: it listens on loopback, and only
loopback browser origins and FHIR servers are let in. With a file, nothing is let in that the file
does not name, and with a [[tenant]] nobody who does not prove to be one. Secrets are files that the
configuration points to, so the file itself may be shown.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cds_hooks.config.bulk_export import BulkAccess
from cds_hooks.config.pages import PageAccess
from cds_hooks.config.tenants import LOCAL_TENANT, MEBIBYTE, Tenant
from cds_hooks.net.urls import build_local_url, is_loopback


@dataclass(frozen=True, slots=True)
class ConfigurationProblem:
    """One thing wrong with the configuration. `reason` never repeats a value."""

    file: str
    key: str  # "fhir.servers[1]"; "" for the file as a whole
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.reason) if part)


class ConfigurationError(ValueError):
    """The service must not start; `faults` holds everything that was found."""

    def __init__(self, faults: Iterable[ConfigurationProblem]) -> None:
        self.problems = tuple(faults)
        super().__init__("\n".join(map(str, self.problems)))


def find_state_directory() -> Path:
    """Where this user's programs keep what must survive a restart (XDG base directories)."""
    directory = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (
        directory if directory.is_absolute() else Path.home() / ".local" / "state"
    ) / "cobalamin"


def _build_default_records_url() -> str:
    return f"sqlite:///{find_state_directory() / 'records.sqlite3'}"


def _copy_tables(tables: Mapping[str, Any], _folder: Path) -> dict[str, Any]:
    return dict(tables)


@dataclass(frozen=True, slots=True)
class ServiceTables:
    """Tables of the configuration that services read, and this package does not.

    Each may stand at the top of the file; all but `of_file` may stand in a [[tenant]] too.
    """

    schema: Mapping[str, Any] = field(default_factory=dict)  # JSON Schema: `properties`, `$defs`
    file_only: frozenset[str] = frozenset()
    # The tables with the paths in them absolute: relative ones start at the file's folder.
    resolve_paths: Callable[[Mapping[str, Any], Path], dict[str, Any]] = _copy_tables

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.schema.get("properties", {}))


NO_SERVICE_TABLES = ServiceTables()


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Where `serve` shows its metrics."""

    host: str = "127.0.0.1"
    port: int = 9464
    is_chosen: bool = False  # by the file; else the service goes on where the port is taken


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force. The defaults are those of a service without a configuration file."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    base_url: str = "http://127.0.0.1:8000"  # of links that others follow; no slash at the end
    max_body_bytes: int = 8 * MEBIBYTE
    body_timeout_s: int = 10  # for a whole request to arrive
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks
    certificate_header: str | None = None  # read from trusted proxies alone
    requests_per_minute_and_address: int = 12_000  # in each worker
    cors_origins: tuple[str, ...] = ()
    allow_loopback_origins: bool = True
    records_url: str = field(default_factory=_build_default_records_url)
    records_key_file: Path | None = None  # None: made beside the SQLite database
    records_old_key_files: tuple[Path, ...] = ()
    spool: Path | None = None  # None: a call is refused while the database is down
    log_level: str = "info"
    log_sample: float = 1.0  # share of decisions without a card that get their line
    metrics: MetricsAddress | None = MetricsAddress()  # None: not shown
    traces_url: str | None = None  # base URL of a collector that takes OTLP over HTTP
    traces_sample: float = 1.0  # share of traces that begin here
    bulk_export: BulkAccess | None = None  # where `fetch-export` fetches from
    pages: PageAccess = field(default_factory=PageAccess)
    file: str | None = None  # where these settings were read
    tenants: tuple[Tenant, ...] = (LOCAL_TENANT,)

    @property
    def is_open(self) -> bool:
        """Whether callers are not told from strangers."""
        return any(tenant.is_open for tenant in self.tenants)

    def find_tenant(self, name: str | None = None) -> Tenant:
        """The tenant called `name`; the first where none is named. Raises ConfigurationFault."""
        tenants = [tenant for tenant in self.tenants if name in (None, tenant.id)]
        if not tenants:
            ids = ", ".join(tenant.id for tenant in self.tenants)
            reason = f"is no tenant of this configuration; there are: {ids}"
            raise ConfigurationError([ConfigurationProblem(self.file or "", name or "", reason)])
        return tenants[0]

    def override_address(
        self, host: str | None = None, port: int | None = None, workers: int | None = None
    ) -> "Settings":
        """These settings with what the command line gave.

        A base URL that only repeated the old address follows to the new one.
        """
        moved = replace(
            self,
            host=host or self.host,
            port=port or self.port,
            workers=workers or self.workers,
        )
        if self.base_url != build_local_url(self.host, self.port):
            return moved
        return replace(moved, base_url=build_local_url(moved.host, moved.port))


def explain_exposure(settings: Settings) -> str | None:
    """Why the service will not listen where it is told to; None where it will."""
    host = settings.host
    if is_loopback(host) or not settings.is_open:
        return None
    return (
        f"{host} can be reached from other machines, and no tenant is configured whose callers "
        "could be told from strangers: name them in [[tenant]] tables, or listen on 127.0.0.1"
    )
