"""The pages of a service with the sites that a test wants, asked through their routes."""

from pathlib import Path

import structlog

from cds_hooks.config.pages import PageAccess
from cds_hooks.config.secrets import make_key
from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import LOCAL_TENANT, Tenant
from cds_hooks.records.store import Records
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_services, load_tenant_knowledge
from services.web.site import make_pages, page_paths

LABORATORY = """
id = "lab"
title = "Our laboratory"
source = "validation report 2026/14"
version = "1.0.0"
reviewed = 2026-11-22
reviewer = "A. Chemist"
cutoffs = [
  { observation = "total_b12", below = 145, unit = "pmol/L", means = "deficient", locator = "table 2", confidence = "high" },
  { observation = "total_b12", at_least = 145, unit = "pmol/L", means = "unlikely", locator = "table 2", confidence = "high" },
]
"""


def site(folder: Path, *tenants: Tenant, **others):
    """A client of the pages of these tenants; without any, those of a service on this machine."""

    def drop(*_event):
        raise structlog.DropEvent

    make_key(folder / "pages.key", "pages.key_file")
    public = frozenset(others.pop("public", ("start", "evidence")))
    settings = Settings(
        base_url="https://cds.example",
        pages=PageAccess(
            public=public, key_file=folder / "pages.key", openid=others.pop("openid", None)
        ),
        certificate_header="X-Client" if tenants else None,
        tenants=tenants or (LOCAL_TENANT,),
        **others,
    )
    known = load_tenant_knowledge(settings.tenants)
    app = create_app(
        make_context(
            {one.id: build_services(known[one.id], settings.base_url) for one in settings.tenants},
            settings,
            Records.open(f"sqlite:///{folder / 'records.sqlite3'}"),
            Telemetry(structlog.wrap_logger(None, processors=[drop]), "test"),
        ),
        pages=make_pages(settings, known, "test"),
        page_paths=page_paths(settings, known),
    )
    return app.test_client()
