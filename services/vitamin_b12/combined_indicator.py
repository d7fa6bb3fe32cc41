"""The combined indicator of B12 status, cB12, for display only: it never moves a category.

Fedosov 2015: cB12 = log10[(holoTC x B12) / (MMA x Hcy)] minus an age factor. The form and the
classes were read in publications; the constants of the age factor could only be checked by
calculation (medians of a Swiss cohort of seniors come out at 0 at 65, 75 and 85 years), and the
simplified versions for two or three markers are not implemented. All of it is data.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from services.chart.model import Chart, calculate_age
from services.vitamin_b12.knowledge import B12Knowledge
from services.vitamin_b12.results import get_fresh

MARKERS = ("active_b12", "total_b12", "methylmalonic_acid", "homocysteine")


class CombinedIndicator(NamedTuple):
    """Either a value with its class, or the reason why there is none."""

    value: float | None = None
    class_name: str | None = None
    refusal: str | None = None
    flags: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        if self.refusal is not None:
            return {"refused": self.refusal}
        flags = {"flags": list(self.flags)} if self.flags else {}
        return {"value": self.value, "class": self.class_name, **flags}


def calculate_combined_indicator(
    chart: Chart, knowledge: B12Knowledge, cautions: Callable[[], tuple[str, ...]]
) -> CombinedIndicator | None:
    """cB12 of recent results; None where no marker was measured.

    `cautions` says what the value must be read with: low folate, impaired kidneys, treatment.
    Total B12 in ng/L is turned into pmol/L by the molar mass, since the formula is in moles.
    """
    if chart.measurements.keys().isdisjoint(MARKERS):
        return None
    results = {name: get_fresh(chart, name, knowledge) for name in MARKERS}
    if not any(results.values()):
        return None
    constants = knowledge.indicator
    missing = [name for name, result in results.items() if result is None]
    if missing:
        return CombinedIndicator(refusal="not measured: " + ", ".join(missing))
    if any(r is not None and r.comparator for r in results.values()):
        return CombinedIndicator(refusal="a result is a bound, not a value")
    if chart.born is None or chart.born[0].year != chart.born[1].year:
        return CombinedIndicator(refusal="age unknown")
    values = {name: r.value for name, r in results.items() if r is not None}
    units = {name: r.unit for name, r in results.items() if r is not None}
    if units["total_b12"] == "ng/L":
        values["total_b12"] *= 1000 / constants["b12_molar_mass"]
    if units["homocysteine"] != "umol/L" or min(values.values()) <= 0:
        return CombinedIndicator(refusal="a result cannot be used in the formula")
    age = calculate_age(chart.born[1], chart.today)
    raw = math.log10(
        values["active_b12"]
        * values["total_b12"]
        / (values["methylmalonic_acid"] * values["homocysteine"])
    )
    factor = constants["age_factor"] / (
        1 + (age / constants["age_scale"]) ** constants["age_exponent"]
    )
    value = raw - factor
    return CombinedIndicator(
        round(value, 2), _find_class(value, constants["classes"]), flags=cautions()
    )


def _find_class(value: float, classes: list[Mapping[str, Any]]) -> str:
    for row in classes:
        if "below" in row and value < row["below"]:
            return str(row["means"])
    return str(classes[-1]["means"])
