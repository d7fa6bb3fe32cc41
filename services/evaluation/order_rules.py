"""Rules about draft orders, a function each; texts are in mappings/clinical/order_rules.toml."""

from collections.abc import Callable, Iterator, Mapping

from mappings.actions.order_rules import FILE, OrderRule
from mappings.knowledge_file import KnowledgeError
from mappings.text import Part, lowercase_first, make_text
from services.chart.model import Medication
from services.evaluation.order_session import (
    UNCERTAIN_CATEGORIES,
    UNMEASURED_CATEGORIES,
    OrderFinding,
    OrderSession,
    Proposal,
    Step,
    build_marks,
    build_removal,
)
from services.vitamin_b12.orders import (
    TESTS_BY_STEP,
    is_pending,
    is_pending_or_resulted,
    list_open_orders,
    suggest_orders,
)
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.results import FIRST_LINE, assess_kidneys
from services.vitamin_b12.testing import is_folic_acid_relevant

CAUSE_WORKUP = ("order_intrinsic_factor_antibody", "order_coeliac_serology", "order_potassium")
ORAL_TEMPLATE = "cyanocobalamin_oral_high_dose"
NEUROPATHIC_SYMPTOMS = ("peripheral_neuropathy", "paraesthesia", "numbness")
MALABSORPTION_GROUPS = ("autoimmune_gastritis", "surgical", "malabsorption")
RuleResult = tuple[str, Mapping[str, Part], tuple[str, ...], list[Proposal]]
RuleResults = Iterator[RuleResult]


def run_order_rules(session: OrderSession) -> tuple[OrderFinding, ...]:
    """What the rules say of the drafts that the call is about, the most urgent first."""
    if not session.drafts:
        return ()
    rules = session.knowledge.order_rules
    found = [
        OrderFinding(rules[name], case, words, about, tuple(p for p in proposals if p.steps))
        for name, rule in RULES.items()
        if session.category != "out-of-scope" or name in ANY_AGE_RULES
        for case, words, about, proposals in rule(session)
    ]
    return tuple(sorted(found, key=lambda one: INDICATORS_DESCENDING.index(one.indicator)))


def _build_result(
    case: str, drugs: list[Medication], *proposals: Proposal, **words: Part
) -> RuleResult:
    return case, words, build_marks(drugs), list(proposals)


def _check_folic_acid(session: OrderSession) -> RuleResults:
    """R12: B12 before folic acid; a treatment already in the session is the answer to it."""
    drugs = session.find_drugs("folic_acid")
    if not drugs or session.is_on_treatment or session.has_treatment_draft:
        return
    without = Proposal(
        make_text("Remove folic acid until B12 is given"),
        build_removal(drugs[0].resource, make_text("folic acid")),
    )
    if session.category in DEFICIENT:
        if session.is_untreated:
            yield _build_result("deficient", drugs, without)
        return
    if not is_folic_acid_relevant(session.chart, session.features, session.knowledge.b12):
        return
    if session.category in UNCERTAIN_CATEGORIES:
        yield _build_result("uncertain", drugs, *_propose_second_test(session))
    elif session.category in UNMEASURED_CATEGORIES and not _is_test_planned(session):
        yield _build_result(
            "unknown-with-reason" if session.has_reason_to_measure else "unknown", drugs
        )


def _is_test_planned(session: OrderSession) -> bool:
    """Whether a first-line test is on its way or drafted already."""
    return any(is_pending(name, session.chart, session.knowledge.b12) for name in FIRST_LINE)


def _check_nitrous_oxide(session: OrderSession) -> RuleResults:
    drugs = session.find_drugs("nitrous_oxide")
    if not drugs or session.is_on_treatment:
        return
    if session.category in DEFICIENT:
        if session.is_untreated:
            steps = build_removal(drugs[0].resource, make_text("nitrous oxide"))
            yield _build_result(
                "deficient", drugs, Proposal(make_text("Remove nitrous oxide"), steps)
            )
    elif session.category in UNCERTAIN_CATEGORIES:
        yield _build_result("uncertain", drugs, *_propose_second_test(session))
    elif session.category in UNMEASURED_CATEGORIES and not _is_test_planned(session):
        yield _build_result("unknown", drugs)


