"""The same call as awkward EHRs send it, through the whole service, beside the full answer."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

from cds_hooks.config.settings import Settings
from cds_hooks.protocol.hook_request import read_resources
from cds_hooks.protocol.prefetch import find_resource_type
from services.cards.markdown import describe_gaps
from services.hooks.documents import AnsweredDocument
from services.hooks.in_process import InProcessService, run_in_process
from services.hooks.offered_hooks import build_service_id
from services.hooks.overrides import Variant
from services.knowledge.language import Language
from services.web.what_if.fhir_builder import HOOK_INSTANCE, build_bundle, build_context

OMITTED = object()
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception"}],
}
NEXT_LINK = {"relation": "next", "url": "https://ehr.example.org/fhir?page=2"}
OTHER_PATIENT = {"reference": "Patient/somebody-else"}
UNKNOWN_UNIT = "{furlongs}"  # no unit of any result
# How cards begin what they say of data that they have not seen.
UNSEEN_TEXTS = tuple(one.template for one in describe_gaps(("",), ("",)))


class TrialAnswer(NamedTuple):
    """What the service answered. `says` are the paragraphs of the cards' details."""

    status: int
    fault: str
    summaries: tuple[str, ...]
    suggestions: tuple[str, ...]
    says: frozenset[str]
    category: str
    stage: str
    tier: str


@dataclass(frozen=True, slots=True)
class FaultTrial:
    """One awkward call. `differs` from the full answer; `added` is what it says besides."""

    key: str
    way: str
    reply: TrialAnswer
    differs: bool
    added: tuple[str, ...]

    def marks(self, full: TrialAnswer) -> tuple[str, ...]:
        """In which way the answer differs, in words."""
        if self.reply.status != full.status:
            return (f"{self.reply.status}, not {full.status}",)
        changed = [
            f"{what}: {now or 'none'}, not {before or 'none'}"
            for what, now, before in (
                ("B12", self.reply.category, full.category),
                ("muscle", self.reply.stage, full.stage),
                ("tier", self.reply.tier, full.tier),
            )
            if now != before
        ]
        if self.reply.summaries != full.summaries:
            silent = "no card, which is no finding"
            changed.append("other cards" if self.reply.summaries else silent)
        if self.reply.suggestions != full.suggestions:
            changed.append("other suggestions" if self.reply.suggestions else "no suggestion")
        return tuple(changed) or ("other details",)


@dataclass(frozen=True, slots=True)
class FaultSimulation:
    full: TrialAnswer
    sent: tuple[FaultTrial, ...]

    @property
    def by_key(self) -> dict[str, list[FaultTrial]]:
        trials: dict[str, list[FaultTrial]] = {}
        for trial in self.sent:
            trials.setdefault(trial.key, []).append(trial)
        return trials


def simulate_faults(
    request: Mapping[str, Any], settings: Settings, variant: Variant, day: date
) -> FaultSimulation:
    """Sends the call in full, then with each key of its prefetch in every awkward way."""
    now = datetime.combine(day, time(12), UTC)
    hook = str(request["hook"])
    logging_all = replace(settings, log_sample=1.0)
    with run_in_process(logging_all, variant.tenant, variant.knowledge, now) as stage:
        full = _answer_request(stage, request, hook)
        sent = tuple(
            _compare_answers(
                key, way, _answer_request(stage, changed, hook), full, variant.knowledge.language
            )
            for key, way, changed in list_faulty_requests(request, stage.services[0].prefetch)
        )
    return FaultSimulation(full, sent)


