"""Check a configuration file: its JSON Schema, and what only several tables together have wrong.

A problem is a key and a reason. The reason never repeats a value of the file.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from cds_hooks.config.settings import NO_SERVICE_TABLES, ServiceTables
from cds_hooks.net.urls import (
    is_fhir_base_url,
    is_loopback,
    is_network,
    is_origin,
    is_web_url,
    parse_records_url,
)
from cds_hooks.protocol.dialects import DIALECTS

SCHEMA = Path(__file__).parent / "schemas" / "configuration.schema.json"
Problem = tuple[str, str]  # key and reason


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


def find_problems(document: Mapping[str, Any], tables: ServiceTables) -> Iterator[Problem]:
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
    yield from _find_openid_problems(document)
    if not errors:
        yield from _find_smart_problems(document)


def _find_tenant_problems(
    document: Mapping[str, Any], tenants: list[dict[str, Any]]
) -> Iterator[Problem]:
    """Problems of the [[tenant]] tables that no schema of one table can see."""
    for key in document.get("fhir", {}).keys() & {"servers", "allow_loopback"}:
        yield f"fhir.{key}", "is for callers on this machine; each [[tenant]] has its own server"
    places: dict[tuple[Any, ...], int] = {}
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
            first = places.setdefault((name, value), place)
            if first != place:
                same = "issuer and claim" if name == "issuer" else name
                yield f"{key}.{name}", f"is that of tenant[{first}]: no two may share {same}"


def _explain_error(error: ValidationError) -> Iterator[Problem]:
    """The problems in one schema error, in the schema's words: the validator's quote the value."""
    key = error.json_path.removeprefix("$").removeprefix(".")
    schema = error.schema if isinstance(error.schema, dict) else {}
    match error.validator, error.instance:
        case "additionalProperties", dict(table):
            keys = list(schema["properties"])
            for name in table.keys() - set(keys):
                near = difflib.get_close_matches(name, keys, 1)
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


def _find_openid_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems of `[pages.openid]` together with other tables."""
    match document:
        case {"pages": {"openid": dict(openid), **pages}}:
            pass
        case _:
            return
    key = "pages.openid"
    tenants = document.get("tenant")
    if not tenants:
        yield key, "needs a [[tenant]]: without one everything is open to this machine"
    match tenants, openid.get("tenants"):
        case list(), dict(opened):
            ids = {tenant.get("id") for tenant in tenants if isinstance(tenant, dict)}
            for id_ in opened.keys() - ids:
                yield f"{key}.tenants.{id_}", "is no tenant of this configuration"
    match document.get("server", {}):
        case {"base_url": str(base_url)}:
            is_fit = is_fhir_base_url(base_url)
        case {"host": str(host)}:
            is_fit = is_loopback(host)
        case _:
            is_fit = True
    if not is_fit:
        yield "server.base_url", "must be https where people sign in (http on loopback only)"
    match document:
        case {"records": {"url": str(url)}} if (
            not url.startswith("sqlite") and "key_file" not in pages
        ):
            reason = "is required with PostgreSQL and pages.openid: all replicas share one key"
            yield "pages.key_file", reason


def _find_smart_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems of [smart] that a schema cannot see; the document fits the schema."""
    tenants = document.get("tenant", [])
    if "smart" in document and tenants:
        yield "smart", "is for callers on this machine; each [[tenant]] has its own client"
    tables = {"smart": document.get("smart")} | {
        f"tenant[{place}].smart": tenant.get("smart") for place, tenant in enumerate(tenants)
    }
    present = {key: table for key, table in tables.items() if isinstance(table, dict)}
    for key, table in present.items():
        if {"client_secret_file", "key_file"} <= table.keys():
            yield f"{key}.key_file", "stands beside client_secret_file: a client has one of them"
    base_url = document.get("server", {}).get("base_url", "http://127.0.0.1")
    if present and not is_fhir_base_url(base_url):
        yield "server.base_url", "must be https where [smart] is used: browsers carry access there"
    match document:
        case {"records": {"url": str(url)}} if (
            present and not url.startswith("sqlite") and "key_file" not in document.get("pages", {})
        ):
            reason = "is required with PostgreSQL and [smart]: all replicas share one key"
            yield "pages.key_file", reason
    yield from _find_server_problems(tenants)


def _find_server_problems(tenants: list[dict[str, Any]]) -> Iterator[Problem]:
    """Tenants that share a FHIR server: a launch names its server and no tenant."""
    places: dict[str, int] = {}
    for place, tenant in enumerate(tenants):
        if "smart" not in tenant:
            continue
        server = tenant.get("fhir", {}).get("server")
        if server is None:
            yield f"tenant[{place}].fhir.server", "is missing: the app reads from it"
            continue
        first = places.setdefault(server.rstrip("/"), place)
        if first != place:
            reason = f"is that of tenant[{first}]: a launch would not say which is meant"
            yield f"tenant[{place}].fhir.server", reason
