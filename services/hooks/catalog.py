"""The services that discovery shows: one for each hook, the same evaluation behind them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol import prefetch
from cds_hooks.protocol.dialects import Dialect
from cds_hooks.protocol.service import Call, Decision, Service
from mappings.actions.attention import AttentionRules, read_attention
from mappings.knowledge_file import CLINICAL, KnowledgeFault, read_toml
from mappings.terminology.questionnaire import read_questionnaire
from mappings.terminology.value_set import ValueSetIndex
from services.cards.composer import CardMaker
from services.chart.fhir_values import as_list, codings
from services.chart.model import Chart
from services.chart.reader import read_chart
from services.hooks.decide import Answer, answer
from services.hooks.offered_hooks import OFFERED_HOOKS, service_id
from services.knowledge.site import Known, load_knowledge

ROLE = "practitioner_role"  # asked for only where a site speaks to some specialties alone
REQUIRED = frozenset({"patient", "observations"})
PATIENT = "{{context.patientId}}"


def prefetch_templates(index: ValueSetIndex) -> dict[str, str]:
    """The queries of discovery, made from the value sets: few, and plain enough for any client."""
    found = f"Observation?patient={PATIENT}&code="
    newest = "&_sort=-date&_count=200"
    return {
        "patient": f"Patient/{PATIENT}",
        "observations": f"{found}{_codes(index, None)}{newest}",
        "muscle_observations": f"{found}{_codes(index, 'muscle')}{newest}",
        "conditions": f"Condition?patient={PATIENT}&_count=200",
        "medications": f"MedicationRequest?patient={PATIENT}&_count=200",
        "medication_statements": f"MedicationStatement?patient={PATIENT}&_count=100",
        "procedures": f"Procedure?patient={PATIENT}&_count=100",
        "service_requests": f"ServiceRequest?patient={PATIENT}&_count=100",
        "allergies": f"AllergyIntolerance?patient={PATIENT}&_count=50",
        "questionnaire_responses": f"QuestionnaireResponse?patient={PATIENT}"
        f"&questionnaire={read_questionnaire(index.base).url}&_count=20",
    }


def _codes(index: ValueSetIndex, topic: str | None) -> str:
    """The codes of results about `topic`; those that are never read are not asked for."""
    return ",".join(
        f"{row.system}|{row.code}"
        for name, value_set in index.sets.items()
        if value_set.kind == "observation"
        and value_set.topic == topic
        and value_set.refused is None
        for row in index.rows[name]
    )


def chart_of(call: Call, known: Known) -> Chart:
    """The chart of the patient of a call."""
    answers = call.answers.values()
    return read_chart(
        _resources(answers),
        call.request.patient_id,
        known.readable,
        today=call.today,
        last=call.today + timedelta(days=1),  # a patient's calendar may be ahead of our clock
        drafts=call.request.draft_orders,
        about=call.request.selected(),
        unknown=[answer.key for answer in answers if not answer.known],
        incomplete=[answer.key for answer in answers if not answer.complete],
    )


def _resources(answers: Iterable[prefetch.Answer]) -> Iterator[Mapping[str, Any]]:
    for one in answers:
        yield from one.resources


def answer_to(call: Call, chart: Chart, maker: CardMaker, rules: AttentionRules) -> Answer:
    """What a call is answered: a request and the command line alike."""
    return answer(
        chart,
        call.request.draft_orders,
        maker,
        rules,
        hook=call.request.hook,
        encounter=call.request.encounter_id,
        memory=call.memory,
        now=call.now,
        specialties=_specialties(call.answers.get(ROLE)),
    )


def _specialties(role: prefetch.Answer | None) -> frozenset[str] | None:
    """The user's specialties; None where none is known."""
    if role is None or not role.known:
        return None
    found = [
        f"{system}|{code}"
        for resource in role.resources
        if resource.get("resourceType") == "PractitionerRole"
        for specialty in as_list(resource.get("specialty"))
        for system, code in codings(specialty)
    ]
    return frozenset(found) or None


def decider(maker: CardMaker, rules: AttentionRules) -> Callable[[Call], Decision]:
    """The decision behind a service."""

    def decide(call: Call) -> Decision:
        answered = answer_to(call, chart_of(call, maker.known), maker, rules)
        return Decision(answered.cards, answered.record)

    return decide


def attention_of(attention: Mapping[str, Any] | None, known: Known) -> Mapping[str, AttentionRules]:
    """What is in force for each service. Raises KnowledgeFault."""
    return read_attention(
        attention,
        (service_id(hook) for hook in OFFERED_HOOKS),
        (*known.order_rules, "b12", "muscle"),
    )


def knowledge_of(tenants: Iterable[Tenant]) -> dict[str, Known]:
    """What each tenant is answered by; those who chose alike share it. Raises KnowledgeFault."""
    loaded: list[tuple[Mapping[str, Any], Known]] = []
    found: dict[str, Known] = {}
    for tenant in tenants:
        alike = (known for clinical, known in loaded if clinical == tenant.clinical)
        known = next(alike, None) or load_knowledge(tenant.clinical)
        loaded.append((tenant.clinical, known))
        attention_of(tenant.clinical.get("attention"), known)
        unmapped(tenant.dialect, known)
        found[tenant.id] = known
    return found


def unmapped(dialect: Dialect, known: Known) -> tuple[str, ...]:
    """Order templates that have no code of the site's catalogue.

    Raises KnowledgeFault where the catalogue names a template that does not exist.
    """
    for name in dialect.catalogue.keys() - known.templates.by_id.keys():
        there = ", ".join(sorted(known.templates.by_id))
        raise KnowledgeFault(
            "dialect.catalogue", name, f"no such order template; there are {there}"
        )
    return tuple(name for name in known.templates.by_id if name not in dialect.catalogue)


def override_reasons(rules: AttentionRules) -> frozenset[str]:
    """Codes for setting a card aside: those that cards offer, and those a site gave days to."""
    offered = read_toml(CLINICAL / "override_reasons.toml")["reasons"]
    return frozenset((*(reason["code"] for reason in offered), *rules.reasons))


def services(
    known: Known, base_url: str, attention: Mapping[str, Any] | None = None, *, app: bool = False
) -> tuple[Service, ...]:
    """The services of one configuration; with `app`, cards link to it. Raises KnowledgeFault."""
    templates = prefetch_templates(known.index)
    maker = CardMaker.at_start(known, base_url, app=app)
    rules = attention_of(attention, known)
    # A user known by a PractitionerRole is found by no Practitioner: then everybody is spoken to.
    user = {ROLE: "PractitionerRole?practitioner={{context.userId}}"}
    guideline, definition = known.b12.guideline, known.muscle.definition
    return tuple(
        Service(
            id=service_id(hook),
            hook=hook,
            hook_version=offered.hook.version,
            title="Vitamin B12 deficiency and muscle loss",
            description=(
                f"Evaluates vitamin B12 deficiency by {guideline.title}, and sarcopenia by "
                f"{definition.title}, {offered.when}, and answers with the finding, its values and "
                "limits, and the tests, treatment or referral that fit."
            ),
            usage_requirements=(
                "FHIR R4. Needs the patient and the observations, by prefetch or from the FHIR "
                "server; says what else could not be checked. B12 for people of "
                f"{guideline.minimum_age} years and over, sarcopenia from {definition.minimum_age}."
            ),
            prefetch=templates | (user if rules[service_id(hook)].audience else {}),
            required=REQUIRED,
            decide=decider(maker, rules[service_id(hook)]),
            reasons=override_reasons(rules[service_id(hook)]),
        )
        for hook, offered in OFFERED_HOOKS.items()
    )
