"""Who sees the pages for people, and for how long: the table [pages]."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cds_hooks.net.urls import is_fhir_base_url, is_loopback

AREAS = ("start", "evidence", "what-if", "governance")
PUBLIC_AREAS = ("start", "evidence")  # areas that can be opened to everybody: they show no patient
DEFAULT_SCOPE = "openid profile"


@dataclass(frozen=True, slots=True)
class OpenID:
    """The provider of identities that people sign in with (OpenID Connect)."""

    issuer: str  # as its tokens have it, character by character
    client_id: str
    client_secret_file: Path | None = None  # None: a public client, which PKCE alone protects
    scope: str = DEFAULT_SCOPE
    tenants_claim: str = "tenants"  # a claim, or a path to one, as "realm_access.roles"
    tenants: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    private_addresses: bool = False  # a provider inside the hospital's own network

    def find_tenants(self, values: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
        """Which of the tenants that are `there` the values of the claim open.

        Without a table of tenants each value is a tenant's id.
        """
        found = set(values)
        opens = self.tenants or {id_: (id_,) for id_ in there}
        return tuple(id_ for id_ in there if found & set(opens.get(id_, ())))


@dataclass(frozen=True, slots=True)
class PageAccess:
    """Without tenants everything is shown to callers on this machine, and nothing of this asked."""

    public: frozenset[str] = frozenset({"evidence"})  # cards link there
    key_file: Path | None = None  # signs sessions; None: made in the state folder
    idle_minutes: int = 30
    session_hours: int = 8
    openid: OpenID | None = None  # None: nobody can sign in, and only what is public is shown


def read_pages(table: Mapping[str, Any], folder: Path) -> PageAccess:
    """The table `[pages]`; relative paths start at `folder`."""
    default = PageAccess()
    return PageAccess(
        public=frozenset(table.get("public", default.public)),
        key_file=folder / table["key_file"] if "key_file" in table else None,
        idle_minutes=table.get("idle_minutes", default.idle_minutes),
        session_hours=table.get("session_hours", default.session_hours),
        openid=_read_openid(table["openid"], folder) if "openid" in table else None,
    )


def _read_openid(table: Mapping[str, Any], folder: Path) -> OpenID:
    secret = table.get("client_secret_file")
    return OpenID(
        issuer=table["issuer"],
        client_id=table["client_id"],
        client_secret_file=folder / secret if secret else None,
        scope=table.get("scope", DEFAULT_SCOPE),
        tenants_claim=table["tenants_claim"],
        tenants={id_: tuple(values) for id_, values in table.get("tenants", {}).items()},
        private_addresses=table.get("private_addresses", False),
    )


def find_openid_problems(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What `[pages.openid]` and other tables can only have wrong together: key and reason."""
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
        case list(), dict(named):
            there = {one.get("id") for one in tenants if isinstance(one, dict)}
            for id_ in named.keys() - there:
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
