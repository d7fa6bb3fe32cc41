"""An application as a site configures it, asked through its routes."""

from dataclasses import replace

import orjson
import pytest
import structlog
from conformance.serving import log_faults
from patients import known

from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import LOCAL_TENANT
from cds_hooks.protocol.dialects import Dialect
from cds_hooks.records.store import Records
from cds_hooks.telemetry.logs import stamp_event
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_services


@pytest.fixture
def asked(tmp_path):
    """Asks an application in a dialect; gives the answer and the log lines."""

    def ask(dialect, call, attention=None, *, app=False):
        lines = []

        def keep(_logger, _name, event):
            lines.append(orjson.loads(orjson.dumps(event)))
            raise structlog.DropEvent

        app = create_app(
            make_context(
                {"local": build_services(known(), "https://cds.example", attention, app=app)},
                Settings(tenants=(replace(LOCAL_TENANT, dialect=dialect or Dialect()),)),
                Records.open(f"sqlite:///{tmp_path / 'records.sqlite3'}"),
                Telemetry(structlog.wrap_logger(None, processors=[stamp_event, keep]), "test"),
            )
        )
        client = app.test_client()
        reply = client.post(f"/cds-services/b12-muscle-{call['hook']}", json=call)
        discovered = client.get("/cds-services").json["services"]
        assert log_faults(lines) == []
        return reply, discovered, lines

    return ask
