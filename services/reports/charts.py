"""Which figures are drawn, how, and what each drawing shows in words.

Beside each drawing the page has the table it was made from, so a drawing is one image to a screen
reader.
"""

from collections.abc import Callable, Mapping

from services.reports.figures import ComputedFigure
from services.reports.vega import (
    INDICATOR_COLOURS,
    NARROW,
    ChartSpec,
    Drawing,
    Spec,
    build_amount_axis,
    build_bars,
    build_colour_scale,
    build_columns,
    build_day_axis,
    build_time_axis,
    draw_all,
)

MAX_DAYS_BY_HOUR = 3  # a report of so few days is drawn hour by hour
MAX_BARS = 12
HEAT_LIMITS = (5, 10, 25, 50, 100, 250, 500)  # limits of the shades, in milliseconds


def draw_charts(figures: Mapping[str, ComputedFigure]) -> Mapping[str, Drawing]:
    """By the figure that each belongs to; none where there is nothing to draw."""
    return draw_all(CHARTS, figures)


def _draw_latency(figures: Mapping[str, ComputedFigure]) -> ChartSpec:
    by_hour = len(figures["latency_by_day"].rows) <= MAX_DAYS_BY_HOUR
    rows = figures["latency_by_hour" if by_hour else "latency_by_day"].as_dicts()
    if len(rows) < 2:
        return None
    key = "hour" if by_hour else "day"
    marks = ("p50", "p95", "p99")
    data = [
        {"at": f"{row[key].isoformat()}{'Z' if by_hour else ''}", "ms": row[mark], "mark": mark}
        for row in rows
        for mark in marks
    ]
    slowest = max(rows, key=lambda row: row["p95"])

    def build_spec(_width: int) -> Spec:
        return {
            "height": 240,
            "data": {"values": data},
            "mark": {"type": "line", "point": {"size": 40}, "strokeWidth": 2},
            "encoding": {
                "x": build_time_axis(by_hour=by_hour),
                "y": build_amount_axis("ms", "milliseconds"),
                "color": build_colour_scale(
                    "mark", marks, ("var(--calm)", "var(--accent)", "var(--warm)")
                ),
                "strokeDash": {
                    "field": "mark",
                    "sort": list(marks),
                    "scale": {"domain": list(marks), "range": [[1, 0], [1, 0], [4, 3]]},
                },
            },
        }

    return build_spec, (
        f"Lines of p50, p95 and p99 for each {key}. "
        f"p95 is highest on {slowest[key]:%Y-%m-%d}: {slowest['p95']} ms."
    )


def _draw_heat_map(figures: Mapping[str, ComputedFigure]) -> ChartSpec:
    rows = figures["latency_by_hour"].as_dicts()
    if len({row["hour"].date() for row in rows}) < 2:
        return None
    data = [
        {"day": row["hour"].date().isoformat(), "of_day": row["hour"].hour, "ms": row["p95"]}
        for row in rows
    ]
    shades = [f"var(--heat-{step})" for step in range(len(HEAT_LIMITS) + 1)]
    names = [*(f"to {limit}" for limit in HEAT_LIMITS), f"over {HEAT_LIMITS[-1]} ms"]
    for row in data:
        row["shade"] = names[sum(row["ms"] > limit for limit in HEAT_LIMITS)]

    def build_spec(width: int) -> Spec:
        columns = 4 if width <= NARROW else len(names)
        return {
            "height": {"step": 15},
            "autosize": {"type": "fit-x", "contains": "padding"},
            "data": {"values": data},
            "mark": {"type": "rect", "stroke": "var(--paper)", "strokeWidth": 1},
            "encoding": {
                "x": build_day_axis("day"),
                "y": {"field": "of_day", "type": "ordinal", "title": "hour (UTC)"},
                "color": {
                    **build_colour_scale("shade", names, shades),
                    "legend": {"symbolType": "square", "columns": columns, "columnPadding": 14},
                },
            },
        }

    worst = max(rows, key=lambda row: row["p95"])
    return build_spec, (
        "Each hour of each day, shaded by its p95. The darkest hour begins at "
        f"{worst['hour']:%Y-%m-%d %H:%M}: {worst['p95']} ms."
    )


def _draw_traffic(figures: Mapping[str, ComputedFigure]) -> ChartSpec:
    rows = figures["by_day"].as_dicts()
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
    return build_columns(data, "calls", "calls", kinds, colours, "kind"), (
        f"Columns of calls for each day. Most were answered on {busiest['day']}: "
        f"{busiest['answered']}."
    )


def _draw_cards(figures: Mapping[str, ComputedFigure]) -> ChartSpec:
    rows = figures["cards_by_day"].as_dicts()
    if len({row["day"] for row in rows}) < 2:
        return None
    indicators = ("info", "warning", "critical")
    data = [
        {"at": r["day"].isoformat(), "rate": r["per 100 calls"], "indicator": r["indicator"]}
        for r in rows
    ]
    build_spec = build_columns(
        data, "rate", "cards per 100 calls", indicators, INDICATOR_COLOURS, "indicator"
    )
    return build_spec, "Columns of cards per 100 calls for each day, by indicator."


def _draw_answers(figures: Mapping[str, ComputedFigure]) -> ChartSpec:
    rows = figures["answers"].as_dicts()[:MAX_BARS]
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
    return build_bars(data, "topic", order, "cards", outcomes, colours, "outcome"), (
        "Bars of cards shown for each topic, by what became of them. "
        f"The most frequent is {order[0]}."
    )


def _draw_withheld(figures: Mapping[str, ComputedFigure]) -> ChartSpec:
    times: dict[str, int] = {}
    for row in figures["withheld"].as_dicts():
        times[row["reason"]] = times.get(row["reason"], 0) + row["times"]
    return _draw_bars(times, "times", "Bars of how often something was withheld, by reason.")


def _draw_prefetch(figures: Mapping[str, ComputedFigure]) -> ChartSpec:
    rows = figures["prefetch"].as_dicts()[:MAX_BARS]
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
        build_bars(data, "service", order, "percent", ways, colours, "way"),
        "Bars of where the keys of each service came from, in percent.",
    )


def _draw_categories(figures: Mapping[str, ComputedFigure]) -> ChartSpec:
    counts = {
        row["category"]: row["calls"]
        for row in figures["categories"].as_dicts()
        if row["axis"] == "B12"
    }
    return _draw_bars(counts, "calls", "Bars of calls for each category of the B12 axis.")


def _draw_bars(counts: Mapping[str, int], unit: str, says: str) -> ChartSpec:
    """One bar for each name, the longest first."""
    if not counts:
        return None
    order = sorted(counts, key=lambda name: -counts[name])[:MAX_BARS]
    data = [{"name": name, unit: counts[name], "all": unit} for name in order]
    build_spec = build_bars(data, "name", order, unit, (unit,), ("var(--calm)",), None)
    return build_spec, f"{says} The longest is {order[0]}: {counts[order[0]]}."


CHARTS: Mapping[str, Callable[[Mapping[str, ComputedFigure]], ChartSpec]] = {
    "latency_by_day": _draw_latency,
    "latency_by_hour": _draw_heat_map,
    "by_day": _draw_traffic,
    "cards_by_day": _draw_cards,
    "answers": _draw_answers,
    "withheld": _draw_withheld,
    "prefetch": _draw_prefetch,
    "categories": _draw_categories,
}
