"""One JSON document to one assessment: what `cobalamin assess` does for each line."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

from cds_hooks.protocol import prefetch
from cds_hooks.protocol.card_history import NoMemory
from cds_hooks.protocol.cards import as_json
from cds_hooks.protocol.errors import DataUnobtainable, Refusal
from cds_hooks.protocol.hook_request import (
    PATIENT_VIEW,
    HookRequest,
    entries_of,
    last_part,
    read_request,
    resources_of,
)
from cds_hooks.protocol.service import Call
from mappings.actions.attention import AttentionRules
from services.cards.composer import CardMaker
from services.chart.model import Chart
from services.chart.orders import MEDICATION_TYPES, ORDER_TYPES
from services.chart.reader import read_chart
from services.evaluation.evaluate import as_json as evaluation_json
from services.evaluation.evaluate import evaluate
from services.hooks.catalog import REQUIRED, answer_to, chart_of, prefetch_templates
from services.hooks.decide import Answer, answer
from services.hooks.offered_hooks import OFFERED_HOOKS, service_id
from services.knowledge.site import Known


class UnusableDocument(ValueError):
    """Why a document cannot be assessed: a path or a rule, never a value."""


class Answered(NamedTuple):
    """A document's chart, the hook and drafts that were answered about, and the answer."""

    chart: Chart
    hook: str
    drafts: tuple[dict[str, Any], ...]
    answer: Answer


def assessment_of(
    document: Any,
    maker: CardMaker,
    today: date,
    attention: Mapping[str, AttentionRules],
) -> dict[str, Any]:
    """The assessment of a Bundle about one patient, or of a CDS Hooks request.

    Nothing is remembered here: cards are those of a first call.

    Raises UnusableDocument.
    """
    known = maker.known
    match document:
        case {"hook": _}:
            found = answer_of(document, maker, today, attention)
            cards = [as_json(card) for card in found.answer.cards]
            return {**evaluation_json(found.chart, found.answer.found), "cards": cards}
        case {"resourceType": "Bundle"}:
            chart = _chart_of_bundle(document, known, today)
            return evaluation_json(chart, evaluate(chart, known))
    raise UnusableDocument("neither a FHIR Bundle nor a CDS Hooks request")


def answer_of(
    document: Any,
    maker: CardMaker,
    today: date,
    attention: Mapping[str, AttentionRules],
    *,
    hook: str = PATIENT_VIEW.name,
) -> Answered:
    """What a CDS Hooks request is answered, or a call of `hook` about a Bundle's patient.

    Raises UnusableDocument.
    """
    match document:
        case {"hook": str(named)} if named in OFFERED_HOOKS:
            request = _request(document, named)
            call = _call(request, maker.known, today)
            chart = chart_of(call, maker.known)
            made = answer_to(call, chart, maker, attention[service_id(named)])
            return Answered(chart, named, request.draft_orders, made)
        case {"hook": _}:
            raise UnusableDocument("hook: none of the hooks that are answered")
        case {"resourceType": "Bundle"}:
            chart = _chart_of_bundle(document, maker.known, today)
            drafts = tuple(filter(_is_draft, _flat(document)))
            rules = attention[service_id(hook)]
            return Answered(chart, hook, drafts, answer_again(chart, drafts, maker, rules, hook))
    raise UnusableDocument("neither a FHIR Bundle nor a CDS Hooks request")


def answer_again(
    chart: Chart,
    drafts: Iterable[Mapping[str, Any]],
    maker: CardMaker,
    rules: AttentionRules,
    hook: str,
) -> Answer:
    """What a call of `hook` about `chart` is answered where nothing was shown before."""
    now = datetime.combine(chart.today, time(), UTC)
    return answer(
        chart, drafts, maker, rules, hook=hook, encounter=None, memory=NoMemory(), now=now
    )


def chart_of_document(document: Any, known: Known, today: date) -> Chart:
    """The chart that `assessment_of` assesses. Raises UnusableDocument."""
    match document:
        case {"hook": str(hook)} if hook in OFFERED_HOOKS:
            return chart_of(_call(_request(document, hook), known, today), known)
        case {"resourceType": "Bundle"}:
            return _chart_of_bundle(document, known, today)
    raise UnusableDocument("neither a FHIR Bundle nor a CDS Hooks request")


def _request(document: Mapping[str, Any], hook: str) -> HookRequest:
    try:
        return read_request(document, hook)
    except Refusal as refusal:
        raise UnusableDocument(f"{', '.join(refusal.expressions)}: {refusal.diagnostics}") from None


def _call(request: HookRequest, known: Known, today: date) -> Call:
    answers = prefetch.read(request, prefetch_templates(known.index))
    missing = sorted(key for key in REQUIRED if not answers[key].known)
    if missing:
        refusal = DataUnobtainable(f"prefetch does not hold: {', '.join(missing)}")
        raise UnusableDocument(refusal.diagnostics)
    return Call(request, answers, today, datetime.combine(today, time(), UTC))


def _chart_of_bundle(bundle: Mapping[str, Any], known: Known, today: date) -> Chart:
    resources = list(_flat(bundle))
    patients = [r for r in resources if r.get("resourceType") == "Patient"]
    if len(patients) != 1:
        raise UnusableDocument(f"a Bundle about one patient, this one has {len(patients)}")
    id_ = patients[0].get("id")
    urls = [url for url, resource in entries_of(bundle) if url and resource is patients[0]]
    if not isinstance(id_, str) or not id_:
        if not urls:
            raise UnusableDocument("the Patient has neither an id nor a fullUrl")
        id_ = last_part(urls[0])
        resources = [{**r, "id": id_} if r is patients[0] else r for r in resources]
    return read_chart(
        [r for r in resources if not _is_draft(r)],
        id_,
        known.readable,
        today=today,
        drafts=[r for r in resources if _is_draft(r)],
        patient_references=urls,
    )


def _is_draft(resource: Mapping[str, Any]) -> bool:
    """An order about to be made: a Bundle has no other place for the drafts of a session."""
    orders = MEDICATION_TYPES | ORDER_TYPES
    return resource.get("status") == "draft" and resource.get("resourceType") in orders


def _flat(bundle: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The resources of a Bundle and of Bundles inside it."""
    for resource in resources_of(bundle):
        if resource["resourceType"] == "Bundle":
            yield from _flat(resource)
        else:
            yield resource
