"""Build the services of discovery: one for each hook, the same evaluation behind them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol import prefetch
from cds_hooks.protocol.dialects import Dialect
from cds_hooks.protocol.service import Call, Decision, Service
from mappings.actions.attention import AttentionRules, read_attention
from mappings.knowledge_file import CLINICAL, KnowledgeError, read_toml
from mappings.terminology.questionnaire import read_questionnaire
from mappings.terminology.value_set import ValueSetIndex
from services.cards.composer import CardComposer
from services.chart.fhir_values import as_list, read_codings
from services.chart.model import Chart
from services.chart.reader import read_chart
from services.hooks.decide import CallAnswer, CallContext, decide_cards
from services.hooks.offered_hooks import OFFERED_HOOKS, build_service_id
from services.hooks.topics import TOPICS
from services.knowledge.site import SiteKnowledge, load_knowledge

ROLE = "practitioner_role"  # asked for only where a site speaks to some specialties alone
REQUIRED_KEYS = frozenset({"patient", "observations"})
PATIENT_TOKEN = "{{context.patientId}}"  # noqa: S105  # of a query


def build_prefetch_templates(index: ValueSetIndex) -> dict[str, str]:
    """The queries of discovery, made from the value sets: few, and plain enough for any client."""
    query = f"Observation?patient={PATIENT_TOKEN}&code="
    newest = "&_sort=-date&_count=200"
    return {
        "patient": f"Patient/{PATIENT_TOKEN}",
        "observations": f"{query}{_join_codes(index, None)}{newest}",
        "muscle_observations": f"{query}{_join_codes(index, 'muscle')}{newest}",
        "conditions": f"Condition?patient={PATIENT_TOKEN}&_count=200",
        "medications": f"MedicationRequest?patient={PATIENT_TOKEN}&_count=200",
        "medication_statements": f"MedicationStatement?patient={PATIENT_TOKEN}&_count=100",
        "procedures": f"Procedure?patient={PATIENT_TOKEN}&_count=100",
        "service_requests": f"ServiceRequest?patient={PATIENT_TOKEN}&_count=100",
        "allergies": f"AllergyIntolerance?patient={PATIENT_TOKEN}&_count=50",
        "questionnaire_responses": f"QuestionnaireResponse?patient={PATIENT_TOKEN}"
        f"&questionnaire={read_questionnaire(index.base).url}&_count=20",
    }


def _join_codes(index: ValueSetIndex, topic: str | None) -> str:
    """The codes of results about `topic`; those that are never read are not asked for."""
    return ",".join(
        f"{row.system}|{row.code}"
        for name, value_set in index.sets.items()
        if value_set.kind == "observation"
        and value_set.topic == topic
        and value_set.refused is None
        for row in index.rows[name]
    )


def read_call_chart(call: Call, knowledge: SiteKnowledge) -> Chart:
    """Read the chart of the patient of a call."""
    answers = call.answers.values()
    return read_chart(
        _list_resources(answers),
        call.request.patient_id,
        knowledge.chart_knowledge,
        today=call.today,
        last=call.today + timedelta(days=1),  # a patient's calendar may be ahead of our clock
        drafts=call.request.draft_orders,
        about=call.request.find_selected(),
        unknown=[answer.key for answer in answers if not answer.is_known],
        incomplete=[answer.key for answer in answers if not answer.is_complete],
    )


def _list_resources(answers: Iterable[prefetch.PrefetchAnswer]) -> Iterator[Mapping[str, Any]]:
    for answer in answers:
        yield from answer.resources


def answer_call(call: Call, chart: Chart, maker: CardComposer, rules: AttentionRules) -> CallAnswer:
    """What a call is answered: a request and the command line alike."""
    context = CallContext(
        hook=call.request.hook,
        now=call.now,
        drafts=call.request.draft_orders,
        encounter=call.request.encounter_id,
        history=call.history,
        specialties=_read_specialties(call.answers.get(ROLE)),
    )
    return decide_cards(chart, context, maker, rules)


def _read_specialties(role: prefetch.PrefetchAnswer | None) -> frozenset[str] | None:
    """The user's specialties; None where none is known."""
    if role is None or not role.is_known:
        return None
    specialties = [
        f"{system}|{code}"
        for resource in role.resources
        if resource.get("resourceType") == "PractitionerRole"
        for specialty in as_list(resource.get("specialty"))
        for system, code in read_codings(specialty)
    ]
    return frozenset(specialties) or None


