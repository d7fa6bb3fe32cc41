"""The knowledge as pages to read and as JSON: every limit with its locator, every attribute."""

from dataclasses import asdict, fields
from typing import Any

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from cds_hooks.openapi import answer, refusals
from mappings.export import own_artefacts
from mappings.guideline import Cutoff, Guideline
from mappings.sarcopenia_definition import Definition
from services.knowledge import Known
from services.workbench.frame import Frame

TOGETHER = "b12-and-muscle"
ORDERS = "orders"


def as_document(guideline: Guideline) -> dict[str, Any]:
    """A guideline as JSON: what the file says, nothing else."""
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
        "limits": [_limit(cutoff) for cutoff in guideline.cutoffs],
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
    }


def _limit(cutoff: Cutoff) -> dict[str, Any]:
    plain = {
        "observation": cutoff.observation,
        "comparison": cutoff.comparison,
        "limit": cutoff.limit,
        "unit": cutoff.unit,
        "means": cutoff.means,
        "locator": cutoff.locator,
        "source": cutoff.source,
        "sex": cutoff.sex,
        "method": cutoff.method,
        "confidence": cutoff.confidence,
    }
    return {key: value for key, value in plain.items() if value is not None}


def definition_as_document(definition: Definition) -> dict[str, Any]:
    """A definition of sarcopenia as JSON: what the file says, nothing else."""
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
        "limits": [_limit(cutoff) for cutoff in definition.cutoffs],
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
    }


def _together_as_document(known: Known) -> dict[str, Any]:
    """What is known of B12 and muscle, the comparison, and the other causes."""
    causes = [
        {f.name: getattr(cause, f.name) for f in fields(cause)} for cause in known.muscle.causes
    ]
    told = [{k: v for k, v in cause.items() if v not in ((), None, False)} for cause in causes]
    return {**known.comparison, "cause": told}


def evidence_paths(known: Known) -> dict[str, Any]:
    """What the OpenAPI document says of these pages."""
    guidelines = {*known.guidelines(), ORDERS, TOGETHER}
    definitions = {*known.definitions()}
    own = own_artefacts(known.index, known.readable.questionnaire)
    index = _html("The guidelines and definitions.")
    page = _html("One of them, every limit with its place.")
    page["content"]["application/json"] = {"schema": {"type": "object"}}
    artefact = answer(None, "A FHIR R4 resource of the project's own.", "application/fhir+json")
    return {
        "/evidence": _reading("evidence-index", index),
        "/evidence/{id}": _reading("evidence", page, id=sorted(guidelines | definitions)),
        "/fhir/{kind}/{id}": _reading(
            "artefact",
            artefact,
            kind=sorted({name.partition("/")[0] for name in own}),
            id=sorted({name.partition("/")[2] for name in own}),
        ),
    }


def _html(says: str) -> dict[str, Any]:
    return {"description": says, "content": {"text/html": {"schema": {"type": "string"}}}}


def _reading(name: str, ok: dict[str, Any], **parts: list[str]) -> dict[str, Any]:
    parameters = [
        {"name": part, "in": "path", "required": True, "schema": {"enum": values}}
        for part, values in parts.items()
    ]
    get = {"operationId": name, "parameters": parameters, "responses": {"200": ok, **refusals()}}
    return {"get": get}


def evidence_pages(frame: Frame, known: Known) -> Blueprint:
    """`/evidence` and below: HTML for a browser, JSON for who asks for it; `/fhir/...`: the
    project's own FHIR artefacts."""
    pages = frame.blueprint("evidence")
    guidelines, definitions = known.guidelines(), known.definitions()
    documents = {id_: orjson.dumps(as_document(g)) for id_, g in guidelines.items()}
    documents |= {id_: orjson.dumps(definition_as_document(d)) for id_, d in definitions.items()}
    documents[ORDERS] = orjson.dumps({"rule": [asdict(r) for r in known.order_rules.values()]})
    documents[TOGETHER] = orjson.dumps(_together_as_document(known))
    own = own_artefacts(known.index, known.readable.questionnaire)
    fhir = {name: orjson.dumps(resource) for name, resource in own.items()}
    titles = known.b12.titles

    def shown(template: str, **values: Any) -> Response:
        response = frame.page(f"workbench/{template}", **values)
        if "evidence" in frame.settings.pages.public:
            response.headers["Cache-Control"] = "public, max-age=300"
        return response

    @pages.get("/evidence")
    def index() -> Response:
        return shown(
            "evidence_index.html",
            guidelines=guidelines.values(),
            definitions=definitions.values(),
            used=(known.b12.guideline.id, known.muscle.definition.id),
        )

    @pages.get("/evidence/<id_>")
    def guideline(id_: str) -> Response:
        if id_ not in documents:
            raise NotFound
        accepted = request.accept_mimetypes.best_match(["text/html", "application/json"])
        if accepted == "application/json" or request.args.get("format") == "json":
            return Response(documents[id_], mimetype="application/json")
        if id_ == TOGETHER:
            return shown("b12_and_muscle.html", known=known, titles=titles)
        if id_ == ORDERS:
            return shown("orders.html", rules=known.order_rules.values())
        if id_ in definitions:
            return shown("definition.html", definition=definitions[id_], titles=titles)
        return shown("evidence.html", guideline=guidelines[id_], titles=titles)

    @pages.get("/fhir/<kind>/<id_>")
    def artefact(kind: str, id_: str) -> Response:
        if f"{kind}/{id_}" not in fhir:
            raise NotFound
        return Response(fhir[f"{kind}/{id_}"], mimetype="application/fhir+json")

    return pages
