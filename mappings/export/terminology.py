"""CodeSystem and ValueSet resources: our own code systems, and the value sets that rules read."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mappings.export.resource import ExportContext, index_resources
from mappings.knowledge_file import CLINICAL, read_toml
from mappings.terminology.questionnaire import Questionnaire
from mappings.terminology.value_set import CodeRow, ValueSet, ValueSetIndex
from mappings.terminology.value_set_file import read_code_systems

CODE_SYSTEM_TITLES = {
    "muscle-measure": "Measures of muscle that have no LOINC code",
    "muscle-measure-result": "Results of a measure of muscle other than a value",
    "sarc-f-answer": "Answers to SARC-F",
}
COMMENTS_EXTENSION = "http://hl7.org/fhir/StructureDefinition/valueset-concept-comments"
KIND_WORDS = {
    "observation": "results",
    "condition": "entries of the problem list",
    "medication": "medicines",
    "procedure": "procedures",
    "order": "orders",
    "route": "routes of administration",
    "answer": "values of results and of a patient's sex",
}
UNREAD_LABELS = "own"  # `names` of a code system whose displays are our own words

Concepts = Iterable[tuple[str, str]]  # (code, display)


def build_own_artefacts(
    index: ValueSetIndex, questionnaire: Questionnaire
) -> Mapping[str, dict[str, Any]]:
    """By "Type/id" what the service itself shows: SARC-F and the code systems it needs."""
    context = ExportContext(index.base, questionnaire.version, {})
    resource: dict[str, Any] = json.loads(questionnaire.body)
    answers = {
        (option["valueCoding"]["code"], option["valueCoding"]["display"])
        for item in resource["item"]
        for option in item["answerOption"]
    }
    systems = []
    for name, title in CODE_SYSTEM_TITLES.items():
        url = context.build_url("CodeSystem", name)
        own = {
            (row.code, str(row.display))
            for rows in index.rows.values()
            for row in rows
            if row.system == url
        }
        concepts = answers if name == "sarc-f-answer" else own
        systems.append(build_code_system(context, name, title, sorted(concepts)))
    return index_resources([resource, *systems])


def build_code_system(
    context: ExportContext, name: str, title: str, concepts: Concepts, **rest: Any
) -> dict[str, Any]:
    """A complete code system of our own."""
    return context.build_resource(
        "CodeSystem",
        name,
        title,
        caseSensitive=True,
        content="complete",
        concept=[{"code": code, "display": str(display)} for code, display in concepts],
        **rest,
    )


def build_value_sets(context: ExportContext, index: ValueSetIndex) -> Iterator[dict[str, Any]]:
    """One for each list of codes; those that have no code, being computed, have none here."""
    systems = read_code_systems(index.base)
    for name, value_set in index.sets.items():
        if index.rows[name]:
            yield _build_value_set(context, value_set, index.rows[name], systems)
    reasons = read_toml(CLINICAL / "override_reasons.toml")
    yield context.build_resource(
        "ValueSet",
        "override-reason",
        "Why a card may be set aside",
        description=f"Codes and order as offered on a card. Source: {reasons['source']}.",
        compose={
            "include": [
                {
                    "system": reasons["system"],
                    "concept": [
                        {"code": reason["code"], "display": reason["display"]}
                        for reason in reasons["reasons"]
                    ],
                }
            ]
        },
    )


def _build_value_set(
    context: ExportContext,
    value_set: ValueSet,
    rows: tuple[CodeRow, ...],
    systems: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    used = dict.fromkeys(row.system for row in rows)
    licences = [
        f"{systems[url]['title']}: {systems[url]['licence']}." for url in used if url in systems
    ]
    return context.build_resource(
        "ValueSet",
        value_set.name,
        value_set.title,
        description=_describe_reading(value_set),
        copyright=" ".join(licences) or None,
        compose={"include": [part for url in used for part in _build_includes(url, rows, systems)]},
    )


def _describe_reading(value_set: ValueSet) -> str:
    """How resources under these codes are read, in words."""
    resources = KIND_WORDS[value_set.kind].capitalize()
    sentences = [f"{resources} under these codes are read as: {value_set.title}."]
    if value_set.units:
        sentences.append(f"Units in which limits are printed: {', '.join(value_set.units)}.")
    if value_set.of_one_day == "highest":
        sentences.append("The highest of one day's results counts.")
    if value_set.refused:
        sentences.append(f"Never read as the measure they resemble: {value_set.refused}.")
    return " ".join(sentences)


def _build_includes(
    url: str, rows: tuple[CodeRow, ...], systems: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    """The codes of one system; a whole class of codes is a filter, each in a part of its own."""
    of_system = [row for row in rows if row.system == url]
    labelled = systems.get(url, {}).get("names") != UNREAD_LABELS
    concepts = [_build_concept(row, labelled=labelled) for row in of_system if not _is_class(row)]
    if concepts:
        yield {"system": url, "concept": concepts}
    for row in filter(_is_class, of_system):
        yield {
            "system": url,
            "filter": [{"property": "concept", "op": "is-a", "value": row.code.rstrip("*")}],
        }


def _is_class(row: CodeRow) -> bool:
    return row.code.endswith("*")


def _build_concept(row: CodeRow, *, labelled: bool) -> dict[str, Any]:
    sentences = [f"Source: {row.source}."]
    if row.notes:
        sentences.append(f"{row.notes}.")
    if row.only_units:
        sentences.append(f"Read in these units only: {', '.join(sorted(row.only_units))}.")
    concept: dict[str, Any] = {
        "extension": [{"url": COMMENTS_EXTENSION, "valueString": " ".join(sentences)}],
        "code": row.code,
    }
    if labelled:
        return {**concept, "display": row.listed}
    return {**concept, "designation": [{"value": row.listed}]}
