"""Import a site's FHIR ValueSets: compare their codes with those of the shipped value sets."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import tomlkit
from tomlkit.items import AoT, Array, Table

from mappings.knowledge_file import CANONICAL
from mappings.terminology.fhir_value_set import ListedCode, list_codes
from mappings.terminology.value_set import ValueSet, ValueSetIndex
from mappings.terminology.value_set_file import read_code_systems
from mappings.text import as_id

HEADER = """\
Codes of the site's own, read from FHIR ValueSets by `cobalamin import-valueset`.
The configuration names this file: [[value_set]] file = "..."\
"""
LICENCE_KEYS = ("copyright", "copyrightLabel")


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark on one code; the code is imported unless `is_excluded`."""

    system: str
    code: str
    display: str
    text: str
    is_excluded: bool = False


@dataclass(frozen=True, slots=True)
class ImportedSource:
    """One file read: where its ValueSet comes from, its codes, and what is to be said of them."""

    head: Mapping[str, str]
    codes: tuple[ListedCode, ...]
    remarks: tuple[Remark, ...]


def find_value_set(resource: Mapping[str, Any], index: ValueSetIndex) -> str | None:
    """The value set of ours that `resource` is by its URL, as this project exports it."""
    places = {
        f"{base}/ValueSet/{as_id(name)}": name
        for name in index.sets
        for base in (CANONICAL, index.base)
    }
    return places.get(str(resource.get("url")))


def read_source(
    resource: Mapping[str, Any],
    value_set: ValueSet,
    index: ValueSetIndex,
    earlier: set[tuple[str, str]],
    head: Mapping[str, str],
) -> ImportedSource:
    """The codes of `resource` that are new to `value_set`.

    `earlier` holds the codes of the sources before, and gets those of this one. `head` says which
    file it was and who imports it. Raises UnlistedCodesError.
    """
    accepted: list[ListedCode] = []
    remarks: list[Remark] = []
    for listed in list_codes(resource):
        system = index.aliases.get(listed.system, listed.system)
        code = ListedCode(
            system, listed.code, listed.display, listed.exclusion_reason, listed.inactive
        )
        reason = _find_exclusion(code, value_set, index, earlier)
        if reason is not None:
            remarks.append(Remark(system, code.code, code.display, reason, is_excluded=True))
            continue
        earlier.add((system, code.code))
        accepted.append(code)
        remarks += (
            Remark(system, code.code, code.display, reason)
            for reason in _find_remarks(code, listed.system, index)
        )
    return ImportedSource(
        {**_describe_source(resource, accepted, index), **head}, tuple(accepted), tuple(remarks)
    )


def _find_exclusion(
    code: ListedCode, value_set: ValueSet, index: ValueSetIndex, earlier: set[tuple[str, str]]
) -> str | None:
    if code.exclusion_reason is not None:
        return code.exclusion_reason
    if (code.system, code.code) in earlier:
        return "repeated"
    others = [match.value_set for match in index.look_up(code.system, code.code)]
    if value_set.name in (other.name for other in others):
        return f"in {value_set.name} already"
    measures = [other.name for other in others if other.kind == "observation"]
    if value_set.kind == "observation" and measures:
        return f"in {', '.join(measures)} already, and a result is one measure"
    return None


def _find_remarks(code: ListedCode, listed_under: str, index: ValueSetIndex) -> Iterator[str]:
    """Remarks for a person to read before an imported code is relied on."""
    if code.inactive:
        yield "inactive: taken up, for older records hold it"
    others = [m.value_set.name for m in index.look_up(code.system, code.code)]
    if others:
        yield f"in {', '.join(others)} too"
    if code.system != listed_under:
        yield f"listed under {listed_under}, the same code system"
    if code.system not in read_code_systems(index.base):
        yield "of a code system that no other code is from: match it with what the EHR sends"


def _describe_source(
    resource: Mapping[str, Any], codes: Iterable[ListedCode], index: ValueSetIndex
) -> dict[str, str]:
    """The source of the list and the licence of its codes."""
    keys = ("url", "version", "date", "title", "name", "publisher")
    description = {key: str(resource[key]) for key in keys if resource.get(key)}
    name = description.pop("name", None)
    if name and "title" not in description:
        description["title"] = name
    licences = [str(resource[key]) for key in LICENCE_KEYS if resource.get(key)]
    systems = read_code_systems(index.base)
    used = dict.fromkeys(code.system for code in codes if code.system in systems)
    licences += [f"{systems[url]['title']}: {systems[url]['licence']}" for url in used]
    return {**description, **({"licence": "; ".join(licences)} if licences else {})}


def as_toml(value_set: ValueSet, sources: Iterable[ImportedSource], *, new: bool) -> str:
    """The file that a configuration names."""
    document = tomlkit.document()
    for line in HEADER.splitlines():
        document.add(tomlkit.comment(line))
    document.add("value_set", tomlkit.item(value_set.name))
    if new:
        document.add("kind", tomlkit.item(value_set.kind))
        document.add("title", tomlkit.item(value_set.title))
    tables: AoT = tomlkit.aot()
    for source in sources:
        table: Table = tomlkit.table()
        for key, value in source.head.items():
            table.add(key, date.fromisoformat(value) if key == "imported" else value)
        table.add("codes", _build_rows(source.codes))
        tables.append(table)
    document.add(tomlkit.nl())
    document.add("source", tables)
    return tomlkit.dumps(document)


def _build_rows(codes: Iterable[ListedCode]) -> Array:
    rows = tomlkit.array()
    rows.multiline(multiline=True)
    for code in codes:
        row = tomlkit.inline_table()
        row.update({"system": code.system, "code": code.code, "display": code.display})
        rows.append(row)
    return rows
