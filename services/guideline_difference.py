"""How two guidelines differ: what they say, and of whom they say something else."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mappings.guideline import Guideline
from mappings.sarcopenia_definition import Definition
from services.chart import Chart
from services.evidence import as_document, definition_as_document
from services.knowledge import Known
from services.sarcopenia.assessment import assess as assess_muscle
from services.vitamin_b12.assessment import assess as assess_b12

Printed = Guideline | Definition


class Difference(NamedTuple):
    """One thing that two guidelines say differently; None: one does not say it."""

    what: str
    first: str | None
    other: str | None


class Changed(NamedTuple):
    """A patient in another category by the other guideline, and what both looked at."""

    patient: str
    first: str
    other: str
    results: tuple[str, ...]


def differences(first: Printed, other: Printed) -> list[Difference]:
    """Every limit, rule, duration, treatment and source that is not the same in both."""
    one, two = dict(_said(first)), dict(_said(other))
    keys = [*one, *(key for key in two if key not in one)]
    return [
        Difference(key, one.get(key), two.get(key)) for key in keys if one.get(key) != two.get(key)
    ]


def _said(printed: Printed) -> Iterator[tuple[str, str]]:
    document = (
        as_document(printed) if isinstance(printed, Guideline) else definition_as_document(printed)
    )
    limits = document.pop("limits", ())
    for limit in limits:
        edge = f"{limit['comparison'].replace('_', ' ')} {limit['limit']:g} {limit['unit']}"
        yield _named(limit), f"{edge} ({limit['locator']})"
    yield from _flat(document, "")


def _named(limit: Mapping[str, Any]) -> str:
    of = (limit.get("sex"), limit.get("method"), "pregnant" if limit.get("pregnant") else None)
    whose = ", ".join(part for part in of if part)
    return (
        f"{limit['observation']} {limit['means']}, {limit['unit']}{f' ({whose})' if whose else ''}"
    )


def _flat(node: Any, key: str) -> Iterator[tuple[str, str]]:
    match node:
        case dict():
            for name, value in node.items():
                yield from _flat(value, f"{key}.{name}" if key else str(name))
        case list() if all(isinstance(one, str) for one in node):
            yield key, ", ".join(node)
        case list():
            for value in node:
                name = value.get("subject") or value.get("situation") or value.get("observation")
                yield from _flat(value, f"{key} {name}")
        case None:
            return
        case _:
            yield key, str(node)


def with_guideline(known: Known, printed: Printed) -> Known:
    """`known` with `printed` in force."""
    if isinstance(printed, Guideline):
        return replace(known, b12=replace(known.b12, guideline=printed))
    return replace(known, muscle=replace(known.muscle, definition=printed))


def changed(
    charts: Iterable[Chart], known: Known, first: Printed, other: Printed
) -> Iterator[tuple[str, str, Changed | None]]:
    """The category of each patient by both, and, where it changes, what both looked at."""
    one, two = with_guideline(known, first), with_guideline(known, other)
    for chart in charts:
        if isinstance(first, Guideline):
            before: Any = assess_b12(chart, one.b12)
            after: Any = assess_b12(chart, two.b12)
        else:
            before, after = assess_muscle(chart, one.muscle), assess_muscle(chart, two.muscle)
        differs = before.category != after.category
        results = [f"{e.says}: {e.value:g} {e.unit}, limit {e.limit}"
                   for found in (before, after) for e in found.evidence
                   if e.value is not None and e.limit is not None]  # fmt: skip
        said = Changed(
            chart.patient, before.category, after.category, tuple(dict.fromkeys(results))
        )
        yield before.category, after.category, said if differs else None
