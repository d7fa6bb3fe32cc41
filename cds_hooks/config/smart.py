"""What an EHR's authorisation server knows our app by (SMART App Launch): [smart]."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_hooks.net.urls import is_fhir_base_url

IDENTITY_SCOPES = ("openid", "fhirUser")


def build_app_scopes(kinds: Iterable[str], read: str = "rs") -> tuple[str, ...]:
    """Who is signed in, and the patient's resources of `kinds`."""
    return (*IDENTITY_SCOPES, *(f"patient/{kind}.{read}" for kind in kinds))


@dataclass(frozen=True, slots=True)
class SmartAccess:
    """A registered client: public without a secret or a key."""

    client_id: str
    secret_file: Path | None = None  # then it proves itself by HTTP Basic
    key_file: Path | None = None  # then by a signed token: PEM, or one JSON Web Key
    key_id: str | None = None  # `kid` of the public half that /smart/jwks.json shows
    scopes: tuple[str, ...] = ()  # empty: who is signed in, and what the app reads
    frame_ancestors: tuple[str, ...] = ()  # origins of EHRs that show the app in a frame


def read_smart_access(table: Mapping[str, Any], folder: Path) -> SmartAccess:
    """The table [smart] of a tenant; relative paths start at `folder`."""
    return SmartAccess(
        table["client_id"],
        folder / table["client_secret_file"] if "client_secret_file" in table else None,
        folder / table["key_file"] if "key_file" in table else None,
        table.get("key_id"),
        tuple(table.get("scopes", ())),
        tuple(table.get("frame_ancestors", ())),
    )


def find_smart_problems(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and reason of what a schema cannot see; its form has been checked."""
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


def _find_server_problems(tenants: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """A launch names its FHIR server and nothing else that would tell tenants apart."""
    seen: dict[str, int] = {}
    for place, tenant in enumerate(tenants):
        if "smart" not in tenant:
            continue
        server = tenant.get("fhir", {}).get("server")
        if server is None:
            yield f"tenant[{place}].fhir.server", "is missing: the app reads from it"
            continue
        first = seen.setdefault(server.rstrip("/"), place)
        if first != place:
            reason = f"is that of tenant[{first}]: a launch would not say which is meant"
            yield f"tenant[{place}].fhir.server", reason
