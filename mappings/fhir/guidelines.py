"""Guidelines, definitions and rules about orders as FHIR R4: Library and PlanDefinition.

The conditions are functions of this project, not expressions: what stands here of them is in words,
and says so. Every limit is cited with its place in the publication.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mappings.fhir.terminology import PUBLISHER, fhir_id, value_set_url
from mappings.guideline import Cutoff, Guideline
from mappings.order_rules import OrderRule
from mappings.order_template import OrderTemplate
from mappings.sarcopenia_definition import Definition
from mappings.value_set import ValueSetIndex

Resource = dict[str, Any]
HOOKS = ("patient-view", "order-select", "order-sign")
TYPE_OF = {
    "observation": "Observation",
    "condition": "Condition",
    "medication": "MedicationRequest",
    "procedure": "Procedure",
}
ORDERABLE = frozenset({"ServiceRequest", "MedicationRequest", "Task"})
IN_WORDS = "text/plain"  # of a condition: for people, not for an engine
PRIORITY = {"info": "routine", "warning": "urgent", "critical": "stat"}


def library(one: Guideline | Definition, index: ValueSetIndex, file: bytes) -> Resource:
    """The limits of one publication: which data they need, where each is printed, and the file."""
    return {
        **_head("Library", one.id, index.base, one),
        "type": _coded("http://terminology.hl7.org/CodeSystem/library-type", "logic-library"),
        "description": f"Limits and rules of {one.citation}",
        "relatedArtifact": [_derived(one), *_limits(one.cutoffs)],
        "dataRequirement": list(_needed(one, index)),
        "content": [
            {
                "contentType": "application/toml",
                "title": f"{one.id}.toml",
                "data": base64.b64encode(file).decode(),
            }
        ],
    }


def plan(
    one: Guideline | Definition, index: ValueSetIndex, orders: Iterable[OrderTemplate], locale: str
) -> Resource:
    """When one publication speaks, and what it offers: an action for each situation."""
    offered = {template.id: template for template in orders}
    actions = list(_actions(one, index.base, offered, locale))
    return {
        **_head("PlanDefinition", one.id, index.base, one),
        "type": _coded("http://terminology.hl7.org/CodeSystem/plan-definition-type", "eca-rule"),
        "description": f"Strength: {one.strength} Not for: {', '.join(one.not_for)}.",
        "library": [f"{index.base}/Library/{fhir_id(one.id)}"],
        "relatedArtifact": [_derived(one)],
        "action": [
            {
                "title": one.title,
                "trigger": [{"type": "named-event", "name": hook} for hook in HOOKS],
                "condition": [_condition(f"the patient is {one.minimum_age} years or older")],
                **({"action": actions} if actions else {}),
            }
        ],
    }


def rules_plan(rules: Mapping[str, OrderRule], base: str, version: str) -> Resource:
    """What is said of draft orders, by rule and case."""
    return {
        **_plain_head("PlanDefinition", "orders", base, version, "What is said of draft orders"),
        "type": _coded("http://terminology.hl7.org/CodeSystem/plan-definition-type", "eca-rule"),
        "relatedArtifact": [
            {
                "type": "citation",
                "label": rule.id,
                "display": f"{rule.source}: {rule.locator} (confidence: {rule.confidence})",
                **({"url": rule.url} if rule.url else {}),
            }
            for rule in rules.values()
        ],
        "action": [
            {
                "title": rule.title,
                "code": [{"text": id_}],
                "trigger": [{"type": "named-event", "name": hook} for hook in HOOKS[1:]],
                "action": [
                    {
                        "title": case.summary,
                        "description": case.says,
                        "priority": PRIORITY[case.indicator],
                        "condition": [_condition(f"{id_}: {name}")],
                    }
                    for name, case in rule.cases.items()
                ],
            }
            for id_, rule in rules.items()
        ],
    }


def activity(template: OrderTemplate, locale: str, base: str, version: str) -> Resource | None:
    """One order that may be suggested; None for what is no order."""
    draft = template.resource
    kind = draft["resourceType"]
    if kind not in ORDERABLE:
        return None
    return {
        **_plain_head(
            "ActivityDefinition", activity_id(template.id, locale), base, version, template.label
        ),
        "description": template.description,
        "relatedArtifact": [
            {
                "type": "citation",
                "display": f"{template.source}: {template.locator} "
                f"(confidence: {template.confidence})",
            }
        ],
        "kind": kind,
        "intent": "proposal",
        **({"code": draft["code"]} if "code" in draft else {}),
        **(
            {"productCodeableConcept": draft["medicationCodeableConcept"]}
            if "medicationCodeableConcept" in draft
            else {}
        ),
        **({"dosage": draft["dosageInstruction"]} if "dosageInstruction" in draft else {}),
    }


def activity_id(template: str, locale: str) -> str:
    return fhir_id(f"{locale.lower()}-{template}")


def _actions(
    one: Guideline | Definition, base: str, offered: Mapping[str, OrderTemplate], locale: str
) -> Iterator[Resource]:
    if not isinstance(one, Guideline):
        return
    testing = one.testing
    for title, tests, locator in (
        ("First tests", testing.first_test, testing.rule_locator),
        ("Tests in pregnancy", testing.pregnancy_test, testing.pregnancy_locator),
        ("Tests after nitrous oxide", testing.nitrous_oxide_test, testing.nitrous_oxide_locator),
    ):
        yield _offer(title, title, tests, locator, base, offered, locale)
    for treatment in one.treatments.values():
        yield _offer(
            f"Treatment: {treatment.situation.replace('_', ' ')}",
            treatment.says,
            treatment.templates,
            treatment.locator,
            base,
            offered,
            locale,
        )


def _offer(
    title: str,
    says: str,
    templates: Iterable[str],
    locator: str,
    base: str,
    offered: Mapping[str, OrderTemplate],
    locale: str,
) -> Resource:
    """One situation, and the orders that fit it; one of them is chosen."""
    known = [
        offered[name]
        for name in templates
        if name in offered and offered[name].resource["resourceType"] in ORDERABLE
    ]
    orders = [
        {
            "title": template.label,
            "definitionCanonical": f"{base}/ActivityDefinition/{activity_id(template.id, locale)}",
        }
        for template in known
    ]
    return {
        "title": title,
        "description": says,
        "documentation": [{"type": "citation", "display": locator}],
        **({"selectionBehavior": "at-most-one", "action": orders} if orders else {}),
    }


def _condition(says: str) -> Resource:
    return {
        "kind": "applicability",
        "expression": {"description": says, "language": IN_WORDS, "expression": says},
    }


def _needed(one: Guideline | Definition, index: ValueSetIndex) -> Iterator[Resource]:
    """What is read: results that have limits, and what a rule for testing names."""
    names = list(dict.fromkeys(cutoff.observation for cutoff in one.cutoffs))
    if isinstance(one, Guideline):
        testing = one.testing
        names += [*testing.risk_factors, *testing.further_risk_factors, *testing.symptoms]
    for name in dict.fromkeys(names):
        kind = TYPE_OF.get(index.sets[name].kind) if name in index.sets else None
        if kind is not None and index.rows.get(name):
            yield {
                "type": kind,
                "codeFilter": [{"path": "code", "valueSet": value_set_url(index.base, name)}],
            }


def _derived(one: Guideline | Definition) -> Resource:
    return {"type": "derived-from", "display": one.title, "citation": one.citation, "url": one.url}


def _limits(cutoffs: Iterable[Cutoff]) -> Iterator[Resource]:
    for cutoff in cutoffs:
        of = (cutoff.sex, cutoff.method, "in pregnancy" if cutoff.pregnant else None)
        whose = ", ".join(part for part in of if part)
        said = f"{cutoff.observation} {cutoff} means {cutoff.means}{f' ({whose})' if whose else ''}"
        source = f"{cutoff.source}, " if cutoff.source else ""
        yield {
            "type": "citation",
            "display": f"{said}: {source}{cutoff.locator} (confidence: {cutoff.confidence})",
        }


def _head(kind: str, id_: str, base: str, one: Guideline | Definition) -> Resource:
    return {
        **_plain_head(kind, fhir_id(id_), base, one.version, one.title),
        "date": one.reviewed.isoformat(),
        "approvalDate": one.published.isoformat(),
        "lastReviewDate": one.reviewed.isoformat(),
        "reviewer": [{"name": one.reviewer}],
        "copyright": f"The publication belongs to {one.publisher}; this is a reading of it.",
    }


def _plain_head(kind: str, id_: str, base: str, version: str, title: str) -> Resource:
    return {
        "resourceType": kind,
        "id": fhir_id(id_),
        "url": f"{base}/{kind}/{fhir_id(id_)}",
        "version": version,
        "name": "".join(part.capitalize() for part in fhir_id(id_).split("-")),
        "title": title,
        "status": "active",
        "experimental": False,
        "publisher": PUBLISHER,
    }


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}
