"""Figures as drawings: SVG made by Vega-Lite, without a script and without a style of its own.

Colours are the page's variables, so one drawing serves light, dark and paper. Beside each drawing
the page has the table it was made from, so a drawing is one image to a screen reader.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert

from services.report.figures import Computed

WIDE, NARROW = 800, 336  # CSS pixels of a desk and of a telephone, text the same size on both
DAYS_BY_HOUR = 3  # a report of so few days is drawn hour by hour
MOST_BARS = 12
LABEL = 260  # of a bar, at most
WIDEST_LETTER = 7.3  # on average, in the widest of the usual fonts
HEAT = (5, 10, 25, 50, 100, 250, 500)  # limits of the shades, in milliseconds

FONT = "system-ui, sans-serif"
INK, SOFT, LINE = "var(--ink)", "var(--soft-ink)", "var(--rule)"
CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelFont": FONT,
        "titleFont": FONT,
    },
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "labelColor": INK,
        "title": None,
        "orient": "top",
        "labelFontSize": 12,
        "labelFont": FONT,
        "symbolSize": 90,
        "columnPadding": 24,
        "symbolStrokeWidth": 2,
    },
}

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart in both widths, and what it shows in words."""

    wide: str
    narrow: str
    says: str


def drawings(figures: Mapping[str, Computed]) -> Mapping[str, Drawing]:
    """By the figure that each belongs to; none where there is nothing to draw."""
    return {
        name: Drawing(_svg(drawn[0], WIDE), _svg(drawn[0], NARROW), drawn[1])
        for name, draw in CHARTS.items()
        if (drawn := draw(figures)) is not None
    }


def _svg(make: Callable[[int], Spec], width: int) -> str:
    drawn = make(width)
    padded = {"width": width, "autosize": {"type": "fit", "contains": "padding"}}
    svg: str = vl_convert.vegalite_to_svg({**padded, **drawn, "config": CONFIG}, vl_version="6.1")
    return svg.replace(
        f'class="marks" width="{width}"', f'class="marks" aria-hidden="true" width="{width}"'
    )


Drawn = tuple[Callable[[int], Spec], str] | None


def _latency(figures: Mapping[str, Computed]) -> Drawn:
    by_hour = len(figures["latency_by_day"].rows) <= DAYS_BY_HOUR
    rows = figures["latency_by_hour" if by_hour else "latency_by_day"].dicts()
    if len(rows) < 2:
        return None
    key = "hour" if by_hour else "day"
    marks = ("p50", "p95", "p99")
    data = [
        {"at": row[key].isoformat(), "ms": row[mark], "mark": mark}
        for row in rows
        for mark in marks
    ]
    slowest = max(rows, key=lambda row: row["p95"])

    def spec(_width: int) -> Spec:
        return {
            "height": 240,
            "data": {"values": data},
            "mark": {"type": "line", "point": {"size": 40}, "strokeWidth": 2},
            "encoding": {
                "x": _time(by_hour=by_hour),
                "y": _number("ms", "milliseconds"),
                "color": _colours("mark", marks, ("var(--calm)", "var(--accent)", "var(--warm)")),
                "strokeDash": {
                    "field": "mark",
                    "sort": list(marks),
                    "scale": {"domain": list(marks), "range": [[1, 0], [1, 0], [4, 3]]},
                },
            },
        }

    return spec, (
        f"Lines of p50, p95 and p99 for each {key}. "
        f"p95 is highest on {slowest[key]:%Y-%m-%d}: {slowest['p95']} ms."
    )


def _heat(figures: Mapping[str, Computed]) -> Drawn:
    rows = figures["latency_by_hour"].dicts()
    if len({row["hour"].date() for row in rows}) < 2:
        return None
    data = [
        {"day": row["hour"].date().isoformat(), "of_day": row["hour"].hour, "ms": row["p95"]}
        for row in rows
    ]
    shades = [f"var(--heat-{step})" for step in range(len(HEAT) + 1)]
    names = [*(f"to {limit}" for limit in HEAT), f"over {HEAT[-1]} ms"]
    for row in data:
        row["shade"] = names[sum(row["ms"] > limit for limit in HEAT)]

    def spec(width: int) -> Spec:
        columns = 4 if width <= NARROW else len(names)
        return {
            "height": {"step": 15},
            "autosize": {"type": "fit-x", "contains": "padding"},
            "data": {"values": data},
            "mark": {"type": "rect", "stroke": "var(--paper)", "strokeWidth": 1},
            "encoding": {
                "x": {
                    "field": "day",
                    "type": "ordinal",
                    "timeUnit": "yearmonthdate",
                    "title": None,
                    "axis": {"format": "%a %-d %b", "labelAngle": 0, "labelOverlap": True},
                },
                "y": {"field": "of_day", "type": "ordinal", "title": "hour (UTC)"},
                "color": {
                    **_colours("shade", names, shades),
                    "legend": {"symbolType": "square", "columns": columns, "columnPadding": 14},
                },
            },
        }

    worst = max(rows, key=lambda row: row["p95"])
    return spec, (
        "Each hour of each day, shaded by its p95. The darkest hour begins at "
        f"{worst['hour']:%Y-%m-%d %H:%M}: {worst['p95']} ms."
    )


