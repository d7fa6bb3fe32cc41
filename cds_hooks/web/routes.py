"""Discovery, calls and feedback."""

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import NotFound, UnsupportedMediaType

from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import Tenant
from cds_hooks.fhir.client import FhirClient
from cds_hooks.protocol import prefetch
from cds_hooks.protocol.cards import Card, as_json
from cds_hooks.protocol.errors import MissingDataError
from cds_hooks.protocol.feedback import Feedback, build_log_item, read_feedback
from cds_hooks.protocol.hook_request import UUID, HookRequest, read_json, read_request
from cds_hooks.protocol.prefetch import FetchResult, PrefetchAnswer, PrefetchState
from cds_hooks.protocol.service import DISCOVERY_PATH, Call, Decision, Service, adapt_decision
from cds_hooks.records.store import Records, RecordsUnavailableError, StoredCard, StoredDecision
from cds_hooks.security.authentication import Authentication
from cds_hooks.security.key_sets import KeySet
from cds_hooks.security.rate_limit import RateLimit
from cds_hooks.telemetry.logs import DECISION_SCHEMA
from cds_hooks.telemetry.metrics import Metrics
from cds_hooks.telemetry.tracing import CallSpan, Tracing
from cds_hooks.web.readiness import Readiness

JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Site:
    """One tenant and all that is made for it alone."""

    tenant: Tenant
    services: Mapping[str, Service]
    discovery: bytes
    fhir: FhirClient

    @classmethod
    def from_tenant(cls, tenant: Tenant, services: Iterable[Service]) -> "Site":
        answering = {one.id: one for one in services if tenant.dialect.supports_hook(one.hook)}
        discovery = orjson.dumps({"services": [one.as_json() for one in answering.values()]})
        return cls(tenant, answering, discovery, FhirClient(tenant.fhir))

    def find_service(self, service_id: str) -> Service:
        """Raises NotFound."""
        service = self.services.get(service_id)
        if service is None:
            raise NotFound
        g.service = service.id
        return service


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes work with; made once for each process."""

    sites: Mapping[str, Site]  # by tenant
    settings: Settings
    authentication: Authentication
    rate_limit: RateLimit | None  # None where callers are on this machine alone
    keys: Mapping[str, KeySet]  # by tenant
    records: Records
    readiness: Readiness
    metrics: Metrics
    tracing: Tracing
    log: Any
    version: str
    clock: Callable[[], datetime]

    def identify_site(self, *paths: str) -> Site:
        """Who calls the endpoint at `paths`. Raises Unauthenticated and TooManyCalls."""
        trusted = self.authentication.is_trusted(request.remote_addr)
        header = self.settings.certificate_header
        certificate = request.headers.get(header) if trusted and header else None
        authorization = request.headers.get("Authorization")
        now = self.clock()
        tenant = self.authentication.authenticate(authorization, paths, now, certificate)
        g.tenant = tenant.id
        if self.rate_limit is not None:
            self.rate_limit.check_tenant(tenant.id, tenant.calls_per_minute)
        return self.sites[tenant.id]


def make_blueprint(context: Context, description: bytes) -> Blueprint:
    """The routes of CDS Hooks, the probes, and what is served in the words of OpenAPI."""
    routes = Blueprint("cds", __name__)

    @routes.get(DISCOVERY_PATH)
    def discover() -> Response:  # [DISC-01, DISC-02, DISC-14]
        return _make_response(context.identify_site(DISCOVERY_PATH).discovery)

    @routes.post(f"{DISCOVERY_PATH}/<service_id>")
    def call(service_id: str) -> Response:  # [CALL-01]
        site = context.identify_site(f"{DISCOVERY_PATH}/{service_id}")
        service = site.find_service(service_id)
        said = {"cobalamin.tenant": site.tenant.id, "cobalamin.service": service.id}
        with context.tracing.start_call(g.trace, said) as span:
            return answer_call(context, site, service, CallSpan(g.trace, span, context.tracing))

    @routes.post(f"{DISCOVERY_PATH}/<service_id>/feedback")
    def feedback(service_id: str) -> Response:  # [FB-01, FB-02, FB-03]
        # No publication says which of the two a token for feedback names; clients do either.
        path = f"{DISCOVERY_PATH}/{service_id}"
        site = context.identify_site(f"{path}/feedback", path)
        service, tenant = site.find_service(service_id), site.tenant
        items = read_feedback(_read_body())
        new = context.records.store_feedback(
            tenant.id,
            service.id,
            items,
            context.clock(),
            comments=tenant.comments == "encrypt",
        )
        if new:  # a message sent again says nothing new
            _count_feedback(context, tenant, service, items)
        context.log.info(
            "feedback",
            version=context.version,
            tenant=tenant.id,
            service=service.id,
            requestId=g.request_id,
            items=len(items),
            new=new,
            accepted=sum(item.outcome == "accepted" for item in items),
            overridden=sum(item.outcome == "overridden" for item in items),
            outcomes=[build_log_item(item, service.override_reasons) for item in items],
        )
        return _make_response(orjson.dumps({"received": len(items)}))

    @routes.get("/openapi.json")
    def described() -> Response:
        return _make_response(description)

    @routes.get("/health/live")
    def live() -> Response:
        return _make_response(b'{"status":"live"}')

    @routes.get("/health/ready")
    def ready() -> Response:
        found = context.readiness.get_report()
        response = _make_response(orjson.dumps(found.as_json(context.version)))
        response.status_code = 200 if found.is_ready else 503
        return response

    return routes


def _make_response(body: bytes) -> Response:
    return Response(body, mimetype="application/json")


def _read_body() -> Any:
    if not JSON_TYPE.fullmatch(request.mimetype):
        raise UnsupportedMediaType
    return read_json(request.get_data(cache=False))


def answer_call(context: Context, site: Site, service: Service, traced: CallSpan) -> Response:
    """One call from the bytes to the stored and logged answer."""
    began = time.perf_counter()
    called = read_request(_read_body(), service.hook)
    if UUID.fullmatch(called.hook_instance):
        g.hook_instance = called.hook_instance
    tenant = site.tenant
    answers, fetches = obtain_prefetch(site, service, called, traced)
    context.metrics.count_prefetch(tenant.id, answers)
    context.metrics.count_fhir_requests(tenant.id, fetches)
    log_fetches(context, tenant, fetches, service=service.id)
    require_prefetch(service, answers)
    now = context.clock()
    memory = context.records.open_card_history(
        tenant.id, called.patient_id, called.encounter_id, now
    )
    with traced.start_part("decide") as span:
        decision = service.decide(Call(called, answers, now.date(), now, memory))
        decision = adapt_decision(decision, tenant.dialect)
        span.set_attributes({"cobalamin.cards": len(decision.cards)})
    body = orjson.dumps({"cards": [as_json(card) for card in decision.cards]})  # [RESP-01]
    milliseconds = round((time.perf_counter() - began) * 1000, 2)
    counts = _count_prefetch(answers)
    with traced.start_part("store"):
        _store_decision(context, tenant, service, called, counts, decision, milliseconds, now)
    withheld = decision.record.get("suppressed", ())
    context.metrics.count_decision(
        tenant.id, service.id, map(_get_topic_and_indicator, decision.cards), withheld
    )
    _log_decision(context, tenant, service, called, counts, decision, milliseconds)
    return _make_response(body)


def obtain_prefetch(
    site: Site, service: Service, called: HookRequest, traced: CallSpan
) -> tuple[dict[str, PrefetchAnswer], tuple[FetchResult, ...]]:
    """An answer for each key of the service, and what was tried for it. [PF-05]"""
    answers = prefetch.read_prefetch(called, service.prefetch)
    fetches: tuple[FetchResult, ...] = ()
    if any(a.state is PrefetchState.LEFT_OUT or a.next_url for a in answers.values()):
        answers, fetches = site.fhir.complete_answers(called, answers, service.prefetch, traced)
    return answers, fetches


def require_prefetch(service: Service, answers: Mapping[str, PrefetchAnswer]) -> None:
    """Raises DataUnobtainable. [PF-06]"""
    missing = sorted(key for key in service.required if not answers[key].is_known)
    if missing:
        names = ", ".join(missing)
        raise MissingDataError(
            f"neither prefetch nor the FHIR server gave: {names}",
            [f"prefetch.{key}" for key in missing],
        )


def _count_feedback(
    context: Context, tenant: Tenant, service: Service, items: Iterable[Feedback]
) -> None:
    outcomes = {(item.card, item.outcome) for item in items}
    try:
        topics = context.records.read_card_topics(tenant.id, (card for card, _outcome in outcomes))
    except RecordsUnavailableError:  # the answers themselves wait in the spool
        topics = {}
    for card, outcome in outcomes:
        topic = topics.get(card, "unknown")
        context.metrics.feedback[tenant.id, service.id, topic, outcome].inc()


def _get_topic_and_indicator(card: Card) -> tuple[str, str]:
    """Topic and indicator, for metrics and log."""
    return card.source.topic.code if card.source.topic else "", card.indicator.value


def _count_prefetch(answers: Mapping[str, PrefetchAnswer]) -> dict[str, int]:
    """How the keys of the service were come by; a failed or missing one counts as failed.

    `incomplete` counts those supplied or fetched of which only a part was had.
    """
    known = [answer for answer in answers.values() if answer.is_known]
    fetched = sum(answer.is_fetched for answer in known)
    return {
        "supplied": len(known) - fetched,
        "fetched": fetched,
        "failed": len(answers) - len(known),
        "incomplete": sum(not answer.is_complete for answer in known),
    }


def _store_decision(
    context: Context,
    tenant: Tenant,
    service: Service,
    called: HookRequest,
    counts: Mapping[str, int],
    decision: Decision,
    milliseconds: float,
    now: datetime,
) -> None:
    context.records.store_decision(
        StoredDecision(
            id=g.request_id,
            at=now,
            tenant=tenant.id,
            service=service.id,
            hook=service.hook,
            hook_instance=g.get("hook_instance", ""),
            patient_id=called.patient_id,
            encounter_id=called.encounter_id,
            version=context.version,
            duration_ms=milliseconds,
            record=decision.record,
            cards=tuple(_build_stored_card(card) for card in decision.cards),
            prefetch=counts,
        )
    )


def _build_stored_card(card: Card) -> StoredCard:
    topic = card.source.topic
    uuids = tuple(suggestion.uuid for suggestion in card.suggestions)
    code, system = (topic.code, topic.system) if topic else (None, None)
    return StoredCard(
        card.uuid,
        code,
        card.indicator.value,
        uuids,
        topic_system=system,
        rests_on=card.rests_on,
    )


def log_fetches(
    context: Context, tenant: Tenant, fetches: Iterable[FetchResult], **members: str
) -> None:
    """A line for each; `members` say what it was for."""
    for fetch in fetches:
        context.log.info(
            "fetch",
            version=context.version,
            tenant=tenant.id,
            **members,
            requestId=g.request_id,
            key=fetch.key,
            state=fetch.state.value,
            reason=fetch.reason,
            durationMs=fetch.milliseconds,
        )


def _log_decision(
    context: Context,
    tenant: Tenant,
    service: Service,
    called: HookRequest,
    counts: Mapping[str, int],
    decision: Decision,
    milliseconds: float,
) -> None:
    share = context.settings.log_sample
    is_quiet = not decision.cards
    if is_quiet and random.random() >= share:  # noqa: S311  # no secret
        return
    identified: dict[str, Any] = {
        "hookInstance": g.get("hook_instance"),
        "requestId": g.request_id,
        "traceId": g.trace.id if g.trace is not None else None,
        "sample": share if is_quiet and share < 1 else None,
    }
    context.log.info(
        "decision",
        schema=DECISION_SCHEMA,
        version=context.version,
        tenant=tenant.id,
        service=service.id,
        hook=called.hook,
        **{name: value for name, value in identified.items() if value is not None},
        status=200,
        durationMs=milliseconds,
        prefetch=counts,
        **({"epic": called.epic} if called.epic else {}),
        **{name: value for name, value in decision.record.items() if name != "cards"},
        cards=[
            dict(
                zip(
                    ("uuid", "topic", "indicator"),
                    (card.uuid, *_get_topic_and_indicator(card)),
                    strict=True,
                )
            )
            for card in decision.cards
        ],
    )
