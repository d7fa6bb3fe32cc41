"""`/`: what this is, what it says of a patient, and how to call it."""

from collections.abc import Mapping
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import NotFound

from cds_hooks.protocol.service import SPECIFICATION
from cds_hooks.web.app import get_context
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.web.frame import Frame, build_policy
from services.web.sample_patients import Sample, assess_samples
from services.web.unit_text import spell_units

# The public CDS Hooks Sandbox: another host, opened only when somebody asks for it.
SANDBOX_ORIGIN = "https://sandbox.cds-hooks.org"


def build_sandbox_parameters(hook: str, base_url: str) -> Mapping[str, str]:
    """The query by which the sandbox calls our service of this hook.

    Hook and screen are always named: by one alone it calls a service with another's hook.
    """
    return {
        "serviceDiscoveryURL": f"{base_url}/cds-services",  # joined with "/": none at its end
        "hook": hook,
        "screen": OFFERED_HOOKS[hook].sandbox_screen,
    }


def build_sandbox_url(hook: str, base_url: str) -> str:
    """The sandbox with our services, at the view that calls this hook."""
    return f"{SANDBOX_ORIGIN}/?{urlencode(build_sandbox_parameters(hook, base_url))}"


def make_start_pages(frame: Frame) -> Blueprint:
    """The start page, its sample patients assessed once."""
    pages, samples = frame.make_blueprint("start"), _assess_samples(frame)
    base_url = frame.settings.base_url

    @pages.get("/")
    def start() -> Response:
        tenant, context = frame.access.get_tenant(), get_context(current_app)
        patients = samples[tenant.id]
        sample = patients.get(request.args.get("sample", next(iter(patients))))
        if sample is None:
            raise NotFound
        page = frame.render_page(
            "pages/start.html",
            tenant=tenant,
            knowledge=frame.knowledge,
            services=[service.as_json() for service in context.sites[tenant.id].services.values()],
            health=context.readiness.get_report().as_json(frame.version),
            specification=SPECIFICATION,
            samples=patients.values(),
            sample_shown=sample,
            hooks=OFFERED_HOOKS,
            sandbox_origin=SANDBOX_ORIGIN,
            sandbox_url=build_sandbox_url,
            sandbox_parameters=build_sandbox_parameters,
            base_url=base_url,
            is_let_in=SANDBOX_ORIGIN in frame.settings.cors_origins,
            spell_units=spell_units,
        )
        # The form with a FHIR server and a patient goes to the sandbox and never through here.
        allowed = build_policy(form_action=f"'self' {SANDBOX_ORIGIN}")
        page.headers["Content-Security-Policy"] = allowed
        return page

    return pages


def _assess_samples(frame: Frame) -> dict[str, dict[str, Sample]]:
    """By tenant; those who are answered by the same knowledge share them."""
    by_knowledge: dict[int, dict[str, Sample]] = {}
    for tenant in frame.settings.tenants:
        knowledge = frame.knowledge_by_tenant[tenant.id]
        if id(knowledge) not in by_knowledge:
            by_knowledge[id(knowledge)] = assess_samples(knowledge, frame.settings.base_url, tenant)
    return {
        tenant.id: by_knowledge[id(frame.knowledge_by_tenant[tenant.id])]
        for tenant in frame.settings.tenants
    }
