"""The FHIR R4 package of one site's knowledge."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cds_hooks.config.tenants import Tenant
from mappings.actions.order_rules import OrderRule
from mappings.actions.order_template import read_order_templates
from mappings.export.concept_maps import build_catalogue_map, build_concept_maps, build_order_map
from mappings.export.libraries import build_guideline_library, build_shared_library
from mappings.export.orders import COUNTRIES, build_activity_definitions
from mappings.export.package import build_implementation_guide
from mappings.export.plans import build_condition, build_guideline_plan, build_plan, build_triggers
from mappings.export.resource import ExportContext, build_citation, drop_empty, index_resources
from mappings.export.terminology import build_code_system, build_own_artefacts, build_value_sets
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from mappings.publications.guideline_file import GUIDELINES, get_shipped_file
from services.assessment.b12_steps import B12Step
from services.assessment.labels import list_sentences
from services.exports.build_sheet import list_topics
from services.hooks.offered_hooks import OFFERED_HOOKS, OfferedHook, build_service_id
from services.knowledge.site import SiteKnowledge, digest_choices


def build_knowledge_resources(
    knowledge: SiteKnowledge, tenant: Tenant
) -> tuple[ExportContext, Mapping[str, dict[str, Any]]]:
    """Everything by "Type/id", the ImplementationGuide that lists it among it."""
    context = ExportContext(
        knowledge.index.base, build_package_version(tenant), knowledge.b12.titles
    )
    resources = {
        **build_own_artefacts(knowledge.index, knowledge.chart_knowledge.questionnaire),
        **index_resources(_build_resources(context, knowledge, tenant)),
    }
    guide = build_implementation_guide(
        context, [resource for _, resource in sorted(resources.items())]
    )
    return context, dict(sorted({**resources, **index_resources([guide])}.items()))


def build_package_version(tenant: Tenant) -> str:
    """The version of the service; where a site chose something, with a mark of its choices.

    Two sites' packages then never pass for each other, and one site's changes with its choices.
    """
    chosen = _list_choices(tenant)
    if not chosen:
        return version("cobalamin-cds")
    mark = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    return f"{version('cobalamin-cds')}-site.h{mark}"


def _list_choices(tenant: Tenant) -> dict[str, Any]:
    choices = {
        name: table
        for name, table in digest_choices(tenant.service_tables).items()
        if name != "site"
    }
    catalogue = list(_list_catalogue(tenant))
    return choices | ({"catalogue": catalogue} if catalogue else {})


def _list_catalogue(tenant: Tenant) -> Iterator[tuple[str, str, str, str | None]]:
    for template, codings in tenant.dialect.catalogue.items():
        for coding in codings:
            yield template, coding.system, coding.code, coding.display


def _build_resources(
    context: ExportContext, knowledge: SiteKnowledge, tenant: Tenant
) -> Iterator[dict[str, Any]]:
    templates = [read_order_templates(locale, knowledge.index) for locale in COUNTRIES]
    labels = {template.id: template.label for of in templates for template in of.by_id.values()}
    yield from _build_code_systems(context, knowledge, labels)
    yield from build_value_sets(context, knowledge.index)
    yield from build_concept_maps(context, knowledge.index)
    orders = (template.resource for of in templates for template in of.by_id.values())
    for mapped in (
        build_order_map(context, orders),
        build_catalogue_map(context, _list_catalogue(tenant)),
    ):
        if mapped:
            yield mapped
    guidelines: list[Guideline | Definition] = [*knowledge.read_guidelines().values()]
    guidelines += knowledge.read_definitions().values()
    for guideline in guidelines:
        is_own = guideline.id.partition("+")[0] in knowledge.own_files
        files = _list_files(guideline, knowledge, tenant)
        yield build_guideline_library(context, guideline, knowledge.index, files, own=is_own)
        yield build_guideline_plan(
            context, guideline, knowledge.index, OFFERED_HOOKS, list_sentences(B12Step), own=is_own
        )
    in_force = json.dumps(_describe_knowledge(knowledge, tenant), indent=2).encode() + b"\n"
    yield build_shared_library(context, knowledge.index, {"in-force.json": in_force})
    for of_country in templates:
        yield from build_activity_definitions(context, of_country)
    for offered in OFFERED_HOOKS.values():
        yield _build_service_plan(context, knowledge, offered)


def _build_code_systems(
    context: ExportContext, knowledge: SiteKnowledge, labels: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    names = {**context.titles, **{n: s.title for n, s in knowledge.index.sets.items()}}
    yield build_code_system(
        context,
        "clinical-concept",
        "What rules speak of: one for each value set",
        names.items(),
    )
    yield build_code_system(
        context, "order-template", "Orders that may be suggested", labels.items()
    )
    yield build_code_system(
        context, "card-topic", "What a card is about", dict(list_topics(knowledge)).items()
    )


def _list_files(
    guideline: Guideline | Definition, knowledge: SiteKnowledge, tenant: Tenant
) -> list[Path]:
    """The file of a guideline, and the laboratory's where its limits are in force."""
    name, _, laboratory = guideline.id.partition("+")
    files = [knowledge.own_files.get(name, get_shipped_file(name))]
    if laboratory:
        shipped = GUIDELINES / "laboratories" / f"{laboratory}.toml"
        files.append(Path(tenant.service_tables.get("b12", {}).get("laboratory", shipped)))
    return files


def _describe_knowledge(knowledge: SiteKnowledge, tenant: Tenant) -> dict[str, Any]:
    return {
        "guideline": knowledge.b12.guideline.label,
        "laboratory": knowledge.b12.guideline.laboratory,
        "definition": knowledge.muscle.definition.label,
        "minimumAge": knowledge.muscle.definition.minimum_age,
        "orders": knowledge.templates.locale,
        "policy": dict(knowledge.b12.policy),
        "attention": tenant.service_tables.get("attention", {}),
    }


def _build_service_plan(
    context: ExportContext, knowledge: SiteKnowledge, offered: OfferedHook
) -> dict[str, Any]:
    """One service of discovery: its hook, what is in force, the rules about orders."""
    plans = [
        {
            "title": publication.title,
            "definitionCanonical": context.build_url("PlanDefinition", publication.id),
        }
        for publication in (knowledge.b12.guideline, knowledge.muscle.definition)
    ]
    rules = knowledge.order_rules.values() if offered.hook.is_about_orders else ()
    return build_plan(
        context,
        build_service_id(offered.hook.name),
        f"Vitamin B12 deficiency and muscle loss, {offered.when}",
        "eca-rule",
        status="draft",
        description="The CDS Hooks service of this id, as this site has it. In words: conditions "
        "are not executable from here.",
        library=[context.build_url("Library", "shared-knowledge")],
        relatedArtifact=[
            {
                "type": "depends-on",
                "display": "Why a card may be set aside",
                "resource": context.build_url("ValueSet", "override-reason"),
            }
        ],
        action=[
            {
                "title": f"Evaluate {offered.when}",
                "trigger": build_triggers([offered.hook.name]),
                "action": [*plans, *(_build_order_action(rule) for rule in rules)],
            }
        ],
    )


def _build_order_action(rule: OrderRule) -> dict[str, Any]:
    source = drop_empty({**build_citation(rule.source, rule.locator), "url": rule.url})
    return {
        "title": rule.title,
        "documentation": [source],
        "selectionBehavior": "at-most-one",
        "action": [
            {
                "title": case.summary,
                "description": f"Indicator: {case.indicator}.",
                "textEquivalent": case.says,
                "condition": build_condition(f"the draft orders, and: {name.replace('-', ' ')}"),
            }
            for name, case in rule.cases.items()
        ],
    }
