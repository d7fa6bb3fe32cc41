"""A ValueSet of a terminology server as codes of a site's own, with where they came from."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ABOUT = ("url", "version", "date", "title", "publisher")


class NotImportable(ValueError):
    """The document is no list of codes: says what is missing."""


@dataclass(slots=True)
class Imported:
    """Codes of one document, and what was passed over."""

    source: dict[str, Any]  # a [[source]] of the file, with its codes
    passed_over: Counter[str] = field(default_factory=Counter)


def read_value_set(document: Any, file: str, data: bytes, day: str, by: str) -> Imported:
    """The codes of a ValueSet (R4 or R5): its expansion, else the concepts that it lists.

    What a filter would select is not guessed: such a ValueSet is to be expanded first. Raises
    NotImportable.
    """
    if not isinstance(document, dict) or document.get("resourceType") != "ValueSet":
        raise NotImportable("is no ValueSet")
    passed_over = Counter[str]()
    expansion = document.get("expansion")
    found = (
        _expanded(expansion, passed_over)
        if isinstance(expansion, dict)
        else _composed(document.get("compose"), passed_over)
    )
    codes: dict[tuple[str, str], dict[str, str]] = {}
    for system, concept in found:
        code, display = concept.get("code"), concept.get("display")
        if not isinstance(system, str) or not isinstance(code, str):
            passed_over["without system or code"] += 1
        elif not isinstance(display, str) or not display.strip():
            passed_over["without a name"] += 1
        elif (system, code) in codes:
            passed_over["twice"] += 1
        else:
            codes[system, code] = {"system": system, "code": code, "display": display.strip()}
    if not codes:
        raise NotImportable("lists no code that could be used")
    about = {key: str(document[key]) for key in ABOUT if document.get(key)}
    licence = document.get("copyright")
    return Imported(
        {
            **about,
            **({"licence": licence} if isinstance(licence, str) else {}),
            "file": file,
            "sha256": hashlib.sha256(data).hexdigest(),
            "imported": day,
            "imported_by": by,
            "codes": list(codes.values()),
        },
        passed_over,
    )


Concept = Mapping[str, Any]


def _expanded(expansion: Concept, passed_over: Counter[str]) -> Iterator[tuple[Any, Concept]]:
    total = expansion.get("total")
    listed = list(_contained(expansion.get("contains"), passed_over))
    if isinstance(total, int) and total > len(listed) + sum(passed_over.values()):
        raise NotImportable(f"holds {len(listed)} of {total} codes: a page of an expansion")
    yield from listed


def _contained(contains: Any, passed_over: Counter[str]) -> Iterator[tuple[Any, Concept]]:
    for one in contains if isinstance(contains, list) else ():
        if not isinstance(one, dict):
            continue
        if one.get("abstract") is True:
            passed_over["abstract"] += 1
        elif one.get("inactive") is True:
            passed_over["inactive"] += 1
        else:
            yield one.get("system"), one
        yield from _contained(one.get("contains"), passed_over)


def _composed(compose: Any, passed_over: Counter[str]) -> Iterator[tuple[Any, Concept]]:
    if not isinstance(compose, dict):
        raise NotImportable("has neither an expansion nor a list of concepts")
    if compose.get("exclude"):
        raise NotImportable("excludes codes: expand it first")
    includes = compose.get("include")
    for include in includes if isinstance(includes, list) else ():
        if not isinstance(include.get("concept"), list) or include.get("filter"):
            raise NotImportable("selects codes by a rule: expand it first ($expand)")
        if include.get("valueSet"):
            raise NotImportable("refers to other ValueSets: expand it first ($expand)")
        for concept in include["concept"]:
            if isinstance(concept, dict):
                yield include.get("system"), concept
            else:
                passed_over["without system or code"] += 1
