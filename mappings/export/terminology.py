"""Codes as FHIR: our code systems, the value sets that rules read, and what is mapped to what."""

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


def own_artefacts(
    index: ValueSetIndex, questionnaire: Questionnaire
) -> Mapping[str, dict[str, Any]]:
    """By "Type/id" what the service itself shows: SARC-F and the code systems it needs."""
    publication = ExportContext(index.base, questionnaire.version, {})
    resource: dict[str, Any] = json.loads(questionnaire.body)
    answers = {
        (option["valueCoding"]["code"], option["valueCoding"]["display"])
        for item in resource["item"]
        for option in item["answerOption"]
    }
    systems = []
    for name, title in CODE_SYSTEM_TITLES.items():
        url = publication.build_url("CodeSystem", name)
        own = {
            (row.code, str(row.display))
            for rows in index.rows.values()
            for row in rows
            if row.system == url
        }
        concepts = answers if name == "sarc-f-answer" else own
        systems.append(build_code_system(publication, name, title, sorted(concepts)))
    return index_resources([resource, *systems])


def build_code_system(
    publication: ExportContext, name: str, title: str, concepts: Concepts, **rest: Any
) -> dict[str, Any]:
    """A complete code system of our own."""
    return publication.build_resource(
        "CodeSystem",
        name,
        title,
        caseSensitive=True,
        content="complete",
        concept=[{"code": code, "display": str(display)} for code, display in concepts],
        **rest,
    )


def build_value_sets(publication: ExportContext, index: ValueSetIndex) -> Iterator[dict[str, Any]]:
    """One for each list of codes; those that have no code, being computed, have none here."""
    systems = read_code_systems(index.base)
    for name, value_set in index.sets.items():
        if index.rows[name]:
            yield _build_value_set(publication, value_set, index.rows[name], systems)
    reasons = read_toml(CLINICAL / "override_reasons.toml")
    yield publication.build_resource(
        "ValueSet",
        "override-reason",
        "Why a card may be set aside",
        description=f"Codes and order as offered on a card. Source: {reasons['source']}.",
        compose={
            "include": [
                {
                    "system": reasons["system"],
                    "concept": [
                        {"code": one["code"], "display": one["display"]}
                        for one in reasons["reasons"]
                    ],
                }
            ]
        },
    )


