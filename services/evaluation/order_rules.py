"""Rules about draft orders, a function each; texts are in mappings/clinical/order_rules.toml."""

from collections.abc import Callable, Iterator, Mapping

from mappings.actions.order_rules import FILE, OrderRule
from mappings.knowledge_file import KnowledgeFault
from mappings.text import Part, say, small
from services.chart.model import Medication
from services.evaluation.order_session import (
    UNCERTAIN,
    UNMEASURED,
    OrderFinding,
    Proposal,
    Session,
    Step,
    marks,
    removal,
)
from services.vitamin_b12.orders import TESTS, is_held, on_its_way, open_orders, suggested
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.results import FIRST_LINE, kidneys
from services.vitamin_b12.testing import folic_acid_matters

WORK_UP = ("order_intrinsic_factor_antibody", "order_coeliac_serology", "order_potassium")
ORAL = "cyanocobalamin_oral_high_dose"
NEUROPATHIC = ("peripheral_neuropathy", "paraesthesia", "numbness")
MALABSORBING = ("autoimmune_gastritis", "surgical", "malabsorption")
Told = tuple[str, Mapping[str, Part], tuple[str, ...], list[Proposal]]
Found = Iterator[Told]


def order_findings(session: Session) -> tuple[OrderFinding, ...]:
    """What the rules say of the drafts that the call is about, the most urgent first."""
    if not session.drafts:
        return ()
    rules = session.known.order_rules
    found = [
        OrderFinding(rules[name], case, words, about, tuple(p for p in proposals if p.steps))
        for name, rule in RULES.items()
        if session.category != "out-of-scope" or name in AT_ANY_AGE
        for case, words, about, proposals in rule(session)
    ]
    return tuple(sorted(found, key=lambda one: LOUDEST_FIRST.index(one.indicator)))


def _of(case: str, drugs: list[Medication], *proposals: Proposal, **words: Part) -> Told:
    return case, words, marks(drugs), list(proposals)


def _folic_acid(session: Session) -> Found:
    """R12: B12 before folic acid; a treatment already in the session is the answer to it."""
    drugs = session.drugs("folic_acid")
    if not drugs or session.treated or session.treatment_drafted:
        return
    without = Proposal(
        say("Remove folic acid until B12 is given"), removal(drugs[0].resource, say("folic acid"))
    )
    if session.category in DEFICIENT:
        if session.untreated:
            yield _of("deficient", drugs, without)
        return
    if not folic_acid_matters(session.chart, session.features, session.known.b12):
        return
    if session.category in UNCERTAIN:
        yield _of("uncertain", drugs, *_settling(session))
    elif session.category in UNMEASURED and not _testing(session):
        yield _of("unknown-with-reason" if session.reason_to_measure else "unknown", drugs)


def _testing(session: Session) -> bool:
    """Whether a first-line test is on its way or drafted already."""
    return any(on_its_way(name, session.chart, session.known.b12) for name in FIRST_LINE)


def _nitrous_oxide(session: Session) -> Found:
    drugs = session.drugs("nitrous_oxide")
    if not drugs or session.treated:
        return
    if session.category in DEFICIENT:
        if session.untreated:
            steps = removal(drugs[0].resource, say("nitrous oxide"))
            yield _of("deficient", drugs, Proposal(say("Remove nitrous oxide"), steps))
    elif session.category in UNCERTAIN:
        yield _of("uncertain", drugs, *_settling(session))
    elif session.category in UNMEASURED and not _testing(session):
        yield _of("unknown", drugs)


def _settling(session: Session) -> Iterator[Proposal]:
    """The second test for a level between the limits, symptoms or not: the order is the reason."""
    if session.category == "indeterminate":
        status, _egfr = kidneys(session.chart, session.known.b12)
        second = session.known.b12.guideline.testing.second_test_step
        step = "order-active-b12" if status == "impaired" else second
        yield from _tests(session, TESTS.get(step, ()))


def _lowering_medicine(session: Session) -> Found:
    """R14: a medicine that lowers B12, by the guideline's durations and symptoms."""
    if session.treated or session.treatment_drafted or _testing(session):
        return
    for drug in session.drugs(*session.group("medicine"))[:1]:
        name = session.title(drug.concept)
        found, testing = session.features, session.known.b12.guideline.testing
        if session.category in DEFICIENT:
            yield _of("deficient", [drug], drug=name)
        elif session.category in ("at-risk-untested", "insufficient-data"):
            yield _of("untested", [drug], drug=name)
        elif session.category == "no-action" and (found.symptoms or found.neurological):
            yield _of("symptom", [drug], *_first_tests(session), drug=name)
        elif session.category == "no-action" and drug.concept in testing.asymptomatic_drugs:
            others = [r for r in found.risks if r.concept not in testing.asymptomatic_drugs]
            if others:
                yield _of("monitoring", [drug], *_first_tests(session), drug=name)


