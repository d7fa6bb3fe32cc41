"""What is drawn, and what each drawing shows in words; the numbers stand in the table beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.population.report import categories, labels
from services.reports.figures import Computed
from services.reports.vega import (
    NARROW,
    Drawing,
    Drawn,
    Spec,
    amount,
    bars,
    coloured,
    columns,
    drawn,
)

MOST_BARS = 12
Figures = Mapping[str, Computed]
SEXES = ("female", "male")


def drawings(figures: Figures) -> Mapping[str, Drawing]:
    """By the figure that each belongs to; none where there is nothing to draw."""
    present = {name: draw for name, draw in CHARTS.items() if name in figures}
    return drawn(present, figures)


def share_of(row: Mapping[str, Any]) -> Any:
    """The share that the interval belongs to."""
    return row["weighted %"] if "weighted %" in row else row["share %"]


def _numbers(figures: Figures, name: str) -> list[dict[str, Any]]:
    """Rows whose share may be shown."""
    return [row for row in figures[name].dicts() if isinstance(share_of(row), int | float)]


def _with_intervals(
    name: str, column: str, says: str, spoken: Callable[[str], str] = labels.said
) -> Callable[[Figures], Drawn]:
    """A bar for each row, and a line for its interval."""

    def draw(figures: Figures) -> Drawn:
        rows = _numbers(figures, name)[:MOST_BARS]
        if len(rows) < 2:
            return None
        data = [
            {
                "name": spoken(row[column]),
                "percent": share_of(row),
                "low": row["from %"],
                "high": row["to %"],
            }
            for row in rows
        ]
        order = [one["name"] for one in data]
        plain = bars(data, "name", order, "percent", ("percent",), ("var(--calm)",), None)

        def spec(width: int) -> Spec:
            made = plain(width)
            y, x = made["encoding"]["y"], made["encoding"]["x"]
            whisker = {
                "mark": {"type": "rule", "strokeWidth": 1.5, "color": "var(--ink)"},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            }
            bar = {"mark": made.pop("mark"), "encoding": made.pop("encoding")}
            return {**made, "layer": [bar, whisker]}

        most = max(data, key=lambda one: one["percent"])
        return spec, f"{says} The longest is {most['name']}: {most['percent']:.1f} percent."

    return draw


def _by_age(name: str, says: str) -> Callable[[Figures], Drawn]:
    """Points with intervals over the bands of age, the sexes side by side."""

    def draw(figures: Figures) -> Drawn:
        found = [row for row in _numbers(figures, name) if row["finding"] == "found"]
        bands = sorted({row["age_band"] for row in figures[name].dicts()})
        data = [
            {
                "age": labels.ages(row["age_band"]),
                "sex": row["sex"],
                "percent": share_of(row),
                "low": row["from %"],
                "high": row["to %"],
            }
            for row in found
        ]
        if len(data) < 3:
            return None
        order = list(map(labels.ages, bands))
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
        colour = coloured("sex", sexes, ("var(--accent)", "var(--calm)"))

        def spec(width: int) -> Spec:
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
                            "y": amount("low", "percent"),
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
                            "y": amount("percent", "percent"),
                            "shape": {
                                "field": "sex",
                                "sort": sexes,
                                "scale": {"domain": sexes, "range": ["circle", "square"]},
                            },
                        },
                    },
                ],
            }

        most = max(data, key=lambda one: one["percent"])
        return spec, (
            f"{says} Highest in the {most['sex']} of {most['age']}: {most['percent']:.1f} percent."
        )

    return draw


def _cards(figures: Figures) -> Drawn:
    rows = [row for row in figures["cards"].dicts() if isinstance(row["cards"], int)]
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["topic"]] = totals.get(row["topic"], 0) + row["cards"]
    order = sorted(totals, key=lambda topic: (-totals[topic], topic))[:MOST_BARS]
    if not order:
        return None
    kinds = categories.INDICATORS[::-1]
    data = [
        {"topic": labels.topic(row["topic"]), "cards": row["cards"], "indicator": row["indicator"]}
        for row in rows
        if row["topic"] in order
    ]
    names = [labels.topic(topic) for topic in order]
    spec = bars(data, "topic", names, "cards", kinds, COLOURS, "indicator")
    return spec, f"Bars of cards by topic and indicator. The most frequent is {names[0]}."


COLOURS = ("var(--calm)", "var(--warm)", "var(--accent)")  # info, warning, critical


def _by_week(figures: Figures) -> Drawn:
    rows = [
        row
        for row in figures["cards_by_week"].dicts()
        if isinstance(row["per 100 calls"], int | float)
    ]
    if len({row["week"] for row in rows}) < 2:
        return None
    data = [
        {"at": row["week"].isoformat(), "rate": row["per 100 calls"], "indicator": row["indicator"]}
        for row in rows
    ]
    kinds = categories.INDICATORS[::-1]
    spec = columns(data, "rate", "cards per 100 calls", kinds, COLOURS, "indicator")
    return spec, "Columns of cards per 100 calls for each week, by indicator."


def _kept_back(figures: Figures) -> Drawn:
    times: dict[str, int] = {}
    for row in figures["withheld"].dicts():
        if isinstance(row["cards"], int):
            reason = labels.said(row["reason"])
            times[reason] = times.get(reason, 0) + row["cards"]
    return _plain(times, "cards", "Bars of cards that would be withheld, by reason.")


def _plain(counts: Mapping[str, int], unit: str, says: str) -> Drawn:
    if len(counts) < 2:
        return None
    order: Sequence[str] = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_BARS]
    data = [{"name": name, unit: counts[name]} for name in order]
    spec = bars(data, "name", order, unit, (unit,), ("var(--calm)",), None)
    return spec, f"{says} The longest is {order[0]}: {counts[order[0]]}."


CHARTS: Mapping[str, Callable[[Figures], Drawn]] = {
    "b12_category": _with_intervals("b12_category", "category", "Bars of people by B12 category."),
    "muscle_category": _with_intervals(
        "muscle_category", "category", "Bars of people by muscle category."
    ),
    "b12_found_by_age_and_sex": _by_age(
        "b12_found_by_age_and_sex", "Points: percent deficient by age and sex."
    ),
    "muscle_found_by_age_and_sex": _by_age(
        "muscle_found_by_age_and_sex", "Points: percent with probable sarcopenia or worse."
    ),
    "tier": _with_intervals("tier", "tier", "Bars of people by tier."),
    "missing": _with_intervals(
        "missing", "missing", "Bars of people without each result.", labels.lacking
    ),
    "cards": _cards,
    "cards_by_week": _by_week,
    "withheld": _kept_back,
}
