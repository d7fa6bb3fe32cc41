"""Discovery, calls and feedback."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import NotFound, UnsupportedMediaType

from cds_hooks import prefetch
from cds_hooks.authentication import Authentication
from cds_hooks.cards import Card, as_json
from cds_hooks.dialects import Dialect
from cds_hooks.errors import DataUnobtainable
from cds_hooks.feedback import as_logged, read_feedback
from cds_hooks.fhir_client import Fetch, FhirClient
from cds_hooks.hook_request import UUID, HookRequest, read_json, read_request
from cds_hooks.prefetch import Answer, State
from cds_hooks.records import Records, RecordsUnavailable, StoredCard, StoredDecision
from cds_hooks.service import Call, Decision, Service
from cds_hooks.settings import Settings
from cds_hooks.tenants import Tenant
from cds_hooks.throttle import Throttle

JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.IGNORECASE)
DISCOVERY = "/cds-services"


@dataclass(frozen=True, slots=True)
class Site:
    """One tenant and all that is made for it alone."""

    tenant: Tenant
    services: Mapping[str, Service]
    discovery: bytes
    fhir: FhirClient

    @classmethod
    def of(cls, tenant: Tenant, services: Iterable[Service]) -> "Site":
        answering = {one.id: one for one in services if tenant.dialect.answers(one.hook)}
        discovery = orjson.dumps({"services": [one.as_json() for one in answering.values()]})
        return cls(tenant, answering, discovery, FhirClient(tenant.fhir))

    def service(self, service_id: str) -> Service:
        """Raises NotFound."""
        service = self.services.get(service_id)
        if service is None:
            raise NotFound
        return service


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes work with; made once for each process."""

    sites: Mapping[str, Site]  # by tenant
    settings: Settings
    authentication: Authentication
    throttle: Throttle | None  # None where callers are on this machine alone
    records: Records
    log: Any
    version: str
    clock: Callable[[], datetime]

    def site(self, *paths: str) -> Site:
        """Who calls the endpoint at `paths`. Raises Unauthenticated and TooManyCalls."""
        trusted = self.authentication.is_trusted(request.remote_addr)
        header = self.settings.certificate_header
        certificate = request.headers.get(header) if trusted and header else None
        authorization = request.headers.get("Authorization")
        now = self.clock()
        tenant = self.authentication.tenant(authorization, paths, now, certificate)
        g.tenant = tenant.id
        if self.throttle is not None:
            self.throttle.tenant(tenant.id, tenant.calls_per_minute)
        return self.sites[tenant.id]


def blueprint(context: Context, description: bytes) -> Blueprint:
    """The routes of CDS Hooks, the probes, and what is served in the words of OpenAPI."""
    routes = Blueprint("cds", __name__)

    @routes.get(DISCOVERY)
    def discover() -> Response:  # [DISC-01, DISC-02, DISC-14]
        return _json(context.site(DISCOVERY).discovery)

    @routes.post(f"{DISCOVERY}/<service_id>")
    def call(service_id: str) -> Response:  # [CALL-01]
        site = context.site(f"{DISCOVERY}/{service_id}")
        return answer_call(context, site, site.service(service_id))

    @routes.post(f"{DISCOVERY}/<service_id>/feedback")
    def feedback(service_id: str) -> Response:  # [FB-01, FB-02, FB-03]
        # No publication says which of the two a token for feedback names; clients do either.
        path = f"{DISCOVERY}/{service_id}"
        site = context.site(f"{path}/feedback", path)
        service, tenant = site.service(service_id), site.tenant
        items = read_feedback(_document())
        new = context.records.store_feedback(
            tenant.id,
            service.id,
            items,
            context.clock(),
            comments=tenant.comments == "encrypt",
        )
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
            outcomes=[as_logged(item, service.reasons) for item in items],
        )
        return _json(orjson.dumps({"received": len(items)}))

    @routes.get("/openapi.json")
    def described() -> Response:
        return _json(description)

    @routes.get("/health/live")
    def live() -> Response:
        return _json(b'{"status":"live"}')

    @routes.get("/health/ready")
    def ready() -> Response:
        try:
            context.records.check()
        except RecordsUnavailable as fault:
            if context.records.spool is not None:
                body = orjson.dumps({"status": "ready", "records": "spooled"})
                return _json(body)
            body = orjson.dumps({"status": "not ready", "records": str(fault)})
            return Response(body, status=503, mimetype="application/json")
        return _json(orjson.dumps({"status": "ready", "version": context.version}))

    return routes