def _first_tests(session: Session) -> Iterator[Proposal]:
    """The guideline's first-line test; active B12 in pregnancy."""
    testing = session.known.b12.guideline.testing
    step = testing.pregnancy_step if session.features.pregnant else testing.offer_step
    yield from _tests(session, TESTS.get(step, ())[:1])


def _tests(session: Session, names: tuple[str, ...]) -> Iterator[Proposal]:
    for name in names:
        template = session.known.templates.by_id[name]
        if not is_held(template, session.chart, session.known.b12):
            yield Proposal(template.label, (Step("create", template=name),))


def _leber(session: Session) -> Found:
    """R13: the draft goes, hydroxocobalamin comes."""
    drugs = session.drugs("cyanocobalamin")
    if not drugs or not session.has_group("leber"):
        return
    template = session.known.templates.by_id[session.known.templates.leber[0]]
    there = [
        drug
        for drug in session.chart.medications.get("hydroxocobalamin", ())
        if drug.status in ("draft", "current")
    ]
    create = () if there else (Step("create", template=template.id),)
    steps = tuple(step for drug in drugs for step in removal(drug.resource, say("cyanocobalamin")))
    label = say("Remove cyanocobalamin") if there else _replace_by(template.label)
    yield _of("cyanocobalamin", drugs, Proposal(label, (*steps, *create)))


def _replace_by(label: str) -> str:
    return say("Replace by {label}", label=small(label))


def _change_to(label: str) -> str:
    return say("Change to {label}", label=small(label))


def _oral_dose(session: Session) -> Found:
    """Oral replacement where the situation asks for more, or for injections."""
    situation = session.found.b12.situation
    if session.has_group("leber") or session.chart.findings.get("cobalamin_allergy"):
        return
    for drug in session.replacing:
        if session.is_injected(drug) or drug.route is None:
            continue
        low = not session.suffices(drug)
        if situation == "neurological":
            yield _of("neurological", [drug], *_replaced(session, drug, "neurological"))
        elif low and (cause := next(filter(session.has_group, MALABSORBING), None)):
            oral = ORAL in session.known.b12.guideline.treatments[cause].templates
            better = _raised(session, drug) if oral else _replaced(session, drug, cause)
            yield _of("malabsorption", [drug], *better)
        elif low and situation not in (None, "dietary"):
            yield _of("deficiency", [drug], *_raised(session, drug))


def _replaced(session: Session, drug: Medication, situation: str) -> Iterator[Proposal]:
    treatments = session.known.b12.guideline.treatments
    template = session.known.templates.by_id.get(treatments[situation].templates[0])
    steps = removal(drug.resource, session.title(drug.concept))
    if steps and template is not None:
        create = Step("create", template=template.id)
        yield Proposal(_replace_by(template.label), (*steps, create))


def _raised(session: Session, drug: Medication) -> Iterator[Proposal]:
    if drug.resource in session.drafts and ORAL in session.known.templates.by_id:
        template = session.known.templates.by_id[ORAL]
        step = Step("update", draft=drug.resource, template=ORAL, name=session.title(drug.concept))
        yield Proposal(_change_to(template.label), (step,))


def _regimen(session: Session) -> Found:
    """Injections that begin slower than the guideline's neurological regimen does."""
    if session.found.b12.situation != "neurological" or session.has_group("leber"):
        return
    name = session.known.b12.guideline.treatments["neurological"].templates[0]
    template = session.known.templates.by_id.get(name)
    if template is None:
        return
    begins = template.ug_per_day
    for drug in session.replacing:
        slower = begins is not None and drug.ug_per_day is not None and drug.ug_per_day < begins
        if session.is_injected(drug) and slower and drug.resource in session.drafts:
            step = Step(
                "update", draft=drug.resource, template=name, name=session.title(drug.concept)
            )
            yield _of("neurological", [drug], Proposal(_change_to(template.label), (step,)))


def _right_order(session: Session) -> Found:
    """The treatment fits: only what is missing beside it is worth a word, and only at signing."""
    if session.is_selecting:
        return
    right = [drug for drug in session.replacing if session.treats(drug)]
    if not right or session.category not in DEFICIENT or session.found.b12.situation is None:
        return
    if session.has_group("leber") and any(drug.concept == "cyanocobalamin" for drug in right):
        return
    wanted = suggested(session.found.b12, session.chart, session.known.b12, session.known.templates)
    missing = [template for template in wanted if template.id in WORK_UP]
    if missing:
        steps = tuple(Step("create", template=template.id) for template in missing)
        tests = tuple(small(template.test) for template in missing)
        proposal = Proposal(say("Order {tests}", tests=tests), steps)
        yield _of("missing", right, proposal, open=tests)


