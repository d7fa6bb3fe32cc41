"""Guidelines and the other knowledge files as Library: citations, the codes they need, the file."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mappings.export.resource import ExportContext, build_citation, describe_review
from mappings.knowledge_file import CLINICAL
from mappings.publications.cutoffs import Cutoff
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from mappings.terminology.value_set import ValueSetIndex

LIBRARY_TYPE = "http://terminology.hl7.org/CodeSystem/library-type"
TOML = "application/toml"
# Where a search finds what a value set of this kind lists, and in which member.
SEARCH_PATHS = {
    "observation": (("Observation", "code"),),
    "condition": (("Condition", "code"),),
    "medication": (
        ("MedicationRequest", "medication"),
        ("MedicationStatement", "medication"),
    ),
    "procedure": (("Procedure", "code"),),
    "order": (("ServiceRequest", "code"),),
    "route": (),
    "answer": (),
}
SHARED_FILES = (
    *("laboratory", "policy", "clinical_sets", "order_rules", "attention"),
    *("differential", "comparison", "combined_indicator", "override_reasons"),
    *("leaflet", "source_attributes"),
)


def build_guideline_library(
    context: ExportContext,
    guideline: Guideline | Definition,
    index: ValueSetIndex,
    files: Iterable[Path],
    *,
    own: bool,
) -> dict[str, Any]:
    """One guideline or definition, with the files that its limits are read from."""
    rests_on = [context.build_url("Library", "shared-knowledge")]
    return context.build_resource(
        "Library",
        guideline.id,
        guideline.title,
        version=guideline.version,
        **describe_review(guideline, own=own),
        type=_build_type("logic-library"),
        description=_describe_guideline(guideline),
        relatedArtifact=[
            *_list_publications(guideline),
            *build_citations(context, guideline),
            *({"type": "depends-on", "resource": url} for url in rests_on),
        ],
        dataRequirement=[*build_requirements(context, index, list_value_sets(guideline))],
        content=[_attach_file(path) for path in files],
    )


def build_shared_library(
    context: ExportContext, index: ValueSetIndex, in_force: Mapping[str, bytes]
) -> dict[str, Any]:
    """The knowledge that all guidelines share, as a Library, with the choices of this site.

    `in_force` holds them by the title of the file.
    """
    chosen = [
        {
            "contentType": "application/json",
            "title": title,
            "data": base64.b64encode(data).decode(),
        }
        for title, data in in_force.items()
    ]
    return context.build_resource(
        "Library",
        "shared-knowledge",
        "Limits, groups, order rules and policy common to all guidelines",
        status="draft",
        type=_build_type("asset-collection"),
        description="The files that all guidelines are read with, and the site's own choices.",
        dataRequirement=[*build_requirements(context, index, index.sets)],
        content=[*(_attach_file(CLINICAL / f"{name}.toml") for name in SHARED_FILES), *chosen],
    )


def _build_type(code: str) -> dict[str, Any]:
    return {"coding": [{"system": LIBRARY_TYPE, "code": code}]}


def _describe_guideline(guideline: Guideline | Definition) -> str:
    sentences = [
        f"{guideline.strength}",
        "The file attached holds every limit; what a result means is the first of its rows that "
        "it meets."
        if isinstance(guideline, Guideline)
        else "The file attached holds every limit; a value on the other side of all is normal.",
    ]
    if isinstance(guideline, Guideline) and guideline.laboratory:
        sentences.append(f"The limits of {guideline.laboratory} replace the printed ones.")
    sentences.append(f"Review: {guideline.reviewer}.")
    return " ".join(sentences)


def _list_publications(guideline: Guideline | Definition) -> Iterator[dict[str, Any]]:
    yield {
        "type": "derived-from",
        "display": guideline.title,
        "citation": guideline.citation,
        "url": guideline.url,
    }
    if guideline.based_on:
        copied = f"{guideline.based_on['id']} {guideline.based_on['version']}"
        yield {
            "type": "predecessor",
            "display": f"Copied from {copied}",
            "citation": guideline.based_on["citation"],
        }


def build_citations(
    context: ExportContext, guideline: Guideline | Definition
) -> Iterator[dict[str, Any]]:
    """Every place that something rests on, once, with what rests on it."""
    places: dict[tuple[str, str], list[str]] = {}
    for source, locator, about in _list_places(context, guideline):
        places.setdefault((source, locator), []).append(about)
    for (source, locator), rest in places.items():
        yield build_citation(source, locator, rest)


def _list_places(
    context: ExportContext, guideline: Guideline | Definition
) -> Iterator[tuple[str, str, str]]:
    """(publication, place in it, what stands there)."""
    own = guideline.citation
    for row in guideline.cutoffs:
        yield row.source or own, row.locator, describe_limit(context, row)
    match guideline:
        case Definition():
            yield own, guideline.algorithm_locator, "how findings combine"
            yield own, guideline.minimum_age_locator, f"from {guideline.minimum_age} years"
            for unable in guideline.unable:
                yield own, unable.locator, f"{context.get_title(unable.observation)}: not done"
        case Guideline():
            testing = guideline.testing
            yield own, testing.rule_locator, "whom to test"
            yield own, testing.risk_locator, "risk factors"
            yield own, testing.symptom_locator, "symptoms and signs"
            yield own, testing.second_test_locator, "second test"
            yield own, testing.pregnancy_locator, "test in pregnancy"
            yield own, testing.nitrous_oxide_locator, "test after nitrous oxide"
            for duration in testing.durations:
                yield duration.source, duration.locator, context.get_title(duration.subject)
            for treatment in guideline.treatments.values():
                yield (
                    own,
                    treatment.locator,
                    f"treatment: {context.get_title(treatment.situation)}",
                )
            yield own, guideline.follow_up.locator, "review"


def describe_limit(context: ExportContext, row: Cutoff) -> str:
    """ "Grip strength of men below 27 kg: low strength"."""
    return f"{describe_condition(context, row)}: {row.means.replace('_', ' ')}"


def describe_condition(context: ExportContext, row: Cutoff) -> str:
    """ "Grip strength of men below 27 kg"."""
    who = {"male": " of men", "female": " of women"}.get(row.sex or "", "")
    how = f" by {row.method}" if row.method else ""
    when = {True: " in pregnancy", False: " outside pregnancy", None: ""}[row.pregnant]
    measured = f"{context.get_title(row.observation)}{who}{how}{when}"
    return f"{measured} {row.text}"


def list_value_sets(guideline: Guideline | Definition) -> tuple[str, ...]:
    """The value sets that a guideline speaks of, in the order of its file."""
    names = [row.observation for row in guideline.cutoffs]
    match guideline:
        case Definition():
            names += [row.observation for row in guideline.unable]
        case Guideline():
            testing = guideline.testing
            names += [*testing.risk_factors, *testing.further_risk_factors, *testing.symptoms]
            names += [*testing.asymptomatic_drugs, *(row.subject for row in testing.durations)]
    return tuple(dict.fromkeys(names))


def build_requirements(
    context: ExportContext, index: ValueSetIndex, names: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """The data requirements: value sets that are read; findings that none lists are left out."""
    for name in names:
        if index.rows.get(name):
            for resource_type, path in SEARCH_PATHS[index.sets[name].kind]:
                yield {
                    "type": resource_type,
                    "codeFilter": [{"path": path, "valueSet": context.build_url("ValueSet", name)}],
                }


def _attach_file(path: Path) -> dict[str, Any]:
    data = base64.b64encode(path.read_bytes()).decode()
    return {"contentType": TOML, "title": path.name, "data": data}
