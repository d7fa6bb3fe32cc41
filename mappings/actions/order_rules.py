"""Read the rules about draft orders: their words, sources and indicators."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mappings.knowledge_file import CLINICAL, check_schema, read_toml

FILE = "order_rules.toml"


@dataclass(frozen=True, slots=True)
class OrderCase:
    """One way in which a rule speaks; `summary` and `says` may name {drug} and the like."""

    indicator: str  # "info", "warning" or "critical"
    summary: str
    says: str


@dataclass(frozen=True, slots=True)
class OrderRule:
    """A rule about draft orders; its condition is code, all that is said of it is here."""

    id: str
    title: str
    problem: str  # "b12" or "muscle": rules about one problem share a card
    source: str
    locator: str
    confidence: str
    cases: Mapping[str, OrderCase]
    url: str | None = None  # None: the guideline in force is what it leans on


def read_order_rules(path: Path = CLINICAL / FILE) -> Mapping[str, OrderRule]:
    """The rules by id. Raises KnowledgeError."""
    document = read_toml(path)
    check_schema(document, "order_rules", path.name)
    return {
        id_: OrderRule(
            id=id_,
            cases={name: OrderCase(**case) for name, case in entry["case"].items()},
            **{key: value for key, value in entry.items() if key != "case"},
        )
        for id_, entry in document["rule"].items()
    }