def build_request(
    document: Mapping[str, Any], answered: AnsweredDocument, templates: Mapping[str, str]
) -> dict[str, Any]:
    """The document as a call: what a Bundle holds, under the first key that asks for its type."""
    if "hook" in document:
        return dict(document)
    patient = answered.chart.patient.partition("/")[2]
    drafted = [dict(draft) for draft in answered.drafts]
    left = [resource for resource in read_resources(document) if resource not in drafted]
    prefetch: dict[str, Any] = {}
    for key, template in templates.items():
        wanted = find_resource_type(template)
        matching = [resource for resource in left if resource["resourceType"] == wanted]
        left = [resource for resource in left if resource["resourceType"] != wanted]
        prefetch[key] = build_bundle(matching)
        if wanted == "Patient":
            prefetch[key] = {**matching[0], "id": patient} if matching else None
    return {
        "hook": answered.hook,
        "hookInstance": HOOK_INSTANCE,
        "context": build_context(answered.hook, patient, drafted),
        "prefetch": prefetch,
    }


def list_faulty_requests(
    request: Mapping[str, Any], templates: Mapping[str, str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(key, way, call) for each key that the service asks for."""
    sent = request.get("prefetch") or {}
    for key in templates:
        value_sent = sent.get(key)
        for way, value in _list_faults(value_sent):
            prefetch = {**sent, key: value}
            if value is OMITTED:
                del prefetch[key]
            yield key, way, {**request, "prefetch": prefetch}


def _list_faults(value: Any) -> Iterator[tuple[str, Any]]:
    if value is not None:
        yield "null", None
    yield "left out", OMITTED
    yield "OperationOutcome", OUTCOME
    match value:
        case {"resourceType": "Patient"}:
            yield "another patient's", {**value, "id": "somebody-else"}
        case {"resourceType": "Bundle", "entry": [_, *_]}:
            yield "paged", {**value, "link": [NEXT_LINK]}
            yield "another patient's", _change_entries(value, _change_patient)
            if any(map(_has_quantity, value["entry"])):
                yield "wrong unit", _change_entries(value, _change_unit)


def _change_entries(bundle: Mapping[str, Any], change: Any) -> dict[str, Any]:
    changed: dict[str, Any] = copy.deepcopy(dict(bundle))
    for resource in read_resources(changed):
        change(resource)
    return changed


def _change_patient(resource: dict[str, Any]) -> None:
    resource["patient" if "patient" in resource else "subject"] = OTHER_PATIENT


def _has_quantity(entry: Any) -> bool:
    match entry:
        case {"resource": {"valueQuantity": dict()}}:
            return True
    return False


def _change_unit(resource: dict[str, Any]) -> None:
    quantity = resource.get("valueQuantity")
    if isinstance(quantity, dict):
        resource["valueQuantity"] = {**quantity, "unit": UNKNOWN_UNIT, "code": UNKNOWN_UNIT}


def _answer_request(stage: InProcessService, request: Mapping[str, Any], hook: str) -> TrialAnswer:
    stage.lines.clear()
    answer = stage.client.post(f"/cds-services/{build_service_id(hook)}", json=request)
    document = answer.get_json()
    line = next((line_ for line_ in stage.lines if line_["event"] == "decision"), {})
    if answer.status_code != 200:
        issue = document["issue"][0]
        fault = f"{issue['details']['text']} {issue.get('diagnostics', '')}".strip()
        return TrialAnswer(answer.status_code, fault, (), (), frozenset(), "", "", "")
    cards, findings = document["cards"], line.get("findings", {})
    return TrialAnswer(
        status=200,
        fault="",
        summaries=tuple(card["summary"] for card in cards),
        suggestions=tuple(s["label"] for card in cards for s in card.get("suggestions", ())),
        says=frozenset(p for card in cards for p in card.get("detail", "").split("\n\n")),
        category=findings.get("b12", ""),
        stage=findings.get("sarcopenia", ""),
        tier=line.get("tier", ""),
    )


def _compare_answers(
    key: str, way: str, reply: TrialAnswer, full: TrialAnswer, language: Language
) -> FaultTrial:
    begins = tuple(language.messages.get(text, text).partition("{")[0] for text in UNSEEN_TEXTS)
    added = sorted(text for text in reply.says - full.says if text.startswith(begins))
    return FaultTrial(key, way, reply, reply != full, tuple(added))
