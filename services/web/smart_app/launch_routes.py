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
from services.hooks.catalog import REQUIRED_KEYS, build_prefetch_templates
from services.web.frame import Frame, build_policy
from services.web.smart_app.session import LaunchSession

ERROR_TEMPLATE = "pages/launch_fault.html"


class LaunchRoutes:
    """Lets users in by launches; one for each process. Raises ConfigurationError."""

    def __init__(self, frame: Frame, now: Callable[[], float] = time.time) -> None:
        settings = frame.settings
        self._frame, self._now = frame, now
        self._templates = {
            tenant.id: build_prefetch_templates(frame.knowledge_by_tenant[tenant.id].index)
            for tenant in settings.tenants
            if tenant.smart is not None
        }
        kinds = {
            find_resource_type(query)
            for queries in self._templates.values()
            for query in queries.values()
        }
        self.launches = Launches(settings, kinds, now=now)
        accesses = [tenant.smart for tenant in settings.tenants if tenant.smart is not None]
        self._origins = sorted({origin for access in accesses for origin in access.frame_ancestors})
        self._cookies = LaunchCookies(settings, frame.load_session_key())
        self._fhir = {
            tenant.id: FhirClient(extend_access(tenant.fhir))
            for tenant in settings.tenants
            if tenant.smart is not None
        }

    def make_blueprint(self) -> Blueprint:
        """What EHRs and their authorisation servers send browsers to."""
        routes = self._frame.make_blueprint(
            "smart-launch", is_unguarded=True, error_template=ERROR_TEMPLATE
        )

        @routes.get("/smart/launch")
        def launch() -> Response:
            return self._begin_launch(request.args.get("iss"), request.args.get("launch"))

        @routes.get("/smart/callback")
        def callback() -> Response:
            return self._finish_launch(request.args)

        @routes.get("/smart/jwks.json")
        def keys() -> Response:
            public = [
                client.key.build_public_jwk()
                for client in self.launches.clients.values()
                if client.key
            ]
            response = Response(orjson.dumps({"keys": public}), mimetype="application/json")
            response.cache_control.max_age = 300
            return response

        @routes.after_app_request
        def limit_frames(response: Response) -> Response:
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

    def open_launch(self, launch_id: str) -> LaunchSession:
        """The patient of a launch, everything read anew.

        Raises NotFound for a launch that this browser does not have, LaunchEndedError for one that
        has ended, and MissingDataError.
        """
        if not LAUNCH_ID.fullmatch(launch_id) or not self._cookies.has_launch(request, launch_id):
            raise NotFound
        now = self._now()
        token = self._cookies.read_launch(request, launch_id, now)
        if token is None or token.tenant not in self._fhir:
            raise LaunchEndedError
        tenant, framed = self._find_tenant(token.tenant)
        answers, fetches = read_patient(
            self._fhir[tenant.id], token, self._templates[tenant.id], now
        )
        telemetry = get_context(current_app).telemetry
        telemetry.metrics.count_fhir_requests(tenant.id, fetches)
        log_fetches(telemetry, tenant, fetches)
        require_answers(answers, fetches, REQUIRED_KEYS)

        @after_this_request
        def renew_cookie(response: Response) -> Response:
            self._cookies.renew_launch(response, token, now, framed=framed)
            return response

        app_context = _read_app_context(token)
        return LaunchSession(tenant, token.patient, answers, app_context, token.user)

    def _begin_launch(self, iss: str | None, launch: str | None) -> Response:
        url, pending = self.launches.begin_launch(iss, launch)
        _tenant, framed = self._find_tenant(pending.tenant)
        response = _redirect(url)
        self._cookies.put_pending(response, request, pending, self._now(), framed=framed)
        return response

    def _finish_launch(self, answer: Mapping[str, str]) -> Response:
        id_ = answer.get("state", "")[:12]
        pending = (
            self._cookies.read_pending(request, id_, self._now())
            if LAUNCH_ID.fullmatch(id_)
            else None
        )
        if pending is None:
            raise LaunchError(
                "It was not begun in this browser, or too long ago. Open the app again from the "
                "chart.",
                ["state"],
            )
        _tenant, framed = self._find_tenant(pending.tenant)

        @after_this_request
        def drop_cookie(response: Response) -> Response:
            self._cookies.drop_pending(response, id_, framed=framed)
            return response

        token = self.launches.finish_launch(pending, answer)
        response = _redirect(f"{self._cookies.path}/p/{token.id}/")
        self._cookies.put_launch(response, request, token, self._now(), framed=framed)
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
        context = parse_json(launched.app_context.encode())
    except UnreadableJsonError:
        context = None
    return MappingProxyType(context) if isinstance(context, dict) else MappingProxyType({})
