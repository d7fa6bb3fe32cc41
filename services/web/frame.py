"""What all pages share: layout, security headers, access control and CSRF protection."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import chartkick
from flask import Blueprint, Response, render_template, request, session
from flask.blueprints import BlueprintSetupState
from flask_bootstrap import Bootstrap5
from flask_wtf.csrf import CSRFProtect, generate_csrf
from markdown_it import MarkdownIt
from markupsafe import Markup
from werkzeug.exceptions import BadRequest

from cds_hooks.config.secrets import KEY_BYTES, make_key, read_key
from cds_hooks.config.settings import Settings, find_state_directory
from cds_hooks.records.database import get_sqlite_file
from services.knowledge.site import SiteKnowledge
from services.web.access import Access, wants_html

PACKAGE_FOLDER = Path(__file__).parent
CHARTKICK_FOLDER = Path(chartkick.__file__).parent / "django" / "static" / "chartkick"
KEY_SETTING = "pages.key_file"
STATIC_MAX_AGE = timedelta(days=365)
# Nothing from redirection, nothing inline, in nobody's frame. Bootstrap's own signs are data: URLs.
CONTENT_SECURITY_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_CSRF = CSRFProtect()


def render_markdown(text: str) -> Markup:
    """Markdown as a card carries it; HTML in it stays text."""
    return Markup(_MARKDOWN.render(text))  # noqa: S704  # escaped by the renderer


def build_policy(**others: str) -> str:
    """The Content-Security-Policy of a page, with other values for some of its directives."""
    directives = CONTENT_SECURITY_POLICY | {
        name.replace("_", "-"): value for name, value in others.items()
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


@dataclass(frozen=True, slots=True)
class Frame:
    """Settings, knowledge and access that all pages are rendered with, once for each process."""

    settings: Settings
    knowledge_by_tenant: Mapping[str, SiteKnowledge]  # by tenant
    version: str
    access: Access

    @property
    def knowledge(self) -> SiteKnowledge:
        """The knowledge that this request's pages show."""
        return self.knowledge_by_tenant[self.access.get_tenant().id]

    def make_blueprint(
        self, area: str, *, is_unguarded: bool = False, error_template: str = "pages/fault.html"
    ) -> Blueprint:
        """Make the blueprint of one area: access is checked, headers are set, errors are pages.

        With `is_unguarded` the area itself checks who comes in;
        `error_template` renders what is refused.
        """
        pages = Blueprint(area, __name__)

        @pages.before_request
        def enter() -> Any:
            redirection = None if is_unguarded else self.access.enter(area)
            if redirection is None and request.method == "POST":
                if "csrf_token" not in session:
                    raise BadRequest  # whatever the form holds; reading a large one takes seconds
                _CSRF.protect()
            return redirection

        @pages.after_request
        def add_headers(response: Response) -> Response:
            if response.status_code >= 400 and wants_html():
                response = self._render_error(response, error_template)
            if response.mimetype == "text/html":
                response.headers.setdefault("Content-Security-Policy", build_policy())
                for name, value in HEADERS.items():
                    response.headers.setdefault(name, value)
            if session.modified or session.get("user") is not None:
                response.headers["Cache-Control"] = "no-store"  # it is for one person alone
            return response

        return pages

    def _render_error(self, refused: Response, template: str) -> Response:
        """An OperationOutcome as a page; what else the answer says stays."""
        status = HTTPStatus(refused.status_code)
        response = self.render_page(template, status=status, outcome=refused.get_json(silent=True))
        response.status_code = status
        for name in ("Allow", "Retry-After"):
            if name in refused.headers:
                response.headers[name] = refused.headers[name]
        return response

    def render_page(self, template: str, **values: Any) -> Response:
        """`template` in the frame."""
        return Response(render_template(template, **values), mimetype="text/html")

    def make_common_blueprint(self) -> Blueprint:
        """Styles and scripts, and what the application needs for all pages. Raises
        ConfigurationError for the key that signs sessions."""
        key = self.load_session_key()
        common = Blueprint(
            "pages",
            __name__,
            static_folder=str(PACKAGE_FOLDER / "static"),
            static_url_path="/pages",
            template_folder=str(PACKAGE_FOLDER / "templates"),
        )
        common.register_blueprint(
            Blueprint(
                "charts",
                __name__,
                static_folder=str(CHARTKICK_FOLDER),
                static_url_path="/pages/charts",
            )
        )

        @common.record_once
        def prepare(state: BlueprintSetupState) -> None:
            app = state.app
            is_secure = self.settings.base_url.startswith("https:")
            app.secret_key = key
            app.config.update(
                BOOTSTRAP_SERVE_LOCAL=True,
                PERMANENT_SESSION_LIFETIME=timedelta(hours=self.settings.pages.session_hours),
                SEND_FILE_MAX_AGE_DEFAULT=STATIC_MAX_AGE,
                SESSION_COOKIE_HTTPONLY=True,
                SESSION_COOKIE_NAME="__Host-cobalamin" if is_secure else "cobalamin",
                SESSION_COOKIE_SAMESITE="Lax",
                SESSION_COOKIE_SECURE=is_secure,
                SESSION_REFRESH_EACH_REQUEST=False,  # styles are for everybody, without a cookie
                WTF_CSRF_CHECK_DEFAULT=False,  # hooks have no session; each area asks for itself
                WTF_CSRF_SSL_STRICT=False,  # the proxy ends TLS, and the token is what counts
            )
            app.static_url_path = "/pages"  # what Bootstrap-Flask puts its own behind
            Bootstrap5(app)
            _CSRF.init_app(app)
            app.jinja_env.filters["markdown"] = render_markdown
            app.jinja_env.globals.update(frame=self, csrf_token=generate_csrf)

        return common

    def load_session_key(self) -> bytes:
        """Load the key that signs sessions and cookies, the same in every worker.

        Where there are no sessions nothing is written. Raises ConfigurationError.
        """
        path = self.settings.pages.key_file
        has_app = any(tenant.smart for tenant in self.settings.tenants)
        if path is None and not (self.settings.is_open or self.access.has_sign_in or has_app):
            return secrets.token_bytes(KEY_BYTES)
        if path is None:
            database = get_sqlite_file(self.settings.records_url)
            path = (database.parent if database else find_state_directory()) / "pages.key"
            if not path.exists():
                make_key(path, KEY_SETTING)
        return read_key(path, KEY_SETTING)
