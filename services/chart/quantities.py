"""Convert quantities to the unit that limits are printed in, or say why it cannot be done."""

from collections.abc import Mapping
from typing import NamedTuple

from mappings.terminology.units import NAMES, UNITS, convert_unit, find_factor, normalise
from mappings.terminology.value_set import Match, ValueSet
from services.chart.fhir_values import Resource, as_list, read_number
from services.chart.model import UnusableReason

NO_BOUNDS = (float("-inf"), float("inf"))
COMPARATORS = ("<", "<=", ">", ">=")


class Scale(NamedTuple):
    """How a unit is read for one value set: a value times `multiply` by `divide` is in `unit`."""

    unit: str
    multiply: int
    divide: int
    low: float  # what is below or above is not possible
    high: float


def build_scales(
    sets: Mapping[str, ValueSet], plausible: Mapping[tuple[str, str], tuple[float, float]]
) -> Mapping[tuple[str, str], Scale]:
    """By value set and UCUM unit: the first of the set's units that it can be rescaled to."""
    scales: dict[tuple[str, str], Scale] = {}
    for name, value_set in sets.items():
        stands_for = value_set.read_as
        for target in value_set.units:
            bounds = plausible.get((name, target), NO_BOUNDS)
            for unit in UNITS:
                into = find_factor(stands_for.get(unit, unit), stands_for.get(target, target))
                if into is not None and (name, unit) not in scales:
                    scales[name, unit] = Scale(target, *into, *bounds)
    return scales


def read_quantity(
    value: object, match: Match, scaled_by: Mapping[tuple[str, str], Scale]
) -> tuple[float, str, str | None, str] | UnusableReason:
    """(value, canonical unit, comparator, as reported), or the reason why there is none."""
    value_set = match.value_set
    if isinstance(value, int) and not isinstance(value, bool) and value_set.integer:
        value = {"value": value, "unit": value_set.units[0]}  # a FHIR integer has no unit
    amount = read_number(value.get("value")) if isinstance(value, dict) else None
    if amount is None or not isinstance(value, dict):
        return UnusableReason.NO_VALUE
    written_as = value.get("code")
    unit = NAMES.get(written_as) if isinstance(written_as, str) else None
    if unit is None:
        unit, written_as = _read_unit(value)
    if unit is None:
        return UnusableReason.UNKNOWN_UNIT if written_as else UnusableReason.NO_UNIT
    if match.row.only_units and unit not in match.row.only_units:
        return UnusableReason.WRONG_SPECIMEN
    comparator = value.get("comparator")
    if comparator is not None and comparator not in COMPARATORS:
        return UnusableReason.NO_VALUE
    scale = scaled_by.get((value_set.name, unit))
    if scale is None:
        return UnusableReason.UNKNOWN_UNIT
    target, multiply, divide, low, high = scale
    scaled = amount * multiply if divide == 1 else amount * multiply / divide
    too_low = scaled < low and comparator not in ("<", "<=")
    too_high = scaled > high and comparator not in (">", ">=")
    in_parts = value_set.integer and scaled != int(scaled)
    if too_low or too_high or scaled < 0 or in_parts:
        return UnusableReason.IMPOSSIBLE_VALUE
    return scaled, target, comparator, f"{comparator or ''}{amount:g} {written_as}"


def _read_unit(value: Resource) -> tuple[str | None, str]:
    """The unit and how it is spelled, its code before its name; (None, spelling) if unknown."""
    written = ""
    for key in ("code", "unit"):
        text = value.get(key)
        if isinstance(text, str) and text.strip():
            written = text.strip()
            unit = normalise(text)
            if unit is not None:
                return unit, written
    return None, written


def read_reference_range(resource: Resource, unit: str) -> tuple[float | None, float | None]:
    """The laboratory's low and high limit in `unit`.

    None, None where there is none, where it has no unit, or where several ranges leave open which
    one is this patient's.
    """
    if "referenceRange" not in resource:
        return None, None
    plain = [
        r
        for r in as_list(resource["referenceRange"])
        if isinstance(r, dict) and "appliesTo" not in r and "age" not in r
    ]
    if len(plain) != 1:
        return None, None
    return _convert_quantity(plain[0].get("low"), unit), _convert_quantity(
        plain[0].get("high"), unit
    )


def _convert_quantity(quantity: object, target: str) -> float | None:
    if not isinstance(quantity, dict):
        return None
    value, written = read_number(quantity.get("value")), quantity.get("code")
    if not isinstance(written, str):
        written = quantity.get("unit")
    unit = normalise(written) if isinstance(written, str) else None
    return None if unit is None or value is None else convert_unit(value, unit, target)
