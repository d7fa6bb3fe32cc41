"""The routes of CDS Hooks: discovery, calls and feedback; and the probes."""

from collections.abc import Iterable

import orjson
from flask import Blueprint, Response, g

from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol.feedback import Feedback, build_log_item, read_feedback
from cds_hooks.protocol.service import DISCOVERY_PATH, Service
from cds_hooks.records.database import RecordsUnavailableError
from cds_hooks.telemetry.tracing import CallSpan
from cds_hooks.web.call import answer_call, make_json_response, read_body
from cds_hooks.web.context import Context


def make_blueprint(context: Context, description: bytes) -> Blueprint:
    """The routes of CDS Hooks, the probes, and `description`, an OpenAPI document in JSON."""
    routes = Blueprint("cds", __name__)
    telemetry = context.telemetry

    @routes.get(DISCOVERY_PATH)
    def discover() -> Response:  # [DISC-01, DISC-02, DISC-14]
        return make_json_response(context.identify_site(DISCOVERY_PATH).discovery)

    @routes.post(f"{DISCOVERY_PATH}/<service_id>")
    def call(service_id: str) -> Response:  # [CALL-01]
        site = context.identify_site(f"{DISCOVERY_PATH}/{service_id}")
        service = site.find_service(service_id)
        attributes = {"cobalamin.tenant": site.tenant.id, "cobalamin.service": service.id}
        with telemetry.tracing.start_call(g.trace, attributes) as span:
            call_span = CallSpan(g.trace, span, telemetry.tracing)
            return answer_call(context, site, service, call_span)

    @routes.post(f"{DISCOVERY_PATH}/<service_id>/feedback")
    def feedback(service_id: str) -> Response:  # [FB-01, FB-02, FB-03]
        # No publication says which of the two a token for feedback names; clients do either.
        path = f"{DISCOVERY_PATH}/{service_id}"
        site = context.identify_site(f"{path}/feedback", path)
        service, tenant = site.find_service(service_id), site.tenant
        items = read_feedback(read_body())
        new = context.records.store_feedback(
            tenant.id,
            service.id,
            items,
            context.clock(),
            comments=tenant.comments == "encrypt",
        )
        if new:  # a message sent again says nothing new
            _count_feedback(context, tenant, service, items)
        telemetry.log.info(
            "feedback",
            version=telemetry.version,
            tenant=tenant.id,
            service=service.id,
            requestId=g.request_id,
            items=len(items),
            new=new,
            accepted=sum(item.outcome == "accepted" for item in items),
            overridden=sum(item.outcome == "overridden" for item in items),
            outcomes=[build_log_item(item, service.override_reasons) for item in items],
        )
        return make_json_response(orjson.dumps({"received": len(items)}))

    @routes.get("/openapi.json")
    def described() -> Response:
        return make_json_response(description)

    @routes.get("/health/live")
    def live() -> Response:
        return make_json_response(b'{"status":"live"}')

    @routes.get("/health/ready")
    def ready() -> Response:
        report = context.readiness.get_report()
        response = make_json_response(orjson.dumps(report.as_json(telemetry.version)))
        response.status_code = 200 if report.is_ready else 503
        return response

    return routes


def _count_feedback(
    context: Context, tenant: Tenant, service: Service, items: Iterable[Feedback]
) -> None:
    """Count each card's outcome once, by the card's topic; "unknown" for another's card."""
    outcomes = {(item.card, item.outcome) for item in items}
    try:
        topics = context.records.read_card_topics(tenant.id, (card for card, _ in outcomes))
    except RecordsUnavailableError:  # the answers themselves wait in the spool
        topics = {}
    for card, outcome in outcomes:
        topic = topics.get(card, "unknown")
        context.telemetry.metrics.feedback[tenant.id, service.id, topic, outcome].inc()
