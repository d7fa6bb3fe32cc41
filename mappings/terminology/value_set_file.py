"""Read the shipped value sets and a site's own codes, and compile them for look-up.

Each set is one CSV file; `sources.toml` says what it means and how its results are read.
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mappings.knowledge_file import CANONICAL, KnowledgeError, check_schema, replace_base
from mappings.terminology.units import normalise
from mappings.terminology.value_set import (
    CodeRow,
    Match,
    SiteCodes,
    ValueSet,
    ValueSetIndex,
    index_measures,
)
from mappings.text import name_code

FOLDER = Path(__file__).parents[1] / "value_sets"
SOURCES_FILE = FOLDER / "sources.toml"
TRUSTED_CONFIDENCES = frozenset({"high", "medium"})
# SNOMED CT's semantic tag and RxNorm's term type: parts of the name, of no use to a reader.
_TERM_TYPE = re.compile(
    r" \((disorder|finding|procedure|substance|qualifier value|regime/therapy)\)$| \[(IN|MIN)\]$"
)


def load_value_sets(
    local_codes: Iterable[Mapping[str, Any]] = (),
    site_codes: Iterable[SiteCodes] = (),
    base: str = CANONICAL,
) -> ValueSetIndex:
    """The shipped value sets, with a site's own codes added to them.

    Raises KnowledgeError for a file that cannot be relied on, and for a local code that names a
    value set we do not have.
    """
    sources, site_codes = _read_sources(), tuple(site_codes)
    sets = {name: _build_value_set(name, entry) for name, entry in sources["value_sets"].items()}
    _check_names(sets)
    rows = {name: list(_read_rows(name, sets[name].title, base)) for name in sets}
    for number, local in enumerate(local_codes):
        if local["value_set"] not in sets:
            raise KnowledgeError(
                "configuration", f"local_code[{number}]", f"no value set {local['value_set']}"
            )
        rows[local["value_set"]].append(_build_local_row(local, sets[local["value_set"]].title))
    for codes in site_codes:
        _add_site_codes(codes, sets, rows)
    return _compile_index(sets, rows, sources, base, site_codes)


def _build_local_row(local: Mapping[str, Any], title: str) -> CodeRow:
    display = local.get("display", local["code"])
    return CodeRow(
        local["system"],
        local["code"],
        name_code(display, title),
        side=local.get("side"),
        distance_m=local.get("distance_m"),
        method=local.get("method"),
        listed=display,
        source="configuration of the site",
    )


def _add_site_codes(
    codes: SiteCodes, sets: dict[str, ValueSet], rows: dict[str, list[CodeRow]]
) -> None:
    """Puts the codes of a site's file beside ours.

    Raises KnowledgeError for a new set that says too little of itself, and for a result's code that
    stands for another measure already: read as two measures it would be wrong as one of them.
    """
    name = codes.value_set
    if name not in sets:
        if codes.kind is None or codes.title is None:
            raise KnowledgeError(
                codes.file, "value_set", f"no value set {name}; a new one needs kind and title"
            )
        sets[name] = ValueSet(name, codes.kind, codes.title, medication=codes.kind == "medication")
        rows[name] = []
    elif codes.kind not in (None, sets[name].kind):
        raise KnowledgeError(codes.file, "kind", f"{name} is there already, as {sets[name].kind}")
    owners = index_measures(rows, sets)
    for row in codes.rows:
        other = owners.get((row.system, row.code), name)
        if sets[name].kind == "observation" and other != name:
            raise KnowledgeError(codes.file, f"{row.system}|{row.code}", f"is in {other} already")
    codes_of_set = {(row.system, row.code) for row in rows[name]}
    rows[name] += [row for row in codes.rows if (row.system, row.code) not in codes_of_set]


def read_code_systems(base: str = CANONICAL) -> Mapping[str, Mapping[str, str]]:
    """Title, version and licence of each code system that codes are taken from."""
    return {replace_base(url, base): entry for url, entry in _read_sources()["systems"].items()}


def read_derived_titles() -> Mapping[str, str]:
    """Names that rules use without a value set, and what they are called."""
    titles: Mapping[str, str] = _read_sources()["derived"]
    return titles


@cache
def _read_sources() -> Mapping[str, Any]:
    try:
        document = tomllib.loads(SOURCES_FILE.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise KnowledgeError(SOURCES_FILE.name, "file", str(fault)) from fault
    check_schema(document, "value_set_sources", SOURCES_FILE.name)
    return document


def _build_value_set(name: str, entry: Mapping[str, Any]) -> ValueSet:
    stands_for = entry.get("read_as", {})
    for unit in (*entry.get("unit", ()), *stands_for, *stands_for.values()):
        if normalise(unit) != unit:
            raise KnowledgeError(
                SOURCES_FILE.name, f"value_sets.{name}.unit", f"{unit} is not in units.csv"
            )
    return ValueSet(
        name=name,
        kind=entry["kind"],
        title=entry["title"],
        units=tuple(entry.get("unit", ())),
        qualitative=entry.get("qualitative", False),
        medication=entry["kind"] == "medication" or entry.get("also_medication", False),
        topic=entry.get("topic"),
        read_as=entry.get("read_as", {}),
        of_one_day=entry.get("of_one_day"),
        refused=entry.get("refused"),
        integer=entry.get("whole", False),
        has_method=entry.get("has_method", False),
        note=entry.get("note"),
    )


def _check_names(sets: Mapping[str, ValueSet]) -> None:
    files = {path.stem for path in FOLDER.glob("*.csv")}
    for name in files ^ set(sets):
        where = "a file without an entry" if name in files else "an entry without a file"
        raise KnowledgeError(SOURCES_FILE.name, f"value_sets.{name}", where)


def _read_rows(name: str, title: str, base: str) -> Iterable[CodeRow]:
    path = FOLDER / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            key = f"line {number}"
            if row["confidence"] not in TRUSTED_CONFIDENCES:
                raise KnowledgeError(path.name, key, "confidence is neither high nor medium")
            if not row["code"] or not row["display"] or not row["source"]:
                raise KnowledgeError(path.name, key, "code, display and source are all needed")
            yield _build_row(
                {**row, "system": replace_base(row["system"], base)}, path.name, key, title
            )


def _build_row(row: Mapping[str, str], file: str, key: str, title: str) -> CodeRow:
    only = frozenset(normalise(unit) or "" for unit in (row.get("only_units") or "").split())
    if "" in only:
        raise KnowledgeError(file, key, "only_units names a unit that is not in units.csv")
    try:
        strength = float(row["strength_ug"]) if row.get("strength_ug") else None
        rank = int(row.get("rank") or 0)
        distance = float(row["distance_m"]) if row.get("distance_m") else None
    except ValueError as fault:
        raise KnowledgeError(file, key, "strength_ug, rank and distance_m are numbers") from fault
    code = f"{row['code']}*" if row.get("match") == "prefix" else row["code"]
    return CodeRow(
        system=row["system"],
        code=code,
        display=name_code(_TERM_TYPE.sub("", row["display"]), title),
        route=row.get("route") or None,
        strength_ug=strength,
        expects=row.get("expects") or None,
        only_units=only,
        rank=rank,
        side=row.get("side") or None,
        distance_m=distance,
        listed=row["display"],
        source=row["source"],
        notes=row.get("notes") or "",
        confidence=row["confidence"],
    )


def _compile_index(
    sets: Mapping[str, ValueSet],
    rows: Mapping[str, list[CodeRow]],
    sources: Mapping[str, Any],
    base: str,
    site_codes: tuple[SiteCodes, ...],
) -> ValueSetIndex:
    exact: dict[tuple[str, str], list[Match]] = {}
    prefixes: dict[tuple[str, str], list[Match]] = {}
    systems = sources["also_sent_as"]
    for name, codes in rows.items():
        for row in codes:
            if row.system not in sources["systems"] and row.code.endswith("*"):
                raise KnowledgeError(f"{name}.csv", row.code, "no such code system")
            match = Match(sets[name], row)
            for system in filter(None, (row.system, systems.get(row.system))):
                place = prefixes if row.code.endswith("*") else exact
                place.setdefault((system, row.code.rstrip("*")), []).append(match)
    for key, matches in exact.items():
        # A code that is listed itself is also in the classes above it.
        for (system, start), above in prefixes.items():
            if key[0] == system and key[1].startswith(start):
                matches += [m for m in above if m.value_set not in [o.value_set for o in matches]]
    lengths: dict[str, set[int]] = {}
    for system, start in prefixes:
        lengths.setdefault(system, set()).add(len(start))
    return ValueSetIndex(
        sets=sets,
        rows={name: tuple(codes) for name, codes in rows.items()},
        exact={key: tuple(matches) for key, matches in exact.items()},
        prefixes={key: tuple(matches) for key, matches in prefixes.items()},
        prefix_lengths={s: tuple(sorted(sizes, reverse=True)) for s, sizes in lengths.items()},
        aliases={**sources["system_aliases"], **_build_aliases(sources, base)},
        base=base,
        site_codes=site_codes,
        also_sent_as=systems,
    )


def _build_aliases(sources: Mapping[str, Any], base: str) -> Mapping[str, str]:
    """Data may say the default base of our code systems where the site has its own."""
    own = {url: replace_base(url, base) for url in sources["systems"]}
    return {default: url for default, url in own.items() if default != url}
