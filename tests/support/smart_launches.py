"""Launches of the SMART app with nobody's server behind them: patients of `patients.py`, and one
with ten years of results."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from patients import TODAY, known, patient, resources
from werkzeug.exceptions import NotFound
from werkzeug.serving import WSGIRequestHandler, make_server

from cds_hooks.config.pages import PageAccess
from cds_hooks.config.secrets import make_key
from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import LOCAL_TENANT
from cds_hooks.protocol.prefetch import PrefetchAnswer, PrefetchState
from cds_hooks.records.store import Records
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.hooks.catalog import build_prefetch_templates
from services.knowledge.site import SiteKnowledge
from services.web.access import Access
from services.web.frame import Frame
from services.web.smart_app.pages import make_app_pages
from services.web.smart_app.session import LaunchSession

# B12 falls for eight years under metformin, in two laboratories' units; methylmalonic acid comes
# once in nmol/L and then in µmol/L; injections from March 2024; grip falls before and not after.
DECADE = """
    rx metformin since 2014-09-01;
    b12 412 @2016-03-14; b12 371 @2017-04-03; b12 322 @2018-05-22; b12 287 @2019-06-11;
    b12 261 @2020-09-15; b12 148 pmol/L @2021-10-04; b12 131 pmol/L @2022-11-21; b12 158 @2024-02-12;
    b12 >1476 @2025-03-10;
    active 41 @2022-11-21; active 22 @2024-02-12;
    mma 240 nmol/L @2019-06-11; mma 0.41 umol/L @2022-11-21; mma 0.93 umol/L @2024-02-12;
    mma 0.19 umol/L @2025-03-10;
    hcy 13 @2019-06-11; hcy 21 @2024-02-12; hcy 12 @2025-03-10;
    hb 134 @2016-03-14; hb 131 @2018-05-22; hb 128 @2020-09-15; hb 117 @2022-11-21;
    hb 109 @2024-02-12; hb 126 @2024-06-17; hb 133 @2026-03-09;
    mcv 89 @2016-03-14; mcv 92 @2018-05-22; mcv 96 @2020-09-15; mcv 101 @2022-11-21;
    mcv 105 @2024-02-12; mcv 95 @2024-06-17; mcv 91 @2026-03-09;
    egfr 88 @2016-03-14; egfr 82 @2018-05-22; egfr 77 @2020-09-15; egfr 74 @2022-11-21;
    egfr 71 @2024-02-12; egfr 69 @2026-03-09;
    grip_right 24 @2017-04-03; grip_right 20.5 @2020-09-15; grip_left 19 @2020-09-15;
    grip_right 15.5 @2024-02-12; grip_left 14.8 @2024-02-12; grip_right 15.9 @2025-03-10;
    grip_right 15.1 @2026-03-09;
    gait 1.12 @2017-04-03; gait 0.94 @2020-09-15; gait 0.74 @2024-02-12; gait 0.82 @2025-03-10;
    gait 0.79 @2026-03-09;
    +paraesthesia @2023-12-04; +b12_deficiency @2024-02-19;
    rx hydroxocobalamin since 2024-03-04 route im
"""
OF_MUSCLE = ("grip", "gait")
PERSON = {"name": [{"use": "official", "text": "Ada Example"}]}


def answers(
    text: str, unknown: Mapping[str, PrefetchState] | None = None, **person: Any
) -> dict[str, Any]:
    """What an EHR answers for such a patient; `unknown`: keys that could not be had."""
    record, _drafts = resources(text)
    person.setdefault("born", "1948-06-02")
    name = person.pop("name", PERSON)
    found: dict[str, list[dict[str, Any]]] = {
        key: [] for key in build_prefetch_templates(known().index)
    }
    found["patient"] = [patient(**person) | name]
    kinds = {
        "Observation": "observations",
        "Condition": "conditions",
        "MedicationRequest": "medications",
        "ServiceRequest": "service_requests",
        "QuestionnaireResponse": "questionnaire_responses",
    }
    for resource in record:
        found[kinds[resource["resourceType"]]].append(resource)
    made = {
        key: PrefetchAnswer(
            key, PrefetchState.FOUND if several else PrefetchState.NONE, tuple(several)
        )
        for key, several in found.items()
    }
    return made | {key: PrefetchAnswer(key, state) for key, state in (unknown or {}).items()}


def launch(text: str, **options: Any) -> LaunchSession:
    return LaunchSession(LOCAL_TENANT, "1", answers(text, **options), {}, "Practitioner/7")


def app_of(
    launches: Mapping[str, LaunchSession], folder: Path, knows: SiteKnowledge | None = None
) -> Any:
    """The service with the app's pages, each launch under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    make_key(folder / "pages.key", "pages.key_file")
    settings = Settings(
        tenants=(LOCAL_TENANT,),
        records_url=f"sqlite:///{folder / 'records.sqlite3'}",
        pages=PageAccess(key_file=folder / "pages.key"),
    )
    frame = Frame(settings, {LOCAL_TENANT.id: knows or known()}, "test", Access(settings))

    def opened(name: str) -> LaunchSession:
        if name not in launches:
            raise NotFound
        return launches[name]

    records = Records.open(settings.records_url)
    app = create_app(
        make_context(
            {LOCAL_TENANT.id: ()},
            settings,
            records,
            Telemetry(structlog.wrap_logger(None, processors=[_drop]), "test"),
        ),
        pages=[frame.make_common_blueprint(), make_app_pages(frame, opened, lambda: TODAY)],
    )
    app.teardown = records.close
    return app


def _drop(_logger: object, _name: str, _event: Any) -> Any:
    raise structlog.DropEvent


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Nothing: pytest's output is for faults."""


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The application on loopback, by its base URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.teardown()
