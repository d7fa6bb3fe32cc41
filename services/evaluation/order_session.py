"""The order session of a call: drafts, the patient, and what rules about orders ask of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from mappings.actions.order_rules import OrderRule
from mappings.text import Part, make_text
from services.chart.model import Chart, Medication, Order
from services.evaluation.combination import Evaluation
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.findings import Features, read_features
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.replacement import is_injected, is_therapeutic, read_replacement

UNCERTAIN_CATEGORIES = frozenset({"indeterminate", "uninterpretable", "insufficient-data"})
UNMEASURED_CATEGORIES = frozenset({"at-risk-untested", "no-action"})


class Step(NamedTuple):
    """One thing to do with an order."""

    type: Literal["create", "update", "delete"]
    draft: str | None = None  # the draft updated or deleted: "MedicationRequest/1"
    template: str | None = None  # the order template created, or that the draft is updated to
    name: str = ""  # of the drug or test, for people


class Proposal(NamedTuple):
    """One suggestion: steps that belong together."""

    label: str
    steps: tuple[Step, ...]


class OrderFinding(NamedTuple):
    """The finding of a rule about drafts of the session."""

    rule: OrderRule
    case: str
    text_parts: Mapping[str, Part]  # what {drug} and the like stand for
    about: tuple[str, ...]  # what the finding rests on, the same for the same order drawn anew
    proposals: tuple[Proposal, ...] = ()

    @property
    def indicator(self) -> str:
        return self.rule.cases[self.case].indicator

    @property
    def summary(self) -> str:
        return make_text(self.rule.cases[self.case].summary, **self.text_parts)

    @property
    def text(self) -> str:
        return make_text(self.rule.cases[self.case].says, **self.text_parts)


@dataclass(frozen=True)
class OrderSession:
    """One patient with the orders of the call: what order rules and cards are made from."""

    chart: Chart
    evaluation: Evaluation
    knowledge: SiteKnowledge
    drafts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # whole, as they came
    hook: str | None = None
    is_about_orders: bool = False  # the hook is, and not about the patient alone
    is_selecting: bool = False  # orders are being chosen; else they are about to be signed
    encounter: str | None = None

    @property
    def category(self) -> str:
        return self.evaluation.b12.category

    @property
    def is_on_treatment(self) -> bool:
        """Whether replacement is under way and nothing untreated decides."""
        return self.category == "on-treatment"

    @cached_property
    def is_untreated(self) -> bool:
        """Whether a deficiency stands without replacement that treats: a dietary dose does not."""
        replacement = read_replacement(self.chart, self.knowledge.b12)
        return self.category in DEFICIENT and not replacement.therapeutic

    @cached_property
    def features(self) -> Features:
        return read_features(self.chart, self.knowledge.b12)

    @property
    def has_reason_to_measure(self) -> bool:
        """A blood finding, risk factor or symptom on record."""
        features = self.features
        return bool(
            features.macrocytosis or features.risks or features.symptoms or features.neurological
        )

    def find_drugs(self, *concepts: str) -> list[Medication]:
        """Drugs about to be ordered that the call is about."""
        return list(self.chart.list_drafted_drugs(concepts))

    def find_tests(self, *concepts: str) -> list[Order]:
        return list(self.chart.list_drafted_orders(concepts))

    def get_group(self, name: str) -> tuple[str, ...]:
        return self.knowledge.b12.groups[name]

    def has_group(self, name: str) -> bool:
        return self.chart.has(self.get_group(name))

    def title(self, concept: str) -> str:
        return self.knowledge.b12.titles.get(concept, concept)

    @cached_property
    def replacement_drafts(self) -> list[Medication]:
        """Replacement about to be ordered that the call is about, each draft once."""
        by_draft = {d.resource: d for d in self.find_drugs(*self.get_group("replacement"))}
        return list(by_draft.values())

    def is_injected(self, drug: Medication) -> bool:
        return is_injected(drug, self.knowledge.b12)

    def suffices(self, drug: Medication) -> bool:
        return is_therapeutic(drug, self.knowledge.b12)

    def treats(self, drug: Medication) -> bool:
        """Whether a draft of replacement is the treatment that the situation calls for."""
        situation = self.evaluation.b12.situation
        if self.is_injected(drug):
            return True
        if situation == "neurological":
            return drug.route is None
        return situation == "dietary" or self.suffices(drug)

    @cached_property
    def has_treatment_draft(self) -> bool:
        """Whether any draft of the session, selected or not, is the treatment called for."""
        if self.category not in DEFICIENT:
            return False
        leber = self.has_group("leber")
        drafted = self.chart.list_drafted_drugs(self.get_group("replacement"), aside=True)
        return any(
            self.treats(drug) and not (leber and drug.concept == "cyanocobalamin")
            for drug in drafted
        )


def build_removal(draft: str, name: str) -> tuple[Step, ...]:
    """The step that takes a draft out of the session; none where it has no id to be named by."""
    return () if draft.endswith("/?") else (Step("delete", draft=draft, name=name),)


def build_marks(drugs: Iterable[Medication]) -> tuple[str, ...]:
    """What stands for drafted drugs whatever ids the EHR gives them: drug, dose and route."""
    return tuple(f"draft|{drug.concept}|{drug.ug_per_day}|{drug.route}" for drug in drugs)
