"""What became of a call that somebody captured, and why: said to who connects an EHR."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cds_hooks.config.tenants import Tenant
from cds_hooks.fhir.client import allowed_base, query_allowed
from cds_hooks.protocol import prefetch
from cds_hooks.protocol.errors import Refusal
from cds_hooks.protocol.hook_request import HookRequest, read_json, read_request
from cds_hooks.protocol.prefetch import Answer, State
from cds_hooks.protocol.service import Call, Service
from cds_hooks.security.token_report import Step, Verdict
from services.hooks.catalog import chart_of
from services.hooks.in_process import Rehearsal
from services.knowledge.site import Known

HINT_EMPTY = (
    "neither prefetch nor a FHIR server: some EHRs send a call stripped of data when the URL that "
    "they call is not, character by character, the one that is registered for this service"
)


def explain_call(
    body: bytes, rehearsal: Rehearsal, tenant: Tenant, known: Known, now: datetime
) -> Iterator[Step]:
    """Each thing that decides how a call is answered. Values of patients are not repeated."""
    try:
        document = read_json(body)
    except Refusal as refusal:
        yield Step("body", Verdict.FAULT, f"400: {refusal.diagnostics}")
        return
    yield Step("body", Verdict.GOOD, f"JSON, {len(body)} bytes")
    hook = document.get("hook") if isinstance(document, dict) else None
    service = next((one for one in rehearsal.services if one.hook == hook), None)
    if service is None:
        there = ", ".join(one.hook for one in rehearsal.services)
        yield Step("hook", Verdict.FAULT, f"no service for it; there is one for each of {there}")
        return
    yield Step("hook", Verdict.GOOD, f"goes to /cds-services/{service.id}")
    try:
        request = read_request(document, service.hook)
    except Refusal as refusal:
        where = ", ".join(refusal.expressions)
        yield Step("envelope", Verdict.FAULT, f"422 at {where}: {refusal.diagnostics}")
        return
    yield Step("envelope", Verdict.GOOD, "a call as CDS Hooks has it")
    answers = prefetch.read(request, service.prefetch)
    unfetched = _unfetched(request, tenant, service, answers)
    yield from _server(request, tenant, unfetched)
    for answer in answers.values():
        yield _prefetched(answer, service, request, unfetched)
    yield from _unasked(request, service)
    yield from _read(request, answers, known, now)
    yield from _answered(body, service, rehearsal, is_whole=None not in unfetched.values())


def _unfetched(
    request: HookRequest, tenant: Tenant, service: Service, answers: Mapping[str, Answer]
) -> dict[str, str | None]:
    """For each key that is missing: why it would not be fetched; None where it would be."""
    base = allowed_base(tenant.fhir, request)
    found: dict[str, str | None] = {}
    for answer in answers.values():
        if answer.state is State.LEFT_OUT:
            query = query_allowed(request, service.prefetch[answer.key])
            reason = None if query.tried else f"the token does not allow the query ({query.reason})"
            found[answer.key] = reason if base else "there is no server to ask"
    return found


def _server(
    request: HookRequest, tenant: Tenant, unfetched: Mapping[str, str | None]
) -> Iterator[Step]:
    if request.fhir_server is None:
        if not request.prefetch:
            yield Step("data", Verdict.FAULT, HINT_EMPTY)
        elif unfetched:
            says = "none is named: what was left out stays unknown"
            yield Step("FHIR server", Verdict.OPEN, says)
        return
    if allowed_base(tenant.fhir, request) is None:
        servers = ", ".join(tenant.fhir.servers) or "none"
        says = f"is not the tenant's (configured: {servers}): nothing would be asked there"
        yield Step("FHIR server", Verdict.FAULT, says)
        return
    given = request.authorization
    says = "is the tenant's; " + ("a token came along" if given else "no token came along")
    if given is not None and given.expires_in is not None:
        says += f", good for {given.expires_in:g} s"
    yield Step("FHIR server", Verdict.GOOD, says)


def _prefetched(
    answer: Answer,
    service: Service,
    request: HookRequest,
    unfetched: Mapping[str, str | None],
) -> Step:
    name = f"prefetch {answer.key}"
    if answer.known:
        count = len(answer.resources)
        says = "1 resource" if count == 1 else f"{count} resources" if count else "there is none"
        if answer.next_url:
            return Step(name, Verdict.OPEN, f"{says}, and a next page that would be fetched")
        return Step(name, Verdict.GOOD, says)
    is_required = answer.key in service.required
    required = "; without it the answer is 412" if is_required else ""
    verdict = Verdict.FAULT if is_required else Verdict.OPEN
    if answer.state is State.FAILED:
        return Step(name, verdict, f"the client failed to get it{required}")
    came = "what came is no answer" if answer.key in request.prefetch else "left out"
    why_not = unfetched[answer.key]
    if why_not:
        return Step(name, verdict, f"{came}, and {why_not}{required}")
    return Step(name, Verdict.OPEN, f"{came}; would be fetched")


def _unasked(request: HookRequest, service: Service) -> Iterator[Step]:
    others = sorted(map(str, request.prefetch.keys() - service.prefetch.keys()))
    if others:
        yield Step("other keys", Verdict.OPEN, f"not asked for and not read: {', '.join(others)}")


def _read(
    request: HookRequest, answers: Mapping[str, Answer], known: Known, now: datetime
) -> Iterator[Step]:
    chart = chart_of(Call(request, answers, now.date(), now), known)
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(chart.dropped.items()))
    verdict = Verdict.FAULT if "other-patient" in chart.dropped else Verdict.OPEN
    if dropped:
        yield Step("resources not used", verdict, dropped)
    measured = ", ".join(sorted(name for name, found in chart.measurements.items() if found))
    yield Step("results read", Verdict.GOOD if measured else Verdict.OPEN, measured or "none")


def _answered(
    body: bytes, service: Service, rehearsal: Rehearsal, *, is_whole: bool
) -> Iterator[Step]:
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
            yield Step("answer", Verdict.OPEN, f"with nothing fetched: {says.strip()}")
            return
        yield Step("answer", Verdict.FAULT, says.strip())
        return
    cards = document["cards"]
    withheld = rehearsal.lines[-1].get("suppressed") if rehearsal.lines else None
    says = "200 with 1 card" if len(cards) == 1 else f"200 with {len(cards)} cards"
    says += "" if is_whole else ", with nothing fetched"
    says += f"; withheld: {', '.join(withheld)}" if withheld else ""
    yield Step("answer", Verdict.GOOD, says)
    for card in cards:
        suggestions = len(card.get("suggestions", ()))
        says = f"{card['indicator']}, {suggestions} suggestions, from {card['source']['label']}"
        yield Step("card", Verdict.GOOD, says)