def _build_value_set(
    publication: ExportContext,
    value_set: ValueSet,
    rows: tuple[CodeRow, ...],
    systems: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    used = dict.fromkeys(row.system for row in rows)
    licences = [
        f"{systems[url]['title']}: {systems[url]['licence']}." for url in used if url in systems
    ]
    return publication.build_resource(
        "ValueSet",
        value_set.name,
        value_set.title,
        description=_describe_reading(value_set),
        copyright=" ".join(licences) or None,
        compose={"include": [part for url in used for part in _build_includes(url, rows, systems)]},
    )


def _describe_reading(value_set: ValueSet) -> str:
    """How resources under these codes are read, in words."""
    said = [
        f"{KIND_WORDS[value_set.kind].capitalize()} under these codes are read as: {value_set.title}."
    ]
    if value_set.units:
        said.append(f"Units in which limits are printed: {', '.join(value_set.units)}.")
    if value_set.of_one_day == "highest":
        said.append("The highest of one day's results counts.")
    if value_set.refused:
        said.append(f"Never read as the measure they resemble: {value_set.refused}.")
    return " ".join(said)


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
    said = [f"Source: {row.source}."]
    if row.notes:
        said.append(f"{row.notes}.")
    if row.only_units:
        said.append(f"Read in these units only: {', '.join(sorted(row.only_units))}.")
    concept: dict[str, Any] = {
        "extension": [{"url": COMMENTS_EXTENSION, "valueString": " ".join(said)}],
        "code": row.code,
    }
    if labelled:
        return {**concept, "display": row.listed}
    return {**concept, "designation": [{"value": row.listed}]}


def build_concept_maps(
    publication: ExportContext, index: ValueSetIndex
) -> Iterator[dict[str, Any]]:
    """What really is a mapping: codes of results to measures, dm+d to SNOMED CT, a site's codes."""
    concepts = publication.build_url("CodeSystem", "clinical-concept")
    yield _build_concept_map(
        publication,
        "result-codes",
        "Codes of results to the measures that rules read",
        "A code that says mass or moles, a hand, a course or a method is narrower than the "
        "measure. Of the others no relation is claimed: their results are read as the measure.",
        _map_to_concepts(index, concepts),
    )
    same = [
        (row.system, also, _build_element(row.code, row.listed, row.code, "equal"))
        for name in index.sets
        for row in index.rows[name]
        if (also := index.also_sent_as.get(row.system))
    ]
    yield _build_concept_map(
        publication,
        "dmd-to-snomed",
        "NHS dm+d to SNOMED CT",
        "Identifiers of dm+d are identifiers of the UK drug extension of SNOMED CT: the same code "
        "is sent under either system.",
        same,
    )
    own = [*_map_to_muscle_measures(publication, index)]
    if own:
        yield _build_concept_map(
            publication,
            "site-measures",
            "The site's own codes to the measures of muscle of this project",
            "As the site's configuration maps them.",
            own,
        )


MapRow = tuple[str, str, dict[str, Any]]  # source system, target system, element


def _map_to_concepts(index: ValueSetIndex, concepts: str) -> Iterator[MapRow]:
    for name, value_set in index.sets.items():
        if value_set.kind != "observation" or value_set.refused:
            continue
        for row in index.rows[name]:
            narrower = row.expects or row.side or row.distance_m or row.method
            relation = "wider" if narrower else "relatedto"
            said = {"mass": "mass alone", "molar": "moles alone"}.get(row.expects or "")
            yield row.system, concepts, _build_element(row.code, row.listed, name, relation, said)


def _map_to_muscle_measures(publication: ExportContext, index: ValueSetIndex) -> Iterator[MapRow]:
    """A site's codes to ours, where a value set has one code of ours and no more."""
    ours = publication.build_url("CodeSystem", "muscle-measure")
    known = read_code_systems(index.base)
    for rows in index.rows.values():
        targets = [row for row in rows if row.system == ours]
        for row in rows:
            if len(targets) == 1 and row.system not in known:
                narrower = row.side or row.distance_m or row.method
                relation = "wider" if narrower else "equivalent"
                element = _build_element(row.code, row.listed, targets[0].code, relation)
                yield row.system, ours, element


def _build_element(
    code: str, display: str, target: str, equivalence: str, comment: str | None = None
) -> dict[str, Any]:
    mapped = {"code": target, "equivalence": equivalence}
    if comment:
        mapped["comment"] = comment
    return {"code": code, "display": display, "target": [mapped]}


def _build_concept_map(
    publication: ExportContext, name: str, title: str, description: str, mapped: Iterable[MapRow]
) -> dict[str, Any]:
    groups: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for source, target, element in mapped:
        of_group = groups.setdefault((source, target), {})
        there = of_group.setdefault(element["code"], element)
        there["target"] += [one for one in element["target"] if one not in there["target"]]
    return publication.build_resource(
        "ConceptMap",
        name,
        title,
        description=description,
        group=[
            {"source": source, "target": target, "element": [*elements.values()]}
            for (source, target), elements in groups.items()
        ],
    )


def build_order_map(
    publication: ExportContext, resources: Iterable[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Codes of two systems that one suggested order carries; None where none carries two."""
    mapped = []
    for resource in resources:
        first, *others = resource.get("code", {}).get("coding", ()) or [{}]
        for other in others:
            named = _build_target(other["code"], other.get("display"))
            element = {"code": first["code"], "display": first["display"], "target": [named]}
            mapped.append((first["system"], other["system"], element))
    if not mapped:
        return None
    return _build_concept_map(
        publication,
        "order-codes",
        "Codes of two systems for the same order",
        "Both stand in one suggested order. A test that is asked for and its result are not the "
        "same concept, so they are related, not equal.",
        mapped,
    )


def build_catalogue_map(
    publication: ExportContext, catalogue: Iterable[tuple[str, str, str, str | None]]
) -> dict[str, Any] | None:
    """Our orders to the site's own codes: (template, system, code, display); None without any."""
    ours = publication.build_url("CodeSystem", "order-template")
    mapped = [
        (ours, system, {"code": template, "target": [_build_target(code, display)]})
        for template, system, code, display in catalogue
    ]
    if not mapped:
        return None
    return _build_concept_map(
        publication,
        "site-orders",
        "Our orders to the site's catalogue",
        "As the site's configuration maps them.",
        mapped,
    )


def _build_target(code: str, display: str | None) -> dict[str, Any]:
    named = {"display": display} if display else {}
    return {"code": code, **named, "equivalence": "relatedto"}