def build_decide(maker: CardComposer, rules: AttentionRules) -> Callable[[Call], Decision]:
    """The decision behind a service."""

    def decide(call: Call) -> Decision:
        answered = answer_call(call, read_call_chart(call, maker.knowledge), maker, rules)
        return Decision(answered.cards, answered.record)

    return decide


def read_attention_rules(
    attention: Mapping[str, Any] | None, knowledge: SiteKnowledge
) -> Mapping[str, AttentionRules]:
    """Read the attention rules in force for each service. Raises KnowledgeError."""
    return read_attention(
        attention,
        (build_service_id(hook) for hook in OFFERED_HOOKS),
        (*knowledge.order_rules, *(topic.problem for topic in TOPICS)),
    )


def load_tenant_knowledge(tenants: Iterable[Tenant]) -> dict[str, SiteKnowledge]:
    """Load the knowledge of each tenant; those who chose alike share it. Raises KnowledgeError."""
    loaded: list[tuple[Mapping[str, Any], SiteKnowledge]] = []
    by_tenant: dict[str, SiteKnowledge] = {}
    for tenant in tenants:
        alike = (knowledge for clinical, knowledge in loaded if clinical == tenant.service_tables)
        knowledge = next(alike, None) or load_knowledge(tenant.service_tables)
        loaded.append((tenant.service_tables, knowledge))
        read_attention_rules(tenant.service_tables.get("attention"), knowledge)
        find_unmapped_orders(tenant.dialect, knowledge)
        by_tenant[tenant.id] = knowledge
    return by_tenant


def find_unmapped_orders(dialect: Dialect, knowledge: SiteKnowledge) -> tuple[str, ...]:
    """Order templates that have no code of the site's catalogue.

    Raises KnowledgeError where the catalogue names a template that does not exist.
    """
    for name in dialect.catalogue.keys() - knowledge.templates.by_id.keys():
        template_ids = ", ".join(sorted(knowledge.templates.by_id))
        raise KnowledgeError(
            "dialect.catalogue", name, f"no such order template; there are {template_ids}"
        )
    return tuple(name for name in knowledge.templates.by_id if name not in dialect.catalogue)


def list_override_reasons(rules: AttentionRules) -> frozenset[str]:
    """Codes for setting a card aside: those that cards offer, and those a site gave days to."""
    offered = read_toml(CLINICAL / "override_reasons.toml")["reasons"]
    return frozenset((*(reason["code"] for reason in offered), *rules.reasons))


def build_services(
    knowledge: SiteKnowledge,
    base_url: str,
    attention: Mapping[str, Any] | None = None,
    *,
    app: bool = False,
) -> tuple[Service, ...]:
    """The services of one configuration; with `app`, cards link to it. Raises KnowledgeError."""
    templates = build_prefetch_templates(knowledge.index)
    maker = CardComposer.from_site(knowledge, TOPICS, base_url, app=app)
    rules = read_attention_rules(attention, knowledge)
    # A user known by a PractitionerRole is found by no Practitioner: then everybody is spoken to.
    user = {ROLE: "PractitionerRole?practitioner={{context.userId}}"}
    guideline, definition = knowledge.b12.guideline, knowledge.muscle.definition
    return tuple(
        Service(
            id=build_service_id(hook),
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
            prefetch=templates | (user if rules[build_service_id(hook)].audience else {}),
            required=REQUIRED_KEYS,
            decide=build_decide(maker, rules[build_service_id(hook)]),
            override_reasons=list_override_reasons(rules[build_service_id(hook)]),
        )
        for hook, offered in OFFERED_HOOKS.items()
    )
