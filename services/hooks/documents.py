"""Assess one JSON document, a Bundle or a request, as `cobalamin assess` does for each line."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

from cds_hooks.protocol import prefetch
from cds_hooks.protocol.cards import as_json
from cds_hooks.protocol.errors import CallError, MissingDataError
from cds_hooks.protocol.hook_request import (
    PATIENT_VIEW,
    HookRequest,
    extract_id,
    read_entries,
    read_request,
    read_resources,
)
from cds_hooks.protocol.service import Call
from mappings.actions.attention import AttentionRules
from services.cards.composer import CardComposer
from services.chart.model import Chart
from services.chart.orders import MEDICATION_TYPES, ORDER_TYPES
from services.chart.reader import read_chart
from services.evaluation.evaluate import as_json as evaluation_json
from services.evaluation.evaluate import evaluate
from services.hooks.catalog import (
    REQUIRED_KEYS,
    answer_call,
    build_prefetch_templates,
    read_call_chart,
)
from services.hooks.decide import CallAnswer, CallContext, decide_cards
from services.hooks.offered_hooks import OFFERED_HOOKS, build_service_id
from services.knowledge.site import SiteKnowledge


class UnusableDocumentError(ValueError):
    """Why a document cannot be assessed: a path or a rule, never a value."""


class AnsweredDocument(NamedTuple):
    """A document's chart, the hook and drafts that were answered about, and the answer."""

    chart: Chart
    hook: str
    drafts: tuple[dict[str, Any], ...]
    answer: CallAnswer


def assess_document(
    document: Any,
    maker: CardComposer,
    today: date,
    attention: Mapping[str, AttentionRules],
) -> dict[str, Any]:
    """The assessment of a Bundle about one patient, or of a CDS Hooks request.

    Nothing is remembered here: cards are those of a first call.

    Raises UnusableDocumentError.
    """
    knowledge = maker.knowledge
    match document:
        case {"hook": _}:
            document_answer = answer_document(document, maker, today, attention)
            cards = [as_json(card) for card in document_answer.answer.cards]
            return {
                **evaluation_json(document_answer.chart, document_answer.answer.evaluation),
                "cards": cards,
            }
        case {"resourceType": "Bundle"}:
            chart = _read_bundle_chart(document, knowledge, today)
            return evaluation_json(chart, evaluate(chart, knowledge, maker.topics))
    raise UnusableDocumentError("neither a FHIR Bundle nor a CDS Hooks request")


def answer_document(
    document: Any,
    maker: CardComposer,
    today: date,
    attention: Mapping[str, AttentionRules],
    *,
    hook: str = PATIENT_VIEW.name,
) -> AnsweredDocument:
    """What a CDS Hooks request is answered, or a call of `hook` about a Bundle's patient.

    Raises UnusableDocumentError.
    """
    match document:
        case {"hook": str(named)} if named in OFFERED_HOOKS:
            request = _read_request(document, named)
            call = _build_call(request, maker.knowledge, today)
            chart = read_call_chart(call, maker.knowledge)
            made = answer_call(call, chart, maker, attention[build_service_id(named)])
            return AnsweredDocument(chart, named, request.draft_orders, made)
        case {"hook": _}:
            raise UnusableDocumentError("hook: none of the hooks that are answered")
        case {"resourceType": "Bundle"}:
            chart = _read_bundle_chart(document, maker.knowledge, today)
            drafts = tuple(filter(_is_draft, _flatten(document)))
            rules = attention[build_service_id(hook)]
            return AnsweredDocument(
                chart, hook, drafts, answer_chart(chart, drafts, maker, rules, hook)
            )
    raise UnusableDocumentError("neither a FHIR Bundle nor a CDS Hooks request")


def answer_chart(
    chart: Chart,
    drafts: Iterable[Mapping[str, Any]],
    maker: CardComposer,
    rules: AttentionRules,
    hook: str,
) -> CallAnswer:
    """What a call of `hook` about `chart` is answered where nothing was shown before."""
    now = datetime.combine(chart.today, time(), UTC)
    return decide_cards(chart, CallContext(hook, now, tuple(drafts)), maker, rules)


def read_document_chart(document: Any, knowledge: SiteKnowledge, today: date) -> Chart:
    """The chart that `assess_document` assesses. Raises UnusableDocumentError."""
    match document:
        case {"hook": str(hook)} if hook in OFFERED_HOOKS:
            return read_call_chart(
                _build_call(_read_request(document, hook), knowledge, today), knowledge
            )
        case {"resourceType": "Bundle"}:
            return _read_bundle_chart(document, knowledge, today)
    raise UnusableDocumentError("neither a FHIR Bundle nor a CDS Hooks request")


def _read_request(document: Mapping[str, Any], hook: str) -> HookRequest:
    try:
        return read_request(document, hook)
    except CallError as refusal:
        raise UnusableDocumentError(
            f"{', '.join(refusal.expressions)}: {refusal.diagnostics}"
        ) from None


def _build_call(request: HookRequest, knowledge: SiteKnowledge, today: date) -> Call:
    answers = prefetch.read_prefetch(request, build_prefetch_templates(knowledge.index))
    missing = sorted(key for key in REQUIRED_KEYS if not answers[key].is_known)
    if missing:
        refusal = MissingDataError(f"prefetch does not hold: {', '.join(missing)}")
        raise UnusableDocumentError(refusal.diagnostics)
    return Call(request, answers, today, datetime.combine(today, time(), UTC))


def _read_bundle_chart(bundle: Mapping[str, Any], knowledge: SiteKnowledge, today: date) -> Chart:
    resources = list(_flatten(bundle))
    patients = [r for r in resources if r.get("resourceType") == "Patient"]
    if len(patients) != 1:
        raise UnusableDocumentError(f"a Bundle about one patient, this one has {len(patients)}")
    id_ = patients[0].get("id")
    urls = [url for url, resource in read_entries(bundle) if url and resource is patients[0]]
    if not isinstance(id_, str) or not id_:
        if not urls:
            raise UnusableDocumentError("the Patient has neither an id nor a fullUrl")
        id_ = extract_id(urls[0])
        resources = [{**r, "id": id_} if r is patients[0] else r for r in resources]
    return read_chart(
        [r for r in resources if not _is_draft(r)],
        id_,
        knowledge.chart_knowledge,
        today=today,
        drafts=[r for r in resources if _is_draft(r)],
        patient_references=urls,
    )


def _is_draft(resource: Mapping[str, Any]) -> bool:
    """An order about to be made: a Bundle has no other place for the drafts of a session."""
    orders = MEDICATION_TYPES | ORDER_TYPES
    return resource.get("status") == "draft" and resource.get("resourceType") in orders


def _flatten(bundle: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The resources of a Bundle and of Bundles inside it."""
    for resource in read_resources(bundle):
        if resource["resourceType"] == "Bundle":
            yield from _flatten(resource)
        else:
            yield resource
