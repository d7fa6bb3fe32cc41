"""The pages of a site, asked through their routes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import requests
import structlog
from conformance.serving import log_faults
from patients import known

from cds_hooks.config.pages import OpenID, PageAccess
from cds_hooks.config.secrets import make_key
from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import LOCAL_TENANT, Tenant
from cds_hooks.records.store import Records
from cds_hooks.telemetry.logs import stamp_event
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_services
from services.web.access import Access
from services.web.frame import Frame
from services.web.site import make_pages, page_paths

HTML = {"Accept": "text/html"}


@dataclass
class Site:
    """An application, what it logs, and a browser that knows its way to the provider."""

    app: Any
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def anew(self) -> "Site":
        """The same application for another browser, with a log that begins now."""
        self.lines.clear()
        return Site(self.app, self.lines)

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, headers={**HTML, **options.pop("headers", {})}, **options)

    def post(self, path: str, **form: Any) -> Any:
        return self.client.post(path, data=form, headers=HTML)

    def at_provider(self, path: str = "/sign-in") -> str:
        """Goes to the provider; gives the path that it sends the browser back to."""
        gone = self.get(path)
        assert gone.status_code == 302, gone.text
        back = requests.get(gone.location, allow_redirects=False, timeout=5)
        assert back.status_code == 302, back.text
        return str(back.headers["Location"]).removeprefix("http://localhost")

    def signed_in(self, path: str = "/sign-in") -> Any:
        """The answer to who comes back from the provider."""
        return self.get(self.at_provider(path))

    def as_user(self, *tenants: str) -> "Site":
        """Somebody who may see these tenants is signed in."""
        now = int(time.time())
        with self.client.session_transaction() as kept:
            kept["user"] = {"subject": "1", "name": "Ada Example", "tenants": list(tenants)}
            kept.update(id="of a test", began=now, seen=now)
        return self

    def refusals(self) -> list[str]:
        """Why callers were not let in, by a log that is in order."""
        assert log_faults(self.lines) == []
        return [line["reason"] for line in self.lines if line["event"] == "auth-refused"]


def site(
    folder: Path,
    *,
    openid: OpenID | None = None,
    tenants: tuple[Tenant, ...] = (LOCAL_TENANT,),
    areas: Mapping[str, str] | None = None,
    **options: Any,
) -> Site:
    """A site whose pages are as a test has them. `areas`: pages of the test's own, by their area;
    they answer with the tenant's id."""
    make_key(folder / "pages.key", "pages.key_file")
    settings = Settings(
        base_url="http://localhost",
        records_url=f"sqlite:///{folder / 'records.sqlite3'}",
        pages=PageAccess(key_file=folder / "pages.key", openid=openid, **options),
        tenants=tenants,
    )
    return site_of(settings, areas or {})


def site_of(settings: Settings, areas: Mapping[str, str] = MappingProxyType({})) -> Site:
    """The site of a configuration."""
    lines: list[dict[str, Any]] = []

    def keep(_logger: Any, _name: str, event: Any) -> Any:
        lines.append(orjson.loads(orjson.dumps(event)))
        raise structlog.DropEvent

    knowledge = {tenant.id: known() for tenant in settings.tenants}
    frame = Frame(settings, knowledge, "test", Access(settings))
    own = []
    for area, path in areas.items():
        blueprint = frame.make_blueprint(area)
        blueprint.name = f"{area}-of-a-test"
        blueprint.add_url_rule(path, view_func=lambda: frame.access.tenant().id, methods=["GET", "POST"])  # fmt: skip
        own.append(blueprint)
    app = create_app(
        make_context(
            {tenant.id: build_services(known(), settings.base_url) for tenant in settings.tenants},
            settings,
            Records.open(settings.records_url, settings.records_key_file),
            Telemetry(structlog.wrap_logger(None, processors=[stamp_event, keep]), "test"),
        ),
        pages=[*make_pages(settings, knowledge, "test"), *own],
        page_paths=page_paths(settings, knowledge),
    )
    return Site(app, lines)
