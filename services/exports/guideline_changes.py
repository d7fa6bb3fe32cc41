"""Compare the assessments of patients by two guidelines: whose category changes, and why."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Assessment = Mapping[str, Any]  # as services/assessment/schemas/assessment.schema.json has it


@dataclass(frozen=True, slots=True)
class LimitReading:
    """The reading of a result by one of the two, and its limit."""

    says: str
    limit: str

    def __str__(self) -> str:
        return f"{self.says} ({self.limit})"


@dataclass(frozen=True, slots=True)
class ResultAtLimit:
    """One result as each of the two reads it; None where one does not."""

    value: float
    unit: str
    day: str | None
    a: LimitReading | None
    b: LimitReading | None


@dataclass(frozen=True, slots=True)
class CategoryChange:
    """A patient whose category differs, with the results that the two read differently."""

    patient: str
    a: str
    b: str
    results: tuple[ResultAtLimit, ...]


@dataclass(slots=True)
class CategoryChanges:
    """Counts of patients by their two categories, and those whose category changes."""

    topic: str  # "b12" or "sarcopenia"
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    patients: list[CategoryChange] = field(default_factory=list)

    @property
    def compared(self) -> int:
        return self.confusion.total()

    @property
    def changed(self) -> int:
        return sum(number for (a, b), number in self.confusion.items() if a != b)


def compare_categories(
    pairs: Iterable[tuple[Assessment, Assessment]], topic: str, most: int | None = None
) -> CategoryChanges:
    """The assessments of each patient by two guidelines, compared on one topic.

    `most` is how many changed patients are kept by name; all are counted.
    """
    changes = CategoryChanges(topic)
    for by_a, by_b in pairs:
        a, b = by_a[topic], by_b[topic]
        changes.confusion[a["category"], b["category"]] += 1
        is_kept = most is None or len(changes.patients) < most
        if a["category"] != b["category"] and is_kept:
            changes.patients.append(
                CategoryChange(by_a["patient"], a["category"], b["category"], _find_results(a, b))
            )
    return changes


def _find_results(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[ResultAtLimit, ...]:
    """The results whose limits differ; where none does, all that were compared with a limit."""
    read: dict[tuple[Any, ...], dict[str, LimitReading]] = {}
    for side, assessment in (("a", a), ("b", b)):
        for entry in assessment.get("evidence", ()):
            if "value" in entry and "limit" in entry:
                key = (entry.get("resource"), entry["value"], entry.get("unit"), entry.get("date"))
                read.setdefault(key, {})[side] = LimitReading(
                    str(entry["says"]), str(entry["limit"])
                )
    results = [
        ResultAtLimit(value, unit, day, readings.get("a"), readings.get("b"))
        for (_resource, value, unit, day), readings in read.items()
    ]
    return tuple(result for result in results if result.a != result.b) or tuple(results)
