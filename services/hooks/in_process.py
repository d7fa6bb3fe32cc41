"""The service in this process for one tenant: nothing is fetched, and nothing kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from structlog.typing import EventDict
from werkzeug.test import Client

from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import FhirAccess, Tenant
from cds_hooks.protocol.service import Service
from cds_hooks.records.store import Records
from cds_hooks.telemetry.metrics import Metrics
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, get_utc_now, make_context
from services.hooks.catalog import build_services
from services.knowledge.site import SiteKnowledge

VERSION = version("cobalamin-cds")


@dataclass(frozen=True, slots=True)
class InProcessService:
    """A client of the service as it would answer this tenant, and the log's lines as they come."""

    client: Client
    services: tuple[Service, ...]  # those that answer this tenant's EHR
    lines: list[dict[str, Any]]


@contextmanager
def run_in_process(
    settings: Settings, tenant: Tenant, knowledge: SiteKnowledge, now: datetime | None = None
) -> Iterator[InProcessService]:
    """Run the service for `tenant` without authentication; its FHIR server is out of reach."""
    lines: list[dict[str, Any]] = []

    def keep(_logger: object, _name: str, event: EventDict) -> str:
        lines.append(dict(event))
        raise structlog.DropEvent

    guest = replace(tenant, trust=None, certificate=None, fhir=FhirAccess())
    with TemporaryDirectory(prefix="cobalamin-") as folder:
        records = Records.open(f"sqlite:///{Path(folder) / 'records.sqlite3'}")
        offered = build_services(
            knowledge,
            settings.base_url,
            tenant.service_tables.get("attention"),
            app=tenant.smart is not None,
        )
        app = create_app(
            make_context(
                {guest.id: offered},
                replace(settings, tenants=(guest,)),
                records,
                Telemetry(
                    structlog.wrap_logger(None, processors=[keep]),
                    VERSION,
                    metrics=Metrics(counts=False),
                ),
                clock=get_utc_now if now is None else lambda: now,
            )
        )
        answering = tuple(
            service for service in offered if tenant.dialect.supports_hook(service.hook)
        )
        try:
            yield InProcessService(app.test_client(), answering, lines)
        finally:
            records.close()
