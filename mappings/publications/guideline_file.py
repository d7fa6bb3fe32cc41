"""Read guidelines, common limits, groups and policy from their TOML files.

Everything is checked when it is read: the schema, that every name exists, that every limit can be
reached. What is wrong raises KnowledgeError with file, key and reason.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mappings.actions.order_template import list_template_ids
from mappings.knowledge_file import (
    CLINICAL,
    FOLDER,
    KnowledgeError,
    check_schema,
    read_toml,
)
from mappings.publications.cutoffs import COMPARISONS, Cutoff, CutoffTable
from mappings.publications.guideline import Duration, FollowUp, Guideline, Testing, Treatment
from mappings.publications.guideline_checks import (
    refuse_gaps,
    refuse_missing_treatments,
    refuse_unfinished,
    refuse_unknown_meanings,
)
from mappings.publications.publication import read_head
from mappings.terminology.units import normalise
from mappings.terminology.value_set import ValueSetIndex
from mappings.terminology.value_set_file import read_derived_titles

GUIDELINES = FOLDER / "guidelines"


def list_guideline_ids(subject: str = "b12") -> tuple[str, ...]:
    """Ids of the shipped guidelines, in alphabetical order."""
    documents = (read_toml(path) for path in sorted(GUIDELINES.glob("*.toml")))
    return tuple(document["id"] for document in documents if document.get("subject") == subject)


def get_shipped_file(id_: str) -> Path:
    """Where the guideline or definition `id_` stands if it ships; a laboratory's part is none."""
    return GUIDELINES / f"{id_.partition('+')[0].replace('-', '_')}.toml"


def find_own_guidelines(files: Iterable[Path]) -> Mapping[str, Path]:
    """A site's own guidelines and definitions by their ids. Raises KnowledgeError."""
    shipped = {*list_guideline_ids("b12"), *list_guideline_ids("sarcopenia")}
    own: dict[str, Path] = {}
    for path in files:
        id_ = read_toml(path).get("id")
        if not isinstance(id_, str):
            raise KnowledgeError(path.name, "id", "is missing")
        if id_ in shipped:
            raise KnowledgeError(
                path.name, "id", f"{id_} is a guideline that ships; a changed one has its own id"
            )
        if id_ in own:
            raise KnowledgeError(path.name, "id", f"is that of {own[id_].name} too")
        own[id_] = path
    return own


def read_document(
    id_: str, subject: str, key: str, own: Mapping[str, Path]
) -> tuple[Path, dict[str, Any]]:
    """File and content of a guideline or definition, ours or a site's own, filled in.

    Raises KnowledgeError; `key` is where the configuration named it.
    """
    path = own.get(id_, get_shipped_file(id_))
    called = "guideline" if subject == "b12" else "definition"
    if not path.exists():
        raise KnowledgeError("configuration", key, f"no {called} {id_}")
    document = read_toml(path)
    if document.get("subject") != subject:
        raise KnowledgeError("configuration", key, f"no {called} {id_}")
    refuse_unfinished(document, path.name)
    check_schema(document, "guideline" if subject == "b12" else "sarcopenia_definition", path.name)
    if document["id"] != id_:
        raise KnowledgeError(path.name, "id", "is not the name of the file")
    return path, document


def read_guideline(
    id_: str,
    index: ValueSetIndex,
    laboratory: Path | None = None,
    own: Mapping[str, Path] = MappingProxyType({}),
) -> Guideline:
    """The guideline `id_`; `uk-ng239+ruh` is NG239 with the shipped limits of laboratory `ruh`.

    `laboratory` is a site's own file of that kind, `own` its own guidelines.
    """
    name, _, lab = id_.partition("+")
    path, document = read_document(name, "b12", "b12.guideline", own)
    guideline = _build_guideline(document, path.name, index)
    file = laboratory or (GUIDELINES / "laboratories" / f"{lab}.toml" if lab else None)
    return apply_laboratory(guideline, file, index) if file else guideline


def apply_laboratory(guideline: Guideline, file: Path, index: ValueSetIndex) -> Guideline:
    """`guideline` with a laboratory's validated limits in place of the printed ones.

    Only the observations that the file names are replaced, each as a whole.
    """
    document = read_toml(file)
    check_schema(document, "laboratory", file.name)
    own = read_cutoffs(document["cutoffs"], file.name, index, document.get("source"))
    replaced = {row.observation for row in own}
    printed = tuple(row for row in guideline.cutoffs if row.observation not in replaced)
    lab = document.get("id", file.stem)
    refuse_unknown_meanings(own, file.name)
    refuse_gaps(CutoffTable(own), file.name)
    return replace(
        guideline,
        id=f"{guideline.id}+{lab}",
        cutoffs=(*own, *printed),
        laboratory=document["title"],
    )


