"""The door of the app: launches by EHRs and by users, our public keys, and who is inside.

Nobody is known here by an account of ours: the EHR's authorisation server says who it is and which
patient is meant, for each launch anew.
"""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import orjson
from flask import Blueprint, Response, after_this_request, current_app, g, request
from werkzeug.exceptions import NotFound

from cds_hooks.config.tenants import Tenant
from cds_hooks.fhir.client import FhirClient
from cds_hooks.protocol.prefetch import find_resource_type
from cds_hooks.protocol.strict_json import UnreadableJsonError, parse_json
from cds_hooks.smart.cookies import LaunchCookies
from cds_hooks.smart.launch import LAUNCH_ID, LaunchError, Launches, LaunchToken
from cds_hooks.smart.patient_data import (
    LaunchEndedError,
    extend_access,
    read_patient,
    require_answers,
)
from cds_hooks.web.app import get_context
from cds_hooks.web.call import log_fetches
from cds_hooks.web.openapi import build_response
from services.hooks.catalog import REQUIRED_KEYS, build_prefetch_templates
from services.web.frame import Frame, build_policy
from services.web.smart_app.session import LaunchSession

ERROR_TEMPLATE = "pages/launch_fault.html"


class LaunchRoutes:
    """Lets users in by launches; one for each process. Raises ConfigurationFault."""

    def __init__(self, frame: Frame, now: Callable[[], float] = time.time) -> None:
        settings = frame.settings
        self._frame, self._now = frame, now
        self._templates = {
            tenant.id: build_prefetch_templates(frame.knowledge_by_tenant[tenant.id].index)
            for tenant in settings.tenants
            if tenant.smart is not None
        }
        kinds = {
            find_resource_type(one) for each in self._templates.values() for one in each.values()
        }
        self.launches = Launches(settings, kinds, now=now)
        accesses = [tenant.smart for tenant in settings.tenants if tenant.smart is not None]
        self._origins = sorted({origin for one in accesses for origin in one.frame_ancestors})
        self._cookies = LaunchCookies(settings, frame.key())
        self._fhir = {
            tenant.id: FhirClient(extend_access(tenant.fhir))
            for tenant in settings.tenants
            if tenant.smart is not None
        }

    def make_blueprint(self) -> Blueprint:
        """What EHRs and their authorisation servers send browsers to."""
        routes = self._frame.make_blueprint("smart-launch", own_door=True, fault=ERROR_TEMPLATE)

        @routes.get("/smart/launch")
        def launch() -> Response:
            return self._begin_launch(request.args.get("iss"), request.args.get("launch"))

        @routes.get("/smart/callback")
        def callback() -> Response:
            return self._finish_launch(request.args)

        @routes.get("/smart/jwks.json")
        def keys() -> Response:
            shown = [
                one.key.build_public_jwk() for one in self.launches.clients.values() if one.key
            ]
            response = Response(orjson.dumps({"keys": shown}), mimetype="application/json")
            response.cache_control.max_age = 300
            return response

        @routes.after_app_request
        def framed(response: Response) -> Response:
            """Where a site names its EHRs' origins, they alone may show the app in a frame.

            A page that says what went wrong may not know whose launch it was.
            """
            is_fault = response.status_code >= 400 and request.path.startswith("/smart/")
            origins = g.get("framed_by") or (self._origins if is_fault else ())
            if origins and response.mimetype == "text/html":
                allowed = build_policy(frame_ancestors=" ".join(origins))
                response.headers["Content-Security-Policy"] = allowed
            return response

        return routes

    def opened(self, launch_id: str) -> LaunchSession:
        """The patient of a launch, everything read anew.

        Raises NotFound for a launch that this browser does not have, LaunchOver for one that has
        ended, and DataUnobtainable.
        """
        if not LAUNCH_ID.fullmatch(launch_id) or not self._cookies.has_launch(request, launch_id):
            raise NotFound
        now = self._now()
        launched = self._cookies.read_launch(request, launch_id, now)
        if launched is None or launched.tenant not in self._fhir:
            raise LaunchEndedError
        tenant, framed = self._find_tenant(launched.tenant)
        answers, fetches = read_patient(
            self._fhir[tenant.id], launched, self._templates[tenant.id], now
        )
        telemetry = get_context(current_app).telemetry
        telemetry.metrics.count_fhir_requests(tenant.id, fetches)
        log_fetches(telemetry, tenant, fetches)
        require_answers(answers, fetches, REQUIRED_KEYS)

        @after_this_request
        def renew(response: Response) -> Response:
            self._cookies.renew_launch(response, launched, now, framed=framed)
            return response

        told = _read_app_context(launched)
        return LaunchSession(tenant, launched.patient, answers, told, launched.user)

    def _begin_launch(self, iss: str | None, launch: str | None) -> Response:
        url, begun = self.launches.begin_launch(iss, launch)
        _tenant, framed = self._find_tenant(begun.tenant)
        response = _redirect(url)
        self._cookies.put_pending(response, request, begun, self._now(), framed=framed)
        return response

    def _finish_launch(self, answer: Mapping[str, str]) -> Response:
        id_ = answer.get("state", "")[:12]
        begun = (
            self._cookies.read_pending(request, id_, self._now())
            if LAUNCH_ID.fullmatch(id_)
            else None
        )
        if begun is None:
            raise LaunchError(
                "It was not begun in this browser, or too long ago. Open the app again from the "
                "chart.",
                ["state"],
            )
        _tenant, framed = self._find_tenant(begun.tenant)

        @after_this_request
        def once(response: Response) -> Response:
            self._cookies.drop_pending(response, id_, framed=framed)
            return response

        launched = self.launches.finish_launch(begun, answer)
        response = _redirect(f"{self._cookies.path}/p/{launched.id}/")
        self._cookies.put_launch(response, request, launched, self._now(), framed=framed)
        return response

    def _find_tenant(self, tenant_id: str) -> tuple[Tenant, bool]:
        """The tenant of this request, for log and headers, and whether its EHR has frames."""
        tenant = self._frame.settings.find_tenant(tenant_id)
        g.tenant = tenant.id
        origins = tenant.smart.frame_ancestors if tenant.smart else ()
        g.framed_by = origins
        return tenant, bool(origins)


