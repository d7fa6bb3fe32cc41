"""Other causes of weak muscle, the comparison with B12 deficiency, and what studies have shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mappings.knowledge_file import CLINICAL, KnowledgeError, check_schema, read_toml
from mappings.terminology.value_set import ValueSetIndex


@dataclass(frozen=True)
class Cause:
    """One cause and what in a record points to it; names are those of value sets."""

    id: str
    title: str
    against: str
    next: str
    steps: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    medications: tuple[str, ...] = ()
    above_range: tuple[str, ...] = ()  # results above, outside or below the laboratory's range
    outside_range: tuple[str, ...] = ()
    below_range: tuple[str, ...] = ()
    gross: Mapping[str, Any] | None = None  # a result so many times its upper limit
    asymmetry: bool = False
    weight_loss: bool = False
    urgent: str | None = None  # "same-day" or "urgent"

    @cached_property
    def names(self) -> frozenset[str]:
        """Every value set that can point to it."""
        value_sets = {*self.conditions, *self.medications, *self.above_range, *self.outside_range}
        value_sets |= {*self.below_range, *((self.gross["observation"],) if self.gross else ())}
        value_sets |= {"grip_strength"} if self.asymmetry else set()
        return frozenset(value_sets | ({"weight"} if self.weight_loss else set()))


def read_differential(index: ValueSetIndex) -> tuple[Cause, ...]:
    """The causes, in the order of the file: those that cannot wait first."""
    path = CLINICAL / "differential.toml"
    document = read_toml(path)
    check_schema(document, "differential", path.name)
    causes = []
    for entry in document["cause"]:
        lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        cause = Cause(**{**entry, **lists})
        for name in cause.names:
            if name not in index.sets:
                raise KnowledgeError(path.name, cause.id, f"no value set {name}")
        causes.append(cause)
    return tuple(causes)


def read_comparison() -> Mapping[str, Any]:
    """The comparison table, the statement of what is known, and the studies behind it."""
    path = CLINICAL / "comparison.toml"
    document = read_toml(path)
    check_schema(document, "comparison", path.name)
    return document
