"""A FHIR ValueSet of R4 or R5 as a plain list of codes, and what had to be left out of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
TOO_COSTLY = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"


class UnlistedCodesError(ValueError):
    """Why a ValueSet does not say which codes are in it."""


@dataclass(frozen=True, slots=True)
class ListedCode:
    """One code of the list; `left_out` says why it cannot be used, None where it can."""

    system: str
    code: str
    display: str
    exclusion_reason: str | None = None
    inactive: bool = False


def list_codes(resource: Mapping[str, Any]) -> list[ListedCode]:
    """The codes of the expansion; without one, those that the definition lists one by one.

    Raises UnlistedCodesError for what only a terminology server could work out.
    """
    if resource.get("resourceType") != "ValueSet":
        kind = resource.get("resourceType", "no FHIR resource")
        raise UnlistedCodesError(f"is not a ValueSet but {kind}")
    match resource:
        case {"expansion": dict() as expansion}:
            return [*_read_expansion(expansion)]
        case {"compose": dict() as compose}:
            return [*_read_compose(compose)]
    raise UnlistedCodesError("has neither an expansion nor a compose")


def _read_expansion(expansion: Mapping[str, Any]) -> Iterator[ListedCode]:
    for extension in _get_tables(expansion, "extension"):
        if extension.get("url") in (UNCLOSED, TOO_COSTLY) and extension.get("valueBoolean", True):
            raise UnlistedCodesError("the expansion says that it is not complete")
    entries = [*_flatten(expansion)]
    total, offset = expansion.get("total"), expansion.get("offset")
    if isinstance(offset, int) and offset > 0:
        raise UnlistedCodesError(
            f"the expansion is a page that begins at {offset}: ask for all of it"
        )
    if isinstance(total, int) and total > len(entries):
        raise UnlistedCodesError(
            f"the expansion has {len(entries)} of {total} codes: ask for all of them"
        )
    if not entries:
        raise UnlistedCodesError("the expansion is empty")
    for entry in entries:
        if "code" in entry:
            yield _read_code(entry, entry.get("system"))


def _flatten(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The entries of an expansion and those inside them."""
    for entry in _get_tables(node, "contains"):
        yield entry
        yield from _flatten(entry)


def _read_compose(compose: Mapping[str, Any]) -> Iterator[ListedCode]:
    taken_away = {
        (part.get("system"), concept.get("code"))
        for part in _get_tables(compose, "exclude")
        for concept in _list_concepts(part, "exclude")
    }
    includes = _get_tables(compose, "include")
    if not includes:
        raise UnlistedCodesError("the compose includes nothing")
    for part in includes:
        for concept in _list_concepts(part, "include"):
            if (part.get("system"), concept.get("code")) not in taken_away:
                yield _read_code(concept, part.get("system"))


def _list_concepts(part: Mapping[str, Any], called: str) -> list[Mapping[str, Any]]:
    """The codes that a part lists. Raises UnlistedCodesError where it describes them."""
    ask = "have a terminology server expand it ($expand) and import the expansion"
    if part.get("filter"):
        raise UnlistedCodesError(
            f"compose.{called} has a filter, which says codes by a rule: {ask}"
        )
    if part.get("valueSet"):
        raise UnlistedCodesError(f"compose.{called} refers to another value set: {ask}")
    concepts = _get_tables(part, "concept")
    if not concepts:
        raise UnlistedCodesError(f"compose.{called} means a whole code system: {ask}")
    return concepts


def _read_code(entry: Mapping[str, Any], system: object) -> ListedCode:
    code, display = entry.get("code"), entry.get("display")
    code = code if isinstance(code, str) else ""
    inactive = entry.get("inactive") is True
    title = display if isinstance(display, str) and display.strip() else code
    if not isinstance(system, str) or not system.strip():
        return ListedCode("", code, title, "no system")
    if not code or code != " ".join(code.split()) or code.endswith("*"):
        return ListedCode(system, code, title, "no code that could be matched")
    if entry.get("abstract") is True:
        return ListedCode(system, code, title, "abstract: a heading, never in a record")
    return ListedCode(system, code, title, inactive=inactive)


def _get_tables(node: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    entries = node.get(key)
    return (
        [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
