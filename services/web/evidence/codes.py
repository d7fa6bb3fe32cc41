"""The code lists: what each is for, its codes with their sources, and a search through them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from mappings.terminology.site_codes import describe_origin
from mappings.terminology.value_set import CodeRow, ValueSet
from mappings.terminology.value_set_file import read_code_systems
from services.knowledge.site import SiteKnowledge
from services.web.evidence.glossary import Place

KIND_TITLES = {
    "observation": "Results",
    "condition": "Conditions, signs and habits",
    "medication": "Medicines",
    "procedure": "Procedures",
    "order": "Orders",
    "route": "Routes",
    "answer": "Answers",
}


@dataclass(frozen=True, slots=True)
class Code:
    """One row, and the text that a search looks through."""

    row: CodeRow
    system: str  # the code system's title
    search_text: str

    @property
    def is_class(self) -> bool:
        """Whether it stands for everything below it."""
        return self.row.code.endswith("*")

    def as_json(self) -> dict[str, Any]:
        plain = {
            "system": self.row.system,
            "code": self.row.code,
            "display": self.row.listed or self.row.display,
            "confidence": self.row.confidence,
            "source": self.row.source,
            "notes": self.row.notes,
        }
        return {key: value for key, value in plain.items() if value}


@dataclass(frozen=True, slots=True)
class CodeList:
    """A value set with its codes; `uses` say what the rules read it for."""

    value_set: ValueSet
    codes: tuple[Code, ...]
    uses: tuple[Place, ...]
    licences: tuple[tuple[str, str, str], ...]  # title, version and licence of each code system
    search_text: str

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.value_set.name,
            "title": self.value_set.title,
            "kind": self.value_set.kind,
            "units": list(self.value_set.units),
            "uses": [use.says for use in self.uses],
            "codes": [code.as_json() for code in self.codes],
            "systems": [
                {"title": title, "version": version, "licence": licence}
                for title, version, licence in self.licences
            ],
        }


@dataclass(frozen=True, slots=True)
class CodeListMatch:
    """A code list that a search found, with the codes of it that match."""

    list: CodeList
    codes: tuple[Code, ...]


def build_code_lists(
    knowledge: SiteKnowledge, publications: Iterable[Guideline | Definition]
) -> dict[str, CodeList]:
    """Every value set by its name, a site's own among them; `publications` say what for."""
    systems, uses = read_code_systems(knowledge.index.base), _collect_uses(knowledge, publications)
    lists = {}
    for name, value_set in knowledge.index.sets.items():
        codes = tuple(_build_code(row, systems) for row in knowledge.index.rows[name])
        urls = dict.fromkeys(code.row.system for code in codes)
        lists[name] = CodeList(
            value_set,
            codes,
            tuple(uses.get(name, ())),
            tuple(_find_licence(system, systems) for system in urls),
            f"{name} {value_set.title}".casefold(),
        )
    return lists


def search_lists(lists: Mapping[str, CodeList], query: str) -> list[CodeListMatch]:
    """The lists that hold every word of `query`, in their name and title or in one code of theirs.

    A list found by its own name comes whole.
    """
    words = query.casefold().split()
    matches = []
    for code_list in lists.values():
        is_complete = all(word in code_list.search_text for word in words)
        codes = [
            code for code in code_list.codes if all(word in code.search_text for word in words)
        ]
        if is_complete or codes:
            matches.append(
                CodeListMatch(code_list, code_list.codes if is_complete else tuple(codes))
            )
    return matches


def _build_code(row: CodeRow, systems: Mapping[str, Mapping[str, str]]) -> Code:
    title = systems.get(row.system, {}).get("title", row.system)
    display = row.listed or row.display
    return Code(row, title, f"{title} {row.system} {row.code} {display} {row.notes}".casefold())


def _find_licence(system: str, systems: Mapping[str, Mapping[str, str]]) -> tuple[str, str, str]:
    entry = systems.get(system, {})
    return (
        entry.get("title", system),
        entry.get("version", "the site's own"),
        entry.get("licence", "not stated"),
    )


def _collect_uses(
    knowledge: SiteKnowledge, publications: Iterable[Guideline | Definition]
) -> dict[str, list[Place]]:
    uses: dict[str, list[Place]] = {}
    for name, place in (
        *_list_publication_uses(knowledge, publications),
        *_list_file_uses(knowledge),
    ):
        if place not in uses.setdefault(name, []):
            uses[name].append(place)
    return uses


def _list_file_uses(knowledge: SiteKnowledge) -> Iterator[tuple[str, Place]]:
    for row in knowledge.b12.laboratory.cutoffs:
        yield row.observation, Place("a limit common to all guidelines", "/evidence/choices#limits")
    for group, members in knowledge.b12.groups.items():
        for name in members:
            yield name, Place(f"{group.replace('_', ' ')}: {knowledge.b12.group_texts[group][0]}")
    for cause in knowledge.muscle.causes:
        for name in cause.names:
            yield name, Place(f"points to {cause.title}", "/evidence/b12-and-muscle#causes")
    for template in knowledge.templates.by_id.values():
        yield template.concept, Place(f"told by the order “{template.label}”", "/evidence/orders")
    for codes in knowledge.index.site_codes:
        for source in codes.sources:
            says = (
                f"codes of {codes.file}, from {describe_origin(source)} by {source['imported_by']}"
            )
            yield codes.value_set, Place(says)


def _list_publication_uses(
    knowledge: SiteKnowledge, publications: Iterable[Guideline | Definition]
) -> Iterator[tuple[str, Place]]:
    """What each use is, by all that use a list so; the link leads to the one in force."""
    in_force = (knowledge.b12.guideline.id, knowledge.muscle.definition.id)
    ids_by_use: dict[tuple[str, str, str], list[str]] = {}
    for publication in publications:
        for row in publication.cutoffs:
            ids_by_use.setdefault((row.observation, "a limit of", "limits"), []).append(
                publication.id
            )
        if isinstance(publication, Guideline):
            for name, what in _list_testing_uses(publication):
                ids_by_use.setdefault((name, what, "testing"), []).append(publication.id)
    for (name, what, place), ids in ids_by_use.items():
        by = [*dict.fromkeys(ids)]
        first = next((id_ for id_ in in_force if id_ in by), by[0])
        yield name, Place(f"{what} {', '.join(by)}", f"/evidence/{first}#{place}")


def _list_testing_uses(guideline: Guideline) -> Iterator[tuple[str, str]]:
    """(value set, what it is in the rule for offering a test)"""
    testing = guideline.testing
    for what, names in (
        ("a risk factor by", testing.risk_factors),
        ("a further risk factor by", testing.further_risk_factors),
        ("a symptom or sign by", testing.symptoms),
        ("a medicine without symptoms by", testing.asymptomatic_drugs),
        ("a duration by", tuple(row.subject for row in testing.durations)),
    ):
        for name in names:
            yield name, what
