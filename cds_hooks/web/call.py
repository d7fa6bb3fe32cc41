"""Answer one call of CDS Hooks: read it, fetch what is missing, decide, store, log."""

import random
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from flask import Response, g, request
from werkzeug.exceptions import UnsupportedMediaType

from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol.cards import Card, as_json
from cds_hooks.protocol.errors import MissingDataError
from cds_hooks.protocol.hook_request import UUID, HookRequest, read_json, read_request
from cds_hooks.protocol.prefetch import FetchResult, PrefetchAnswer, PrefetchState, read_prefetch
from cds_hooks.protocol.service import Call, Decision, Service, adapt_decision
from cds_hooks.records.tables import StoredCard, StoredDecision
from cds_hooks.telemetry.logs import DECISION_SCHEMA
from cds_hooks.telemetry.tracing import CallSpan
from cds_hooks.web.context import Context, Site, Telemetry

JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """One call and the decision about it: what is stored, counted and logged of them."""

    site: Site
    service: Service
    request: HookRequest
    prefetch: Mapping[str, int]  # keys supplied, fetched, failed and incomplete
    decision: Decision
    at: datetime
    duration_ms: float

    def build_record(self, version: str) -> StoredDecision:
        """The decision and its cards as the records keep them; `version` of the service."""
        return StoredDecision(
            id=g.request_id,
            at=self.at,
            tenant=self.site.tenant.id,
            service=self.service.id,
            hook=self.service.hook,
            hook_instance=g.get("hook_instance", ""),
            patient_id=self.request.patient_id,
            encounter_id=self.request.encounter_id,
            version=version,
            duration_ms=self.duration_ms,
            record=self.decision.record,
            cards=tuple(_build_stored_card(card) for card in self.decision.cards),
            prefetch=self.prefetch,
        )

    def count(self, telemetry: Telemetry) -> None:
        """Count the cards shown and withheld."""
        decision = self.decision
        telemetry.metrics.count_decision(
            self.site.tenant.id,
            self.service.id,
            map(_get_topic_and_indicator, decision.cards),
            decision.record.get("suppressed", ()),
        )

    def write_line(self, telemetry: Telemetry, share: float) -> None:
        """Log the decision; of those without a card, only `share` (0 to 1) at random."""
        cards = self.decision.cards
        if not cards and random.random() >= share:  # noqa: S311  # no secret
            return
        identifiers: dict[str, Any] = {
            "hookInstance": g.get("hook_instance"),
            "requestId": g.request_id,
            "traceId": g.trace.id if g.trace is not None else None,
            "sample": share if not cards and share < 1 else None,
        }
        telemetry.log.info(
            "decision",
            schema=DECISION_SCHEMA,
            version=telemetry.version,
            tenant=self.site.tenant.id,
            service=self.service.id,
            hook=self.request.hook,
            **{name: value for name, value in identifiers.items() if value is not None},
            status=200,
            durationMs=self.duration_ms,
            prefetch=self.prefetch,
            **({"epic": self.request.epic} if self.request.epic else {}),
            **{name: value for name, value in self.decision.record.items() if name != "cards"},
            cards=[
                dict(
                    zip(
                        ("uuid", "topic", "indicator"),
                        (card.uuid, *_get_topic_and_indicator(card)),
                        strict=True,
                    )
                )
                for card in cards
            ],
        )


def read_body() -> Any:
    """The JSON body of the request under way. Raises UnsupportedMediaType and InvalidJsonError."""
    if not JSON_TYPE.fullmatch(request.mimetype):
        raise UnsupportedMediaType
    return read_json(request.get_data(cache=False))


def make_json_response(body: bytes) -> Response:
    return Response(body, mimetype="application/json")


