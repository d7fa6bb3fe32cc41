"""Who sees the pages for people, and for how long: the table [pages]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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

    def find_tenants(self, values: Sequence[str], tenant_ids: Sequence[str]) -> tuple[str, ...]:
        """Which of the tenants that are `there` the values of the claim open.

        Without a table of tenants each value is a tenant's id.
        """
        claim_values = set(values)
        access = self.tenants or {id_: (id_,) for id_ in tenant_ids}
        return tuple(id_ for id_ in tenant_ids if claim_values & set(access.get(id_, ())))


@dataclass(frozen=True, slots=True)
class PageAccess:
    """Without tenants everything is shown to callers on this machine, and nothing of this asked."""

    public: frozenset[str] = frozenset({"evidence"})  # cards link there
    key_file: Path | None = None  # signs sessions; None: made in the state folder
    idle_minutes: int = 30
    session_hours: int = 8
    openid: OpenID | None = None  # None: nobody can sign in, and only what is public is shown
