"""The knowledge as pages to read and as JSON: every limit with its locator, every attribute."""

from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import NotFound

from mappings.guideline import Cutoff, Guideline
from mappings.guideline_file import guideline_ids, read_guideline
from services.knowledge import Known

# The pages need no script, no other host and no frame.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


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
        "confidence": cutoff.confidence,
    }
    return {key: value for key, value in plain.items() if value is not None}


def evidence_pages(known: Known) -> Blueprint:
    """`/evidence` and `/evidence/<guideline>`: HTML for a browser, JSON for who asks for it."""
    pages = Blueprint(
        "evidence", __name__, template_folder=str(Path(__file__).parent / "templates")
    )
    shipped = (read_guideline(id_, known.index) for id_ in guideline_ids())
    guidelines = {guideline.id: guideline for guideline in shipped}
    guidelines[known.b12.guideline.id] = known.b12.guideline
    documents = {id_: orjson.dumps(as_document(g)) for id_, g in guidelines.items()}
    titles = known.b12.titles

    @pages.get("/evidence")
    def index() -> Response:
        return _page(
            "evidence_index.html", guidelines=guidelines.values(), used=known.b12.guideline
        )

    @pages.get("/evidence/<id_>")
    def guideline(id_: str) -> Response:
        if id_ not in guidelines:
            raise NotFound
        accepted = request.accept_mimetypes.best_match(["text/html", "application/json"])
        if accepted == "application/json" or request.args.get("format") == "json":
            return Response(documents[id_], mimetype="application/json")
        return _page("evidence.html", guideline=guidelines[id_], titles=titles)

    return pages


def _page(template: str, **values: Any) -> Response:
    response = Response(render_template(template, **values), mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "public, max-age=300"
    return response
