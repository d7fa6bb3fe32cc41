"""The pages of services as different sites have them, in this process."""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import structlog
from patients import known
from site_knowledge import LABORATORY, site

from cds_hooks.config.pages import OpenID, PageAccess
from cds_hooks.config.secrets import make_key
from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import Tenant
from cds_hooks.records.store import Records
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_services
from services.web.site import make_pages, page_paths

BASE = "http://127.0.0.1:8000"


@dataclass
class Reading:
    """Somebody with a browser that runs no script."""

    client: Any
    lines: list[dict[str, Any]] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, headers={"Accept": "text/html"}, **options)

    def paste(self, document: Any, path: str = "/what-if", **fields: str) -> Any:
        text = document if isinstance(document, str) else json.dumps(document)
        page = self.get("/what-if").get_data(as_text=True)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token
        form = {"csrf_token": token[1], "document": text, **fields}
        return self.client.post(path, data=form, headers={"Accept": "text/html"})


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    make_key(folder / "pages.key", "pages.key_file")
    lines: list[dict[str, Any]] = []

    def keep(_logger, _name, event):
        lines.append(dict(event))
        raise structlog.DropEvent

    served = replace(Settings(base_url=BASE), pages=PageAccess(key_file=folder / "pages.key"))
    records = Records.open(f"sqlite:///{folder / 'records.sqlite3'}")
    app = create_app(
        make_context(
            {"local": build_services(known(), BASE)},
            served,
            records,
            Telemetry(structlog.wrap_logger(None, processors=[keep]), "test"),
        ),
        pages=make_pages(served, {"local": known()}, "test"),
        page_paths=page_paths(served, {"local": known()}),
    )
    yield Reading(app.test_client(), lines)
    records.close()


@pytest.fixture(scope="session")
def here(tmp_path_factory):
    """The pages of a service without a configuration."""
    return site(tmp_path_factory.mktemp("here"))


def _two(folder, **options):
    (folder / "lab.toml").write_text(LABORATORY)
    other = {
        "b12": {"guideline": "uk-ng239", "laboratory": str(folder / "lab.toml")},
        "policy": {"result_max_age_months": 6},
        "language": {"code": "de"},
    }
    first = Tenant("first", certificate="CN=first")
    second = Tenant("other", certificate="CN=other", service_tables=other)
    return site(folder, first, second, **options)


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """The pages of two sites: one as shipped, one with a laboratory, a policy and German."""
    return _two(tmp_path_factory.mktemp("two"))


@pytest.fixture
def signing_in(tmp_path):
    """The same, where people can sign in."""
    return _two(tmp_path, openid=OpenID("https://identities.example", "cobalamin"))


@pytest.fixture(scope="session")
def german(tmp_path_factory):
    """The pages of one site that speaks German."""
    clinical = {"language": {"code": "de"}, "policy": {"result_max_age_months": 6}}
    folder = tmp_path_factory.mktemp("german")
    return site(folder, Tenant("de", certificate="CN=de", service_tables=clinical))
