"""The app's pages, behind a launch: results over years, a summary to print, a leaflet."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request

from cds_hooks.web.context import get_utc_now
from mappings.actions.leaflet import LANGUAGES, read_leaflet
from services.assessment.labels import list_sentences
from services.cards.b12_detail import REASON_RULES as WHYS
from services.chart.model import Chart, UnusableReason
from services.knowledge.language import ENGLISH, read_language
from services.knowledge.site import SiteKnowledge
from services.web.frame import Frame
from services.web.smart_app.findings import describe_findings
from services.web.smart_app.patient import (
    count_unused,
    find_card_text,
    list_data_status,
    read_patient_chart,
    read_person,
)
from services.web.smart_app.result_values import MUSCLE_TESTS
from services.web.smart_app.session import LaunchSession
from services.web.smart_app.text import PageTranslator
from services.web.smart_app.treatment_periods import list_periods
from services.web.smart_app.trends import build_trends, list_absent, list_unreadable

SEXES = {"female": "female", "male": "male"}
PACKAGE_FOLDER = Path(__file__).parent
AREA = "smart-app"
RESULT_KEYS = frozenset({"observations", "muscle_observations"})
LAUNCH_PATH = "/smart/p/<launch>"


def get_today() -> date:
    return get_utc_now().date()


def make_app_pages(
    frame: Frame, open_launch: Callable[[str], LaunchSession], today: Callable[[], date] = get_today
) -> Blueprint:
    """The pages of a launch. `open_launch` refuses who may not see it; nothing of it is kept.

    Raises KnowledgeError for the leaflet.
    """
    pages = frame.make_blueprint(AREA, is_unguarded=True, error_template="smart_app/fault.html")
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
    def forbid_storing(response: Response) -> Response:
        if request.endpoint != f"{AREA}.files.static":
            response.headers["Cache-Control"] = "no-store"
        return response

    def render(launch: str, page: str, session: LaunchSession, **values: Any) -> Response:
        words = PageTranslator.from_knowledge(frame.knowledge_by_tenant[session.tenant.id])
        return frame.render_page(
            f"smart_app/{page}.html",
            launch=launch,
            here=page,
            translate=words,
            language=words.language.code,
            person=read_person(session, words),
            **values,
        )

    def collect_values(session: LaunchSession) -> dict[str, Any]:
        knowledge, day = frame.knowledge_by_tenant[session.tenant.id], today()
        chart, words = (
            read_patient_chart(session, knowledge, day),
            PageTranslator.from_knowledge(knowledge),
        )
        periods = list_periods(chart, knowledge.b12)
        return {
            "card": find_card_text(session),
            "knowledge": knowledge,
            "chart": chart,
            "today": day,
            "findings": describe_findings(chart, knowledge),
            "periods": periods,
            "trends": build_trends(chart, knowledge, periods, words),
            "partly": not RESULT_KEYS.isdisjoint(chart.unknown | chart.incomplete),
            "missing": _list_missing(chart, knowledge, words),
            "unreadable": list_unreadable(chart),
            "statuses": list_data_status(session, words),
            "unused": tuple(count_unused(chart, words)),
            "sexes": SEXES,
            "why_unreadable": list_sentences(UnusableReason),
            "whys": WHYS,
        }

    @pages.get(f"{LAUNCH_PATH}/")
    def overview(launch: str) -> Response:
        session = open_launch(launch)
        return render(launch, "overview", session, **collect_values(session))

    @pages.get(f"{LAUNCH_PATH}/summary")
    def summary(launch: str) -> Response:
        session = open_launch(launch)
        return render(launch, "summary", session, **collect_values(session))

    @pages.get(f"{LAUNCH_PATH}/leaflet")
    def leaflet_page(launch: str) -> Response:
        session = open_launch(launch)
        usual = frame.knowledge_by_tenant[session.tenant.id].language.code
        requested = request.args.get("language", usual)
        code = requested if requested in LANGUAGES else ENGLISH
        return render(
            launch,
            "leaflet",
            session,
            leaflet=leaflet,
            code=code,
            written=languages[code],
            languages=LANGUAGES,
        )

    return pages


def _list_missing(chart: Chart, knowledge: SiteKnowledge, words: PageTranslator) -> tuple[str, ...]:
    """Kinds of results of which none is there, of those that could be looked up."""
    unknown = chart.unknown | chart.incomplete
    of_muscle = "muscle_observations" in unknown
    if "observations" in unknown:
        return ()
    return tuple(
        words(knowledge.b12.titles[name])
        for name in list_absent(chart)
        if not (of_muscle and name in MUSCLE_TESTS)
    )
