"""The B12 card: the finding in a clinician's words, its basis open to her own judgement."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cds_hooks.cards import (
    Action,
    Card,
    Coding,
    Indicator,
    Link,
    Source,
    Suggestion,
    shorten,
)
from mappings.guideline_file import FOLDER, read_toml
from mappings.order_template import OrderTemplate, draft
from services.b12_detail import detail
from services.chart import Chart
from services.knowledge import Known
from services.vitamin_b12.notes import Assessment
from services.vitamin_b12.suggestions import suggested
from services.vitamin_b12.summary import summary
from services.vitamin_b12.wording import TITLES

REFERENCE = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}")


# On treatment, a card is shown for these alone; otherwise treatment is left in peace.
WORTH_A_WORD = frozenset(
    {
        "suggest-cancel-repeat-b12",
        "increase-injection-frequency",
        "check-adherence",
        "switch-to-im-or-oral-1mg",
        "use-hydroxocobalamin",
    }
)


@dataclass(frozen=True, slots=True)
class CardMaker:
    """Makes cards from assessments; everything that is the same for each is made at start."""

    known: Known
    links: tuple[Link, ...]
    reasons: tuple[Coding, ...]
    canonical: str

    @classmethod
    def at_start(cls, known: Known, base_url: str, canonical: str) -> "CardMaker":
        guideline = known.b12.guideline
        reasons = read_toml(FOLDER / "override_reasons.toml")
        return cls(
            known=known,
            links=(
                Link("The limits and their sources", f"{base_url}/evidence/{quote(guideline.id)}"),
                Link(shorten(f"{guideline.publisher}: the guideline", 80), guideline.url),
            ),
            reasons=tuple(
                Coding(r["code"], reasons["system"], r["display"]) for r in reasons["reasons"]
            ),
            canonical=canonical,
        )

    def cards(
        self, assessment: Assessment, chart: Chart, encounter: str | None
    ) -> tuple[tuple[Card, ...], tuple[str, ...]]:
        """The cards for one call, and what was withheld with the reason."""
        if assessment.category not in TITLES:
            return (), ()
        if chart.deceased:
            return (), ("b12:deceased",)
        if assessment.category == "on-treatment" and not WORTH_A_WORD & {*assessment.next_steps}:
            return (), ("b12:on-treatment",)
        if _right_order_drafted(assessment, chart, self.known):
            return (), ("b12:already-drafted",)
        return (self._card(assessment, chart, encounter),), ()

    def _card(self, assessment: Assessment, chart: Chart, encounter: str | None) -> Card:
        guideline = self.known.b12.guideline
        offered = suggested(assessment, chart, self.known.b12, self.known.templates)
        suggestions = tuple(
            self._suggestion(template, assessment, chart, encounter, recommended=place == 0)
            for place, template in enumerate(offered)
        )
        return Card(
            summary=shorten(summary(assessment, self.known.templates.locale)),
            indicator=indicator(assessment),
            source=Source(
                shorten(f"{guideline.publisher}: {guideline.title}", 160),
                guideline.url,
                Coding(
                    topic(assessment.category),
                    f"{self.canonical}/CodeSystem/card-topic",
                    TITLES[assessment.category],
                ),
            ),
            detail=detail(assessment, chart, self.known),
            suggestions=suggestions,
            selection_behavior="any" if suggestions else None,
            override_reasons=self.reasons,
            links=self.links,
        )

    def _suggestion(
        self,
        template: OrderTemplate,
        assessment: Assessment,
        chart: Chart,
        encounter: str | None,
        *,
        recommended: bool,
    ) -> Suggestion:
        resource: dict[str, Any] = draft(
            template,
            chart.patient,
            f"Encounter/{encounter.rpartition('/')[2]}" if encounter else None,
        )
        deciding = assessment.deciding
        if deciding is not None and REFERENCE.fullmatch(deciding.result.resource):
            resource["reasonReference"] = [{"reference": deciding.result.resource}]
        label = template.label
        if resource["resourceType"] == "MedicationRequest" and not recommended:
            label = f"Or {label[:1].lower()}{label[1:]}"  # instead of the first, not beside it
        return Suggestion(
            label=label,
            actions=(Action("create", template.description, resource),),
            is_recommended=recommended,
        )


def topic(category: str) -> str:
    """The stable, alphanumeric code of a kind of card."""
    return "b12" + "".join(part.capitalize() for part in category.replace("b12", "").split("-"))


def indicator(assessment: Assessment) -> Indicator:
    """Critical for harm at hand, warning for what needs a decision, info for the rest."""
    deficient = assessment.category in ("deficient", "deficient-functional")
    if assessment.urgency == "emergency" or (
        deficient and "do-not-give-folic-acid-alone" in assessment.session_steps
    ):
        return Indicator.CRITICAL
    if deficient or assessment.urgency == "urgent":
        return Indicator.WARNING
    return Indicator.INFO


def _right_order_drafted(assessment: Assessment, chart: Chart, known: Known) -> bool:
    """Whether the session already holds the treatment that the card would ask for."""
    if assessment.situation is None or chart.has("leber_optic_neuropathy"):
        return False
    if "do-not-give-folic-acid-alone" in assessment.session_steps:
        return False
    limit = known.b12.policy["therapeutic_oral_ug_per_day"]
    drafted = (
        medication
        for concept in known.b12.groups["replacement"]
        for medication in chart.medications.get(concept, ())
        if medication.status == "draft"
    )
    return any(
        m.parenteral or m.ug_per_day is None or m.ug_per_day >= limit
        if assessment.situation != "neurological"
        else m.parenteral or m.route is None
        for m in drafted
    )


def record_of(assessment: Assessment, known: Known, suppressed: Iterable[str]) -> Mapping[str, Any]:
    """What the log and the records keep of an assessment: names, never values."""
    return {
        "b12Category": assessment.category,
        "rules": list(dict.fromkeys(e.rule for e in assessment.evidence)),
        "suppressed": list(suppressed),
        "knowledge": {"b12": known.b12.guideline.label},
    }