def _level_on_injections(session: Session) -> Found:
    """R15: only where injections are what treats; the test is not repeated under them."""
    if "suggest-cancel-repeat-b12" not in session.found.b12.session_steps:
        return
    for order in session.tests(*FIRST_LINE)[:1]:
        steps = removal(order.resource, session.title(order.concept))
        proposal = Proposal(
            say("Cancel the test: {test}", test=session.title(order.concept)), steps
        )
        yield "level", {}, (f"draft|{order.concept}",), [proposal]


def _duplicate_test(session: Session) -> Found:
    """The same test on its way, or twice in one session. An order revised is no second one."""
    if "suggest-cancel-repeat-b12" in session.found.b12.session_steps:
        return
    for concept in (*FIRST_LINE, "methylmalonic_acid", "homocysteine"):
        drafted = session.tests(concept)
        held = open_orders(concept, session.chart, session.known.b12)
        references = {order.resource for order in drafted}
        elsewhere = {order.resource for order in held} - references
        superfluous = drafted if elsewhere else drafted[1:]
        if not superfluous or (len(references) < len(drafted) and not elsewhere):
            continue
        title = session.title(concept)
        steps = removal(superfluous[0].resource, title)
        proposal = Proposal(say("Cancel the second order: {test}", test=title), steps)
        words: Mapping[str, Part] = {"test": title}
        yield "twice", words, (f"draft|{concept}",), [proposal]


def _blood_count(session: Session) -> Found:
    """A count for macrocytosis or neuropathy, and B12 neither known nor ordered."""
    counts = session.tests("order_cbc")
    if not counts or session.category not in UNMEASURED or _testing(session):
        return
    nerves = [name for name in NEUROPATHIC if session.chart.has(name)]
    if not session.features.macrocytosis and not nerves:
        return
    reason = say("Macrocytosis") if session.features.macrocytosis else session.title(nerves[0])
    words: Mapping[str, Part] = {"why": small(reason), "reason": reason}
    proposals = [*_first_tests(session), *_tests(session, ("order_folate",))]
    yield "without-b12", words, ("draft|order_cbc",), proposals


def _chloramphenicol(session: Session) -> Found:
    drugs = session.drugs("chloramphenicol")
    replacement = (session.group("replacement"),)
    drafted = any(True for _ in session.chart.drafted(*replacement, aside=True))
    if drugs and (drafted or session.has_group("replacement")):
        yield _of("with-replacement", drugs)
    elif session.replacing and session.chart.has("chloramphenicol"):
        yield _of("with-replacement", session.replacing)


def _weak(session: Session) -> bool:
    return session.chart.has("muscle_weakness") or session.found.muscle.positive


def _steroid(session: Session) -> Found:
    drugs = session.drugs("systemic_corticosteroid")
    if drugs and _weak(session):
        yield _of("weakness", drugs)


def _statin(session: Session) -> Found:
    drugs = session.drugs("statin")
    template = session.known.templates.by_id["order_creatine_kinase"]
    if drugs and _weak(session) and not is_held(template, session.chart, session.known.b12):
        step = Step("create", template=template.id)
        yield _of("weakness", drugs, Proposal(template.label, (step,)))


LOUDEST_FIRST = ("critical", "warning", "info")
AT_ANY_AGE = frozenset({"leber", "duplicate-test"})
RULES: Mapping[str, Callable[[Session], Found]] = {
    "leber": _leber,
    "folic-acid": _folic_acid,
    "nitrous-oxide": _nitrous_oxide,
    "regimen": _regimen,
    "oral-dose": _oral_dose,
    "right-order": _right_order,
    "level-on-injections": _level_on_injections,
    "duplicate-test": _duplicate_test,
    "lowering-medicine": _lowering_medicine,
    "blood-count": _blood_count,
    "chloramphenicol": _chloramphenicol,
    "statin": _statin,
    "steroid": _steroid,
}


def require_words(rules: Mapping[str, OrderRule]) -> None:
    """Raises KnowledgeFault where a rule has no words, or words have no rule."""
    for name in RULES.keys() ^ rules.keys():
        where = "a rule without words" if name in RULES else "words without a rule"
        raise KnowledgeFault(FILE, f"rule.{name}", where)