def _propose_second_test(session: OrderSession) -> Iterator[Proposal]:
    """The second test for a level between the limits, symptoms or not: the order is the reason."""
    if session.category == "indeterminate":
        status, _egfr = assess_kidneys(session.chart, session.knowledge.b12)
        second = session.knowledge.b12.guideline.testing.second_test_step
        step = "order-active-b12" if status == "impaired" else second
        yield from _propose_tests(session, TESTS_BY_STEP.get(step, ()))


def _check_lowering_medicine(session: OrderSession) -> RuleResults:
    """R14: a medicine that lowers B12, by the guideline's durations and symptoms."""
    if session.is_on_treatment or session.has_treatment_draft or _is_test_planned(session):
        return
    for drug in session.find_drugs(*session.get_group("medicine"))[:1]:
        name = session.title(drug.concept)
        found, testing = session.features, session.knowledge.b12.guideline.testing
        if session.category in DEFICIENT:
            yield _build_result("deficient", [drug], drug=name)
        elif session.category in ("at-risk-untested", "insufficient-data"):
            yield _build_result("untested", [drug], drug=name)
        elif session.category == "no-action" and (found.symptoms or found.neurological):
            yield _build_result("symptom", [drug], *_propose_first_tests(session), drug=name)
        elif session.category == "no-action" and drug.concept in testing.asymptomatic_drugs:
            others = [r for r in found.risks if r.concept not in testing.asymptomatic_drugs]
            if others:
                yield _build_result("monitoring", [drug], *_propose_first_tests(session), drug=name)


def _propose_first_tests(session: OrderSession) -> Iterator[Proposal]:
    """The guideline's first-line test; active B12 in pregnancy."""
    testing = session.knowledge.b12.guideline.testing
    step = testing.pregnancy_step if session.features.pregnant else testing.offer_step
    yield from _propose_tests(session, TESTS_BY_STEP.get(step, ())[:1])


def _propose_tests(session: OrderSession, names: tuple[str, ...]) -> Iterator[Proposal]:
    for name in names:
        template = session.knowledge.templates.by_id[name]
        if not is_pending_or_resulted(template, session.chart, session.knowledge.b12):
            yield Proposal(template.label, (Step("create", template=name),))


def _check_leber(session: OrderSession) -> RuleResults:
    """R13: the draft goes, hydroxocobalamin comes."""
    drugs = session.find_drugs("cyanocobalamin")
    if not drugs or not session.has_group("leber"):
        return
    template = session.knowledge.templates.by_id[session.knowledge.templates.leber[0]]
    there = [
        drug
        for drug in session.chart.medications.get("hydroxocobalamin", ())
        if drug.status in ("draft", "current")
    ]
    create = () if there else (Step("create", template=template.id),)
    steps = tuple(
        step for drug in drugs for step in build_removal(drug.resource, make_text("cyanocobalamin"))
    )
    label = make_text("Remove cyanocobalamin") if there else _label_replacement(template.label)
    yield _build_result("cyanocobalamin", drugs, Proposal(label, (*steps, *create)))


def _label_replacement(label: str) -> str:
    return make_text("Replace by {label}", label=lowercase_first(label))


def _label_change(label: str) -> str:
    return make_text("Change to {label}", label=lowercase_first(label))


