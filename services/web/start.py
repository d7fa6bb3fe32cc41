"""`/`: what this is, what it says of a patient, and how to call it."""

from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import NotFound

from cds_hooks.protocol.service import SPECIFICATION
from cds_hooks.web.app import get_context
from cds_hooks.web.openapi import READ_STATUSES, build_refusals
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.web import sandbox
from services.web.frame import Frame, build_policy
from services.web.sample_patients import Sample, assess_samples
from services.web.unit_text import spell_units
from services.web.what_if.query import SAMPLE_NAMES


def make_start_pages(frame: Frame) -> Blueprint:
    """The start page, its sample patients assessed once."""
    pages, samples = frame.make_blueprint("start"), _assess_samples(frame)
    base_url = frame.settings.base_url

    @pages.get("/")
    def start() -> Response:
        tenant, context = frame.access.tenant(), get_context(current_app)
        patients = samples[tenant.id]
        chosen = patients.get(request.args.get("sample", next(iter(patients))))
        if chosen is None:
            raise NotFound
        page = frame.render_page(
            "pages/start.html",
            tenant=tenant,
            known=frame.knowledge,
            services=[one.as_json() for one in context.sites[tenant.id].services.values()],
            health=context.readiness.get_report().as_json(frame.version),
            specification=SPECIFICATION,
            samples=patients.values(),
            chosen=chosen,
            hooks=OFFERED_HOOKS,
            sandbox=sandbox,
            base_url=base_url,
            is_let_in=sandbox.ORIGIN in frame.settings.cors_origins,
            spelt=spell_units,
        )
        # The form with a FHIR server and a patient goes to the sandbox and never through here.
        allowed = build_policy(form_action=f"'self' {sandbox.ORIGIN}")
        page.headers["Content-Security-Policy"] = allowed
        return page

    return pages


def _assess_samples(frame: Frame) -> dict[str, dict[str, Sample]]:
    """By tenant; those who are answered by the same knowledge share them."""
    made: dict[int, dict[str, Sample]] = {}
    for tenant in frame.settings.tenants:
        known = frame.knowledge_by_tenant[tenant.id]
        if id(known) not in made:
            made[id(known)] = assess_samples(known, frame.settings.base_url, tenant)
    return {
        tenant.id: made[id(frame.knowledge_by_tenant[tenant.id])]
        for tenant in frame.settings.tenants
    }


def start_paths() -> dict[str, Any]:
    """What the OpenAPI document says of the start page."""
    sample = {"name": "sample", "in": "query", "schema": {"enum": [*SAMPLE_NAMES]}}
    says = "What this is, the services, a sample patient, and whether it is well."
    ok = {"description": says, "content": {"text/html": {"schema": {"type": "string"}}}}
    get = {
        "operationId": "start",
        "parameters": [sample],
        "responses": {"200": ok, **build_refusals(READ_STATUSES)},
    }
    return {"/": {"get": get}}
