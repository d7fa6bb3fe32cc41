"""What a chart shows, as static/plots.js draws it with Chart.js: numbers and words, no looks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Tone = Literal["good", "watch", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class Axis:
    """`type` "time" takes days as YYYY-MM-DD; "category" takes names, in the order of `names`."""

    title: str
    type: Literal["linear", "time", "category"] = "linear"
    least: float | str | None = None
    most: float | str | None = None
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """Points (x, y). A third member, where there is one, is said of the point beside its value.

    A bar whose y is (from, to) spans between the two.
    """

    name: str
    points: Sequence[tuple[Any, ...]]
    kind: Literal["line", "points", "steps", "bar"] = "line"
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Band:
    """From one value of an axis to another, in words; None: to its end.

    Bands of the axis x may lie `above` the chart, each in a lane of its own.
    """

    says: str
    begins: float | str | None
    ends: float | str | None
    tone: Tone = "plain"
    axis: Literal["x", "y"] = "y"
    place: Literal["across", "above"] = "across"


@dataclass(frozen=True, slots=True)
class Plot:
    """`says` is what a person who cannot see the chart is told in its place.

    Bars alone lie where `y` is of categories: names have room then.
    """

    says: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    bands: Sequence[Band] = ()
    height: int = 240  # pixels
    stacked: bool = False  # bars on one another

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
