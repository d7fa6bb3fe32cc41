"""A report as one HTML page that opens without a network and without a script."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from services.reports.charts import drawings
from services.reports.figures import Computed
from services.reports.highlight import Finding, number
from services.reports.highlights import RULES
from services.reports.log_reader import Window
from services.reports.output import is_numeric, shown


@dataclass(frozen=True, slots=True)
class Laid:
    """A table as a reader sees it; `total` rows stand in its CSV."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int


def rendered(template: str, shows: Mapping[str, Any], style: str = "") -> str:
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


MOST_ROWS = 200  # of one table; what is more stands in the CSV
AT_SIGHT = 12  # rows of a table; one that is longer opens when asked
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


def page(
    figures: Mapping[str, Computed], found: Sequence[Finding], window: Window, source: str
) -> str:
    """The page. `source` says in words what was read."""
    return rendered(
        "report.html",
        {
            "sections": SECTIONS,
            "figures": figures,
            "drawings": drawings(figures),
            "findings": found,
            "rules": RULES,
            "tiles": _tiles(figures),
            "period": _period(figures),
            "window": window,
            "source": source,
            "laid": {name: _laid_out(computed) for name, computed in figures.items()},
            "at_sight": AT_SIGHT,
        },
    )


def _laid_out(computed: Computed) -> Laid:
    return Laid(
        computed.figure.title,
        computed.columns,
        tuple(is_numeric(computed, place) for place in range(len(computed.columns))),
        tuple(tuple(map(shown, row)) for row in computed.rows[:MOST_ROWS]),
        len(computed.rows),
    )


def _period(figures: Mapping[str, Computed]) -> str:
    days = [day["day"] for day in figures["by_day"].dicts()]
    if not days:
        return "no day with a call"
    first, last = min(days), max(days)
    if first == last:
        return f"{first:%A} {first.day} {first:%B %Y}"
    start = f"{first.day} {first:%B}" if first.year == last.year else f"{first.day} {first:%B %Y}"
    return f"{start} to {last.day} {last:%B %Y}"


def _tiles(figures: Mapping[str, Computed]) -> list[tuple[str, str]]:
    """The few numbers to begin with."""
    days = figures["by_day"].dicts()
    calls = sum(day["answered"] for day in days)
    answers = figures["answers"].dicts()
    shown_cards = sum(one["shown"] for one in answers)
    overridden = sum(one["overridden"] for one in answers)
    answered = overridden + sum(one["accepted"] for one in answers)
    errors, refused = (sum(day[kind] for day in days) for kind in ("errors", "refused"))
    tiles = [("calls answered", number(calls)), ("cards shown", number(shown_cards))]
    if calls:
        tiles.append(("cards per 100 calls", f"{100 * shown_cards / calls:.1f}"))
    tiles += [("answers", number(answered))]
    if answered:
        tiles.append(("of answers overridden", f"{100 * overridden / answered:.0f} %"))
    return [*tiles, ("errors", number(errors)), ("callers refused", number(refused))]