def _build_guideline(document: Mapping[str, Any], file: str, index: ValueSetIndex) -> Guideline:
    treatments = {entry["situation"]: _build_treatment(entry) for entry in document["treatment"]}
    templates = list_template_ids(document["locale"])
    testing = _build_testing(document["testing"], file, index)
    for name in (
        *testing.first_test,
        *testing.pregnancy_test,
        *testing.nitrous_oxide_test,
        *(name for treatment in treatments.values() for name in treatment.templates),
    ):
        if name not in templates:
            raise KnowledgeError(file, name, f"no order template for {document['locale']}")
    cutoffs = read_cutoffs(document["cutoffs"], file, index)
    refuse_unknown_meanings(cutoffs, file)
    refuse_gaps(CutoffTable(cutoffs), file)
    refuse_missing_treatments(treatments, file)
    return Guideline(
        **read_head(document, file),
        subject=document["subject"],
        locale=document["locale"],
        flags=tuple(document.get("flags", ())),
        cutoffs=cutoffs,
        testing=testing,
        follow_up=FollowUp(**document["follow_up"]),
        treatments=treatments,
    )


def _build_treatment(entry: Mapping[str, Any]) -> Treatment:
    return Treatment(
        **{**entry, "templates": tuple(entry["templates"]), "steps": tuple(entry["steps"])}
    )


def _build_testing(entry: Mapping[str, Any], file: str, index: ValueSetIndex) -> Testing:
    for key in ("risk_factors", "further_risk_factors", "symptoms", "asymptomatic_drugs"):
        for name in entry.get(key, ()):
            if name not in index.sets and name not in read_derived_titles():
                raise KnowledgeError(file, f"testing.{key}", f"no value set {name}")
    durations = tuple(_build_duration(row, file, index) for row in entry.get("duration", ()))
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in entry.items()
        if key != "duration"
    }
    return Testing(**plain, durations=durations)


def _build_duration(row: Mapping[str, Any], file: str, index: ValueSetIndex) -> Duration:
    if row["subject"] != "age" and row["subject"] not in index.sets:
        raise KnowledgeError(file, "testing.duration", f"no value set {row['subject']}")
    comparison = next(key for key in COMPARISONS if key in row)
    rest = {key: row[key] for key in ("subject", "unit", "step", "locator", "source")}
    return Duration(comparison=comparison, limit=row[comparison], **rest)


def read_cutoffs(
    rows: Iterable[Mapping[str, Any]], file: str, index: ValueSetIndex, source: str | None = None
) -> tuple[Cutoff, ...]:
    """The printed limits of a file. Raises KnowledgeError for one that can never be reached."""
    read = tuple(_build_cutoff(row, file, index, source) for row in rows)
    for place, row in enumerate(read):
        if any(_hides_row(earlier, row) for earlier in read[:place]):
            raise KnowledgeError(file, f"cutoffs[{place}]", "can never be reached")
    return read


def _build_cutoff(
    row: Mapping[str, Any], file: str, index: ValueSetIndex, source: str | None
) -> Cutoff:
    key = f"cutoffs {row['observation']}"
    value_set = index.sets.get(row["observation"])
    if value_set is None:
        raise KnowledgeError(file, key, "no such value set")
    if row["unit"] not in value_set.units or normalise(row["unit"]) != row["unit"]:
        raise KnowledgeError(file, key, f"results are not read in {row['unit']}")
    comparison = next(name for name in COMPARISONS if name in row)
    rest = {name: value for name, value in row.items() if name not in COMPARISONS}
    return Cutoff(**{"source": source, **rest}, comparison=comparison, limit=row[comparison])


def _hides_row(earlier: Cutoff, row: Cutoff) -> bool:
    """Whether every value that meets `row` meets `earlier` first."""
    same = (earlier.observation, earlier.unit) == (row.observation, row.unit)
    if not same or earlier.sex not in (None, row.sex):
        return False
    if earlier.pregnant not in (None, row.pregnant) or earlier.method not in (None, row.method):
        return False
    downward = {"below", "at_most"}
    if (earlier.comparison in downward) != (row.comparison in downward):
        return False
    if row.comparison in downward:
        return earlier.limit > row.limit
    return earlier.limit < row.limit


def read_groups(index: ValueSetIndex) -> Mapping[str, tuple[str, ...]]:
    """The groups of value sets that rules speak of."""
    path = CLINICAL / "clinical_sets.toml"
    groups = {}
    for name, entry in read_toml(path).items():
        if isinstance(entry, dict):
            for member in entry["members"]:
                if member not in index.sets:
                    raise KnowledgeError(path.name, name, f"no value set {member}")
            groups[name] = tuple(entry["members"])
    return groups


def read_group_texts() -> Mapping[str, tuple[str, str]]:
    """The text of each group with its source."""
    entries = read_toml(CLINICAL / "clinical_sets.toml").items()
    return {n: (e["says"], e["source"]) for n, e in entries if isinstance(e, dict)}


def read_policy(overrides: Mapping[str, Any] | None = None) -> Mapping[str, float]:
    """The service's own choices by name, a site's in their place."""
    document = read_toml(CLINICAL / "policy.toml")
    values = {name: float(entry["value"]) for name, entry in document.items()}
    for name, value in (overrides or {}).items():
        if name not in values:
            raise KnowledgeError("configuration", f"policy.{name}", "no such choice")
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise KnowledgeError("configuration", f"policy.{name}", "must be a number above 0")
        values[name] = float(value)
    return values
