"""Suggestions of the rules about orders, and the result of a rule."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mappings.text import Part, lowercase_first, make_text
from services.chart.model import Medication
from services.evaluation.order_session import (
    OrderSession,
    Proposal,
    Step,
    build_marks,
    build_removal,
)
from services.vitamin_b12.orders import is_pending, is_pending_or_resulted
from services.vitamin_b12.results import FIRST_LINE, assess_kidneys

ORAL_TEMPLATE = "cyanocobalamin_oral_high_dose"


class RuleResult(NamedTuple):
    """What a rule finds: a case of its texts, and what fits."""

    case: str
    text_parts: Mapping[str, Part]
    about: tuple[str, ...]  # marks of the drafts that it rests on
    proposals: tuple[Proposal, ...] = ()


RuleResults = Iterator[RuleResult]


def build_result(
    case: str, drugs: list[Medication], *proposals: Proposal, **words: Part
) -> RuleResult:
    return RuleResult(case, words, build_marks(drugs), proposals)


def is_test_planned(session: OrderSession) -> bool:
    """Whether a first-line test is on its way or drafted already."""
    return any(is_pending(name, session.chart, session.knowledge.b12) for name in FIRST_LINE)


def propose_second_test(session: OrderSession) -> Iterator[Proposal]:
    """The second test for a level between the limits, symptoms or not: the order is the reason."""
    if session.category == "indeterminate":
        status, _egfr = assess_kidneys(session.chart, session.knowledge.b12)
        second = session.knowledge.b12.guideline.testing.second_test_step
        step = "order-active-b12" if status == "impaired" else second
        yield from propose_tests(session, session.knowledge.b12.tests_by_step.get(step, ()))


def propose_first_tests(session: OrderSession) -> Iterator[Proposal]:
    """The guideline's first-line test; active B12 in pregnancy."""
    testing = session.knowledge.b12.guideline.testing
    step = testing.pregnancy_step if session.features.pregnant else testing.offer_step
    yield from propose_tests(session, session.knowledge.b12.tests_by_step.get(step, ())[:1])


def propose_tests(session: OrderSession, names: tuple[str, ...]) -> Iterator[Proposal]:
    for name in names:
        template = session.knowledge.templates.by_id[name]
        if not is_pending_or_resulted(template, session.chart, session.knowledge.b12):
            yield Proposal(template.label, (Step("create", template=name),))


def propose_replacement(
    session: OrderSession, drug: Medication, situation: str
) -> Iterator[Proposal]:
    treatments = session.knowledge.b12.guideline.treatments
    template = session.knowledge.templates.by_id.get(treatments[situation].templates[0])
    steps = build_removal(drug.resource, session.title(drug.concept))
    if steps and template is not None:
        create = Step("create", template=template.id)
        yield Proposal(label_replacement(template.label), (*steps, create))


def propose_higher_dose(session: OrderSession, drug: Medication) -> Iterator[Proposal]:
    if drug.resource in session.drafts and ORAL_TEMPLATE in session.knowledge.templates.by_id:
        template = session.knowledge.templates.by_id[ORAL_TEMPLATE]
        step = Step(
            "update", draft=drug.resource, template=ORAL_TEMPLATE, name=session.title(drug.concept)
        )
        yield Proposal(label_change(template.label), (step,))


def label_replacement(label: str) -> str:
    return make_text("Replace by {label}", label=lowercase_first(label))


def label_change(label: str) -> str:
    return make_text("Change to {label}", label=lowercase_first(label))
