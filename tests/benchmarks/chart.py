"""CPU for a call and calls a second, drawn for each size of call."""

from typing import Any

import vl_convert

ORDER = (
    "plain server",
    "bare Flask",
    "ours, RS384",
    "ours, ES384",
    "HealthChain x1",
    "HealthChain x2",
)
COLOURS = ("#c3c8d0", "#8d95a3", "#4c9a8b", "#1f6f63", "#e0a458", "#b8742a")
FIGURES = {"cpu_ms": "CPU for a call, ms", "calls_per_second": "calls a second"}
CONCURRENCY = 8


def drawn(rows: list[dict[str, Any]]) -> str:
    """An SVG of the rows of concurrency 8, or of the first that there is."""
    there = {row["concurrency"] for row in rows}
    at_once = CONCURRENCY if CONCURRENCY in there else min(there)
    values = [
        {**row, "cpu_ms": row["cpu_us"] / 1000, "size": f"{row['bytes'] / 1000:.0f} KB"}
        for row in rows
        if row["concurrency"] == at_once
    ]
    names = [name for name in ORDER if any(row["server"] == name for row in values)]
    sizes = list(dict.fromkeys(row["size"] for row in values))
    svg: str = vl_convert.vegalite_to_svg(
        {
            "title": f"{at_once} calls at once",
            "data": {"values": values},
            "vconcat": [_bars(field, title, names, sizes) for field, title in FIGURES.items()],
            "background": "white",
            "config": {"font": "system-ui, sans-serif", "view": {"stroke": None}},
        },
        vl_version="6.1",
    )
    return svg


def _bars(field: str, title: str, names: list[str], sizes: list[str]) -> dict[str, Any]:
    server = {"field": "server", "type": "nominal", "sort": names, "title": None}
    colour = {"domain": [*ORDER], "range": [*COLOURS]}
    return {
        "facet": {"column": {"field": "size", "type": "ordinal", "sort": sizes, "title": None}},
        "resolve": {"scale": {"x": "independent"}},
        "spec": {
            "width": 190,
            "height": {"step": 20},
            "mark": "bar",
            "encoding": {
                "y": server,
                "x": {"field": field, "type": "quantitative", "title": title},
                "color": {**server, "scale": colour, "legend": None},
            },
        },
    }