def answer_call(context: Context, site: Site, service: Service, span: CallSpan) -> Response:
    """One call from the bytes to the stored and logged answer."""
    started = time.perf_counter()
    telemetry, tenant = context.telemetry, site.tenant
    hook_request = read_request(read_body(), service.hook)
    if UUID.fullmatch(hook_request.hook_instance):
        g.hook_instance = hook_request.hook_instance
    answers, fetches = obtain_prefetch(site, service, hook_request, span)
    telemetry.metrics.count_prefetch(tenant.id, answers)
    telemetry.metrics.count_fhir_requests(tenant.id, fetches)
    log_fetches(telemetry, tenant, fetches, service=service.id)
    require_prefetch(service, answers)
    now = context.clock()
    history = context.records.open_card_history(
        tenant.id, hook_request.patient_id, hook_request.encounter_id, now
    )
    with span.start_part("decide") as part:
        decision = service.decide(Call(hook_request, answers, now.date(), now, history))
        decision = adapt_decision(decision, tenant.dialect)
        part.set_attributes({"cobalamin.cards": len(decision.cards)})
    body = orjson.dumps({"cards": [as_json(card) for card in decision.cards]})  # [RESP-01]
    milliseconds = round((time.perf_counter() - started) * 1000, 2)
    call = AnsweredCall(
        site, service, hook_request, _count_keys(answers), decision, now, milliseconds
    )
    with span.start_part("store"):
        context.records.store_decision(call.build_record(telemetry.version))
    call.count(telemetry)
    call.write_line(telemetry, context.settings.log_sample)
    return make_json_response(body)


def obtain_prefetch(
    site: Site, service: Service, hook_request: HookRequest, span: CallSpan
) -> tuple[dict[str, PrefetchAnswer], tuple[FetchResult, ...]]:
    """An answer for each key of the service, and what was tried for it. [PF-05]"""
    answers = read_prefetch(hook_request, service.prefetch)
    fetches: tuple[FetchResult, ...] = ()
    if any(a.state is PrefetchState.LEFT_OUT or a.next_url for a in answers.values()):
        answers, fetches = site.fhir.complete_answers(hook_request, answers, service.prefetch, span)
    return answers, fetches


def require_prefetch(service: Service, answers: Mapping[str, PrefetchAnswer]) -> None:
    """Raises MissingDataError. [PF-06]"""
    missing = sorted(key for key in service.required if not answers[key].is_known)
    if missing:
        names = ", ".join(missing)
        raise MissingDataError(
            f"neither prefetch nor the FHIR server gave: {names}",
            [f"prefetch.{key}" for key in missing],
        )


def log_fetches(
    telemetry: Telemetry, tenant: Tenant, fetches: Iterable[FetchResult], **members: str
) -> None:
    """A log line for each query to a FHIR server; `members` say what it was for."""
    for fetch in fetches:
        telemetry.log.info(
            "fetch",
            version=telemetry.version,
            tenant=tenant.id,
            **members,
            requestId=g.request_id,
            key=fetch.key,
            state=fetch.state.value,
            reason=fetch.reason,
            durationMs=fetch.milliseconds,
        )


def _count_keys(answers: Mapping[str, PrefetchAnswer]) -> dict[str, int]:
    """How many keys of the service were supplied, fetched or failed; a missing one has failed.

    `incomplete` counts those supplied or fetched of which only a part was had.
    """
    counts = {"supplied": 0, "fetched": 0, "failed": 0, "incomplete": 0}
    for answer in answers.values():
        if not answer.is_known:
            counts["failed"] += 1
            continue
        counts["fetched" if answer.is_fetched else "supplied"] += 1
        if not answer.is_complete:
            counts["incomplete"] += 1
    return counts


def _get_topic_and_indicator(card: Card) -> tuple[str, str]:
    """Codes of the card's topic and urgency, for metrics and log; "" without a topic."""
    return card.source.topic.code if card.source.topic else "", card.indicator.value


def _build_stored_card(card: Card) -> StoredCard:
    topic = card.source.topic
    return StoredCard(
        card.uuid,
        topic.code if topic else None,
        card.indicator.value,
        tuple(suggestion.uuid for suggestion in card.suggestions),
        topic_system=topic.system if topic else None,
        rests_on=card.rests_on,
    )