def _json(body: bytes) -> Response:
    return Response(body, mimetype="application/json")


def _document() -> Any:
    if not JSON_TYPE.fullmatch(request.mimetype):
        raise UnsupportedMediaType
    return read_json(request.get_data(cache=False))


def answer_call(context: Context, site: Site, service: Service) -> Response:
    """One call from the bytes to the stored and logged answer."""
    began = time.perf_counter()
    called = read_request(_document(), service.hook)
    if UUID.fullmatch(called.hook_instance):
        g.hook_instance = called.hook_instance
    answers, fetches = obtain(site, service, called)
    _log_fetches(context, site, service, fetches)
    require(service, answers)
    now = context.clock()
    tenant = site.tenant
    memory = context.records.memory(tenant.id, called.patient_id, called.encounter_id, now)
    decision = service.decide(Call(called, answers, now.date(), now, memory))
    decision = in_dialect(decision, tenant.dialect)
    body = orjson.dumps({"cards": [as_json(card) for card in decision.cards]})  # [RESP-01]
    milliseconds = round((time.perf_counter() - began) * 1000, 2)
    counts = _counts(answers)
    _store(context, tenant, service, called, counts, decision, milliseconds, now)
    _log_decision(context, tenant, service, called, counts, decision, milliseconds)
    return _json(body)


def in_dialect(decision: Decision, dialect: Dialect) -> Decision:
    """The decision with its cards as this EHR can show them; what is left out is on record."""
    adapted = [dialect.adapt(card) for card in decision.cards]
    left_out = [reason for _card, reasons in adapted for reason in reasons]
    record = dict(decision.record)
    if left_out:
        record["suppressed"] = [*record.get("suppressed", ()), *left_out]
    return Decision(tuple(card for card, _reasons in adapted), record)


def obtain(
    site: Site, service: Service, called: HookRequest
) -> tuple[dict[str, Answer], tuple[Fetch, ...]]:
    """An answer for each key of the service, and what was tried for it. [PF-05]"""
    answers = prefetch.read(called, service.prefetch)
    fetches: tuple[Fetch, ...] = ()
    if any(a.state is State.LEFT_OUT or a.next_url for a in answers.values()):
        answers, fetches = site.fhir.complete(called, answers, service.prefetch)
    return answers, fetches


def require(service: Service, answers: Mapping[str, Answer]) -> None:
    """Raises DataUnobtainable. [PF-06]"""
    missing = sorted(key for key in service.required if not answers[key].known)
    if missing:
        names = ", ".join(missing)
        raise DataUnobtainable(
            f"neither prefetch nor the FHIR server gave: {names}",
            [f"prefetch.{key}" for key in missing],
        )


def _counts(answers: Mapping[str, Answer]) -> dict[str, int]:
    """How the keys of the service were come by; a failed or missing one counts as failed."""
    known = [answer for answer in answers.values() if answer.known]
    fetched = sum(answer.fetched for answer in known)
    return {
        "supplied": len(known) - fetched,
        "fetched": fetched,
        "failed": len(answers) - len(known),
    }


def _store(
    context: Context,
    tenant: Tenant,
    service: Service,
    called: HookRequest,
    counts: Mapping[str, int],
    decision: Decision,
    milliseconds: float,
    now: datetime,
) -> None:
    context.records.store(
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
            cards=tuple(_stored(card) for card in decision.cards),
            prefetch=counts,
        )
    )


def _stored(card: Card) -> StoredCard:
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


def _log_fetches(
    context: Context, site: Site, service: Service, fetches: tuple[Fetch, ...]
) -> None:
    for fetch in fetches:
        context.log.info(
            "fetch",
            version=context.version,
            tenant=site.tenant.id,
            service=service.id,
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
    identified: dict[str, Any] = {
        "hookInstance": g.get("hook_instance"),
        "requestId": g.request_id,
        "traceId": g.trace_id,
    }
    context.log.info(
        "decision",
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
            {
                "uuid": card.uuid,
                "topic": card.source.topic.code if card.source.topic else "",
                "indicator": card.indicator.value,
            }
            for card in decision.cards
        ],
    )
