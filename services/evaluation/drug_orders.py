"""Rules about drafted drugs, a function each; texts are in mappings/clinical/order_rules.toml."""

from mappings.text import lowercase_first, make_text
from services.evaluation.order_proposals import (
    ORAL_TEMPLATE,
    RuleResults,
    build_result,
    is_test_planned,
    label_change,
    label_replacement,
    propose_first_tests,
    propose_higher_dose,
    propose_replacement,
    propose_second_test,
)
from services.evaluation.order_session import (
    UNCERTAIN_CATEGORIES,
    UNMEASURED_CATEGORIES,
    OrderSession,
    Proposal,
    Step,
    build_removal,
)
from services.vitamin_b12.orders import is_pending_or_resulted, suggest_orders
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.testing import is_folic_acid_relevant

CAUSE_WORKUP = ("order_intrinsic_factor_antibody", "order_coeliac_serology", "order_potassium")
MALABSORPTION_GROUPS = ("autoimmune_gastritis", "surgical", "malabsorption")


def check_folic_acid(session: OrderSession) -> RuleResults:
    """R12: B12 before folic acid; a treatment already in the session is the answer to it."""
    drugs = session.find_drugs("folic_acid")
    if not drugs or session.is_on_treatment or session.has_treatment_draft:
        return
    removal = Proposal(
        make_text("Remove folic acid until B12 is given"),
        build_removal(drugs[0].resource, make_text("folic acid")),
    )
    if session.category in DEFICIENT:
        if session.is_untreated:
            yield build_result("deficient", drugs, removal)
        return
    if not is_folic_acid_relevant(session.chart, session.features, session.knowledge.b12):
        return
    if session.category in UNCERTAIN_CATEGORIES:
        yield build_result("uncertain", drugs, *propose_second_test(session))
    elif session.category in UNMEASURED_CATEGORIES and not is_test_planned(session):
        yield build_result(
            "unknown-with-reason" if session.has_reason_to_measure else "unknown", drugs
        )


def check_nitrous_oxide(session: OrderSession) -> RuleResults:
    """Nitrous oxide with B12 deficient, uncertain or unmeasured."""
    drugs = session.find_drugs("nitrous_oxide")
    if not drugs or session.is_on_treatment:
        return
    if session.category in DEFICIENT:
        if session.is_untreated:
            steps = build_removal(drugs[0].resource, make_text("nitrous oxide"))
            yield build_result(
                "deficient", drugs, Proposal(make_text("Remove nitrous oxide"), steps)
            )
    elif session.category in UNCERTAIN_CATEGORIES:
        yield build_result("uncertain", drugs, *propose_second_test(session))
    elif session.category in UNMEASURED_CATEGORIES and not is_test_planned(session):
        yield build_result("unknown", drugs)


def check_lowering_medicine(session: OrderSession) -> RuleResults:
    """R14: a medicine that lowers B12, by the guideline's durations and symptoms."""
    if session.is_on_treatment or session.has_treatment_draft or is_test_planned(session):
        return
    for drug in session.find_drugs(*session.get_group("medicine"))[:1]:
        name = session.title(drug.concept)
        features, testing = session.features, session.knowledge.b12.guideline.testing
        if session.category in DEFICIENT:
            yield build_result("deficient", [drug], drug=name)
        elif session.category in ("at-risk-untested", "insufficient-data"):
            yield build_result("untested", [drug], drug=name)
        elif session.category == "no-action" and (features.symptoms or features.neurological):
            yield build_result("symptom", [drug], *propose_first_tests(session), drug=name)
        elif session.category == "no-action" and drug.concept in testing.asymptomatic_drugs:
            others = [r for r in features.risks if r.concept not in testing.asymptomatic_drugs]
            if others:
                yield build_result("monitoring", [drug], *propose_first_tests(session), drug=name)


def check_leber(session: OrderSession) -> RuleResults:
    """R13: cyanocobalamin with Leber's disease; hydroxocobalamin instead of the draft."""
    drugs = session.find_drugs("cyanocobalamin")
    if not drugs or not session.has_group("leber"):
        return
    template = session.knowledge.templates.by_id[session.knowledge.templates.leber[0]]
    hydroxocobalamin = [
        drug
        for drug in session.chart.medications.get("hydroxocobalamin", ())
        if drug.status in ("draft", "current")
    ]
    create = () if hydroxocobalamin else (Step("create", template=template.id),)
    steps = tuple(
        step for drug in drugs for step in build_removal(drug.resource, make_text("cyanocobalamin"))
    )
    label = (
        make_text("Remove cyanocobalamin")
        if hydroxocobalamin
        else label_replacement(template.label)
    )
    yield build_result("cyanocobalamin", drugs, Proposal(label, (*steps, *create)))


