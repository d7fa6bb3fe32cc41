"""The app's pages, behind a launch: results over years, a summary to print, a leaflet."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request

from cds_hooks.web.app import now_utc
from cds_hooks.web.openapi import refusals
from mappings.actions.leaflet import LANGUAGES, read_leaflet
from services.cards.b12 import REASONS as WHYS
from services.chart.model import Chart
from services.knowledge.language import ENGLISH, read_language
from services.knowledge.site import Known
from services.sarcopenia.assess import REASONS as UNREADABLE
from services.web.frame import Frame
from services.web.smart_app.findings import findings
from services.web.smart_app.labels import DROPPED, SEXES
from services.web.smart_app.patient import card_of, chart_of, looked_at, not_used, person_of
from services.web.smart_app.result_values import OF_MUSCLE
from services.web.smart_app.session import Opened
from services.web.smart_app.text import Words
from services.web.smart_app.treatment_periods import periods
from services.web.smart_app.trends import absent, trends, unreadable

HERE = Path(__file__).parent
AREA = "smart-app"
RESULTS = frozenset({"observations", "muscle_observations"})
AT = "/smart/p/<launch>"
PAGES = {"": "Results and findings", "summary": "Summary for the chart", "leaflet": "Leaflet"}


def today_utc() -> date:
    return now_utc().date()


def app_pages(
    frame: Frame, opened: Callable[[str], Opened], today: Callable[[], date] = today_utc
) -> Blueprint:
    """The pages of a launch. Whoever may not see it, `opened` refuses; nothing is kept of what it
    gives. Raises KnowledgeFault for the leaflet."""
    pages = frame.blueprint(AREA, own_door=True, fault="smart_app/fault.html")
    pages.register_blueprint(
        Blueprint(
            "files",
            __name__,
            static_folder=str(HERE / "static"),
            static_url_path="/smart/files",
            template_folder=str(HERE / "templates"),
        )
    )
    leaflet = read_leaflet()
    languages = {code: read_language(code) for code in LANGUAGES}

    @pages.after_request
    def unkept(response: Response) -> Response:
        if request.endpoint != f"{AREA}.files.static":
            response.headers["Cache-Control"] = "no-store"
        return response

    def shown(launch: str, page: str, entered: Opened, **values: Any) -> Response:
        words = Words.of(frame.known[entered.tenant.id])
        return frame.page(
            f"smart_app/{page}.html",
            launch=launch,
            here=page,
            said=words,
            language=words.language.code,
            person=person_of(entered, words),
            **values,
        )

    def of_patient(entered: Opened) -> dict[str, Any]:
        known, day = frame.known[entered.tenant.id], today()
        chart, words = chart_of(entered, known, day), Words.of(known)
        given = periods(chart, known.b12)
        return {
            "card": card_of(entered),
            "known": known,
            "chart": chart,
            "today": day,
            "found": findings(chart, known),
            "periods": given,
            "trends": trends(chart, known, given, words),
            "partly": not RESULTS.isdisjoint(chart.unknown | chart.incomplete),
            "missing": _missing(chart, known, words),
            "unreadable": unreadable(chart),
            "looked": looked_at(entered, words),
            "not_used": tuple(not_used(chart, words)),
            "sexes": SEXES,
            "why_unreadable": {**UNREADABLE, "refused": DROPPED["refused"]},
            "whys": WHYS,
        }

    @pages.get(f"{AT}/")
    def overview(launch: str) -> Response:
        entered = opened(launch)
        return shown(launch, "overview", entered, **of_patient(entered))

    @pages.get(f"{AT}/summary")
    def summary(launch: str) -> Response:
        entered = opened(launch)
        return shown(launch, "summary", entered, **of_patient(entered))

    @pages.get(f"{AT}/leaflet")
    def leaflet_page(launch: str) -> Response:
        entered = opened(launch)
        usual = frame.known[entered.tenant.id].language.code
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


def _missing(chart: Chart, known: Known, words: Words) -> tuple[str, ...]:
    """Kinds of results of which none is there, of those that could be looked up."""
    unknown = chart.unknown | chart.incomplete
    of_muscle = "muscle_observations" in unknown
    if "observations" in unknown:
        return ()
    return tuple(
        words(known.b12.titles[name])
        for name in absent(chart)
        if not (of_muscle and name in OF_MUSCLE)
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
                "responses": {"200": {"description": f"{says}.", "content": page}, **refusals()},
            }
        }
        for path, says in PAGES.items()
    }
