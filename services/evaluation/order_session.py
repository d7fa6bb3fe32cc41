"""The orders of one session beside the patient they are for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from mappings.actions.order_rules import OrderRule
from mappings.text import Part, say
from services.chart.model import Chart, Medication, Order
from services.evaluation.combination import Together
from services.knowledge.site import Known
from services.vitamin_b12.findings import Features, features
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.replacement import is_injected, replacement, suffices

UNCERTAIN = frozenset({"indeterminate", "uninterpretable", "insufficient-data"})
UNMEASURED = frozenset({"at-risk-untested", "no-action"})


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
    """What a rule says of drafts of the session."""

    rule: OrderRule
    case: str
    words: Mapping[str, Part]  # what {drug} and the like stand for
    about: tuple[str, ...]  # what the finding rests on, the same for the same order drawn anew
    proposals: tuple[Proposal, ...] = ()

    @property
    def indicator(self) -> str:
        return self.rule.cases[self.case].indicator

    @property
    def summary(self) -> str:
        return say(self.rule.cases[self.case].summary, **self.words)

    @property
    def says(self) -> str:
        return say(self.rule.cases[self.case].says, **self.words)


@dataclass(frozen=True)
class Session:
    """What the rules about orders look at."""

    chart: Chart
    found: Together
    known: Known
    drafts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # whole, as they came
    hook: str | None = None
    is_about_orders: bool = False  # the hook is, and not about the patient alone
    is_selecting: bool = False  # orders are being chosen; else they are about to be signed

    @property
    def category(self) -> str:
        return self.found.b12.category

    @property
    def treated(self) -> bool:
        """Whether replacement is under way and nothing untreated decides."""
        return self.category == "on-treatment"

    @cached_property
    def untreated(self) -> bool:
        """Whether a deficiency stands without replacement that treats: a dietary dose does not."""
        given = replacement(self.chart, self.known.b12)
        return self.category in DEFICIENT and not given.therapeutic

    @cached_property
    def features(self) -> Features:
        return features(self.chart, self.known.b12)

    @property
    def reason_to_measure(self) -> bool:
        """A blood finding, risk factor or symptom on record."""
        found = self.features
        return bool(found.macrocytosis or found.risks or found.symptoms or found.neurological)

    def drugs(self, *concepts: str) -> list[Medication]:
        """Drugs about to be ordered that the call is about."""
        return list(self.chart.drafted(concepts))

    def tests(self, *concepts: str) -> list[Order]:
        return list(self.chart.ordering(concepts))

    def group(self, name: str) -> tuple[str, ...]:
        return self.known.b12.groups[name]

    def has_group(self, name: str) -> bool:
        return self.chart.has(self.group(name))

    def title(self, concept: str) -> str:
        return self.known.b12.titles.get(concept, concept)

    @cached_property
    def replacing(self) -> list[Medication]:
        """Replacement about to be ordered that the call is about, each draft once."""
        by_draft = {d.resource: d for d in self.drugs(*self.group("replacement"))}
        return list(by_draft.values())

    def is_injected(self, drug: Medication) -> bool:
        return is_injected(drug, self.known.b12)

    def suffices(self, drug: Medication) -> bool:
        return suffices(drug, self.known.b12)

    def treats(self, drug: Medication) -> bool:
        """Whether a draft of replacement is the treatment that the situation calls for."""
        situation = self.found.b12.situation
        if self.is_injected(drug):
            return True
        if situation == "neurological":
            return drug.route is None
        return situation == "dietary" or self.suffices(drug)

    @cached_property
    def treatment_drafted(self) -> bool:
        """Whether any draft of the session, selected or not, is the treatment called for."""
        if self.category not in DEFICIENT:
            return False
        leber = self.has_group("leber")
        drafted = self.chart.drafted(self.group("replacement"), aside=True)
        return any(
            self.treats(drug) and not (leber and drug.concept == "cyanocobalamin")
            for drug in drafted
        )


def removal(draft: str, name: str) -> tuple[Step, ...]:
    """The step that takes a draft out of the session; none where it has no id to be named by."""
    return () if draft.endswith("/?") else (Step("delete", draft=draft, name=name),)


def marks(drugs: Iterable[Medication]) -> tuple[str, ...]:
    """What stands for drafted drugs whatever ids the EHR gives them: drug, dose and route."""
    return tuple(f"draft|{drug.concept}|{drug.ug_per_day}|{drug.route}" for drug in drugs)
