"""Cut-offs of a publication: limits with unit, comparison and locator, and tables of them.

A number is compared in the unit in which the publication prints it; the comparison itself
(`below`, `at_most`, `above`, `at_least`) is part of the knowledge, because publications differ in
what happens exactly at a limit.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from mappings.text import format_amount, make_text

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "below": operator.lt,
    "at_most": operator.le,
    "above": operator.gt,
    "at_least": operator.ge,
}
COMPARISON_WORDS = {
    "below": "below",
    "at_most": "at most",
    "above": "above",
    "at_least": "at least",
}


@dataclass(frozen=True, slots=True)
class Cutoff:
    """One row of a guideline's table: total B12 below 180 ng/L means deficient."""

    observation: str  # a value set's name
    comparison: str  # a key of COMPARISONS
    limit: float
    unit: str  # UCUM, as the publication prints it
    means: str
    locator: str  # where in the publication
    confidence: str  # "high", "medium", or "policy" for a choice of this service
    source: str | None = None  # the publication, where it is not the guideline of the file
    sex: str | None = None  # "male" or "female"; None for both
    pregnant: bool | None = None  # None where it makes no difference
    method: str | None = None  # "DXA" or "BIA"; None where it makes no difference
    own_range: bool = False  # the laboratory's own range in the result goes before this limit
    text: str = field(init=False, repr=False, compare=False)  # "below 180 ng/L"

    def __post_init__(self) -> None:
        text = make_text(
            "{comparison} {amount}",
            comparison=COMPARISON_WORDS[self.comparison],
            amount=format_amount(self.limit, self.unit),
        )
        object.__setattr__(self, "text", text)

    @property
    def is_upper(self) -> bool:
        """Whether what lies above the limit has the meaning."""
        return self.comparison in ("above", "at_least")

    def is_met_by(self, value: float) -> bool:
        """Whether `value`, in `self.unit`, lies on the side that has the meaning."""
        return COMPARISONS[self.comparison](value, self.limit)

    def __str__(self) -> str:
        return self.text


class Undecided(Enum):
    """Why a result cannot be compared."""

    SPANS = "the bound may lie on either side of a limit"
    NO_LIMIT = "no limit is printed in this unit"


@dataclass(frozen=True, slots=True)
class CutoffTable:
    """An ordered table of cut-offs; the first row that a value meets says what it means."""

    cutoffs: tuple[Cutoff, ...]
    by_unit: Mapping[tuple[str, str], tuple[Cutoff, ...]] = field(
        init=False, repr=False, compare=False
    )  # the rows by observation and unit
    own_ranges: Mapping[str, Cutoff] = field(init=False, repr=False, compare=False)
    # what a result outside the laboratory's own range means, and on which side; by observation

    def __post_init__(self) -> None:
        by_unit: dict[tuple[str, str], tuple[Cutoff, ...]] = {}
        for row in self.cutoffs:
            key = (row.observation, row.unit)
            by_unit[key] = (*by_unit.get(key, ()), row)
        object.__setattr__(self, "by_unit", by_unit)
        own = {row.observation: row for row in self.cutoffs if row.own_range}
        object.__setattr__(self, "own_ranges", own)

    def find_first_met(
        self,
        observation: str,
        value: float,
        unit: str,
        *,
        sex: str | None = None,
        pregnant: bool | None = None,
        method: str | None = None,
    ) -> Cutoff | None:
        """The first row, in the order of the file, that `value` meets.

        None where no limit is printed in `unit`, or none for `sex` or `method`. Mass is never
        converted to moles: publications round the two limits separately.
        """
        return _find_first_met(self.get_rows(observation, unit), value, sex, pregnant, method)

    def interpret(
        self,
        observation: str,
        value: float,
        comparator: str | None,
        unit: str,
        *,
        sex: str | None = None,
        pregnant: bool | None = None,
        method: str | None = None,
    ) -> Cutoff | Undecided | None:
        """The first row that a value meets, or that every value allowed by a bound "<83" meets.

        None where limits are printed and none is met. SPANS for a bound such as "<150 pmol/L",
        which may lie on either side of 133 pmol/L.
        """
        rows = self.get_rows(observation, unit)
        if not rows:
            return Undecided.NO_LIMIT
        if comparator is None:
            return _find_first_met(rows, value, sex, pregnant, method)
        met = [
            _find_first_met(rows, point, sex, pregnant, method)
            for point in _list_allowed_points(comparator, value, [row.limit for row in rows])
        ]
        same = len({row.means if row else None for row in met}) == 1
        return met[0] if same else Undecided.SPANS

    def list_units(self, observation: str) -> frozenset[str]:
        """The units in which limits for `observation` are printed."""
        return frozenset(c.unit for c in self.cutoffs if c.observation == observation)

    def get_rows(self, observation: str, unit: str) -> tuple[Cutoff, ...]:
        """The printed limits for `observation` in `unit`, in the order of the file."""
        return self.by_unit.get((observation, unit), ())


def _find_first_met(
    rows: Iterable[Cutoff],
    value: float,
    sex: str | None,
    pregnant: bool | None,
    method: str | None,
) -> Cutoff | None:
    for row in rows:
        if (
            row.is_met_by(value)
            and (row.sex is None or row.sex == sex)
            and (row.pregnant is None or row.pregnant == pregnant)
            and (row.method is None or row.method == method)
        ):
            return row
    return None


def _list_allowed_points(comparator: str, value: float, edges: Iterable[float]) -> list[float]:
    """Points that represent every band a bound can reach: each edge, and each side of it."""
    near = [p * f for p in [value, *edges] for f in (1 - 1e-9, 1.0, 1 + 1e-9)]
    if comparator in ("<", "<="):
        allowed = COMPARISONS["below" if comparator == "<" else "at_most"]
        return [0.0, *(p for p in near if allowed(p, value))]
    allowed = COMPARISONS["above" if comparator == ">" else "at_least"]
    return [max(value, *edges, 1.0) * 1e6, *(p for p in near if allowed(p, value))]