def _check_oral_dose(session: OrderSession) -> RuleResults:
    """Oral replacement where the situation asks for more, or for injections."""
    situation = session.evaluation.b12.situation
    if session.has_group("leber") or session.chart.findings.get("cobalamin_allergy"):
        return
    for drug in session.replacement_drafts:
        if session.is_injected(drug) or drug.route is None:
            continue
        low = not session.suffices(drug)
        if situation == "neurological":
            yield _build_result(
                "neurological", [drug], *_propose_replacement(session, drug, "neurological")
            )
        elif low and (cause := next(filter(session.has_group, MALABSORPTION_GROUPS), None)):
            oral = ORAL_TEMPLATE in session.knowledge.b12.guideline.treatments[cause].templates
            better = (
                _propose_higher_dose(session, drug)
                if oral
                else _propose_replacement(session, drug, cause)
            )
            yield _build_result("malabsorption", [drug], *better)
        elif low and situation not in (None, "dietary"):
            yield _build_result("deficiency", [drug], *_propose_higher_dose(session, drug))


def _propose_replacement(
    session: OrderSession, drug: Medication, situation: str
) -> Iterator[Proposal]:
    treatments = session.knowledge.b12.guideline.treatments
    template = session.knowledge.templates.by_id.get(treatments[situation].templates[0])
    steps = build_removal(drug.resource, session.title(drug.concept))
    if steps and template is not None:
        create = Step("create", template=template.id)
        yield Proposal(_label_replacement(template.label), (*steps, create))


def _propose_higher_dose(session: OrderSession, drug: Medication) -> Iterator[Proposal]:
    if drug.resource in session.drafts and ORAL_TEMPLATE in session.knowledge.templates.by_id:
        template = session.knowledge.templates.by_id[ORAL_TEMPLATE]
        step = Step(
            "update", draft=drug.resource, template=ORAL_TEMPLATE, name=session.title(drug.concept)
        )
        yield Proposal(_label_change(template.label), (step,))


def _check_regimen(session: OrderSession) -> RuleResults:
    """Injections that begin slower than the guideline's neurological regimen does."""
    if session.evaluation.b12.situation != "neurological" or session.has_group("leber"):
        return
    name = session.knowledge.b12.guideline.treatments["neurological"].templates[0]
    template = session.knowledge.templates.by_id.get(name)
    if template is None:
        return
    begins = template.ug_per_day
    for drug in session.replacement_drafts:
        slower = begins is not None and drug.ug_per_day is not None and drug.ug_per_day < begins
        if session.is_injected(drug) and slower and drug.resource in session.drafts:
            step = Step(
                "update", draft=drug.resource, template=name, name=session.title(drug.concept)
            )
            yield _build_result(
                "neurological", [drug], Proposal(_label_change(template.label), (step,))
            )


def _check_right_order(session: OrderSession) -> RuleResults:
    """The treatment fits: only what is missing beside it is worth a word, and only at signing."""
    if session.is_selecting:
        return
    right = [drug for drug in session.replacement_drafts if session.treats(drug)]
    if not right or session.category not in DEFICIENT or session.evaluation.b12.situation is None:
        return
    if session.has_group("leber") and any(drug.concept == "cyanocobalamin" for drug in right):
        return
    wanted = suggest_orders(
        session.evaluation.b12, session.chart, session.knowledge.b12, session.knowledge.templates
    )
    missing = [template for template in wanted if template.id in CAUSE_WORKUP]
    if missing:
        steps = tuple(Step("create", template=template.id) for template in missing)
        tests = tuple(lowercase_first(template.test) for template in missing)
        proposal = Proposal(make_text("Order {tests}", tests=tests), steps)
        yield _build_result("missing", right, proposal, open=tests)


def _check_level_on_injections(session: OrderSession) -> RuleResults:
    """R15: only where injections are what treats; the test is not repeated under them."""
    if "suggest-cancel-repeat-b12" not in session.evaluation.b12.session_steps:
        return
    for order in session.find_tests(*FIRST_LINE)[:1]:
        steps = build_removal(order.resource, session.title(order.concept))
        proposal = Proposal(
            make_text("Cancel the test: {test}", test=session.title(order.concept)), steps
        )
        yield "level", {}, (f"draft|{order.concept}",), [proposal]


