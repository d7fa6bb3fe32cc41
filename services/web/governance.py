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

from cds_hooks.web.openapi import READING, refusals
from services.exports.build_sheet import topics
from services.hooks.offered_hooks import OFFERED_HOOKS, service_id
from services.web.frame import Frame
from services.web.governance_charts import plots
from services.web.report_process import Asked, Figure, Report, Reports

AREA = "governance"
PERIODS = (7, 30, 90)  # days that are offered
DEFAULT_DAYS = 30
EARLIEST, LATEST = 1970, 2999  # years of a day that is asked for
UNKNOWN = "unknown"
AT_SIGHT = 12  # rows of a table; one that is longer opens when asked
TOPIC = re.compile(r"[A-Za-z0-9]{1,128}")
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
FIGURES = tuple(name for names in SECTIONS.values() for name in names)
IN_CSV_ALONE = ("latency_by_hour",)
AT_HAND = ("answers", "silent")  # tables that stay open beside their chart
# Columns that only logs can fill, and what the table says without them: a 0 would be read as none.
OF_LOGS = {
    "by_day": (("errors", "refused"), "Calls answered."),
    "versions": (("starts", "stops"), "Calls that each version answered."),
}


def governance_paths() -> dict[str, Any]:
    """What the OpenAPI document says of these pages."""
    refused = refusals(READING)
    refused["504"] = {**refused["503"], "description": "So many records take too long."}
    figure = {"name": "figure", "in": "path", "required": True, "schema": {"enum": FIGURES}}
    return {
        "/governance": {
            "get": {
                "operationId": "governance",
                "responses": {"200": _text("The figures of a tenant.", "text/html"), **refused},
            }
        },
        "/governance/{figure}.csv": {
            "get": {
                "operationId": "governance-table",
                "parameters": [figure],
                "responses": {"200": _text("One table of them.", "text/csv"), **refused},
            }
        },
    }


def _text(says: str, kind: str) -> dict[str, Any]:
    return {"description": says, "content": {kind: {"schema": {"type": "string"}}}}


def governance_pages(frame: Frame, reports: Reports) -> Blueprint:
    pages = frame.blueprint(AREA)

    @pages.get("/governance")
    def governance() -> Response:
        asked = _asked(frame)
        report = reports.of(asked)
        return frame.page(
            "pages/governance.html",
            asked=asked,
            figures={name: of_records(name, report) for name in FIGURES},
            findings=report.findings,
            tiles=tiles(report),
            period=period(report),
            plots=plots(report.figures),
            at_hand=AT_HAND,
            sections=SECTIONS,
            in_csv_alone=IN_CSV_ALONE,
            at_sight=AT_SIGHT,
            services=[service_id(hook) for hook in OFFERED_HOOKS],
            topics=dict(topics(frame.here)),
            periods={days: _day(days) for days in PERIODS},
            tenants=g.user.tenants,
            query=_query(asked),
            written=written,
            numeric=numeric,
        )

    @pages.get("/governance/<figure>.csv")
    def table(figure: str) -> Response:
        if figure not in FIGURES:
            raise NotFound
        asked = _asked(frame)
        text = as_csv(of_records(figure, reports.of(asked)))
        name = "-".join(filter(None, (figure, asked.tenant, asked.since, asked.until)))
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Response(text, mimetype="text/csv", headers=headers)

    return pages


def _asked(frame: Frame) -> Asked:
    """What the address asks for, of a tenant that is this user's. Raises BadRequest."""
    given = request.args
    service, topic = given.get("service") or None, given.get("topic") or None
    if service is not None and service not in map(service_id, OFFERED_HOOKS):
        raise BadRequest
    if topic is not None and not TOPIC.fullmatch(topic):
        raise BadRequest
    since = _date(given.get("from", _day(DEFAULT_DAYS)))
    return Asked(frame.access.tenant().id, since, _date(given.get("to", "")), service, topic)


def _date(text: str) -> str | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRequest from None
    if not EARLIEST <= day.year <= LATEST:
        raise BadRequest
    return day.isoformat()


def _day(days: int) -> str:
    """The first of so many days, today the last of them."""
    return (datetime.now(UTC).date() - timedelta(days=days - 1)).isoformat()


def _query(asked: Asked) -> str:
    """The same question as an address has it."""
    chosen = {
        "tenant": asked.tenant,
        "from": asked.since or "",
        "to": asked.until or "",
        "service": asked.service or "",
        "topic": asked.topic or "",
    }
    return urlencode(chosen)


def of_records(name: str, report: Report) -> Figure:
    """A figure without what records do not hold."""
    figure = report.figures[name]
    left_out, says = OF_LOGS.get(name, ((), figure.says))
    kept = [place for place, column in enumerate(figure.columns) if column not in left_out]
    return Figure(
        figure.title,
        says,
        [figure.columns[place] for place in kept],
        [[row[place] for place in kept] for row in figure.rows],
    )


def as_csv(figure: Figure) -> str:
    """As `cobalamin report --csv` writes it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(figure.columns)
    writer.writerows(figure.rows)
    return text.getvalue()


def period(report: Report) -> tuple[str, str] | None:
    """First and last day with a call; None: there was none."""
    days = [row["day"] for row in report.figures["by_day"].dicts()]
    return (min(days), max(days)) if days else None


def tiles(report: Report) -> list[tuple[str, str, str]]:
    """The few numbers to begin with: what, how much, and of what."""
    answers = report.figures["answers"].dicts()
    times = report.figures["latency"].dicts()
    calls = sum(row["calls"] for row in times)
    cards = sum(row["shown"] for row in answers)
    accepted, overridden = (
        sum(row[name] for row in answers) for name in ("accepted", "overridden")
    )
    answered = accepted + overridden
    silent = sum(row["times"] for row in report.figures["silent"].dicts())
    of_answers = f"of {answered:,} answers"
    return [
        ("Calls answered", f"{calls:,}", ""),
        ("Cards shown", f"{cards:,}", f"{_share(cards, calls)} per 100 calls"),
        ("Answered", _percent(answered, cards), f"{answered:,} of {cards:,} cards"),
        ("Accepted", _percent(accepted, answered), f"{accepted:,} {of_answers}"),
        ("Overridden", _percent(overridden, answered), f"{overridden:,} {of_answers}"),
        ("Not shown: silent", f"{silent:,}", "cards"),
        ("p50", *_slowest(times, "p50")),
        ("p95", *_slowest(times, "p95")),
    ]


def _slowest(times: Sequence[Mapping[str, Any]], mark: str) -> tuple[str, str]:
    if not times:
        return UNKNOWN, ""
    row = max(times, key=lambda row: row[mark])
    return f"{row[mark]:,.1f} ms", f"{row['service'].removeprefix('b12-muscle-')}, the slowest"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else UNKNOWN


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else UNKNOWN


def written(column: str, value: Any) -> str:
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


def numeric(figure: Figure) -> list[bool]:
    """Which columns hold numbers."""
    return [
        any(isinstance(value, int | float) for value in values)
        for values in zip(*figure.rows, strict=True)
    ]
