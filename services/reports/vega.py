"""How drawings are made: Vega-Lite into SVG, without a script and without a style of its own.

Colours are the page's variables, so one drawing serves light, dark and paper.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert

from services.reports.figures import ComputedFigure

WIDE, NARROW = 800, 336  # CSS pixels of a desk and of a telephone, text the same size on both
MAX_LABEL_WIDTH = 260  # of a bar, at most
LETTER_WIDTH = 7.3  # on average, in the widest of the usual fonts

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

INDICATOR_COLOURS = ("var(--calm)", "var(--warm)", "var(--accent)")  # info, warning, critical
Spec = dict[str, Any]
ChartSpec = tuple[Callable[[int], Spec], str] | None  # by width, and what it shows in words


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart in both widths, and what it shows in words."""

    wide: str
    narrow: str
    says: str


def draw_all(
    charts: Mapping[str, Callable[[Mapping[str, ComputedFigure]], ChartSpec]],
    figures: Mapping[str, ComputedFigure],
) -> Mapping[str, Drawing]:
    """By the figure that each belongs to; none where there is nothing to draw."""
    return {
        name: Drawing(render_svg(chart[0], WIDE), render_svg(chart[0], NARROW), chart[1])
        for name, draw in charts.items()
        if (chart := draw(figures)) is not None
    }


def render_svg(make: Callable[[int], Spec], width: int) -> str:
    spec = make(width)
    padded = {"width": width, "autosize": {"type": "fit", "contains": "padding"}}
    svg: str = vl_convert.vegalite_to_svg({**padded, **spec, "config": CONFIG}, vl_version="6.1")
    return svg.replace(
        f'class="marks" width="{width}"', f'class="marks" aria-hidden="true" width="{width}"'
    )


def build_time_axis(*, by_hour: bool) -> Spec:
    ticks = {"interval": "hours", "step": 6} if by_hour else {"interval": "day", "step": 1}
    form = "%a %-d %b %H:%M" if by_hour else "%a %-d %b"
    return {
        "field": "at",
        "type": "temporal",
        "scale": {"type": "utc", "padding": 12},
        "title": None,
        "axis": {"format": form, "labelOverlap": True, "tickCount": ticks},
    }


def build_day_axis(field: str) -> Spec:
    """An axis of days in columns. Days are UTC's, wherever the page is made."""
    label = "utcFormat(toDate(datum.value), '%a %-d %b')"
    return {
        "field": field,
        "type": "ordinal",
        "title": None,
        "axis": {"labelExpr": label, "labelAngle": 0, "labelOverlap": True},
    }


def build_amount_axis(field: str, title: str) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "axis": {"tickCount": 5}}


def build_colour_scale(field: str, domain: Sequence[str], colours: Sequence[str]) -> Spec:
    return {
        "field": field,
        "type": "nominal",
        "sort": list(domain),
        "scale": {"domain": list(domain), "range": list(colours)},
    }


def build_columns(
    data: list[Spec],
    field: str,
    title: str,
    parts: Sequence[str],
    colours: Sequence[str],
    part: str,
) -> Callable[[int], Spec]:
    """Stacked columns, one for each day."""

    def build_spec(_width: int) -> Spec:
        return {
            "height": 200,
            "data": {"values": data},
            "transform": [_order_parts(part, parts)],
            "mark": {"type": "bar", "width": {"band": 0.75}},
            "encoding": {
                "x": build_day_axis("at"),
                "y": build_amount_axis(field, title),
                "color": build_colour_scale(part, parts, colours),
                "order": {"field": "place", "type": "quantitative"},
            },
        }

    return build_spec


def build_bars(
    data: list[Spec],
    name: str,
    order: Sequence[str],
    field: str,
    parts: Sequence[str],
    colours: Sequence[str],
    part: str | None,
) -> Callable[[int], Spec]:
    """Stacked bars, one for each name. On a narrow page the name stands above its bar."""

    def build_spec(width: int) -> Spec:
        narrow = width <= NARROW
        axis: Spec = {"title": None, "labelLimit": MAX_LABEL_WIDTH, "domain": False, "ticks": False}
        axis |= _place_labels_above() if narrow else {"minExtent": _measure_labels(order)}
        padding = {"paddingInner": 0.62 if narrow else 0.3, "paddingOuter": 0.5 if narrow else 0.15}
        encoding: Spec = {
            "y": {
                "field": name,
                "type": "ordinal",
                "sort": list(order),
                "axis": axis,
                "scale": padding,
            },
            "x": {**build_amount_axis(field, field), "axis": {"tickCount": 5, "grid": True}},
            "color": {"value": colours[0]}
            if part is None
            else build_colour_scale(part, parts, colours),
        }
        if part is not None:
            encoding["order"] = {"field": "place", "type": "quantitative"}
        return {
            "height": {"step": 40 if narrow else 26},
            "autosize": {"type": "fit-x", "contains": "padding"},
            "data": {"values": data},
            "transform": [_order_parts(part, parts)] if part is not None else [],
            "mark": {"type": "bar"},
            "encoding": encoding,
        }

    return build_spec


def _place_labels_above() -> Spec:
    """For the names of bars, so that bars have the whole width."""
    return {
        "labelAlign": "left",
        "labelBaseline": "bottom",
        "labelOffset": -10,
        "labelPadding": -2,
        "zindex": 1,
    }


def _measure_labels(names: Sequence[str]) -> int:
    """Room for names in any reader's font: which it will be is not known here."""
    return min(MAX_LABEL_WIDTH, round(LETTER_WIDTH * max(map(len, names))))


def _order_parts(part: str, parts: Sequence[str]) -> Spec:
    """The order in which parts are stacked: as the legend names them."""
    names = ", ".join(f"'{name}'" for name in parts)
    return {"calculate": f"indexof([{names}], datum['{part}'])", "as": "place"}
