"""A FHIR ValueSet of R4 or R5 as a plain list of codes, and what had to be left out of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
TOO_COSTLY = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"


class NotAList(ValueError):
    """Why a ValueSet does not say which codes are in it."""


@dataclass(frozen=True, slots=True)
class ListedCode:
    """One code of the list; `left_out` says why it cannot be used, None where it can."""

    system: str
    code: str
    display: str
    left_out: str | None = None
    inactive: bool = False


def listed_codes(resource: Mapping[str, Any]) -> list[ListedCode]:
    """The codes of the expansion; without one, those that the definition lists one by one.

    Raises NotAList for what only a terminology server could work out.
    """
    if resource.get("resourceType") != "ValueSet":
        kind = resource.get("resourceType", "no FHIR resource")
        raise NotAList(f"is not a ValueSet but {kind}")
    match resource:
        case {"expansion": dict() as expansion}:
            return [*_expanded(expansion)]
        case {"compose": dict() as compose}:
            return [*_composed(compose)]
    raise NotAList("has neither an expansion nor a compose")


def _expanded(expansion: Mapping[str, Any]) -> Iterator[ListedCode]:
    for extension in _tables(expansion, "extension"):
        if extension.get("url") in (UNCLOSED, TOO_COSTLY) and extension.get("valueBoolean", True):
            raise NotAList("the expansion says that it is not complete")
    entries = [*_flat(expansion)]
    total, offset = expansion.get("total"), expansion.get("offset")
    if isinstance(offset, int) and offset > 0:
        raise NotAList(f"the expansion is a page that begins at {offset}: ask for all of it")
    if isinstance(total, int) and total > len(entries):
        raise NotAList(f"the expansion has {len(entries)} of {total} codes: ask for all of them")
    if not entries:
        raise NotAList("the expansion is empty")
    for entry in entries:
        if "code" in entry:
            yield _listed(entry, entry.get("system"))


def _flat(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The entries of an expansion and those inside them."""
    for entry in _tables(node, "contains"):
        yield entry
        yield from _flat(entry)


def _composed(compose: Mapping[str, Any]) -> Iterator[ListedCode]:
    taken_away = {
        (part.get("system"), concept.get("code"))
        for part in _tables(compose, "exclude")
        for concept in _concepts(part, "exclude")
    }
    includes = _tables(compose, "include")
    if not includes:
        raise NotAList("the compose includes nothing")
    for part in includes:
        for concept in _concepts(part, "include"):
            if (part.get("system"), concept.get("code")) not in taken_away:
                yield _listed(concept, part.get("system"))


def _concepts(part: Mapping[str, Any], called: str) -> list[Mapping[str, Any]]:
    """The codes that a part of a definition lists. Raises NotAList where it describes them."""
    ask = "have a terminology server expand it ($expand) and import the expansion"
    if part.get("filter"):
        raise NotAList(f"compose.{called} has a filter, which says codes by a rule: {ask}")
    if part.get("valueSet"):
        raise NotAList(f"compose.{called} refers to another value set: {ask}")
    concepts = _tables(part, "concept")
    if not concepts:
        raise NotAList(f"compose.{called} means a whole code system: {ask}")
    return concepts


def _listed(entry: Mapping[str, Any], system: object) -> ListedCode:
    code, display = entry.get("code"), entry.get("display")
    code = code if isinstance(code, str) else ""
    inactive = entry.get("inactive") is True
    named = display if isinstance(display, str) and display.strip() else code
    if not isinstance(system, str) or not system.strip():
        return ListedCode("", code, named, "no system")
    if not code or code != " ".join(code.split()) or code.endswith("*"):
        return ListedCode(system, code, named, "no code that could be matched")
    if entry.get("abstract") is True:
        return ListedCode(system, code, named, "abstract: a heading, never in a record")
    return ListedCode(system, code, named, inactive=inactive)


def _tables(node: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    entries = node.get(key)
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
