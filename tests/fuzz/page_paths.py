"""The pages as an OpenAPI document, to draw requests from.

The service describes its protocol alone: people read pages. What a page may answer stands here.
"""

from typing import Any

from patients import known

from cds_hooks.web.openapi import READ_STATUSES, build_refusals
from mappings.export.terminology import build_own_artefacts
from mappings.publications.guideline_file import list_guideline_ids
from services.web.evidence.catalogue import PAGES as LISTS
from services.web.governance import FIGURE_NAMES
from services.web.what_if.query import SAMPLE_NAMES

TEXT = {"type": "string"}
TYPES = ("text/html", "application/json", "application/fhir+json", "text/csv")
FORM = {
    "type": "object",
    "required": ["csrf_token", "document"],
    "properties": {"csrf_token": TEXT, "document": TEXT},
}


def is_page(rule: Any) -> bool:
    """Whether a rule of the application's map is a page: no call, no probe, no style or script."""
    return not rule.endpoint.startswith("cds.") and not rule.endpoint.endswith("static")


def describe_pages(app: Any) -> dict[str, Any]:
    """Every page by the application's own rules; each part of a path takes the values there are."""
    document: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    values, queries = _path_values(), {"/": {"sample": {"enum": [*SAMPLE_NAMES]}}}
    queries["/evidence/codes"] = {"q": {**TEXT, "maxLength": 200}}
    paths: dict[str, Any] = {}
    for rule in filter(is_page, app.url_map.iter_rules()):
        path = rule.rule.replace("<", "{").replace(">", "}")
        parts = [
            {"name": name, "in": "path", "required": True, "schema": {"enum": values[path, name]}}
            for name in sorted(rule.arguments)
        ]
        query = [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in queries.get(path, {}).items()
        ]
        for method in sorted(rule.methods & {"GET", "POST"}):
            operation = {"parameters": [*parts, *query], "responses": _responses()}
            if method == "POST":
                content = {"application/x-www-form-urlencoded": {"schema": FORM}}
                operation["requestBody"] = {"required": True, "content": content}
            paths.setdefault(path, {})[method.lower()] = operation
    return {**document, "paths": paths}


def _path_values() -> dict[tuple[str, str], list[str]]:
    index, questionnaire = known().index, known().chart_knowledge.questionnaire
    own = [name.partition("/") for name in build_own_artefacts(index, questionnaire)]
    ids = (*LISTS, *list_guideline_ids("b12"), *list_guideline_ids("sarcopenia"))
    return {
        ("/evidence/{id_}", "id_"): sorted(ids),
        ("/evidence/codes/{name}", "name"): sorted(index.sets),
        ("/fhir/{kind}/{id_}", "kind"): sorted({kind for kind, _, _id in own}),
        ("/fhir/{kind}/{id_}", "id_"): sorted({id_ for _kind, _, id_ in own}),
        ("/governance/{figure}.csv", "figure"): [*FIGURE_NAMES],
    }


def _responses() -> dict[str, Any]:
    page = {"description": "The page.", "content": {kind: {"schema": {}} for kind in TYPES}}
    refused = build_refusals(READ_STATUSES)
    slow = {**refused["503"], "description": "So many records take too long."}
    return {"200": page, **refused, "504": slow}
