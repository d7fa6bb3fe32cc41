"""A report as one HTML page that opens without a network and without a script."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from services.reports.charts import draw_charts
from services.reports.figures import ComputedFigure
from services.reports.highlight import Highlight
from services.reports.highlight_rules import RULES
from services.reports.log_reader import ReportWindow
from services.reports.output import format_value, is_numeric
from services.reports.text_format import format_number


@dataclass(frozen=True, slots=True)
class DisplayTable:
    """A table as a reader sees it; `total` rows stand in its CSV."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int


def render_template(template: str, shows: Mapping[str, Any], style: str = "") -> str:
    """The page that `template` makes of what it `shows`; `style` goes behind that of all pages."""
    styled = (files("services.reports") / "templates" / "report.css").read_text(
        encoding="utf-8"
    ) + style
    digest = base64.b64encode(hashlib.sha256(styled.encode()).digest()).decode()
    templates = Environment(
        loader=PackageLoader("services.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters["svg"] = Markup
    return templates.get_template(template).render(
        style=Markup(styled),  # noqa: S704  # our own files
        policy=f"default-src 'none'; style-src 'sha256-{digest}'",
        **shows,
    )


MAX_ROWS = 200  # of one table; what is more stands in the CSV
MAX_OPEN_ROWS = 12  # rows of a table; one that is longer opens when asked
# The sections of the page, and the figures of each.
SECTIONS: Mapping[str, Sequence[str]] = {
    "Calls": ("by_day", "calls"),
    "Time": ("latency_by_day", "latency_by_hour", "latency"),
    "Data": ("prefetch", "fetches"),
    "Interruptions": ("cards_by_day", "interruptions", "cards", "withheld", "silent"),
    "Answers": ("answers", "override_reasons", "answers_by_service"),
    "Errors and refusals": ("errors", "auth_refusals"),
    "Assessments": ("categories",),
    "Versions": ("knowledge", "versions"),
    "What was read": ("lines",),
}


def render_page(
    figures: Mapping[str, ComputedFigure],
    highlights: Sequence[Highlight],
    window: ReportWindow,
    source: str,
) -> str:
    """The page. `source` says in words what was read."""
    return render_template(
        "report.html",
        {
            "sections": SECTIONS,
            "figures": figures,
            "drawings": draw_charts(figures),
            "findings": highlights,
            "rules": RULES,
            "tiles": _build_tiles(figures),
            "period": _format_period(figures),
            "window": window,
            "source": source,
            "laid": {name: _build_display(computed) for name, computed in figures.items()},
            "at_sight": MAX_OPEN_ROWS,
        },
    )


def _build_display(computed: ComputedFigure) -> DisplayTable:
    return DisplayTable(
        computed.figure.title,
        computed.columns,
        tuple(is_numeric(computed, place) for place in range(len(computed.columns))),
        tuple(tuple(map(format_value, row)) for row in computed.rows[:MAX_ROWS]),
        len(computed.rows),
    )


def _format_period(figures: Mapping[str, ComputedFigure]) -> str:
    days = [day["day"] for day in figures["by_day"].as_dicts()]
    if not days:
        return "no day with a call"
    first, last = min(days), max(days)
    if first == last:
        return f"{first:%A} {first.day} {first:%B %Y}"
    start = f"{first.day} {first:%B}" if first.year == last.year else f"{first.day} {first:%B %Y}"
    return f"{start} to {last.day} {last:%B %Y}"


def _build_tiles(figures: Mapping[str, ComputedFigure]) -> list[tuple[str, str]]:
    """The few numbers to begin with."""
    days = figures["by_day"].as_dicts()
    calls = sum(day["answered"] for day in days)
    answers = figures["answers"].as_dicts()
    shown_cards = sum(row["shown"] for row in answers)
    overridden = sum(row["overridden"] for row in answers)
    answered = overridden + sum(row["accepted"] for row in answers)
    errors, refused = (sum(day[kind] for day in days) for kind in ("errors", "refused"))
    tiles = [("calls answered", format_number(calls)), ("cards shown", format_number(shown_cards))]
    if calls:
        tiles.append(("cards per 100 calls", f"{100 * shown_cards / calls:.1f}"))
    tiles += [("answers", format_number(answered))]
    if answered:
        tiles.append(("of answers overridden", f"{100 * overridden / answered:.0f} %"))
    return [*tiles, ("errors", format_number(errors)), ("callers refused", format_number(refused))]
