"""Load the settings from a TOML file, once `validation` finds nothing wrong with it.

A table of a tenant takes the place of the table of the same name at the top of the file. Relative
paths start at the file's folder.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from cds_hooks.config.bulk_export import SECONDS_PER_HOUR, BackendClient, BulkAccess
from cds_hooks.config.pages import OpenID, PageAccess
from cds_hooks.config.settings import (
    NO_SERVICE_TABLES,
    ConfigurationError,
    ConfigurationProblem,
    MetricsAddress,
    ServiceTables,
    Settings,
    find_state_directory,
)
from cds_hooks.config.smart import SmartAccess
from cds_hooks.config.tenants import LOCAL_TENANT, FhirAccess, Tenant, TokenTrust
from cds_hooks.config.validation import find_problems
from cds_hooks.net.urls import build_local_url, parse_records_url, resolve_records_url
from cds_hooks.protocol.cards import Coding
from cds_hooks.protocol.dialects import DIALECTS, Dialect

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FILE_VARIABLE = "COBALAMIN_CONFIG"  # names the file where the command line does not
# Tables of the file -> how the fields of Settings begin that hold their keys.
PREFIXES = {
    "server": "",
    "limits": "",
    "cors": "cors_",
    "records": "records_",
    "log": "log_",
    "tracing": "traces_",
}
Record = TypeVar("Record", bound="DataclassInstance")


def find_configuration_file(path: Path | None) -> Path | None:
    """The file of the command line, else the one that the environment names, else None."""
    variable = os.environ.get(FILE_VARIABLE)
    return path or (Path(variable) if variable else None)


def load_settings(path: Path | None, tables: ServiceTables = NO_SERVICE_TABLES) -> Settings:
    """The settings in the TOML file at `path`; None gives the defaults, for loopback only.

    `tables` are those that the services add. Raises ConfigurationError with every problem of the
    file, not only the first.
    """
    if path is None:
        return Settings()
    document = _read_toml(path)
    problems = [*find_problems(document, tables)]
    if problems:
        raise ConfigurationError(
            ConfigurationProblem(str(path), key, reason) for key, reason in problems
        )
    return _read_settings(document, path, tables)


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


def _read_table(
    kind: type[Record], table: Mapping[str, Any], folder: Path, **values: Any
) -> Record:
    """A `kind` with the keys of `table` that are its fields; the other fields keep their defaults.

    Lists become what the field is, and paths start at `folder`. `values` come before the table's.
    """
    for field in fields(kind):
        if field.name not in table or field.name in values:
            continue
        value = table[field.name]
        container = get_origin(field.type)
        is_path = Path in (field.type, *get_args(field.type))
        if container in (tuple, frozenset):
            value = container(folder / part if is_path else part for part in value)
        elif is_path:
            value = folder / value
        values[field.name] = value
    return kind(**values)


def _read_settings(document: Mapping[str, Any], path: Path, tables: ServiceTables) -> Settings:
    """The settings of a document without problems."""
    folder = path.absolute().parent
    default = Settings()
    keys = {
        prefix + key: value
        for name, prefix in PREFIXES.items()
        for key, value in document.get(name, {}).items()
    }
    local_url = build_local_url(keys.get("host", default.host), keys.get("port", default.port))
    base_url = keys.get("base_url", local_url).rstrip("/")
    records = document.get("records", {})
    url = parse_records_url(records["url"]) if "url" in records else None
    bulk_export = document.get("bulk_export")
    tenants = [
        _read_tenant(table, document, folder, base_url, tables)
        for table in document.get("tenant", ())
    ]
    return _read_table(
        Settings,
        keys,
        folder,
        base_url=base_url,
        allow_loopback_origins=keys.get("cors_allow_loopback", False),
        records_url=resolve_records_url(url, folder) if url else default.records_url,
        spool=_find_spool(records, folder),
        metrics=_read_metrics_address(document.get("metrics", {}), folder),
        traces_url=keys.get("traces_otlp_endpoint"),
        bulk_export=None if bulk_export is None else _read_bulk_access(bulk_export, folder),
        pages=_read_page_access(document.get("pages", {}), folder),
        file=str(path),
        tenants=tuple(tenants) or (_read_local_tenant(document, folder, tables),),
    )


def _read_metrics_address(table: Mapping[str, Any], folder: Path) -> MetricsAddress | None:
    if not table.get("enabled", True):
        return None
    is_chosen = bool(table.keys() & {"host", "port"})
    return _read_table(MetricsAddress, table, folder, is_chosen=is_chosen)


def _find_spool(records: Mapping[str, Any], folder: Path) -> Path | None:
    if records.get("when_down") != "spool":
        return None
    return folder / records["spool"] if "spool" in records else find_state_directory() / "spool"


def _read_bulk_access(table: Mapping[str, Any], folder: Path) -> BulkAccess:
    client = None
    if "client_id" in table:
        client = _read_table(BackendClient, table, folder, id=table["client_id"])
    hours = (
        {"deadline_s": table["deadline_hours"] * SECONDS_PER_HOUR}
        if "deadline_hours" in table
        else {}
    )
    return _read_table(
        BulkAccess, table, folder, server=table["server"].rstrip("/"), client=client, **hours
    )


def _read_page_access(table: Mapping[str, Any], folder: Path) -> PageAccess:
    openid = None
    if "openid" in table:
        claims = table["openid"].get("tenants", {})
        tenants = {id_: tuple(values) for id_, values in claims.items()}
        openid = _read_table(OpenID, table["openid"], folder, tenants=tenants)
    return _read_table(PageAccess, table, folder, openid=openid)


def _read_local_tenant(document: Mapping[str, Any], folder: Path, tables: ServiceTables) -> Tenant:
    """The callers on this machine, as the tables at the top of the file have them."""
    fhir = document.get("fhir", {})
    access = _read_fhir_access(fhir, fhir.get("servers", ()), folder)
    return _build_tenant({"id": LOCAL_TENANT.id}, document, folder, tables, fhir=access)


def _read_tenant(
    table: Mapping[str, Any],
    document: Mapping[str, Any],
    folder: Path,
    base_url: str,
    tables: ServiceTables,
) -> Tenant:
    own = table.get("fhir", {})
    servers = [own["server"]] if "server" in own else []
    trust = None
    if "issuer" in table:
        audience = table.get("audience", base_url).rstrip("/")
        trust = _read_table(TokenTrust, table, folder, audience=audience)
    access = _read_fhir_access({**document.get("fhir", {}), **own}, servers, folder)
    return _build_tenant(table, document, folder, tables, trust=trust, fhir=access)


def _read_fhir_access(table: Mapping[str, Any], servers: Iterable[str], folder: Path) -> FhirAccess:
    keys = {**table, "servers": [base.rstrip("/") for base in servers]}
    if "max_response_bytes" in table:
        keys["max_bytes"] = table["max_response_bytes"]
    return _read_table(FhirAccess, keys, folder)


def _build_tenant(
    table: Mapping[str, Any],
    document: Mapping[str, Any],
    folder: Path,
    tables: ServiceTables,
    **values: Any,
) -> Tenant:
    """A tenant with what it may have of its own, and otherwise has from the top of the file."""
    chosen = {**document, **table}
    of_services = {name: chosen[name] for name in tables.names if name in chosen}
    return _read_table(
        Tenant,
        {**document.get("limits", {}), **document.get("records", {}), **table},
        folder,
        dialect=_read_dialect(chosen.get("dialect", {}), folder),
        service_tables=tables.resolve_paths(of_services, folder),
        smart=_read_smart_access(chosen["smart"], folder) if "smart" in chosen else None,
        **values,
    )


def _read_smart_access(table: Mapping[str, Any], folder: Path) -> SmartAccess:
    secret = table.get("client_secret_file")
    secret_file = None if secret is None else folder / secret
    return _read_table(SmartAccess, table, folder, secret_file=secret_file)


def _read_dialect(table: Mapping[str, Any], folder: Path) -> Dialect:
    catalogue: dict[str, tuple[Coding, ...]] = {}
    for entry in table.get("catalogue", ()):
        coding = Coding(entry["code"], entry["system"], entry.get("display"))
        catalogue[entry["template"]] = (*catalogue.get(entry["template"], ()), coding)
    dialect = DIALECTS[table.get("name", Dialect.name)]
    return _read_table(dialect, table, folder, catalogue=catalogue)