def _redirect(url: str) -> Response:
    return Response(status=303, headers={"Location": url})


def _read_app_context(launched: LaunchToken) -> Mapping[str, Any]:
    """What our card gave to the launch; nothing where it is not an object of ours."""
    try:
        found = parse_json(launched.app_context.encode())
    except UnreadableJsonError:
        found = None
    return MappingProxyType(found) if isinstance(found, dict) else MappingProxyType({})


def door_paths() -> dict[str, Any]:
    """What the OpenAPI document says of the door."""
    elsewhere = {"303": {"description": "To the next step.", "headers": {"Location": _TEXT}}}
    says = {400: "No launch.", 403: "The EHR did not agree.", 502: "Its server did not."}
    refused = {str(status): build_response("OperationOutcome", why) for status, why in says.items()}
    return {
        "/smart/launch": _reading("smart-launch", elsewhere | refused, "iss", "launch"),
        "/smart/callback": _reading(
            "smart-callback", elsewhere | refused, "state", "code", "error"
        ),
        "/smart/jwks.json": _reading(
            "smart-keys", {"200": build_response(None, "The keys by which the app proves itself.")}
        ),
    }


_TEXT = {"schema": {"type": "string"}}


def _reading(name: str, responses: dict[str, Any], *parameters: str) -> dict[str, Any]:
    given = [{"name": one, "in": "query", **_TEXT} for one in parameters]
    return {
        "get": {"operationId": name, "security": [], "parameters": given, "responses": responses}
    }
