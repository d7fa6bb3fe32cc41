"""What a site may set, read once from a TOML file and frozen.

Without a file the service is for its own machine alone: it listens on loopback, and only
loopback browser origins and FHIR servers are let in. With a file, nothing is let in that the file
does not name, and with a [[tenant]] nobody who does not prove to be one. A table of a tenant takes
the place of the table of the same name at the top of the file. Secrets are files that the
configuration points to, so the file itself may be shown.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from cds_hooks.config.bulk_export import BulkAccess, read_bulk_access
from cds_hooks.config.pages import PageAccess, find_openid_problems, read_pages
from cds_hooks.config.smart import find_smart_problems, read_smart_access
from cds_hooks.config.tenants import LOCAL_TENANT, MEBIBYTE, FhirAccess, Tenant, TokenTrust
from cds_hooks.net.urls import (
    build_local_url,
    is_fhir_base_url,
    is_loopback,
    is_network,
    is_origin,
    is_web_url,
    parse_records_url,
    resolve_records_url,
)
from cds_hooks.protocol.cards import Coding
from cds_hooks.protocol.dialects import DIALECTS, Dialect

FILE_VARIABLE = "COBALAMIN_CONFIG"  # names the file where the command line does not
SCHEMA = Path(__file__).parent / "schemas" / "configuration.schema.json"


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
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (named if named.is_absolute() else Path.home() / ".local" / "state") / "cobalamin"


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
        found = [tenant for tenant in self.tenants if name in (None, tenant.id)]
        if not found:
            there = ", ".join(tenant.id for tenant in self.tenants)
            reason = f"is no tenant of this configuration; there are: {there}"
            raise ConfigurationError([ConfigurationProblem(self.file or "", name or "", reason)])
        return found[0]

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


def find_configuration_file(given: Path | None) -> Path | None:
    """The file given on the command line, else the one that the environment names, else None."""
    named = os.environ.get(FILE_VARIABLE)
    return given or (Path(named) if named else None)


def load_settings(path: Path | None, tables: ServiceTables = NO_SERVICE_TABLES) -> Settings:
    """The settings in the TOML file at `path`; None gives the defaults, for loopback only.

    `tables` are those that the services add. Raises ConfigurationFault with every fault of the
    file, not only the first.
    """
    if path is None:
        return Settings()
    document = _read_toml(path)
    found = [*_find_problems(document, tables)]
    if found:
        raise ConfigurationError(
            ConfigurationProblem(str(path), key, reason) for key, reason in found
        )
    return _read_settings(document, path, tables)


def build_configuration_schema(tables: ServiceTables = NO_SERVICE_TABLES) -> dict[str, Any]:
    """The JSON Schema of a whole configuration file."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_bytes())
    schema["$defs"]["dialect"]["properties"]["name"] = {
        "description": "one of " + ", ".join(f'"{name}"' for name in DIALECTS),
        "enum": [*DIALECTS],
    }
    added = tables.schema.get("properties", {})
    of_tenants = {name: part for name, part in added.items() if name not in tables.file_only}
    schema["properties"] |= added
    schema["properties"]["tenant"]["items"]["properties"] |= of_tenants
    schema["$defs"] |= tables.schema.get("$defs", {})
    return schema


