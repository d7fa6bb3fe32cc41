"""Draft the actions of suggestions from order templates."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cds_hooks.protocol.cards import Action, Suggestion
from mappings.actions.order_template import OrderTemplate, draft_order
from mappings.text import lowercase_first, make_text
from services.evaluation.combination import Evaluation
from services.evaluation.order_session import OrderFinding, OrderSession, Step
from services.vitamin_b12.labels import TITLES

REFERENCE = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}")


def draft_action(
    template: OrderTemplate, session: OrderSession, reason: str | None, text: str
) -> Action:
    """Draft a new order of `template`: `reason` is a resource, `text` is why, in words."""
    language, encounter = session.knowledge.language, session.encounter
    resource: dict[str, Any] = draft_order(
        template,
        session.chart.patient,
        f"Encounter/{encounter.rpartition('/')[2]}" if encounter else None,
    )
    if resource["resourceType"] in ("ServiceRequest", "MedicationRequest"):
        resource["reasonCode"] = [{"text": language(text)}]
    if reason is not None and REFERENCE.fullmatch(reason):
        match resource["resourceType"]:
            case "ServiceRequest" | "MedicationRequest":
                resource["reasonReference"] = [{"reference": reason}]
            case "Condition":
                resource["evidence"] = [{"detail": [{"reference": reason}]}]
    return Action("create", language(template.description), resource, template=template.id)


def draft_step(step: Step, order: OrderFinding, session: OrderSession) -> Action:
    """Draft one step of what a rule proposes for an order of the session."""
    language, templates = session.knowledge.language, session.knowledge.templates
    if step.type == "delete":
        text = language(make_text("Remove {name} from this session", name=step.name))
        return Action("delete", text, resource_id=step.draft)
    template = templates.by_id[step.template or ""]
    if step.type == "create":
        reason = find_b12_reason(session.evaluation)
        return draft_action(template, session, reason, order.rule.title)
    resource = update_draft(session.drafts[step.draft or ""], template.resource)
    text = make_text("{what} (check the quantity to dispense)", what=template.description)
    return Action("update", language(text), resource, template=template.id)


def draft_b12_suggestions(
    session: OrderSession, templates: Iterable[OrderTemplate]
) -> tuple[Suggestion, ...]:
    """Draft a suggestion for each order: the first is recommended, drugs are alternatives."""
    b12, language = session.evaluation.b12, session.knowledge.language
    reason, text = find_b12_reason(session.evaluation), TITLES.get(b12.category, "Vitamin B12")
    suggestions = []
    for place, template in enumerate(templates):
        action = draft_action(template, session, reason, text)
        label: str = template.label
        if place and action.resource and action.resource["resourceType"] == "MedicationRequest":
            # Instead of the first, not beside it.
            label = make_text("Or {label}", label=lowercase_first(template.label))
        suggestions.append(Suggestion(language(label), (action,), is_recommended=place == 0))
    return tuple(suggestions)


def find_b12_reason(evaluation: Evaluation) -> str | None:
    """The result that decided, else the first result or condition that the finding rests on."""
    b12 = evaluation.b12
    if b12.deciding:
        return b12.deciding.result.resource
    resources = (e.resource for e in b12.evidence if e.resource)
    return next(
        (name for name in resources if name.startswith(("Observation/", "Condition/"))), None
    )


def update_draft(draft: Mapping[str, Any], order: Mapping[str, Any]) -> dict[str, Any]:
    """The whole draft with the drug and dosage of `order`; every other member as it came."""
    drug = ("medicationReference", "medication")
    return {name: value for name, value in draft.items() if name not in drug} | {
        "medicationCodeableConcept": order["medicationCodeableConcept"],
        "dosageInstruction": order["dosageInstruction"],
    }
