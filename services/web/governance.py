"""`/governance`: what the service says and what becomes of it, from the records of one tenant.

The figures are those of `cobalamin report`: its queries, in a process of its own.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, g, request
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response

from services.exports.build_sheet import list_topics
from services.hooks.offered_hooks import OFFERED_HOOKS, build_service_id
from services.web.frame import Frame
from services.web.governance_charts import build_plots
from services.web.report_process import Figure, Report, ReportQuery, ReportRunner

AREA = "governance"
PERIODS = (7, 30, 90)  # days that are offered
DEFAULT_DAYS = 30
MIN_YEAR, MAX_YEAR = 1970, 2999  # years of a day that is asked for
UNKNOWN = "unknown"
MAX_VISIBLE_ROWS = 12  # rows of a table; one that is longer opens when asked
TOPIC_PATTERN = re.compile(r"[A-Za-z0-9]{1,128}")
# The sections of the page and the figures of each. What stands in logs alone is not among them.
SECTIONS: Mapping[str, Sequence[str]] = {
    "Answers": ("answers", "override_reasons", "answers_by_service"),
    "Silent mode": ("silent",),
    "Cards": ("cards_by_day", "cards", "interruptions", "withheld"),
    "Calls": ("by_day", "calls", "prefetch"),
    "Time": ("latency_by_day", "latency", "latency_by_hour"),
    "Assessments": ("categories",),
    "Versions": ("knowledge", "versions"),
}
FIGURE_NAMES = tuple(name for names in SECTIONS.values() for name in names)
CSV_ONLY_FIGURES = ("latency_by_hour",)
OPEN_FIGURES = ("answers", "silent")  # tables that stay open beside their chart
# Columns that only logs can fill, and what the table says without them: a 0 would be read as none.
LOG_COLUMNS = {
    "by_day": (("errors", "refused"), "Calls answered."),
    "versions": (("starts", "stops"), "Calls that each version answered."),
}


def make_governance_pages(frame: Frame, reports: ReportRunner) -> Blueprint:
    pages = frame.make_blueprint(AREA)

    @pages.get("/governance")
    def governance() -> Response:
        query = _read_query(frame)
        report = reports.get_report(query)
        return frame.render_page(
            "pages/governance.html",
            query=query,
            figures={name: drop_log_columns(name, report) for name in FIGURE_NAMES},
            highlights=report.highlights,
            tiles=build_tiles(report),
            period=find_period(report),
            plots=build_plots(report.figures),
            open_figures=OPEN_FIGURES,
            sections=SECTIONS,
            csv_only_figures=CSV_ONLY_FIGURES,
            max_visible_rows=MAX_VISIBLE_ROWS,
            services=[build_service_id(hook) for hook in OFFERED_HOOKS],
            topics=dict(list_topics(frame.knowledge)),
            periods={days: _find_first_day(days) for days in PERIODS},
            tenants=g.user.tenants,
            query_string=_format_query(query),
            format_value=format_value,
            find_numeric_columns=find_numeric_columns,
        )

    @pages.get("/governance/<figure>.csv")
    def table(figure: str) -> Response:
        if figure not in FIGURE_NAMES:
            raise NotFound
        query = _read_query(frame)
        text = as_csv(drop_log_columns(figure, reports.get_report(query)))
        name = "-".join(filter(None, (figure, query.tenant, query.since, query.until)))
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Response(text, mimetype="text/csv", headers=headers)

    return pages


def _read_query(frame: Frame) -> ReportQuery:
    """What the address asks for, of a tenant that is this user's. Raises BadRequest."""
    parameters = request.args
    service, topic = parameters.get("service") or None, parameters.get("topic") or None
    if service is not None and service not in map(build_service_id, OFFERED_HOOKS):
        raise BadRequest
    if topic is not None and not TOPIC_PATTERN.fullmatch(topic):
        raise BadRequest
    since = _parse_date(parameters.get("from", _find_first_day(DEFAULT_DAYS)))
    return ReportQuery(
        frame.access.get_tenant().id, since, _parse_date(parameters.get("to", "")), service, topic
    )


def _parse_date(text: str) -> str | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRequest from None
    if not MIN_YEAR <= day.year <= MAX_YEAR:
        raise BadRequest
    return day.isoformat()


def _find_first_day(days: int) -> str:
    """The first of so many days, today the last of them."""
    return (datetime.now(UTC).date() - timedelta(days=days - 1)).isoformat()


def _format_query(query: ReportQuery) -> str:
    """The same question as an address has it."""
    parameters = {
        "tenant": query.tenant,
        "from": query.since or "",
        "to": query.until or "",
        "service": query.service or "",
        "topic": query.topic or "",
    }
    return urlencode(parameters)


def drop_log_columns(name: str, report: Report) -> Figure:
    """A figure without what records do not hold."""
    figure = report.figures[name]
    left_out, says = LOG_COLUMNS.get(name, ((), figure.says))
    places = [place for place, column in enumerate(figure.columns) if column not in left_out]
    return Figure(
        figure.title,
        says,
        [figure.columns[place] for place in places],
        [[row[place] for place in places] for row in figure.rows],
    )


def as_csv(figure: Figure) -> str:
    """As `cobalamin report --csv` writes it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(figure.columns)
    writer.writerows(figure.rows)
    return text.getvalue()


def find_period(report: Report) -> tuple[str, str] | None:
    """First and last day with a call; None: there was none."""
    days = [row["day"] for row in report.figures["by_day"].as_dicts()]
    return (min(days), max(days)) if days else None


def build_tiles(report: Report) -> list[tuple[str, str, str]]:
    """The few numbers to begin with: what, how much, and of what."""
    answers = report.figures["answers"].as_dicts()
    times = report.figures["latency"].as_dicts()
    calls = sum(row["calls"] for row in times)
    cards = sum(row["shown"] for row in answers)
    accepted, overridden = (
        sum(row[name] for row in answers) for name in ("accepted", "overridden")
    )
    answered = accepted + overridden
    silent = sum(row["times"] for row in report.figures["silent"].as_dicts())
    of_answers = f"of {answered:,} answers"
    return [
        ("Calls answered", f"{calls:,}", ""),
        ("Cards shown", f"{cards:,}", f"{_format_share(cards, calls)} per 100 calls"),
        ("Answered", _format_percent(answered, cards), f"{answered:,} of {cards:,} cards"),
        ("Accepted", _format_percent(accepted, answered), f"{accepted:,} {of_answers}"),
        ("Overridden", _format_percent(overridden, answered), f"{overridden:,} {of_answers}"),
        ("Not shown: silent", f"{silent:,}", "cards"),
        ("p50", *_describe_latency(times, "p50")),
        ("p95", *_describe_latency(times, "p95")),
    ]


def _describe_latency(times: Sequence[Mapping[str, Any]], mark: str) -> tuple[str, str]:
    if not times:
        return UNKNOWN, ""
    row = max(times, key=lambda row: row[mark])
    return f"{row[mark]:,.1f} ms", f"{row['service'].removeprefix('b12-muscle-')}, the slowest"


def _format_share(part: int, total: int) -> str:
    return f"{100 * part / total:.1f}" if total else UNKNOWN


def _format_percent(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %" if total else UNKNOWN


def format_value(column: str, value: Any) -> str:
    """A value of a table for readers."""
    match value:
        case None:
            return UNKNOWN
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case str() if column in ("first", "last", "hour"):
            return value[:16]
    return str(value)


def find_numeric_columns(figure: Figure) -> list[bool]:
    """Which columns hold numbers."""
    return [
        any(isinstance(value, int | float) for value in values)
        for values in zip(*figure.rows, strict=True)
    ]