def check_oral_dose(session: OrderSession) -> RuleResults:
    """Oral replacement where the situation asks for more, or for injections."""
    situation = session.evaluation.b12.situation
    if session.has_group("leber") or session.chart.findings.get("cobalamin_allergy"):
        return
    for drug in session.replacement_drafts:
        if session.is_injected(drug) or drug.route is None:
            continue
        low = not session.suffices(drug)
        if situation == "neurological":
            yield build_result(
                "neurological", [drug], *propose_replacement(session, drug, "neurological")
            )
        elif low and (cause := next(filter(session.has_group, MALABSORPTION_GROUPS), None)):
            oral = ORAL_TEMPLATE in session.knowledge.b12.guideline.treatments[cause].templates
            proposals = (
                propose_higher_dose(session, drug)
                if oral
                else propose_replacement(session, drug, cause)
            )
            yield build_result("malabsorption", [drug], *proposals)
        elif low and situation not in (None, "dietary"):
            yield build_result("deficiency", [drug], *propose_higher_dose(session, drug))


def check_regimen(session: OrderSession) -> RuleResults:
    """Injections that begin slower than the guideline's neurological regimen does."""
    if session.evaluation.b12.situation != "neurological" or session.has_group("leber"):
        return
    name = session.knowledge.b12.guideline.treatments["neurological"].templates[0]
    template = session.knowledge.templates.by_id.get(name)
    if template is None:
        return
    target = template.ug_per_day
    for drug in session.replacement_drafts:
        slower = target is not None and drug.ug_per_day is not None and drug.ug_per_day < target
        if session.is_injected(drug) and slower and drug.resource in session.drafts:
            step = Step(
                "update", draft=drug.resource, template=name, name=session.title(drug.concept)
            )
            yield build_result(
                "neurological", [drug], Proposal(label_change(template.label), (step,))
            )


def check_right_order(session: OrderSession) -> RuleResults:
    """The treatment fits: only what is missing beside it is worth a word, and only at signing."""
    if session.is_selecting:
        return
    treatments = [drug for drug in session.replacement_drafts if session.treats(drug)]
    if (
        not treatments
        or session.category not in DEFICIENT
        or session.evaluation.b12.situation is None
    ):
        return
    if session.has_group("leber") and any(drug.concept == "cyanocobalamin" for drug in treatments):
        return
    suggestions = suggest_orders(
        session.evaluation.b12, session.chart, session.knowledge.b12, session.knowledge.templates
    )
    missing = [template for template in suggestions if template.id in CAUSE_WORKUP]
    if missing:
        steps = tuple(Step("create", template=template.id) for template in missing)
        tests = tuple(lowercase_first(template.test) for template in missing)
        proposal = Proposal(make_text("Order {tests}", tests=tests), steps)
        yield build_result("missing", treatments, proposal, open=tests)


def check_chloramphenicol(session: OrderSession) -> RuleResults:
    """Chloramphenicol beside B12 replacement, whichever is the draft."""
    drugs = session.find_drugs("chloramphenicol")
    replacement = (session.get_group("replacement"),)
    has_draft = any(True for _ in session.chart.list_drafted_drugs(*replacement, aside=True))
    if drugs and (has_draft or session.has_group("replacement")):
        yield build_result("with-replacement", drugs)
    elif session.replacement_drafts and session.chart.has("chloramphenicol"):
        yield build_result("with-replacement", session.replacement_drafts)


def check_steroid(session: OrderSession) -> RuleResults:
    """A systemic corticosteroid where muscles are weak."""
    drugs = session.find_drugs("systemic_corticosteroid")
    if drugs and _has_weakness(session):
        yield build_result("weakness", drugs)


def check_statin(session: OrderSession) -> RuleResults:
    """A statin where muscles are weak and creatine kinase is not known."""
    drugs = session.find_drugs("statin")
    template = session.knowledge.templates.by_id["order_creatine_kinase"]
    if (
        drugs
        and _has_weakness(session)
        and not is_pending_or_resulted(template, session.chart, session.knowledge.b12)
    ):
        step = Step("create", template=template.id)
        yield build_result("weakness", drugs, Proposal(template.label, (step,)))


def _has_weakness(session: OrderSession) -> bool:
    return session.chart.has("muscle_weakness") or session.evaluation.muscle.positive