def _traffic(figures: Mapping[str, Computed]) -> Drawn:
    rows = figures["by_day"].dicts()
    if len(rows) < 2:
        return None
    kinds = ("answered", "errors", "refused")
    data = [
        {"at": row["day"].isoformat(), "calls": row[kind], "kind": kind}
        for row in rows
        for kind in kinds
    ]
    busiest = max(rows, key=lambda row: row["answered"])
    colours = ("var(--calm)", "var(--accent)", "var(--warm)")
    return _columns(data, "calls", "calls", kinds, colours, "kind"), (
        f"Columns of calls for each day. Most were answered on {busiest['day']}: "
        f"{busiest['answered']}."
    )


def _cards(figures: Mapping[str, Computed]) -> Drawn:
    rows = figures["cards_by_day"].dicts()
    if len({row["day"] for row in rows}) < 2:
        return None
    indicators = ("info", "warning", "critical")
    data = [
        {"at": r["day"].isoformat(), "rate": r["per 100 calls"], "indicator": r["indicator"]}
        for r in rows
    ]
    colours = ("var(--calm)", "var(--warm)", "var(--accent)")
    spec = _columns(data, "rate", "cards per 100 calls", indicators, colours, "indicator")
    return spec, "Columns of cards per 100 calls for each day, by indicator."


def _answers(figures: Mapping[str, Computed]) -> Drawn:
    rows = figures["answers"].dicts()[:MOST_BARS]
    if not rows:
        return None
    outcomes = ("accepted", "overridden", "unanswered")
    data = [
        {"topic": row["topic"] or "(none)", "cards": row[outcome], "outcome": outcome}
        for row in rows
        for outcome in outcomes
    ]
    colours = ("var(--good)", "var(--accent)", "var(--idle)")
    order = [row["topic"] or "(none)" for row in rows]
    return _bars(data, "topic", order, "cards", outcomes, colours, "outcome"), (
        "Bars of cards shown for each topic, by what became of them. "
        f"The most frequent is {order[0]}."
    )


def _withheld(figures: Mapping[str, Computed]) -> Drawn:
    times: dict[str, int] = {}
    for row in figures["withheld"].dicts():
        times[row["reason"]] = times.get(row["reason"], 0) + row["times"]
    return _plain(times, "times", "Bars of how often something was withheld, by reason.")


def _prefetch(figures: Mapping[str, Computed]) -> Drawn:
    rows = figures["prefetch"].dicts()[:MOST_BARS]
    if not rows:
        return None
    ways = ("supplied", "fetched", "failed")
    data = [
        {"service": row["service"] or "", "percent": row[f"{way} %"], "way": way}
        for row in rows
        for way in ways
    ]
    order = [row["service"] or "" for row in rows]
    colours = ("var(--good)", "var(--calm)", "var(--accent)")
    return (
        _bars(data, "service", order, "percent", ways, colours, "way"),
        "Bars of where the keys of each service came from, in percent.",
    )


def _categories(figures: Mapping[str, Computed]) -> Drawn:
    counts = {
        f"{row['axis']}: {row['category']}": row["calls"]
        for row in figures["categories"].dicts()
        if row["axis"] == "B12"
    }
    short = {name.removeprefix("B12: "): calls for name, calls in counts.items()}
    return _plain(short, "calls", "Bars of calls for each category of the B12 axis.")


