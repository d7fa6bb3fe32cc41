"""The knowledge as one site has it, as FHIR R4 resources and as a package."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cds_hooks.config.tenants import Tenant
from mappings.actions.order_rules import OrderRule
from mappings.actions.order_template import read_order_templates
from mappings.export import Publication, own_artefacts
from mappings.export.libraries import guideline_library, shared_library
from mappings.export.orders import COUNTRIES, activity_definitions
from mappings.export.package import implementation_guide
from mappings.export.plans import applies, guideline_plan, plan, triggers
from mappings.export.resource import by_place, cited, filled
from mappings.export.terminology import (
    catalogue_map,
    code_system,
    concept_maps,
    orders_map,
    value_sets,
)
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from mappings.publications.guideline_file import GUIDELINES, shipped_file
from services.exports.build_sheet import topics
from services.hooks.offered_hooks import OFFERED_HOOKS, OfferedHook, service_id
from services.knowledge.site import Known, chosen
from services.vitamin_b12.labels import NEXT_STEPS


def knowledge_resources(
    known: Known, tenant: Tenant
) -> tuple[Publication, Mapping[str, dict[str, Any]]]:
    """Everything by "Type/id", the ImplementationGuide that lists it among it."""
    publication = Publication(known.index.base, package_version(tenant), known.b12.titles)
    found = {
        **own_artefacts(known.index, known.readable.questionnaire),
        **by_place(_resources(publication, known, tenant)),
    }
    guide = implementation_guide(publication, [one for _, one in sorted(found.items())])
    return publication, dict(sorted({**found, **by_place([guide])}.items()))


def package_version(tenant: Tenant) -> str:
    """The version of the service; where a site chose something, with a mark of its choices.

    Two sites' packages then never pass for each other, and one site's changes with its choices.
    """
    chosen = _chosen(tenant)
    if not chosen:
        return version("cobalamin-cds")
    mark = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    return f"{version('cobalamin-cds')}-site.h{mark}"


def _chosen(tenant: Tenant) -> dict[str, Any]:
    choices = {name: table for name, table in chosen(tenant.clinical).items() if name != "site"}
    catalogue = list(_catalogue(tenant))
    return choices | ({"catalogue": catalogue} if catalogue else {})


def _catalogue(tenant: Tenant) -> Iterator[tuple[str, str, str, str | None]]:
    for template, codings in tenant.dialect.catalogue.items():
        for coding in codings:
            yield template, coding.system, coding.code, coding.display


def _resources(publication: Publication, known: Known, tenant: Tenant) -> Iterator[dict[str, Any]]:
    templates = [read_order_templates(locale, known.index) for locale in COUNTRIES]
    labels = {one.id: one.label for of in templates for one in of.by_id.values()}
    yield from _code_systems(publication, known, labels)
    yield from value_sets(publication, known.index)
    yield from concept_maps(publication, known.index)
    orders = (one.resource for of in templates for one in of.by_id.values())
    for mapped in (
        orders_map(publication, orders),
        catalogue_map(publication, _catalogue(tenant)),
    ):
        if mapped:
            yield mapped
    guidelines: list[Guideline | Definition] = [*known.guidelines().values()]
    guidelines += known.definitions().values()
    for guideline in guidelines:
        is_own = guideline.id.partition("+")[0] in known.own
        files = _files(guideline, known, tenant)
        yield guideline_library(publication, guideline, known.index, files, own=is_own)
        yield guideline_plan(
            publication, guideline, known.index, OFFERED_HOOKS, NEXT_STEPS, own=is_own
        )
    in_force = json.dumps(_in_force(known, tenant), indent=2).encode() + b"\n"
    yield shared_library(publication, known.index, {"in-force.json": in_force})
    for of_country in templates:
        yield from activity_definitions(publication, of_country)
    for offered in OFFERED_HOOKS.values():
        yield _service_plan(publication, known, offered)


def _code_systems(
    publication: Publication, known: Known, labels: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    names = {**publication.titles, **{n: s.title for n, s in known.index.sets.items()}}
    yield code_system(
        publication,
        "clinical-concept",
        "What rules speak of: one for each value set",
        names.items(),
    )
    yield code_system(publication, "order-template", "Orders that may be suggested", labels.items())
    yield code_system(
        publication, "card-topic", "What a card is about", dict(topics(known)).items()
    )


def _files(guideline: Guideline | Definition, known: Known, tenant: Tenant) -> list[Path]:
    """The file of a guideline, and the laboratory's where its limits are in force."""
    name, _, laboratory = guideline.id.partition("+")
    files = [known.own.get(name, shipped_file(name))]
    if laboratory:
        shipped = GUIDELINES / "laboratories" / f"{laboratory}.toml"
        files.append(Path(tenant.clinical.get("b12", {}).get("laboratory", shipped)))
    return files


def _in_force(known: Known, tenant: Tenant) -> dict[str, Any]:
    return {
        "guideline": known.b12.guideline.label,
        "laboratory": known.b12.guideline.laboratory,
        "definition": known.muscle.definition.label,
        "minimumAge": known.muscle.definition.minimum_age,
        "orders": known.templates.locale,
        "policy": dict(known.b12.policy),
        "attention": tenant.clinical.get("attention", {}),
    }


def _service_plan(publication: Publication, known: Known, offered: OfferedHook) -> dict[str, Any]:
    """One service of discovery: its hook, what is in force, the rules about orders."""
    plans = [
        {
            "title": one.title,
            "definitionCanonical": publication.canonical("PlanDefinition", one.id),
        }
        for one in (known.b12.guideline, known.muscle.definition)
    ]
    rules = known.order_rules.values() if offered.hook.is_about_orders else ()
    return plan(
        publication,
        service_id(offered.hook.name),
        f"Vitamin B12 deficiency and muscle loss, {offered.when}",
        "eca-rule",
        status="draft",
        description="The CDS Hooks service of this id, as this site has it. In words: conditions "
        "are not executable from here.",
        library=[publication.canonical("Library", "shared-knowledge")],
        relatedArtifact=[
            {
                "type": "depends-on",
                "display": "Why a card may be set aside",
                "resource": publication.canonical("ValueSet", "override-reason"),
            }
        ],
        action=[
            {
                "title": f"Evaluate {offered.when}",
                "trigger": triggers([offered.hook.name]),
                "action": [*plans, *(_about_orders(rule) for rule in rules)],
            }
        ],
    )


def _about_orders(rule: OrderRule) -> dict[str, Any]:
    source = filled({**cited(rule.source, rule.locator), "url": rule.url})
    return {
        "title": rule.title,
        "documentation": [source],
        "selectionBehavior": "at-most-one",
        "action": [
            {
                "title": case.summary,
                "description": f"Indicator: {case.indicator}.",
                "textEquivalent": case.says,
                "condition": applies(f"the draft orders, and: {name.replace('-', ' ')}"),
            }
            for name, case in rule.cases.items()
        ],
    }
