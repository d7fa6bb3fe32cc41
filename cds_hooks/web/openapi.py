"""Build the OpenAPI document from the schemas that requests are checked with."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cds_hooks.protocol.hook_request import HOOKS
from cds_hooks.protocol.hook_request import SCHEMA as HOOK_REQUEST
from cds_hooks.protocol.service import Service

SCHEMAS = Path(__file__).parents[1] / "protocol" / "schemas"
JSON = "application/json"
SECURED: list[dict[str, list[str]]] = [{"token": []}]
DESCRIPTION = (
    "Every answer that is not 2xx is an OperationOutcome. What is not HTTP at all never gets here: "
    "the server refuses it with an empty body."
)
REFUSALS = {
    400: "The body is not JSON.",
    401: "No token, or one that is not accepted; why is for the log alone.",
    404: "There is nothing here.",
    405: "Not by this method.",
    408: "The body did not come in time.",
    412: "FHIR data that the service needs could not be had; the keys are named.",
    413: "The body is too large.",
    415: "The body is of another type than JSON.",
    422: "JSON, but not this request; the path is named.",
    429: "Too many calls from this tenant or address.",
    500: "The service failed.",
    503: "The records are down: no answer without its record.",
}
COMMON_STATUSES = (400, 404, 405, 408, 413, 429, 500)
READ_STATUSES = (*COMMON_STATUSES, 401, 503)
WRITE_STATUSES = (*READ_STATUSES, 415, 422)


def build_document(
    services: Iterable[Service],
    *,
    version: str,
    base_url: str,
    is_open: bool,
    pages: Mapping[str, Any],
) -> dict[str, Any]:
    """The OpenAPI 3.1 document. `is_open`: nobody needs a token; `pages`: paths besides."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "CDS Hooks services", "version": version, "description": DESCRIPTION},
        "servers": [{"url": base_url}],
        "paths": {
            "/cds-services": _build_discovery(),
            **dict(path for service in services for path in _build_service_paths(service)),
            **_build_probes(),
            **pages,
        },
        "components": {"schemas": _read_schemas(), "securitySchemes": _build_security_schemes()},
    }
    return _remove_security(document) if is_open else document


def build_response(schema: str | None, text: str, *types: str) -> dict[str, Any]:
    """A response whose body follows a schema of the components; any JSON without one."""
    body = {"$ref": f"#/components/schemas/{schema}"} if schema else {}
    return {"description": text, "content": {kind: {"schema": body} for kind in types or (JSON,)}}


def build_refusals(statuses: Iterable[int] = COMMON_STATUSES) -> dict[str, Any]:
    """The answers that are not 2xx."""
    return {
        str(status): build_response("OperationOutcome", REFUSALS[status]) for status in statuses
    }


def _build_operation(
    name: str, text: str, ok: Mapping[str, Any], statuses: Iterable[int], **members: Any
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": text,
        "responses": {str(HTTPStatus.OK.value): ok, **build_refusals(statuses)},
        **members,
    }


def _build_preflight(name: str) -> dict[str, Any]:
    """[CORS-01]"""
    return {
        "operationId": f"preflight-{name}",
        "summary": "What a browser asks before a call.",
        "responses": {
            "204": {"description": "To whom it may be shown is in the headers."},
            **build_refusals((400, 408, 429, 500)),
        },
    }


def _build_discovery() -> dict[str, Any]:
    services = build_response("Discovery", "The services of the caller.")
    get = _build_operation(
        "discovery", "Which services there are.", services, READ_STATUSES, security=SECURED
    )
    return {"get": get, "options": _build_preflight("discovery")}


def _build_service_paths(service: Service) -> Iterable[tuple[str, dict[str, Any]]]:
    path, name = f"/cds-services/{service.id}", service.id
    cards = build_response("Cards", "What there is to say.")
    call = _build_operation(
        name,
        service.title,
        cards,
        (*WRITE_STATUSES, 412),
        description=service.description,
        requestBody=_build_body(_build_request(service)),
        security=SECURED,
    )
    yield path, {"post": call, "options": _build_preflight(name)}
    received = build_response(
        "Received", "It was read and kept; what was told before is kept once."
    )
    body = _build_body({"$ref": "#/components/schemas/Feedback"})
    feedback = _build_operation(
        f"{name}-feedback",
        "What became of cards.",
        received,
        WRITE_STATUSES,
        requestBody=body,
        security=SECURED,
    )
    yield f"{path}/feedback", {"post": feedback, "options": _build_preflight(f"{name}-feedback")}


def _build_request(service: Service) -> dict[str, Any]:
    """A call as every hook has it, and what this one requires of its context."""
    required = sorted(HOOKS[service.hook].context)
    prefetch = {key: {"description": query} for key, query in service.prefetch.items()}
    return {
        "allOf": [
            {"$ref": "#/components/schemas/HookRequest"},
            {
                "properties": {
                    "hook": {"const": service.hook},
                    "context": {"required": required},
                    "prefetch": {"properties": prefetch},
                },
                "dependentRequired": {"fhirAuthorization": ["fhirServer"]},
            },
        ]
    }


def _build_body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _build_probes() -> dict[str, Any]:
    live = _build_operation(
        "live", "Whether it runs.", build_response("Live", "It does."), COMMON_STATUSES
    )
    ready = _build_operation(
        "ready", "Whether it answers.", build_response("Ready", "It does."), COMMON_STATUSES
    )
    ready["responses"]["503"] = build_response("NotReady", "The records are down.")
    return {"/health/live": {"get": live}, "/health/ready": {"get": ready}}


def _read_schemas() -> dict[str, Any]:
    answers = (SCHEMAS / "answers.schema.json").read_text(encoding="utf-8")
    components: dict[str, Any] = json.loads(answers.replace("#/$defs/", "#/components/schemas/"))
    feedback = (SCHEMAS / "feedback.schema.json").read_text(encoding="utf-8")
    request = HOOK_REQUEST.read_text(encoding="utf-8")
    return {
        **components["$defs"],
        "HookRequest": json.loads(request),
        "Feedback": json.loads(feedback),
    }


def _build_security_schemes() -> dict[str, Any]:
    """[SEC-07, SEC-11, SEC-16]"""
    text = "Signed by the EHR for one call: `aud` is the URL of the endpoint, `jti` is used once."
    return {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": text}
    }


def _remove_security(document: dict[str, Any]) -> dict[str, Any]:
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
            operation["responses"].pop("401", None)
    return document