def _plain(counts: Mapping[str, int], unit: str, says: str) -> Drawn:
    """One bar for each name, the longest first."""
    if not counts:
        return None
    order = sorted(counts, key=lambda name: -counts[name])[:MOST_BARS]
    data = [{"name": name, unit: counts[name], "all": unit} for name in order]
    spec = _bars(data, "name", order, unit, (unit,), ("var(--calm)",), None)
    return spec, f"{says} The longest is {order[0]}: {counts[order[0]]}."


def _time(*, by_hour: bool) -> Spec:
    ticks = {"interval": "hour", "step": 6} if by_hour else {"interval": "day", "step": 1}
    form = "%a %-d %b %H:%M" if by_hour else "%a %-d %b"
    return {
        "field": "at",
        "type": "temporal",
        "scale": {"type": "time", "padding": 12},
        "title": None,
        "axis": {"format": form, "labelOverlap": True, "tickCount": ticks},
    }


def _number(field: str, title: str) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "axis": {"tickCount": 5}}


def _colours(field: str, domain: Sequence[str], colours: Sequence[str]) -> Spec:
    return {
        "field": field,
        "type": "nominal",
        "sort": list(domain),
        "scale": {"domain": list(domain), "range": list(colours)},
    }


def _columns(
    data: list[Spec],
    field: str,
    title: str,
    parts: Sequence[str],
    colours: Sequence[str],
    part: str,
) -> Callable[[int], Spec]:
    """Stacked columns, one for each day."""

    def spec(_width: int) -> Spec:
        return {
            "height": 200,
            "data": {"values": data},
            "transform": [_place(part, parts)],
            "mark": {"type": "bar", "width": {"band": 0.75}},
            "encoding": {
                "x": {
                    "field": "at",
                    "type": "ordinal",
                    "timeUnit": "yearmonthdate",
                    "title": None,
                    "axis": {"format": "%a %-d %b", "labelAngle": 0, "labelOverlap": True},
                },
                "y": _number(field, title),
                "color": _colours(part, parts, colours),
                "order": {"field": "place", "type": "quantitative"},
            },
        }

    return spec


def _bars(
    data: list[Spec],
    name: str,
    order: Sequence[str],
    field: str,
    parts: Sequence[str],
    colours: Sequence[str],
    part: str | None,
) -> Callable[[int], Spec]:
    """Stacked bars, one for each name. On a narrow page the name stands above its bar."""

    def spec(width: int) -> Spec:
        narrow = width <= NARROW
        axis: Spec = {"title": None, "labelLimit": LABEL, "domain": False, "ticks": False}
        axis |= _above_bars() if narrow else {"minExtent": _extent(order)}
        padding = {"paddingInner": 0.62 if narrow else 0.3, "paddingOuter": 0.5 if narrow else 0.15}
        encoding: Spec = {
            "y": {
                "field": name,
                "type": "ordinal",
                "sort": list(order),
                "axis": axis,
                "scale": padding,
            },
            "x": {**_number(field, field), "axis": {"tickCount": 5, "grid": True}},
            "color": {"value": colours[0]} if part is None else _colours(part, parts, colours),
        }
        if part is not None:
            encoding["order"] = {"field": "place", "type": "quantitative"}
        return {
            "height": {"step": 40 if narrow else 26},
            "autosize": {"type": "fit-x", "contains": "padding"},
            "data": {"values": data},
            "transform": [_place(part, parts)] if part is not None else [],
            "mark": {"type": "bar"},
            "encoding": encoding,
        }

    return spec


def _above_bars() -> Spec:
    """For the names of bars, so that bars have the whole width."""
    return {
        "labelAlign": "left",
        "labelBaseline": "bottom",
        "labelOffset": -10,
        "labelPadding": -2,
        "zindex": 1,
    }


def _extent(names: Sequence[str]) -> int:
    """Room for names in any reader's font: which it will be is not known here."""
    return min(LABEL, round(WIDEST_LETTER * max(map(len, names))))


def _place(part: str, parts: Sequence[str]) -> Spec:
    """The order in which parts are stacked: as the legend names them."""
    said = ", ".join(f"'{one}'" for one in parts)
    return {"calculate": f"indexof([{said}], datum['{part}'])", "as": "place"}


CHARTS: Mapping[str, Callable[[Mapping[str, Computed]], Drawn]] = {
    "latency_by_day": _latency,
    "latency_by_hour": _heat,
    "by_day": _traffic,
    "cards_by_day": _cards,
    "answers": _answers,
    "withheld": _withheld,
    "prefetch": _prefetch,
    "categories": _categories,
}
