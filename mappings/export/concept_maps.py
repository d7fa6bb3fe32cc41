"""ConceptMap resources: result codes to measures, dm+d to SNOMED CT, a site's codes to ours."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mappings.export.resource import ExportContext
from mappings.terminology.value_set import ValueSetIndex
from mappings.terminology.value_set_file import read_code_systems

MapRow = tuple[str, str, dict[str, Any]]  # source system, target system, element


def build_concept_maps(context: ExportContext, index: ValueSetIndex) -> Iterator[dict[str, Any]]:
    """ConceptMap resources: codes of results to measures, dm+d to SNOMED CT, a site's codes."""
    concepts = context.build_url("CodeSystem", "clinical-concept")
    yield _build_concept_map(
        context,
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
        context,
        "dmd-to-snomed",
        "NHS dm+d to SNOMED CT",
        "Identifiers of dm+d are identifiers of the UK drug extension of SNOMED CT: the same code "
        "is sent under either system.",
        same,
    )
    own = [*_map_to_muscle_measures(context, index)]
    if own:
        yield _build_concept_map(
            context,
            "site-measures",
            "The site's own codes to the measures of muscle of this project",
            "As the site's configuration maps them.",
            own,
        )


def _map_to_concepts(index: ValueSetIndex, concepts: str) -> Iterator[MapRow]:
    for name, value_set in index.sets.items():
        if value_set.kind != "observation" or value_set.refused:
            continue
        for row in index.rows[name]:
            narrower = row.expects or row.side or row.distance_m or row.method
            relation = "wider" if narrower else "relatedto"
            comment = {"mass": "mass alone", "molar": "moles alone"}.get(row.expects or "")
            yield (
                row.system,
                concepts,
                _build_element(row.code, row.listed, name, relation, comment),
            )


def _map_to_muscle_measures(context: ExportContext, index: ValueSetIndex) -> Iterator[MapRow]:
    """A site's codes to ours, where a value set has one code of ours and no more."""
    own_system = context.build_url("CodeSystem", "muscle-measure")
    systems = read_code_systems(index.base)
    for rows in index.rows.values():
        targets = [row for row in rows if row.system == own_system]
        for row in rows:
            if len(targets) == 1 and row.system not in systems:
                narrower = row.side or row.distance_m or row.method
                relation = "wider" if narrower else "equivalent"
                element = _build_element(row.code, row.listed, targets[0].code, relation)
                yield row.system, own_system, element


def _build_element(
    code: str, display: str, target: str, equivalence: str, comment: str | None = None
) -> dict[str, Any]:
    mapped = {"code": target, "equivalence": equivalence}
    if comment:
        mapped["comment"] = comment
    return {"code": code, "display": display, "target": [mapped]}


def _build_concept_map(
    context: ExportContext, name: str, title: str, description: str, mapped: Iterable[MapRow]
) -> dict[str, Any]:
    groups: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for source, target, element in mapped:
        of_group = groups.setdefault((source, target), {})
        merged = of_group.setdefault(element["code"], element)
        merged["target"] += [entry for entry in element["target"] if entry not in merged["target"]]
    return context.build_resource(
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
    context: ExportContext, resources: Iterable[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Codes of two systems that one suggested order carries; None where none carries two."""
    mapped = []
    for resource in resources:
        first, *others = resource.get("code", {}).get("coding", ()) or [{}]
        for other in others:
            target = _build_target(other["code"], other.get("display"))
            element = {"code": first["code"], "display": first["display"], "target": [target]}
            mapped.append((first["system"], other["system"], element))
    if not mapped:
        return None
    return _build_concept_map(
        context,
        "order-codes",
        "Codes of two systems for the same order",
        "Both stand in one suggested order. A test that is asked for and its result are not the "
        "same concept, so they are related, not equal.",
        mapped,
    )


def build_catalogue_map(
    context: ExportContext, catalogue: Iterable[tuple[str, str, str, str | None]]
) -> dict[str, Any] | None:
    """Our orders to the site's own codes: (template, system, code, display); None without any."""
    own_system = context.build_url("CodeSystem", "order-template")
    mapped = [
        (own_system, system, {"code": template, "target": [_build_target(code, display)]})
        for template, system, code, display in catalogue
    ]
    if not mapped:
        return None
    return _build_concept_map(
        context,
        "site-orders",
        "Our orders to the site's catalogue",
        "As the site's configuration maps them.",
        mapped,
    )


def _build_target(code: str, display: str | None) -> dict[str, Any]:
    label = {"display": display} if display else {}
    return {"code": code, **label, "equivalence": "relatedto"}
