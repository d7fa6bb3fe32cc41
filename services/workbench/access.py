"""Who may see which page, and whose knowledge and records it shows."""

from dataclasses import dataclass

from flask import g
from werkzeug.exceptions import NotFound

from cds_hooks.settings import Settings
from cds_hooks.tenants import Tenant


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in. `tenants` are those whose pages and records she may see."""

    subject: str
    name: str
    tenants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """The doors of the pages."""

    settings: Settings

    def enter(self, area: str) -> None:
        """Lets this request into an area (see cds_hooks.pages.AREAS), and remembers the user.

        Raises NotFound where nobody may.
        """
        g.user = None
        if self.settings.is_open:
            everyone = tuple(tenant.id for tenant in self.settings.tenants)
            g.user = User("", "", everyone)
        elif area not in self.settings.pages.public:
            raise NotFound

    def areas(self) -> tuple[str, ...]:
        """The areas that this request's user is shown a way to."""
        if g.get("user") is not None:
            return ("start", "what-if", "evidence", "governance")
        return tuple(sorted(self.settings.pages.public, reverse=True))

    def tenant(self) -> Tenant:
        """Whose knowledge this request's pages show: the user's first tenant, else the first."""
        user = g.get("user")
        return self.settings.tenant(user.tenants[0] if user and user.tenants else None)
