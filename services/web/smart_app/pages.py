"""The app's pages, behind a launch: results over years, a summary to print, a leaflet."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request

from cds_hooks.web.context import get_utc_now
from cds_hooks.web.openapi import build_refusals
from mappings.actions.leaflet import LANGUAGES, read_leaflet
from services.cards.b12 import REASON_RULES as WHYS
from services.chart.model import Chart
from services.knowledge.language import ENGLISH, read_language
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.assess import REASONS as UNREADABLE
from services.web.frame import Frame
from services.web.smart_app.findings import describe_findings
from services.web.smart_app.labels import DROPPED, SEXES
from services.web.smart_app.patient import (
    count_unused,
    find_card_text,
    list_data_status,
    read_patient_chart,
    read_person,
)
from services.web.smart_app.result_values import MUSCLE_TESTS
from services.web.smart_app.session import LaunchSession
from services.web.smart_app.text import Words
from services.web.smart_app.treatment_periods import list_periods
from services.web.smart_app.trends import build_trends, list_absent, list_unreadable

PACKAGE_FOLDER = Path(__file__).parent
AREA = "smart-app"
RESULT_KEYS = frozenset({"observations", "muscle_observations"})
LAUNCH_PATH = "/smart/p/<launch>"
PAGES = {"": "Results and findings", "summary": "Summary for the chart", "leaflet": "Leaflet"}


def get_today() -> date:
    return get_utc_now().date()


def make_app_pages(
    frame: Frame, opened: Callable[[str], LaunchSession], today: Callable[[], date] = get_today
) -> Blueprint:
    """The pages of a launch. Whoever may not see it, `opened` refuses; nothing is kept of what it
    gives. Raises KnowledgeFault for the leaflet."""
    pages = frame.make_blueprint(AREA, own_door=True, fault="smart_app/fault.html")
    pages.register_blueprint(
        Blueprint(
            "files",
            __name__,
            static_folder=str(PACKAGE_FOLDER / "static"),
            static_url_path="/smart/files",
            template_folder=str(PACKAGE_FOLDER / "templates"),
        )
    )
    leaflet = read_leaflet()
    languages = {code: read_language(code) for code in LANGUAGES}

    @pages.after_request
    def unkept(response: Response) -> Response:
        if request.endpoint != f"{AREA}.files.static":
            response.headers["Cache-Control"] = "no-store"
        return response

    def shown(launch: str, page: str, entered: LaunchSession, **values: Any) -> Response:
        words = Words.from_knowledge(frame.knowledge_by_tenant[entered.tenant.id])
        return frame.render_page(
            f"smart_app/{page}.html",
            launch=launch,
            here=page,
            said=words,
            language=words.language.code,
            person=read_person(entered, words),
            **values,
        )

    def of_patient(entered: LaunchSession) -> dict[str, Any]:
        known, day = frame.knowledge_by_tenant[entered.tenant.id], today()
        chart, words = read_patient_chart(entered, known, day), Words.from_knowledge(known)
        given = list_periods(chart, known.b12)
        return {
            "card": find_card_text(entered),
            "known": known,
            "chart": chart,
            "today": day,
            "found": describe_findings(chart, known),
            "periods": given,
            "trends": build_trends(chart, known, given, words),
            "partly": not RESULT_KEYS.isdisjoint(chart.unknown | chart.incomplete),
            "missing": _list_missing(chart, known, words),
            "unreadable": list_unreadable(chart),
            "looked": list_data_status(entered, words),
            "not_used": tuple(count_unused(chart, words)),
            "sexes": SEXES,
            "why_unreadable": {**UNREADABLE, "refused": DROPPED["refused"]},
            "whys": WHYS,
        }

    @pages.get(f"{LAUNCH_PATH}/")
    def overview(launch: str) -> Response:
        entered = opened(launch)
        return shown(launch, "overview", entered, **of_patient(entered))

    @pages.get(f"{LAUNCH_PATH}/summary")
    def summary(launch: str) -> Response:
        entered = opened(launch)
        return shown(launch, "summary", entered, **of_patient(entered))

    @pages.get(f"{LAUNCH_PATH}/leaflet")
    def leaflet_page(launch: str) -> Response:
        entered = opened(launch)
        usual = frame.knowledge_by_tenant[entered.tenant.id].language.code
        asked = request.args.get("language", usual)
        code = asked if asked in LANGUAGES else ENGLISH
        return shown(
            launch,
            "leaflet",
            entered,
            leaflet=leaflet,
            code=code,
            written=languages[code],
            languages=LANGUAGES,
        )

    return pages


def _list_missing(chart: Chart, known: SiteKnowledge, words: Words) -> tuple[str, ...]:
    """Kinds of results of which none is there, of those that could be looked up."""
    unknown = chart.unknown | chart.incomplete
    of_muscle = "muscle_observations" in unknown
    if "observations" in unknown:
        return ()
    return tuple(
        words(known.b12.titles[name])
        for name in list_absent(chart)
        if not (of_muscle and name in MUSCLE_TESTS)
    )


def app_paths() -> dict[str, Any]:
    """What the OpenAPI document says of them."""
    launch = {"name": "launch", "in": "path", "required": True, "schema": {"type": "string"}}
    page = {"text/html": {"schema": {"type": "string"}}}
    return {
        f"/smart/p/{{launch}}/{path}": {
            "get": {
                "operationId": f"smart-app-{path or 'overview'}",
                "parameters": [launch],
                "responses": {
                    "200": {"description": f"{says}.", "content": page},
                    **build_refusals(),
                },
            }
        }
        for path, says in PAGES.items()
    }
