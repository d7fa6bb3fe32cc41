"""What is drawn, and what each drawing shows in words; the numbers stand in the table beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.population.report import categories, labels
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
    draw_all,
)

MAX_BARS = 12
Figures = Mapping[str, ComputedFigure]
SEXES = ("female", "male")


def draw_charts(figures: Figures) -> Mapping[str, Drawing]:
    """By the figure that each belongs to; none where there is nothing to draw."""
    present = {name: draw for name, draw in CHARTS.items() if name in figures}
    return draw_all(present, figures)


def get_share(row: Mapping[str, Any]) -> Any:
    """The share that the interval belongs to."""
    return row["weighted %"] if "weighted %" in row else row["share %"]


def _list_shown_rows(figures: Figures, name: str) -> list[dict[str, Any]]:
    """Rows whose share may be shown."""
    return [row for row in figures[name].as_dicts() if isinstance(get_share(row), int | float)]


def _make_interval_bars(
    name: str, column: str, says: str, format_name: Callable[[str], str] = labels.get_label
) -> Callable[[Figures], ChartSpec]:
    """A bar for each row, and a line for its interval."""

    def draw(figures: Figures) -> ChartSpec:
        rows = _list_shown_rows(figures, name)[:MAX_BARS]
        if len(rows) < 2:
            return None
        data = [
            {
                "name": format_name(row[column]),
                "percent": get_share(row),
                "low": row["from %"],
                "high": row["to %"],
            }
            for row in rows
        ]
        order = [point["name"] for point in data]
        build_plain = build_bars(
            data, "name", order, "percent", ("percent",), ("var(--calm)",), None
        )

        def build_spec(width: int) -> Spec:
            chart = build_plain(width)
            y, x = chart["encoding"]["y"], chart["encoding"]["x"]
            whisker = {
                "mark": {"type": "rule", "strokeWidth": 1.5, "color": "var(--ink)"},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            }
            bar = {"mark": chart.pop("mark"), "encoding": chart.pop("encoding")}
            return {**chart, "layer": [bar, whisker]}

        highest = max(data, key=lambda point: point["percent"])
        return (
            build_spec,
            f"{says} The longest is {highest['name']}: {highest['percent']:.1f} percent.",
        )

    return draw


def _make_age_points(name: str, says: str) -> Callable[[Figures], ChartSpec]:
    """Points with intervals over the bands of age, the sexes side by side."""

    def draw(figures: Figures) -> ChartSpec:
        rows = [row for row in _list_shown_rows(figures, name) if row["finding"] == "found"]
        bands = sorted({row["age_band"] for row in figures[name].as_dicts()})
        data = [
            {
                "age": labels.shorten_age_band(row["age_band"]),
                "sex": row["sex"],
                "percent": get_share(row),
                "low": row["from %"],
                "high": row["to %"],
            }
            for row in rows
        ]
        if len(data) < 3:
            return None
        order = list(map(labels.shorten_age_band, bands))
        sexes = list(SEXES)
        x: Spec = {
            "field": "age",
            "type": "ordinal",
            "sort": order,
            "title": "age",
            "scale": {"domain": order},
            "axis": {"labelAngle": 0, "labelOverlap": True},
        }
        offset = {"field": "sex", "type": "nominal", "sort": sexes}
        colour = build_colour_scale("sex", sexes, ("var(--accent)", "var(--calm)"))

        def build_spec(width: int) -> Spec:
            narrow = width <= NARROW
            shared: Spec = {"x": x, "xOffset": offset, "color": colour}
            return {
                "height": 240,
                "data": {"values": data},
                "layer": [
                    {
                        "mark": {"type": "rule", "strokeWidth": 1.5},
                        "encoding": {
                            **shared,
                            "y": build_amount_axis("low", "percent"),
                            "y2": {"field": "high"},
                        },
                    },
                    {
                        "mark": {
                            "type": "point",
                            "filled": True,
                            "size": 36 if narrow else 64,
                            "opacity": 1,
                        },
                        "encoding": {
                            **shared,
                            "y": build_amount_axis("percent", "percent"),
                            "shape": {
                                "field": "sex",
                                "sort": sexes,
                                "scale": {"domain": sexes, "range": ["circle", "square"]},
                            },
                        },
                    },
                ],
            }

        highest = max(data, key=lambda point: point["percent"])
        return build_spec, (
            f"{says} Highest in the {highest['sex']} of {highest['age']}: {highest['percent']:.1f} percent."
        )

    return draw


def _draw_cards(figures: Figures) -> ChartSpec:
    rows = [row for row in figures["cards"].as_dicts() if isinstance(row["cards"], int)]
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["topic"]] = totals.get(row["topic"], 0) + row["cards"]
    order = sorted(totals, key=lambda topic: (-totals[topic], topic))[:MAX_BARS]
    if not order:
        return None
    kinds = categories.INDICATORS[::-1]
    data = [
        {
            "topic": labels.get_topic_label(row["topic"]),
            "cards": row["cards"],
            "indicator": row["indicator"],
        }
        for row in rows
        if row["topic"] in order
    ]
    names = [labels.get_topic_label(topic) for topic in order]
    spec = build_bars(data, "topic", names, "cards", kinds, INDICATOR_COLOURS, "indicator")
    return spec, f"Bars of cards by topic and indicator. The most frequent is {names[0]}."


def _draw_weeks(figures: Figures) -> ChartSpec:
    rows = [
        row
        for row in figures["cards_by_week"].as_dicts()
        if isinstance(row["per 100 calls"], int | float)
    ]
    if len({row["week"] for row in rows}) < 2:
        return None
    data = [
        {"at": row["week"].isoformat(), "rate": row["per 100 calls"], "indicator": row["indicator"]}
        for row in rows
    ]
    kinds = categories.INDICATORS[::-1]
    spec = build_columns(data, "rate", "cards per 100 calls", kinds, INDICATOR_COLOURS, "indicator")
    return spec, "Columns of cards per 100 calls for each week, by indicator."


def _draw_withheld(figures: Figures) -> ChartSpec:
    times: dict[str, int] = {}
    for row in figures["withheld"].as_dicts():
        if isinstance(row["cards"], int):
            reason = labels.get_label(row["reason"])
            times[reason] = times.get(reason, 0) + row["cards"]
    return _draw_bars(times, "cards", "Bars of cards that would be withheld, by reason.")


def _draw_bars(counts: Mapping[str, int], unit: str, says: str) -> ChartSpec:
    if len(counts) < 2:
        return None
    order: Sequence[str] = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_BARS]
    data = [{"name": name, unit: counts[name]} for name in order]
    spec = build_bars(data, "name", order, unit, (unit,), ("var(--calm)",), None)
    return spec, f"{says} The longest is {order[0]}: {counts[order[0]]}."


CHARTS: Mapping[str, Callable[[Figures], ChartSpec]] = {
    "b12_category": _make_interval_bars(
        "b12_category", "category", "Bars of people by B12 category."
    ),
    "muscle_category": _make_interval_bars(
        "muscle_category", "category", "Bars of people by muscle category."
    ),
    "b12_found_by_age_and_sex": _make_age_points(
        "b12_found_by_age_and_sex", "Points: percent deficient by age and sex."
    ),
    "muscle_found_by_age_and_sex": _make_age_points(
        "muscle_found_by_age_and_sex", "Points: percent with probable sarcopenia or worse."
    ),
    "tier": _make_interval_bars("tier", "tier", "Bars of people by tier."),
    "missing": _make_interval_bars(
        "missing", "missing", "Bars of people without each result.", labels.get_data_label
    ),
    "cards": _draw_cards,
    "cards_by_week": _draw_weeks,
    "withheld": _draw_withheld,
}
