"""`/`: what this is, what it says of a patient, and how to call it."""

from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import NotFound

from cds_hooks.protocol.service import SPECIFICATION
from cds_hooks.web.app import context_of
from cds_hooks.web.openapi import READING, refusals
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.web import sandbox
from services.web.frame import Frame, policy
from services.web.sample_patients import Sample, sample_patients
from services.web.unit_text import spelt
from services.web.what_if.query import SAMPLES


def start_pages(frame: Frame) -> Blueprint:
    """The start page, its sample patients assessed once."""
    pages, samples = frame.blueprint("start"), _samples(frame)
    base_url = frame.settings.base_url

    @pages.get("/")
    def start() -> Response:
        tenant, context = frame.access.tenant(), context_of(current_app)
        patients = samples[tenant.id]
        chosen = patients.get(request.args.get("sample", next(iter(patients))))
        if chosen is None:
            raise NotFound
        page = frame.page(
            "pages/start.html",
            tenant=tenant,
            known=frame.here,
            services=[one.as_json() for one in context.sites[tenant.id].services.values()],
            health=context.readiness.finding().as_json(frame.version),
            specification=SPECIFICATION,
            samples=patients.values(),
            chosen=chosen,
            hooks=OFFERED_HOOKS,
            sandbox=sandbox,
            base_url=base_url,
            is_let_in=sandbox.ORIGIN in frame.settings.cors_origins,
            spelt=spelt,
        )
        # The form with a FHIR server and a patient goes to the sandbox and never through here.
        allowed = policy(form_action=f"'self' {sandbox.ORIGIN}")
        page.headers["Content-Security-Policy"] = allowed
        return page

    return pages


def _samples(frame: Frame) -> dict[str, dict[str, Sample]]:
    """By tenant; those who are answered by the same knowledge share them."""
    made: dict[int, dict[str, Sample]] = {}
    for tenant in frame.settings.tenants:
        known = frame.known[tenant.id]
        if id(known) not in made:
            made[id(known)] = sample_patients(known, frame.settings.base_url, tenant)
    return {tenant.id: made[id(frame.known[tenant.id])] for tenant in frame.settings.tenants}


def start_paths() -> dict[str, Any]:
    """What the OpenAPI document says of the start page."""
    sample = {"name": "sample", "in": "query", "schema": {"enum": [*SAMPLES]}}
    says = "What this is, the services, a sample patient, and whether it is well."
    ok = {"description": says, "content": {"text/html": {"schema": {"type": "string"}}}}
    get = {
        "operationId": "start",
        "parameters": [sample],
        "responses": {"200": ok, **refusals(READING)},
    }
    return {"/": {"get": get}}
