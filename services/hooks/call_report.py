"""Explain how a captured call is answered, and why, to somebody who connects an EHR."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cds_hooks.config.tenants import Tenant
from cds_hooks.fhir.access_rules import check_query, find_allowed_base
from cds_hooks.protocol import prefetch
from cds_hooks.protocol.errors import CallError
from cds_hooks.protocol.hook_request import HookRequest, read_json, read_request
from cds_hooks.protocol.prefetch import PrefetchAnswer, PrefetchState
from cds_hooks.protocol.service import Call, Service
from cds_hooks.security.token_report import CheckResult, TokenCheck
from services.hooks.catalog import read_call_chart
from services.hooks.in_process import InProcessService
from services.knowledge.site import SiteKnowledge

HINT_EMPTY = (
    "neither prefetch nor a FHIR server: some EHRs send a call stripped of data when the URL that "
    "they call is not, character by character, the one that is registered for this service"
)


def explain_call(
    body: bytes,
    rehearsal: InProcessService,
    tenant: Tenant,
    knowledge: SiteKnowledge,
    now: datetime,
) -> Iterator[TokenCheck]:
    """Check each thing that decides how a call is answered. Values of patients are not repeated."""
    try:
        document = read_json(body)
    except CallError as refusal:
        yield TokenCheck("body", CheckResult.FAULT, f"400: {refusal.diagnostics}")
        return
    yield TokenCheck("body", CheckResult.GOOD, f"JSON, {len(body)} bytes")
    hook = document.get("hook") if isinstance(document, dict) else None
    service = next((offered for offered in rehearsal.services if offered.hook == hook), None)
    if service is None:
        hooks = ", ".join(offered.hook for offered in rehearsal.services)
        yield TokenCheck(
            "hook", CheckResult.FAULT, f"no service for it; there is one for each of {hooks}"
        )
        return
    yield TokenCheck("hook", CheckResult.GOOD, f"goes to /cds-services/{service.id}")
    try:
        request = read_request(document, service.hook)
    except CallError as refusal:
        where = ", ".join(refusal.expressions)
        yield TokenCheck("envelope", CheckResult.FAULT, f"422 at {where}: {refusal.diagnostics}")
        return
    yield TokenCheck("envelope", CheckResult.GOOD, "a call as CDS Hooks has it")
    answers = prefetch.read_prefetch(request, service.prefetch)
    unfetched = _find_unfetched(request, tenant, service, answers)
    yield from _explain_server(request, tenant, unfetched)
    for answer in answers.values():
        yield _explain_prefetch(answer, service, request, unfetched)
    yield from _explain_other_keys(request, service)
    yield from _explain_reading(request, answers, knowledge, now)
    yield from _explain_answer(body, service, rehearsal, is_whole=None not in unfetched.values())


def _find_unfetched(
    request: HookRequest, tenant: Tenant, service: Service, answers: Mapping[str, PrefetchAnswer]
) -> dict[str, str | None]:
    """For each key that is missing: why it would not be fetched; None where it would be."""
    base = find_allowed_base(tenant.fhir, request)
    reasons: dict[str, str | None] = {}
    for answer in answers.values():
        if answer.state is PrefetchState.LEFT_OUT:
            query = check_query(request, service.prefetch[answer.key])
            reason = (
                None if query.is_allowed else f"the token does not allow the query ({query.reason})"
            )
            reasons[answer.key] = reason if base else "there is no server to ask"
    return reasons


def _explain_server(
    request: HookRequest, tenant: Tenant, unfetched: Mapping[str, str | None]
) -> Iterator[TokenCheck]:
    if request.fhir_server is None:
        if not request.prefetch:
            yield TokenCheck("data", CheckResult.FAULT, HINT_EMPTY)
        elif unfetched:
            says = "none is named: what was left out stays unknown"
            yield TokenCheck("FHIR server", CheckResult.OPEN, says)
        return
    if find_allowed_base(tenant.fhir, request) is None:
        servers = ", ".join(tenant.fhir.servers) or "none"
        says = f"is not the tenant's (configured: {servers}): nothing would be asked there"
        yield TokenCheck("FHIR server", CheckResult.FAULT, says)
        return
    authorization = request.authorization
    says = "is the tenant's; " + ("a token came along" if authorization else "no token came along")
    if authorization is not None and authorization.expires_in is not None:
        says += f", good for {authorization.expires_in:g} s"
    yield TokenCheck("FHIR server", CheckResult.GOOD, says)


def _explain_prefetch(
    answer: PrefetchAnswer,
    service: Service,
    request: HookRequest,
    unfetched: Mapping[str, str | None],
) -> TokenCheck:
    name = f"prefetch {answer.key}"
    if answer.is_known:
        count = len(answer.resources)
        says = "1 resource" if count == 1 else f"{count} resources" if count else "there is none"
        if answer.next_url:
            return TokenCheck(
                name, CheckResult.OPEN, f"{says}, and a next page that would be fetched"
            )
        return TokenCheck(name, CheckResult.GOOD, says)
    is_required = answer.key in service.required
    required = "; without it the answer is 412" if is_required else ""
    verdict = CheckResult.FAULT if is_required else CheckResult.OPEN
    if answer.state is PrefetchState.FAILED:
        return TokenCheck(name, verdict, f"the client failed to get it{required}")
    came = "what came is no answer" if answer.key in request.prefetch else "left out"
    why_not = unfetched[answer.key]
    if why_not:
        return TokenCheck(name, verdict, f"{came}, and {why_not}{required}")
    return TokenCheck(name, CheckResult.OPEN, f"{came}; would be fetched")


def _explain_other_keys(request: HookRequest, service: Service) -> Iterator[TokenCheck]:
    others = sorted(map(str, request.prefetch.keys() - service.prefetch.keys()))
    if others:
        yield TokenCheck(
            "other keys", CheckResult.OPEN, f"not asked for and not read: {', '.join(others)}"
        )


def _explain_reading(
    request: HookRequest,
    answers: Mapping[str, PrefetchAnswer],
    knowledge: SiteKnowledge,
    now: datetime,
) -> Iterator[TokenCheck]:
    chart = read_call_chart(Call(request, answers, now.date(), now), knowledge)
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(chart.dropped.items()))
    verdict = CheckResult.FAULT if "other-patient" in chart.dropped else CheckResult.OPEN
    if dropped:
        yield TokenCheck("resources not used", verdict, dropped)
    measured = ", ".join(sorted(name for name, results in chart.measurements.items() if results))
    yield TokenCheck(
        "results read", CheckResult.GOOD if measured else CheckResult.OPEN, measured or "none"
    )


def _explain_answer(
    body: bytes, service: Service, rehearsal: InProcessService, *, is_whole: bool
) -> Iterator[TokenCheck]:
    """As the service answers it here, with what the call itself holds.

    `is_whole`: there is nothing that it would fetch besides.
    """
    path = f"/cds-services/{service.id}"
    answer = rehearsal.client.post(path, data=body, content_type="application/json")
    document: Any = answer.get_json()
    if answer.status_code != 200:
        issue = document["issue"][0]
        says = f"{answer.status_code}: {issue['details']['text']} {issue.get('diagnostics', '')}"
        if not is_whole:
            yield TokenCheck("answer", CheckResult.OPEN, f"with nothing fetched: {says.strip()}")
            return
        yield TokenCheck("answer", CheckResult.FAULT, says.strip())
        return
    cards = document["cards"]
    withheld = rehearsal.lines[-1].get("suppressed") if rehearsal.lines else None
    says = "200 with 1 card" if len(cards) == 1 else f"200 with {len(cards)} cards"
    says += "" if is_whole else ", with nothing fetched"
    says += f"; withheld: {', '.join(withheld)}" if withheld else ""
    yield TokenCheck("answer", CheckResult.GOOD, says)
    for card in cards:
        suggestions = len(card.get("suggestions", ()))
        says = f"{card['indicator']}, {suggestions} suggestions, from {card['source']['label']}"
        yield TokenCheck("card", CheckResult.GOOD, says)
