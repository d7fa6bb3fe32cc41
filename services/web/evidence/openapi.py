"""What the OpenAPI document says of the evidence."""

from typing import Any

from cds_hooks.web.openapi import READ_STATUSES, build_refusals, build_response
from mappings.export.terminology import build_own_artefacts
from mappings.publications.guideline_file import list_guideline_ids
from services.knowledge.site import SiteKnowledge
from services.web.evidence.catalogue import PAGES

MOST_OF_A_SEARCH = 200  # characters


def evidence_paths(known: SiteKnowledge) -> dict[str, Any]:
    """The paths below `/evidence`, and those of the project's own FHIR artefacts."""
    shipped = (*list_guideline_ids("b12"), *list_guideline_ids("sarcopenia"))
    in_force = (known.b12.guideline.id, known.muscle.definition.id)
    ids = sorted({*PAGES, *shipped, *known.own_files, *in_force})
    own = build_own_artefacts(known.index, known.chart_knowledge.questionnaire)
    artefact = build_response(
        None, "A FHIR R4 resource of the project's own.", "application/fhir+json"
    )
    return {
        "/evidence": _reading("evidence-index", _page("What there is to read.")),
        "/evidence/{id}": _reading(
            "evidence", _page("One guideline, definition or list."), _part("id", ids)
        ),
        "/evidence/codes": _reading(
            "codes",
            _page("The code lists, or what a search found in them."),
            {
                "name": "q",
                "in": "query",
                "schema": {"type": "string", "maxLength": MOST_OF_A_SEARCH},
            },
        ),
        "/evidence/codes/{name}": _reading(
            "code-list", _page("One code list."), _part("name", sorted(known.index.sets))
        ),
        "/fhir/{kind}/{id}": _reading(
            "artefact",
            artefact,
            _part("kind", sorted({name.partition("/")[0] for name in own})),
            _part("id", sorted({name.partition("/")[2] for name in own})),
        ),
    }


def _page(says: str) -> dict[str, Any]:
    """A page, and the same as JSON for who asks for that."""
    return {
        "description": says,
        "content": {
            "text/html": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }


def _part(name: str, values: list[str]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"enum": values}}


def _reading(name: str, ok: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    get = {
        "operationId": name,
        "parameters": [*parameters],
        "responses": {"200": ok, **build_refusals(READ_STATUSES)},
    }
    return {"get": get}