def explain_exposure(settings: Settings) -> str | None:
    """Why the service will not listen where it is told to; None where it will."""
    host = settings.host
    if is_loopback(host) or not settings.is_open:
        return None
    return (
        f"{host} can be reached from other machines, and no tenant is configured whose callers "
        "could be told from strangers: name them in [[tenant]] tables, or listen on 127.0.0.1"
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        reason = f"is not TOML: {error}"
    raise ConfigurationError([ConfigurationProblem(str(path), "", reason)])


_FORMATS = FormatChecker(formats=())
for _name, _holds in {
    "web-url": is_web_url,
    "fhir-base-url": is_fhir_base_url,
    "key-url": is_fhir_base_url,
    "network": is_network,
    "origin": is_origin,
    "records-url": parse_records_url,
}.items():
    # Values of another type are the business of the schema's "type".
    _FORMATS.checks(_name)(lambda value, holds=_holds: not isinstance(value, str) or holds(value))


def _find_problems(document: Mapping[str, Any], tables: ServiceTables) -> Iterator[tuple[str, str]]:
    validator = Draft202012Validator(build_configuration_schema(tables), format_checker=_FORMATS)
    errors = sorted(validator.iter_errors(document), key=lambda error: error.json_path)
    for error in errors:
        yield from _explain_error(error)
    match document:
        case {"records": {"url": str(url), **others}} if (
            "key_file" not in others and parse_records_url(url) and not url.startswith("sqlite")
        ):
            yield "records.key_file", "is required with PostgreSQL: all replicas share one key"
    match document:
        case {"bulk_export": {"client_id": _, **others}} if "key_file" not in others:
            yield "bulk_export.key_file", "is missing: the client proves itself with its key"
    match document:
        case {"tenant": list(tenants)} if all(isinstance(tenant, dict) for tenant in tenants):
            yield from _find_tenant_problems(document, tenants)
    yield from find_openid_problems(document)
    if not errors:
        yield from find_smart_problems(document)


def _find_tenant_problems(
    document: Mapping[str, Any], tenants: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """What only several tables together can have wrong."""
    for key in document.get("fhir", {}).keys() & {"servers", "allow_loopback"}:
        yield f"fhir.{key}", "is for callers on this machine; each [[tenant]] has its own server"
    seen: dict[tuple[Any, ...], int] = {}
    for place, tenant in enumerate(tenants):
        key = f"tenant[{place}]"
        issuer, certificate = tenant.get("issuer"), tenant.get("certificate")
        has_keys = bool(tenant.keys() & {"jwks_url", "jwks_file"})
        if issuer is None and certificate is None:
            yield f"{key}.issuer", "is missing: a tenant is known by its tokens or a certificate"
        if issuer is not None and not has_keys:
            yield f"{key}.jwks_url", "is missing: an issuer's keys are at a URL or in a file"
        if issuer is None and has_keys:
            yield f"{key}.issuer", "is missing: keys prove who signed, not who that is"
        if certificate is not None and (
            not document.get("server", {}).keys() >= {"trusted_proxies", "certificate_header"}
        ):
            reason = "needs server.trusted_proxies and server.certificate_header"
            yield f"{key}.certificate", reason
        known_by = [("id", tenant.get("id"))]
        if issuer is not None:
            known_by.append(("issuer", (issuer, tenant.get("claim"))))
        elif certificate is not None:
            known_by.append(("certificate", certificate))
        for name, value in known_by:
            first = seen.setdefault((name, value), place)
            if first != place:
                same = "issuer and claim" if name == "issuer" else name
                yield f"{key}.{name}", f"is that of tenant[{first}]: no two may share {same}"


def _explain_error(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Key and reason. The schema's words, never the validator's: those quote the value."""
    key = error.json_path.removeprefix("$").removeprefix(".")
    schema = error.schema if isinstance(error.schema, dict) else {}
    match error.validator, error.instance:
        case "additionalProperties", dict(table):
            known = list(schema["properties"])
            for name in table.keys() - set(known):
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                yield ".".join(filter(None, (key, name))), f"is not a known key{hint}"
        case "required", dict(table):
            # jsonschema reports each missing key on its own, and names it in its message only.
            missing = [name for name in schema["required"] if name not in table]
            if error.message.startswith(repr(missing[0])):
                yield from ((f"{key}.{name}", "is missing") for name in missing)
        case _, str(name) if "propertyNames" in error.schema_path:
            yield f"{key}.{name}", f"must be {schema['description']}"
        case _:
            yield key, f"must be {schema['description']}"


def _read_settings(document: Mapping[str, Any], path: Path, tables: ServiceTables) -> Settings:
    """The settings of a document without faults; relative paths start at the file's folder."""
    folder = path.absolute().parent
    server, limits, cors, records, log, tracing = (
        document.get(table, {})
        for table in ("server", "limits", "cors", "records", "log", "tracing")
    )
    default = Settings()
    host, port = server.get("host", default.host), server.get("port", default.port)
    url = parse_records_url(records["url"]) if "url" in records else None
    base_url = server.get("base_url", build_local_url(host, port)).rstrip("/")
    return Settings(
        host=host,
        port=port,
        workers=server.get("workers", default.workers),
        base_url=base_url,
        max_body_bytes=server.get("max_body_bytes", default.max_body_bytes),
        body_timeout_s=server.get("body_timeout_s", default.body_timeout_s),
        trusted_proxies=tuple(server.get("trusted_proxies", ())),
        certificate_header=server.get("certificate_header"),
        requests_per_minute_and_address=limits.get(
            "requests_per_minute_and_address", default.requests_per_minute_and_address
        ),
        cors_origins=tuple(cors.get("origins", ())),
        allow_loopback_origins=cors.get("allow_loopback", False),
        records_url=resolve_records_url(url, folder) if url else default.records_url,
        records_key_file=folder / records["key_file"] if "key_file" in records else None,
        records_old_key_files=tuple(folder / file for file in records.get("old_key_files", ())),
        spool=_find_spool(records, folder),
        log_level=log.get("level", default.log_level),
        log_sample=log.get("sample", default.log_sample),
        metrics=_read_metrics_address(document.get("metrics", {})),
        traces_url=tracing.get("otlp_endpoint"),
        traces_sample=tracing.get("sample", default.traces_sample),
        bulk_export=read_bulk_access(document["bulk_export"], folder)
        if "bulk_export" in document
        else None,
        pages=read_pages(document.get("pages", {}), folder),
        file=str(path),
        tenants=tuple(
            _read_tenant(tenant, document, folder, base_url, tables)
            for tenant in document["tenant"]
        )
        if "tenant" in document
        else (_read_local_tenant(document, folder, tables),),
    )


def _read_metrics_address(table: Mapping[str, Any]) -> MetricsAddress | None:
    if not table.get("enabled", True):
        return None
    host, port = (table.get(name, getattr(MetricsAddress(), name)) for name in ("host", "port"))
    return MetricsAddress(host, port, is_chosen=bool(table.keys() & {"host", "port"}))


def _find_spool(records: Mapping[str, Any], folder: Path) -> Path | None:
    if records.get("when_down") != "spool":
        return None
    return folder / records["spool"] if "spool" in records else find_state_directory() / "spool"


def _read_local_tenant(document: Mapping[str, Any], folder: Path, tables: ServiceTables) -> Tenant:
    """The callers on this machine, as the tables at the top of the file have them."""
    fhir = document.get("fhir", {})
    return Tenant(
        LOCAL_TENANT.id,
        fhir=replace(
            _read_fhir_access(fhir, fhir.get("servers", ())),
            allow_loopback=fhir.get("allow_loopback", False),
        ),
        **_read_common_options({}, document, folder, tables),
    )


def _read_tenant(
    table: Mapping[str, Any],
    document: Mapping[str, Any],
    folder: Path,
    base_url: str,
    tables: ServiceTables,
) -> Tenant:
    own = table.get("fhir", {})
    fhir = _read_fhir_access(
        {**document.get("fhir", {}), **own}, [own["server"]] if "server" in own else []
    )
    return Tenant(
        table["id"],
        trust=_read_trust(table, folder, base_url) if "issuer" in table else None,
        certificate=table.get("certificate"),
        fhir=fhir,
        **_read_common_options(table, document, folder, tables),
    )


def _read_trust(table: Mapping[str, Any], folder: Path, base_url: str) -> TokenTrust:
    chosen = {
        name: table[name] for name in ("claim", "max_lifetime_s", "leeway_s") if name in table
    }
    if "algorithms" in table:
        chosen["algorithms"] = tuple(table["algorithms"])
    return TokenTrust(
        issuer=table["issuer"],
        audience=table.get("audience", base_url).rstrip("/"),
        jwks_url=table.get("jwks_url"),
        jwks_file=folder / table["jwks_file"] if "jwks_file" in table else None,
        **chosen,
    )


def _read_fhir_access(table: Mapping[str, Any], servers: Iterable[str]) -> FhirAccess:
    default = FhirAccess()
    return FhirAccess(
        servers=tuple(base.rstrip("/") for base in servers),
        private_addresses=table.get("private_addresses", False),
        deadline_ms=table.get("deadline_ms", default.deadline_ms),
        max_pages=table.get("max_pages", default.max_pages),
        max_bytes=table.get("max_response_bytes", default.max_bytes),
    )


def _read_common_options(
    table: Mapping[str, Any], document: Mapping[str, Any], folder: Path, tables: ServiceTables
) -> dict[str, Any]:
    """What a tenant may have of its own, and otherwise has from the top of the file."""
    chosen = {**document, **table}
    of_services = {name: chosen[name] for name in tables.names if name in chosen}
    amounts = {**document.get("limits", {}), **document.get("records", {}), **table}
    names = ("calls_per_minute", "retention_days", "comments")
    return {
        "dialect": _read_dialect(chosen.get("dialect", {})),
        "service_tables": tables.resolve_paths(of_services, folder),
        "smart": read_smart_access(chosen["smart"], folder) if "smart" in chosen else None,
        **{name: amounts[name] for name in names if name in amounts},
    }


def _read_dialect(table: Mapping[str, Any]) -> Dialect:
    catalogue: dict[str, tuple[Coding, ...]] = {}
    for entry in table.get("catalogue", ()):
        coding = Coding(entry["code"], entry["system"], entry.get("display"))
        catalogue[entry["template"]] = (*catalogue.get(entry["template"], ()), coding)
    return DIALECTS[table.get("name", Dialect.name)](
        detail=table.get("detail", "markdown"),
        links=tuple(table.get("links", ())),
        catalogue=catalogue,
    )
