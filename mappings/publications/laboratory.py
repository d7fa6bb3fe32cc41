"""What holds of laboratory results under every guideline: limits, plausible values, markers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.knowledge_file import CLINICAL, KnowledgeError, check_schema, read_toml
from mappings.publications.cutoffs import CutoffTable
from mappings.publications.guideline_file import read_cutoffs
from mappings.terminology.value_set import ValueSetIndex

FILE = CLINICAL / "laboratory.toml"


@dataclass(frozen=True, slots=True)
class Marker:
    """A result that is looked at beside a deficiency that is treated, as potassium is."""

    observation: str  # a value set's name
    rule: str  # what its evidence is called
    steps: tuple[str, ...]  # called for where the result is outside its limit
    conditions: tuple[str, ...]  # value sets that call for the steps too
    orders: Mapping[str, tuple[str, ...]]  # by step the order templates that carry it out


def _read_document() -> dict[str, Any]:
    document = read_toml(FILE)
    check_schema(document, "laboratory", FILE.name)
    return document


def read_laboratory_limits(
    index: ValueSetIndex,
) -> tuple[CutoffTable, Mapping[tuple[str, str], tuple[float, float]]]:
    """Limits common to all guidelines, and for (observation, unit) the plausible low and high."""
    document = _read_document()
    plausible = {}
    for row in document["plausible"]:
        value_set = index.sets.get(row["observation"])
        if value_set is None or row["unit"] not in value_set.units:
            raise KnowledgeError(FILE.name, f"plausible {row['observation']}", "is never read so")
        plausible[row["observation"], row["unit"]] = (row["low"], row["high"])
    return CutoffTable(read_cutoffs(document["cutoffs"], FILE.name, index)), plausible


def read_markers(index: ValueSetIndex) -> tuple[Marker, ...]:
    """The markers, in the order of the file. Raises KnowledgeError."""
    document = _read_document()
    limits = {row["observation"] for row in document["cutoffs"]}
    markers = tuple(_build_markers(document))
    for marker in markers:
        key = f"markers {marker.observation}"
        if marker.observation not in limits:
            raise KnowledgeError(FILE.name, key, "has no limit in this file")
        for name in marker.conditions:
            if name not in index.sets:
                raise KnowledgeError(FILE.name, key, f"no value set {name}")
        for step in marker.orders:
            if step not in marker.steps:
                raise KnowledgeError(FILE.name, key, f"{step} is none of its steps")
    return markers


def _build_markers(document: Mapping[str, Any]) -> Iterator[Marker]:
    for row in document.get("markers", ()):
        yield Marker(
            observation=row["observation"],
            rule=row["rule"],
            steps=tuple(row["steps"]),
            conditions=tuple(row.get("conditions", ())),
            orders={step: tuple(names) for step, names in row.get("orders", {}).items()},
        )