def _check_duplicate_test(session: OrderSession) -> RuleResults:
    """The same test on its way, or twice in one session. An order revised is no second one."""
    if "suggest-cancel-repeat-b12" in session.evaluation.b12.session_steps:
        return
    for concept in (*FIRST_LINE, "methylmalonic_acid", "homocysteine"):
        drafted = session.find_tests(concept)
        held = list_open_orders(concept, session.chart, session.knowledge.b12)
        references = {order.resource for order in drafted}
        elsewhere = {order.resource for order in held} - references
        superfluous = drafted if elsewhere else drafted[1:]
        if not superfluous or (len(references) < len(drafted) and not elsewhere):
            continue
        title = session.title(concept)
        steps = build_removal(superfluous[0].resource, title)
        proposal = Proposal(make_text("Cancel the second order: {test}", test=title), steps)
        words: Mapping[str, Part] = {"test": title}
        yield "twice", words, (f"draft|{concept}",), [proposal]


def _check_blood_count(session: OrderSession) -> RuleResults:
    """A count for macrocytosis or neuropathy, and B12 neither known nor ordered."""
    counts = session.find_tests("order_cbc")
    if not counts or session.category not in UNMEASURED_CATEGORIES or _is_test_planned(session):
        return
    nerves = [name for name in NEUROPATHIC_SYMPTOMS if session.chart.has(name)]
    if not session.features.macrocytosis and not nerves:
        return
    reason = (
        make_text("Macrocytosis") if session.features.macrocytosis else session.title(nerves[0])
    )
    words: Mapping[str, Part] = {"why": lowercase_first(reason), "reason": reason}
    proposals = [*_propose_first_tests(session), *_propose_tests(session, ("order_folate",))]
    yield "without-b12", words, ("draft|order_cbc",), proposals


def _check_chloramphenicol(session: OrderSession) -> RuleResults:
    drugs = session.find_drugs("chloramphenicol")
    replacement = (session.get_group("replacement"),)
    drafted = any(True for _ in session.chart.list_drafted_drugs(*replacement, aside=True))
    if drugs and (drafted or session.has_group("replacement")):
        yield _build_result("with-replacement", drugs)
    elif session.replacement_drafts and session.chart.has("chloramphenicol"):
        yield _build_result("with-replacement", session.replacement_drafts)


def _has_weakness(session: OrderSession) -> bool:
    return session.chart.has("muscle_weakness") or session.evaluation.muscle.positive


def _check_steroid(session: OrderSession) -> RuleResults:
    drugs = session.find_drugs("systemic_corticosteroid")
    if drugs and _has_weakness(session):
        yield _build_result("weakness", drugs)


def _check_statin(session: OrderSession) -> RuleResults:
    drugs = session.find_drugs("statin")
    template = session.knowledge.templates.by_id["order_creatine_kinase"]
    if (
        drugs
        and _has_weakness(session)
        and not is_pending_or_resulted(template, session.chart, session.knowledge.b12)
    ):
        step = Step("create", template=template.id)
        yield _build_result("weakness", drugs, Proposal(template.label, (step,)))


INDICATORS_DESCENDING = ("critical", "warning", "info")
ANY_AGE_RULES = frozenset({"leber", "duplicate-test"})
RULES: Mapping[str, Callable[[OrderSession], RuleResults]] = {
    "leber": _check_leber,
    "folic-acid": _check_folic_acid,
    "nitrous-oxide": _check_nitrous_oxide,
    "regimen": _check_regimen,
    "oral-dose": _check_oral_dose,
    "right-order": _check_right_order,
    "level-on-injections": _check_level_on_injections,
    "duplicate-test": _check_duplicate_test,
    "lowering-medicine": _check_lowering_medicine,
    "blood-count": _check_blood_count,
    "chloramphenicol": _check_chloramphenicol,
    "statin": _check_statin,
    "steroid": _check_steroid,
}


def check_rule_texts(rules: Mapping[str, OrderRule]) -> None:
    """Raises KnowledgeFault where a rule has no words, or words have no rule."""
    for name in RULES.keys() ^ rules.keys():
        where = "a rule without words" if name in RULES else "words without a rule"
        raise KnowledgeError(FILE, f"rule.{name}", where)
