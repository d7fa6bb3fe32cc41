"""A service with two hospitals, in this process: their EHRs, their keys, what the log says."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from conformance.serving import log_faults
from patients import known
from token_issuers import Issuer, Key

from cds_hooks.records.store import Records
from cds_hooks.telemetry.logs import stamp_event
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_services
from services.knowledge.configuration import load_settings

BASE = "https://cds.example.org"
DISCOVERY = f"{BASE}/cds-services"
CALL = f"{DISCOVERY}/b12-muscle-patient-view"
CONFIGURATION = """
[server]
base_url = "https://cds.example.org"
trusted_proxies = ["10.0.0.7"]
certificate_header = "X-Client-Subject"
[records]
url = "sqlite:///records.sqlite3"
[[tenant]]
id = "north"
issuer = "https://ehr.north.example/"
jwks_file = "north.json"
jwks_url = "https://ehr.north.example/.well-known/jwks.json"
[[tenant]]
id = "south"
issuer = "https://ehr.south.example/"
jwks_file = "south.json"
claim = "south-1"
[[tenant]]
id = "south-2"
issuer = "https://ehr.south.example/"
jwks_file = "south.json"
claim = "south-2"
[[tenant]]
id = "west"
certificate = "CN=ehr.west.example,O=West"
[[tenant]]
id = "east"
issuer = "https://ehr.east.example/"
jwks_file = "south.json"
certificate = "CN=ehr.east.example,O=East"
"""


class Hospital:
    """The service under attack."""

    def __init__(self, folder: Any) -> None:
        import json

        self.north = Issuer("https://ehr.north.example/", Key("ES384"), Key("RS384"))
        self.south = Issuer("https://ehr.south.example/", Key("ES384"), tenant="south-1")
        self.lines: list[dict[str, Any]] = []
        (folder / "north.json").write_text(json.dumps(self.north.jwks))
        (folder / "south.json").write_text(json.dumps(self.south.jwks))
        (folder / "cobalamin.toml").write_text(CONFIGURATION)
        self.settings = load_settings(folder / "cobalamin.toml")
        self.records = Records.open(self.settings.records_url)
        self.app = create_app(
            make_context(
                {tenant.id: build_services(known(), BASE) for tenant in self.settings.tenants},
                self.settings,
                self.records,
                Telemetry(
                    structlog.wrap_logger(None, processors=[stamp_event, self._keep]), "test"
                ),
            )
        )
        self.client = self.app.test_client()

    def _keep(self, _logger: Any, _name: str, event: dict[str, Any]) -> Any:
        self.lines.append(orjson.loads(orjson.dumps(event)))
        raise structlog.DropEvent

    def discover(self, authorization: str | None, **options: Any) -> Any:
        headers = {} if authorization is None else {"Authorization": authorization}
        return self.client.get(
            "/cds-services", headers=headers | options.pop("headers", {}), **options
        )

    @property
    def reason(self) -> str:
        """Why the last caller was refused, by the log."""
        found: str = self.lines[-1]["reason"]
        return found


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    made = Hospital(tmp_path_factory.mktemp("hospital"))
    yield made
    made.records.close()
    assert log_faults(made.lines) == []
