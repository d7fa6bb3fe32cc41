"""The service in this process, an EHR on loopback, and a browser that goes between the two."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import requests
import structlog
from conformance.serving import log_faults
from flask import Blueprint, Response
from markupsafe import escape
from patients import known
from smart_ehr import Ehr, resources_of_sample
from token_issuers import serving

from cds_hooks.records.store import Records
from cds_hooks.telemetry.logs import stamp_event
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_services
from services.knowledge.configuration import load_settings
from services.web.access import Access
from services.web.frame import Frame
from services.web.smart_app.launch_routes import ERROR_TEMPLATE, LaunchRoutes

LOCAL = """
[fhir]
servers = ["FHIR"]
[smart]
client_id = "cobalamin-app"
"""


def inside(frame: Frame, opened: Any) -> Blueprint:
    """A page that says what a launch opened, in place of the app's."""
    pages = frame.make_blueprint("inside", own_door=True, fault=ERROR_TEMPLATE)

    @pages.get("/smart/p/<launch>/")
    def page(launch: str) -> Response:
        found = opened(launch)
        rows = [f"{key} {one.state} {len(one.resources)}" for key, one in found.answers.items()]
        told = [found.patient_id, found.user, json.dumps(dict(found.app_context)), *rows]
        return Response(f"<main>{'; '.join(map(escape, told))}</main>", mimetype="text/html")

    return pages


class Site:
    """The service by a configuration, where FHIR stands for the EHR's base URL."""

    def __init__(self, folder: Any, configuration: str, ehr: Ehr) -> None:
        path = folder / "cobalamin.toml"
        path.write_text(configuration.replace("FHIR", ehr.fhir))
        self.ehr, self.later = ehr, 0.0
        self.lines: list[dict[str, Any]] = []
        self.settings = load_settings(path)
        knowledge = {tenant.id: known() for tenant in self.settings.tenants}
        frame = Frame(self.settings, knowledge, "test", Access(self.settings))
        self.door = LaunchRoutes(frame, now=lambda: time.time() + self.later)
        self.records = Records.open(f"sqlite:///{folder / 'records.sqlite3'}")
        self.app = create_app(
            make_context(
                {
                    name: build_services(one, self.settings.base_url)
                    for name, one in knowledge.items()
                },
                self.settings,
                self.records,
                Telemetry(
                    structlog.wrap_logger(None, processors=[stamp_event, self._keep]), "test"
                ),
            ),
            pages=[
                frame.make_common_blueprint(),
                self.door.make_blueprint(),
                inside(frame, self.door.opened),
            ],
        )
        ehr.client.redirect_uri = f"{self.settings.base_url}/smart/callback"
        self.browser = self.app.test_client()

    def _keep(self, _logger: Any, _name: str, event: dict[str, Any]) -> Any:
        self.lines.append(orjson.loads(orjson.dumps(event)))
        raise structlog.DropEvent

    def get(self, url: str, **options: Any) -> Any:
        """One answer of the service."""
        path = url.removeprefix(self.settings.base_url)
        headers = {"Accept": "text/html"}
        base = self.settings.base_url
        return self.browser.get(path, base_url=base, headers=headers, **options)

    def walk(self, url: str, most: int = 8) -> Any:
        """Follows redirects like a browser, to the first answer of the service that is none."""
        for _ in range(most):
            if url.startswith(self.ehr.base):
                answer = requests.get(url, allow_redirects=False, timeout=60)
                assert answer.status_code == 302, answer.text
            else:
                answer = self.get(url)
                if answer.status_code != 303:
                    self.path = urlsplit(url).path
                    return answer
            url = answer.headers["Location"]
        raise AssertionError("no end")

    def launch(self, patient: str | None = None, context: str | None = None) -> Any:
        """An EHR launch, walked to its end."""
        handle = self.ehr.launch(patient, context)
        return self.walk(f"/smart/launch?iss={self.ehr.fhir}&launch={handle}")

    def until_back(self) -> str:
        """Where an EHR launch comes back to, not yet asked for."""
        handle = self.ehr.launch()
        begun = self.get(f"/smart/launch?iss={self.ehr.fhir}&launch={handle}")
        answer = requests.get(begun.headers["Location"], allow_redirects=False, timeout=60)
        return answer.headers["Location"]


@pytest.fixture
def ehr() -> Iterator[Ehr]:
    made = Ehr(resources_of_sample("neuropathy"))
    with serving(made):
        yield made


@pytest.fixture
def at(tmp_path, ehr, monkeypatch) -> Iterator[Any]:
    """Makes a service by a configuration: `at()`, `at(text)`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made: list[Site] = []

    def make(configuration: str = LOCAL) -> Site:
        made.append(Site(tmp_path, configuration, ehr))
        return made[-1]

    yield make
    for site in made:
        site.records.close()
        assert log_faults(site.lines) == []
