"""Checks that a guideline file is complete, so that no rule meets a gap in it."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from mappings.knowledge_file import KnowledgeError
from mappings.publications.cutoffs import Cutoff, CutoffTable
from mappings.publications.guideline import Treatment

PLACEHOLDER = "TO FILL IN"
BANDS = frozenset({"deficient", "indeterminate", "unlikely", "high"})
MEANINGS = {
    "total_b12": BANDS,
    "active_b12": BANDS,
    "methylmalonic_acid": frozenset({"raised", "grossly_raised"}),
    "homocysteine": frozenset({"raised"}),
}
SITUATIONS = (
    *("neurological", "autoimmune_gastritis", "surgical", "malabsorption"),
    *("dietary", "nitrous_oxide", "other"),
)


def refuse_unfinished(document: Mapping[str, Any], file: str) -> None:
    """Raises KnowledgeError with every key that a copied guideline still leaves open."""
    keys = list(_find_unfinished(document, ""))
    if keys:
        raise KnowledgeError(file, ", ".join(keys), f"still says {PLACEHOLDER}")


def _find_unfinished(node: object, key: str) -> Iterator[str]:
    match node:
        case str() if PLACEHOLDER in node:
            yield key
        case dict():
            for name, value in node.items():
                yield from _find_unfinished(value, f"{key}.{name}" if key else name)
        case list():
            for place, value in enumerate(node):
                yield from _find_unfinished(value, f"{key}[{place}]")


def refuse_unknown_meanings(cutoffs: Iterable[Cutoff], file: str) -> None:
    """Raises KnowledgeError for a limit that no rule about B12 would read."""
    for row in cutoffs:
        meanings = MEANINGS.get(row.observation)
        if meanings is None:
            choices = ", ".join(sorted(MEANINGS))
            raise KnowledgeError(
                file, f"cutoffs {row.observation}", f"is not read here; limits are for {choices}"
            )
        if row.means not in meanings:
            choices = ", ".join(sorted(meanings))
            raise KnowledgeError(
                file, f"cutoffs {row.observation}", f"means is none of {choices}: {row.means}"
            )


def refuse_gaps(limits: CutoffTable, file: str) -> None:
    """Raises KnowledgeError where a level of B12 would meet no row, in a unit that has rows."""
    for observation in ("total_b12", "active_b12"):
        for unit in sorted(limits.list_units(observation)):
            rows = limits.get_rows(observation, unit)
            for value in _list_points([row.limit for row in rows]):
                for sex, pregnant in product(("male", "female"), (True, False)):
                    met = limits.find_first_met(
                        observation, value, unit, sex=sex, pregnant=pregnant
                    )
                    if met is None:
                        raise KnowledgeError(
                            file, f"cutoffs {observation}", f"no row says what {value:g} {unit} is"
                        )


def _list_points(edges: list[float]) -> Iterator[float]:
    """Values that stand for every band between the limits, the limits themselves among them."""
    yield 0.0
    for low, high in zip(sorted(edges), [*sorted(edges)[1:], 2 * max(edges) + 1], strict=True):
        yield low
        yield (low + high) / 2


def refuse_missing_treatments(treatments: Mapping[str, Treatment], file: str) -> None:
    """Raises KnowledgeError for a situation that rules ask about and the file leaves out."""
    missing = [name for name in SITUATIONS if name not in treatments]
    if missing:
        raise KnowledgeError(file, "treatment", f"none for {', '.join(missing)}")
