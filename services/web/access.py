"""Who may see which page, and whose knowledge and records it shows."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, urlsplit

from flask import current_app, g, redirect, request, session
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response

from cds_hooks.config.pages import PUBLIC_AREAS
from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import Tenant
from cds_hooks.net.urls import is_loopback
from cds_hooks.records.store import RecordsUnavailableError
from cds_hooks.security.token_checks import AuthenticationError
from cds_hooks.web.app import get_context

SIGN_IN = "sign-in"  # the area that everybody may enter where there is a provider
NO_TENANT = ""  # in the records, whose used tokens the sessions are that were signed out of
MAX_PATH_LENGTH = 512  # characters of a path that is kept through a sign-in


class ForbiddenError(AuthenticationError):
    """A user asks for what is not hers to see."""

    status = 403


class WrongHostError(HTTPException):
    """A page for this machine alone was requested under another host name.

    A page elsewhere could have had its name lead here, to read what this machine's user may see.
    """

    code = 421


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in. `tenants` are those whose pages and records she may see."""

    subject: str
    name: str
    tenants: tuple[str, ...]


def wants_html() -> bool:
    """Whether the client prefers HTML to JSON; one that accepts anything gets JSON."""
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def choose_redirect(text: str | None) -> str:
    """`text` where it is a path of this service, to go to after signing in; else the first page."""
    if not text or len(text) > MAX_PATH_LENGTH or not text.isprintable() or "\\" in text:
        return "/"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    is_path = text.startswith("/") and not text.startswith("//")
    return text if is_path and not parts.scheme and not parts.netloc else "/"


@dataclass(frozen=True, slots=True)
class Access:
    """Access control of the pages."""

    settings: Settings

    @property
    def has_sign_in(self) -> bool:
        """Whether there is anybody to sign in."""
        return not self.settings.is_open and self.settings.pages.openid is not None

    def enter(self, area: str) -> Response | None:
        """Let this request into an area (cds_hooks.config.pages.AREAS), and remember the user.

        Gives the way to the sign-in where a browser has to go there first. Raises NotFound where
        nobody may enter, AuthenticationError where this one may not, and WrongHostError.
        """
        g.user = None
        if self.settings.is_open:
            if area not in PUBLIC_AREAS and not self._is_local_host(request.host):
                raise WrongHostError
            everyone = tuple(tenant.id for tenant in self.settings.tenants)
            g.user = User("", "", everyone)
            return None
        is_public = area in self.settings.pages.public
        if self.has_sign_in:
            try:
                g.user = self._find_user()
            except RecordsUnavailableError:
                if not is_public:
                    raise
                # What everybody may read, a stranger may.
            self._choose_tenant(request.args.get("tenant"))
        is_for_all = is_public or (area == SIGN_IN and self.has_sign_in)
        return None if is_for_all else self._require_user()

    def _require_user(self) -> Response | None:
        if not self.has_sign_in:
            raise NotFound
        if g.user is None:
            if request.method == "GET" and wants_html():
                back = request.full_path.removesuffix("?")
                return redirect(f"/sign-in?next={quote(back, safe='/')}")
            raise AuthenticationError("not signed in")
        if not g.user.tenants:
            raise ForbiddenError("no tenant")
        return None

    def _is_local_host(self, host: str) -> bool:
        """Whether a request named this machine, or the service as the configuration does."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        configured = urlsplit(self.settings.base_url).hostname
        return is_loopback(name) or name.endswith(".localhost") or name == configured

    def _find_user(self) -> User | None:
        """Who is signed in, unless for too long or too long ago, or in a session that she left.

        Raises RecordsUnavailableError where that cannot be looked up.
        """
        user: Mapping[str, Any] | None = session.get("user")
        if user is None:
            return None
        now, pages = time.time(), self.settings.pages
        is_over = now - session["began"] > pages.session_hours * 3600
        is_idle = now - session["seen"] > pages.idle_minutes * 60
        if is_over or is_idle or self._is_signed_out(session.get("id")):
            session.clear()
            return None
        session["seen"] = int(now)
        # What the configuration no longer has is nobody's.
        tenants = [tenant.id for tenant in self.settings.tenants if tenant.id in user["tenants"]]
        return User(user["subject"], user["name"], tuple(tenants))

    def _is_signed_out(self, id_: str | None) -> bool:
        return id_ is None or get_context(current_app).records.tokens.is_used(
            NO_TENANT, _hash_session_id(id_)
        )

    def _choose_tenant(self, tenant: str | None) -> None:
        if not tenant or g.user is None:
            return
        if tenant not in g.user.tenants:
            raise ForbiddenError("another tenant")
        session["tenant"] = tenant

    def begin_session(self, user: User) -> None:
        """Begin a session with nothing of the one before: a stranger may have laid that there."""
        session.clear()
        session.permanent = True
        members = {"subject": user.subject, "name": user.name, "tenants": list(user.tenants)}
        now = int(time.time())
        session.update(id=secrets.token_urlsafe(16), user=members, began=now, seen=now)
        g.user = user

    def end_session(self) -> None:
        """End the session in every copy of its cookie: one may have been taken, and an answer under
        way brings another. Raises RecordsUnavailableError: it then is over in this browser alone.
        """
        id_, began = session.get("id"), session.get("began", 0)
        session.clear()
        if id_ is not None:
            until = datetime.fromtimestamp(began + self.settings.pages.session_hours * 3600, UTC)
            get_context(current_app).records.tokens.use(NO_TENANT, _hash_session_id(id_), until)

    def list_areas(self) -> tuple[str, ...]:
        """The areas that the navigation of this request's user shows."""
        user = g.get("user")
        if user is not None and user.tenants:
            return ("start", "what-if", "evidence", "governance")
        return tuple(sorted(self.settings.pages.public, reverse=True))

    def get_tenant(self) -> Tenant:
        """Whose knowledge this request's pages show: the tenant that the user chose, else her
        first, else the first."""
        user = g.get("user")
        if user is None or not user.tenants:
            return self.settings.find_tenant()
        chosen = session.get("tenant") if user.subject else None
        return self.settings.find_tenant(chosen if chosen in user.tenants else user.tenants[0])


def _hash_session_id(id_: str) -> str:
    return blake2b(id_.encode(), digest_size=16).hexdigest()
