"""Hook calls with drafts in one line, for patients that nobody has seen before."""

import json
from itertools import count
from typing import Any

from conformance.serving import rolled, today
from patients import TODAY, drug, order, patient, resources

NUMBERS = count(1)
KEYS = {
    "Observation": "observations",
    "QuestionnaireResponse": "questionnaire_responses",
    "Condition": "conditions",
    "MedicationRequest": "medications",
    "ServiceRequest": "service_requests",
}


def session(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The drafts of a session, and references of those that are selected."""
    drafts, selected = [], []
    for place, whole in enumerate(p.strip() for p in text.split(";")):
        aside, part = whole.startswith("aside "), whole.removeprefix("aside ")
        draft = (drug if part.startswith("draft") else order)(50 + place, part)
        drafts.append(draft)
        if not aside:
            selected.append(f"{draft['resourceType']}/{draft['id']}")
    return drafts, selected


def hook_call(record, drafts, hook="order-select", selected=()):
    """A call for a patient nobody has seen before, as if its day were today."""
    found, _ = resources(record)
    prefetch = {key: {"resourceType": "Bundle", "entry": []} for key in KEYS.values()}
    for resource in found:
        prefetch[KEYS[resource["resourceType"]]]["entry"].append({"resource": resource})
    others = dict.fromkeys(
        ("muscle_observations", "medication_statements", "procedures", "allergies")
    )
    context = {"userId": "Practitioner/1", "patientId": "1"}
    if hook != "patient-view":
        bundle = {"resourceType": "Bundle", "entry": [{"resource": draft} for draft in drafts]}
        context["draftOrders"] = bundle
    if hook == "order-select":
        context["selections"] = list(selected)
    call = rolled({"context": context, "prefetch": {**prefetch, **others}}, today() - TODAY)
    call["prefetch"]["patient"] = patient()
    number = f"order-{next(NUMBERS)}"
    text = json.dumps(call).replace('"Patient/1"', f'"Patient/{number}"')
    call = json.loads(text)
    call["prefetch"]["patient"]["id"] = call["context"]["patientId"] = number
    return {"hook": hook, "hookInstance": "b7a3f7c0-62f1-4f3a-9d1e-2f4c0a9f8f10", **call}


def labels(card):
    """What a card suggests, and by which actions where they are not all new orders."""
    for suggestion in card.get("suggestions", ()):
        types = [action["type"] for action in suggestion["actions"]]
        kinds = "" if set(types) == {"create"} else f" [{'+'.join(types)}]"
        yield f"{suggestion['label']}{kinds}"
