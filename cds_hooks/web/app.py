"""Make the Flask application: CORS, limits, headers, error answers and counts of each request."""

import time
import traceback
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from flask import Blueprint, Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from cds_hooks.net.urls import is_loopback, is_origin
from cds_hooks.protocol.errors import (
    CallError,
    RecordsDownError,
    TooManyCallsError,
    build_operation_outcome,
)
from cds_hooks.records.database import RecordsUnavailableError
from cds_hooks.security.token_checks import AuthenticationError
from cds_hooks.telemetry.metrics import Metrics
from cds_hooks.telemetry.trace_context import read_trace
from cds_hooks.web.context import Context
from cds_hooks.web.openapi import build_document
from cds_hooks.web.routes import make_blueprint

JSON = "application/json"
EXTENSION = "cds_hooks"  # where Flask keeps the Context of an application
ENDPOINTS = {  # of Flask -> in metrics; what is not here is a page, or nothing that there is
    "cds.call": "call",
    "cds.feedback": "feedback",
    "cds.discover": "discovery",
    "cds.live": "probe",
    "cds.ready": "probe",
}


def create_app(
    context: Context,
    pages: Sequence[Blueprint] = (),
) -> Flask:
    """The Flask application of one worker process: CDS Hooks, the probes and `pages`.

    The OpenAPI document leaves `pages` out.
    """
    app = Flask("cds_hooks", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = context.settings.max_body_bytes
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.extensions[EXTENSION] = context
    app.register_blueprint(make_blueprint(context, _build_description(context)))
    for page in pages:
        app.register_blueprint(page)
    _add_request_handlers(app, context)
    _add_error_handlers(app, context)
    return app


def _build_description(context: Context) -> bytes:
    """The OpenAPI document: every service that some tenant has."""
    services = {
        id_: service for site in context.sites.values() for id_, service in site.services.items()
    }
    document = build_document(
        services.values(),
        version=context.telemetry.version,
        base_url=context.settings.base_url,
        is_open=context.settings.is_open,
    )
    return orjson.dumps(document)


def get_context(app: Flask) -> Context:
    context: Context = app.extensions[EXTENSION]
    return context


def _add_request_handlers(app: Flask, context: Context) -> None:
    settings = context.settings
    allowed = frozenset(settings.cors_origins)

    def is_origin_allowed(origin: str) -> bool:
        if origin in allowed:
            return True
        if not (settings.allow_loopback_origins and is_origin(origin)):
            return False
        return is_loopback(urlsplit(origin).hostname or "")

    @app.before_request
    def begin() -> Response | None:
        g.began = time.perf_counter()
        g.request_id = str(uuid4())
        g.trace = read_trace(request.headers.get)
        if context.rate_limit is not None:
            context.rate_limit.check_address(_find_client_address(context))
        if request.method == "OPTIONS":  # a preflight is answered to anybody [CORS-01]
            return Response(status=204)
        return None

    @app.after_request
    def end(response: Response) -> Response:
        headers = response.headers
        headers["X-Request-Id"] = g.get("request_id", "")
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Cache-Control", "no-store")
        origin = request.headers.get("Origin")
        if origin is not None:
            headers.add("Vary", "Origin")
            if not _is_page() and is_origin_allowed(origin):
                headers["Access-Control-Allow-Origin"] = origin
                if request.method == "OPTIONS":
                    headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
                    headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
                    headers["Access-Control-Max-Age"] = "600"
        _count_request(context.telemetry.metrics, response.status_code)
        return response


def _is_page() -> bool:
    """Whether people read what was asked for: scripts of other origins then have no business."""
    return request.endpoint is not None and not request.endpoint.startswith("cds.")


def _count_request(metrics: Metrics, status: int) -> None:
    rule = request.endpoint
    endpoint = ENDPOINTS.get(rule, "page") if rule else "none"
    if request.method == "OPTIONS":
        endpoint = "preflight"
    tenant, service = g.get("tenant", ""), g.get("service", "")
    metrics.requests[tenant, service, endpoint, str(status)].inc()
    if endpoint == "call" and service:
        metrics.calls[tenant, service].observe(time.perf_counter() - g.began)


def _find_client_address(context: Context) -> str:
    """Where a request comes from: what a trusted proxy says of it, else who connected."""
    address = request.remote_addr or ""
    if context.authentication.is_trusted(address):
        # Each proxy adds at the end whom it forwarded; what stands before a stranger is hearsay.
        for forwarded in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
            if forwarded.strip():
                address = forwarded.strip()
            if not context.authentication.is_trusted(address):
                break
    return address


def _add_error_handlers(app: Flask, context: Context) -> None:
    """Every answer that is not 2xx is an OperationOutcome. [RESP-07]"""
    log = context.telemetry.log
    unauthorized = build_operation_outcome(401)

    @app.errorhandler(AuthenticationError)
    def report_authentication_error(fault: AuthenticationError) -> Response:
        """One answer, whatever the reason: that is for the log alone."""
        context.telemetry.metrics.auth_refusals[fault.tenant or "", fault.reason].inc()
        log.warning(
            "auth-refused",
            version=context.telemetry.version,
            requestId=g.get("request_id"),
            path=str(request.url_rule),
            reason=fault.reason,
            **({"tenant": fault.tenant} if fault.tenant else {}),
            **(fault.details if fault.tenant else {}),
        )
        if fault.status != 401:
            return make_outcome_response(fault.status, build_operation_outcome(fault.status))
        response = make_outcome_response(401, unauthorized)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(CallError)
    def report_call_error(refusal: CallError) -> Response:
        _log_refusal(context, refusal.status, refusal.code, refusal.expressions)
        response = make_outcome_response(
            refusal.status,
            build_operation_outcome(
                refusal.status, refusal.text, refusal.diagnostics, refusal.expressions
            ),
        )
        if isinstance(refusal, TooManyCallsError):
            response.headers["Retry-After"] = "60"
        return response

    @app.errorhandler(RecordsUnavailableError)
    def report_missing_records(fault: RecordsUnavailableError) -> Response:
        _log_refusal(context, RecordsDownError.status, str(fault), ())
        return make_outcome_response(
            RecordsDownError.status,
            build_operation_outcome(RecordsDownError.status, RecordsDownError.text),
        )

    @app.errorhandler(HTTPException)
    def report_http_error(fault: HTTPException) -> Response:
        status = fault.code or 500
        _log_refusal(context, status, type(fault).__name__, ())
        response = make_outcome_response(status, build_operation_outcome(status))
        for name, value in fault.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def report_failure(fault: Exception) -> Response:
        # The type and the place, never the message: it may quote what was being read.
        frame = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        _log_refusal(context, 500, type(fault).__name__, (where,))
        return make_outcome_response(
            500, build_operation_outcome(500, "The service failed; the fault is logged.")
        )


def make_outcome_response(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status=status, mimetype=JSON)


def _log_refusal(context: Context, status: int, reason: str, places: Sequence[str]) -> None:
    log, trace = context.telemetry.log, g.get("trace")
    members: dict[str, Any] = {
        "version": context.telemetry.version,
        "tenant": g.get("tenant"),
        "requestId": g.get("request_id"),
        "path": str(request.url_rule) if request.url_rule else None,
        "service": g.get("service"),
        "hookInstance": g.get("hook_instance"),
        "traceId": trace.id if trace is not None else None,
        "status": status,
        "reason": reason,
        "places": list(places) or None,
    }
    line = {name: value for name, value in members.items() if value is not None}
    (log.error if status >= 500 else log.warning)("error", **line)
