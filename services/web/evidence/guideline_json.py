"""Guidelines, definitions and orders as JSON: what the files say, nothing else."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from mappings.knowledge_file import Change
from mappings.publications.cutoffs import Cutoff
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from services.knowledge.site import SiteKnowledge


def build_guideline_document(guideline: Guideline) -> dict[str, Any]:
    """A guideline."""
    testing = guideline.testing
    return {
        "id": guideline.id,
        "version": guideline.version,
        "title": guideline.title,
        "publisher": guideline.publisher,
        "citation": guideline.citation,
        "url": guideline.url,
        "published": guideline.published.isoformat(),
        "reviewed": guideline.reviewed.isoformat(),
        "reviewer": guideline.reviewer,
        "strength": guideline.strength,
        **({"basedOn": dict(guideline.based_on)} if guideline.based_on else {}),
        "minimumAge": guideline.minimum_age,
        "notFor": list(guideline.not_for),
        "limits": [build_limit_document(cutoff) for cutoff in guideline.cutoffs],
        "testing": {
            "rule": testing.rule,
            "ruleLocator": testing.rule_locator,
            "riskFactors": list(testing.risk_factors),
            "riskLocator": testing.risk_locator,
            "furtherRiskFactors": list(testing.further_risk_factors),
            "furtherRiskLocator": testing.further_risk_locator,
            "symptoms": list(testing.symptoms),
            "symptomLocator": testing.symptom_locator,
            "durations": [
                {
                    "subject": row.subject,
                    "comparison": row.comparison,
                    "limit": row.limit,
                    "unit": row.unit,
                    "step": row.step,
                    "source": row.source,
                    "locator": row.locator,
                }
                for row in testing.durations
            ],
        },
        "treatments": [
            {
                "situation": treatment.situation,
                "says": treatment.says,
                "locator": treatment.locator,
                "confidence": treatment.confidence,
            }
            for treatment in guideline.treatments.values()
        ],
        "followUp": {
            "months": guideline.follow_up.months,
            "pregnancyMonths": guideline.follow_up.pregnancy_months,
            "locator": guideline.follow_up.locator,
        },
        "sourceAttributes": dict(guideline.source_attributes),
        "changes": _list_changes(guideline.changes),
    }


def _list_changes(changes: Iterable[Change]) -> list[dict[str, str]]:
    return [
        {"version": one.version, "date": one.day.isoformat(), "what": one.what} for one in changes
    ]


def build_limit_document(cutoff: Cutoff) -> dict[str, Any]:
    plain = {
        "observation": cutoff.observation,
        "comparison": cutoff.comparison,
        "limit": cutoff.limit,
        "unit": cutoff.unit,
        "means": cutoff.means,
        "locator": cutoff.locator,
        "source": cutoff.source,
        "sex": cutoff.sex,
        "pregnant": cutoff.pregnant,
        "method": cutoff.method,
        "confidence": cutoff.confidence,
    }
    return {key: value for key, value in plain.items() if value is not None}


def build_definition_document(definition: Definition) -> dict[str, Any]:
    """A definition of sarcopenia."""
    return {
        "id": definition.id,
        "version": definition.version,
        "title": definition.title,
        "publisher": definition.publisher,
        "citation": definition.citation,
        "url": definition.url,
        "published": definition.published.isoformat(),
        "reviewed": definition.reviewed.isoformat(),
        "reviewer": definition.reviewer,
        "strength": definition.strength,
        **({"basedOn": dict(definition.based_on)} if definition.based_on else {}),
        "algorithm": definition.algorithm,
        "algorithmLocator": definition.algorithm_locator,
        "minimumAge": definition.minimum_age,
        "minimumAgeLocator": definition.minimum_age_locator,
        "notFor": list(definition.not_for),
        "limits": [build_limit_document(cutoff) for cutoff in definition.cutoffs],
        "unable": [
            {
                "observation": row.observation,
                "means": row.means,
                "locator": row.locator,
                "confidence": row.confidence,
            }
            for row in definition.unable
        ],
        "massOrder": list(definition.mass_order),
        "sourceAttributes": dict(definition.source_attributes),
        "changes": _list_changes(definition.changes),
    }


def build_b12_and_muscle_document(known: SiteKnowledge) -> dict[str, Any]:
    """What is known of B12 and muscle, the comparison, and the other causes."""
    causes = [
        {f.name: getattr(cause, f.name) for f in fields(cause)} for cause in known.muscle.causes
    ]
    told = [{k: v for k, v in cause.items() if v not in ((), None, False)} for cause in causes]
    return {**known.comparison, "cause": told}


def build_orders_document(known: SiteKnowledge) -> dict[str, Any]:
    """What is said of draft orders, and which orders may be suggested."""
    return {
        "rule": [asdict(rule) for rule in known.order_rules.values()],
        "locale": known.templates.locale,
        "template": [
            {
                "id": template.id,
                "concept": template.concept,
                "label": template.label,
                "description": template.description,
                "source": template.source,
                "locator": template.locator,
                "confidence": template.confidence,
                "resource": template.resource,
            }
            for template in known.templates.by_id.values()
        ],
    }
