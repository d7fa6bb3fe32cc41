"""Units of measure: spellings to UCUM, and exact rescaling inside one dimension.

Mass is never turned into moles: publications print both limits and round them separately.
Factors are integers, so that 280 nmol/L is 0.28 umol/L to the last bit and no value moves to the
other side of a limit by being rescaled.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mappings.knowledge_file import KnowledgeError

FILE = Path(__file__).parents[1] / "clinical" / "units.csv"
MICRO_SIGNS = ("\u00b5", "\u03bc")  # micro sign, Greek mu: both are typed for UCUM's "u"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit is `multiply` / `divide` of its dimension's first unit."""

    dimension: str
    multiply: int
    divide: int


def _read_units() -> tuple[Mapping[str, Unit], Mapping[str, str]]:
    units: dict[str, Unit] = {}
    names: dict[str, str] = {}
    with FILE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            ucum = row["unit"]
            try:
                unit = Unit(row["dimension"], int(row["multiply"]), int(row["divide"]))
            except ValueError as fault:
                raise KnowledgeError(FILE.name, ucum, "a factor is not a whole number") from fault
            if ucum in units:
                raise KnowledgeError(FILE.name, ucum, "stands twice")
            units[ucum] = unit
            for spelling in (ucum, *filter(None, row["aliases"].split("|"))):
                for name in _list_spellings(spelling):
                    if names.setdefault(name, ucum) != ucum:
                        raise KnowledgeError(FILE.name, name, f"means {names[name]} and {ucum}")
    return units, names


def _list_spellings(text: str) -> set[str]:
    """`text`, and with either micro sign where UCUM has its "u"."""
    return {text, *(text.replace("u", sign, 1) for sign in MICRO_SIGNS if text.startswith("u"))}


UNITS, NAMES = _read_units()


def normalise(text: str) -> str | None:
    """The UCUM unit that `text` spells; None for one that is not known."""
    return NAMES.get(text) or NAMES.get(text.strip())


@cache
def find_factor(unit: str, target: str) -> tuple[int, int] | None:
    """(multiply, divide) from one unit to another; None across dimensions."""
    source, goal = UNITS.get(unit), UNITS.get(target)
    if source is None or goal is None or source.dimension != goal.dimension:
        return None
    up, down = source.multiply * goal.divide, source.divide * goal.multiply
    while down % 10 == 0 and up % 10 == 0:
        up, down = up // 10, down // 10
    return up, down


def convert_unit(value: float, unit: str, target: str) -> float | None:
    """`value` in `target`; None where that would be another dimension."""
    factor = find_factor(unit, target)
    if factor is None:
        return None
    up, down = factor
    return value * up if down == 1 else value * up / down
