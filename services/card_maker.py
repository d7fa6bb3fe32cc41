"""One card for a patient: about B12, about muscle, or about both together."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cds_hooks.cards import (
    SUMMARY_LENGTH,
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
from services import b12_card, muscle_card
from services.b12_detail import detail as b12_detail
from services.chart import Chart
from services.knowledge import Known
from services.muscle_loss import Together
from services.sarcopenia.wording import CATEGORIES
from services.vitamin_b12.suggestions import suggested
from services.vitamin_b12.summary import summary as b12_summary
from services.vitamin_b12.wording import TITLES

REFERENCE = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}")
INDICATORS = (Indicator.INFO, Indicator.WARNING, Indicator.CRITICAL)
MOST = 4  # suggestions on a card about one axis
MOST_OF_BOTH = 5
OF_B12 = 3  # of them at most, where muscle has orders of its own


@dataclass(frozen=True, slots=True)
class CardMaker:
    """Makes cards from assessments; everything that is the same for each is made at start."""

    known: Known
    b12_links: tuple[Link, ...]
    muscle_links: tuple[Link, ...]
    reasons: tuple[Coding, ...]
    canonical: str

    @classmethod
    def at_start(cls, known: Known, base_url: str, canonical: str) -> "CardMaker":
        guideline, definition = known.b12.guideline, known.muscle.definition
        reasons = read_toml(FOLDER / "override_reasons.toml")
        evidence = f"{base_url}/evidence"
        return cls(
            known=known,
            b12_links=(
                Link("The limits and their sources", f"{evidence}/{quote(guideline.id)}"),
                Link(shorten(f"{guideline.publisher}: the guideline", 80), guideline.url),
            ),
            muscle_links=(
                Link("Muscle: the limits and their sources", f"{evidence}/{quote(definition.id)}"),
                Link("B12 and muscle: what is known", f"{evidence}/b12-and-muscle"),
            ),
            reasons=tuple(
                Coding(r["code"], reasons["system"], r["display"]) for r in reasons["reasons"]
            ),
            canonical=canonical,
        )

    def cards(
        self, found: Together, chart: Chart, encounter: str | None
    ) -> tuple[tuple[Card, ...], tuple[str, ...]]:
        """The cards for one call, and what was withheld with the reason."""
        of_b12, b12_withheld = b12_card.worth_showing(found.b12, chart, self.known)
        of_muscle, muscle_withheld = muscle_card.worth_showing(found, chart)
        withheld = tuple(reason for reason in (b12_withheld, muscle_withheld) if reason)
        if of_b12 and of_muscle:
            return (self._of_both(found, chart, encounter),), withheld
        if of_b12:
            return (self._of_b12(found, chart, encounter),), withheld
        if of_muscle:
            return (self._of_muscle(found, chart, encounter),), withheld
        return (), withheld

    def _of_b12(self, found: Together, chart: Chart, encounter: str | None) -> Card:
        return self._card(
            summary=shorten(b12_summary(found.b12, self.known.templates.locale)),
            indicator=b12_card.indicator(found.b12),
            source=self._b12_source(found, b12_card.topic(found.b12.category)),
            detail=b12_detail(found.b12, chart, self.known),
            suggestions=self._b12_suggestions(found, chart, encounter),
            links=self.b12_links,
        )

    def _of_muscle(self, found: Together, chart: Chart, encounter: str | None) -> Card:
        definition = self.known.muscle.definition
        return self._card(
            summary=shorten(muscle_card.summary(found, self.known)),
            indicator=muscle_card.indicator(found),
            source=Source(
                shorten(f"{definition.publisher}: {definition.title}", 160),
                definition.url,
                self._topic(
                    muscle_card.topic(found.muscle.category), CATEGORIES[found.muscle.category]
                ),
            ),
            detail=muscle_card.detail(found, chart, self.known, with_b12=False),
            suggestions=self._muscle_suggestions(found, chart, encounter, recommends=True)[:MOST],
            links=self.muscle_links,
        )

    def _of_both(self, found: Together, chart: Chart, encounter: str | None) -> Card:
        """B12 first: what is wrong with nerves never waits for muscle."""
        said = b12_summary(found.b12, self.known.templates.locale)
        both = f"{said} {muscle_card.clause(found)}".strip()
        of_b12 = self._b12_suggestions(found, chart, encounter)
        of_muscle: tuple[Suggestion, ...] = ()
        if found.tier != "T1" or found.muscle.positive or found.urgent:
            of_muscle = self._muscle_suggestions(found, chart, encounter, recommends=not of_b12)
        kept = of_b12[: OF_B12 if of_muscle else MOST]
        if found.urgent:
            both = f"{muscle_card.summary(found, self.known)} {said}"
            said = muscle_card.summary(found, self.known)
        return self._card(
            summary=both if len(both) <= SUMMARY_LENGTH else shorten(said),
            indicator=max(
                b12_card.indicator(found.b12),
                muscle_card.indicator(found),
                key=INDICATORS.index,
            ),
            source=self._b12_source(found, f"{b12_card.topic(found.b12.category)}AndMuscle"),
            detail="\n\n".join(
                (
                    b12_detail(found.b12, chart, self.known),
                    muscle_card.detail(found, chart, self.known, with_b12=True),
                )
            ),
            suggestions=(*kept, *of_muscle)[:MOST_OF_BOTH],
            links=(*self.b12_links, *self.muscle_links),
        )

    def _card(
        self,
        *,
        summary: str,
        indicator: Indicator,
        source: Source,
        detail: str,
        suggestions: tuple[Suggestion, ...],
        links: tuple[Link, ...],
    ) -> Card:
        return Card(
            summary=summary,
            indicator=indicator,
            source=source,
            detail=detail,
            suggestions=suggestions,
            selection_behavior="any" if suggestions else None,
            override_reasons=self.reasons,
            links=links,
        )

    def _b12_source(self, found: Together, topic: str) -> Source:
        guideline = self.known.b12.guideline
        return Source(
            shorten(f"{guideline.publisher}: {guideline.title}", 160),
            guideline.url,
            self._topic(topic, TITLES[found.b12.category]),
        )

    def _topic(self, code: str, display: str) -> Coding:
        return Coding(code, f"{self.canonical}/CodeSystem/card-topic", display)

    def _b12_suggestions(
        self, found: Together, chart: Chart, encounter: str | None
    ) -> tuple[Suggestion, ...]:
        deciding = found.b12.deciding
        reason = deciding.result.resource if deciding else None
        offered = suggested(found.b12, chart, self.known.b12, self.known.templates)
        made = []
        for place, template in enumerate(offered):
            action = _action(template, chart, encounter, reason)
            label = template.label
            if place and action.resource and action.resource["resourceType"] == "MedicationRequest":
                label = f"Or {label[:1].lower()}{label[1:]}"  # instead of the first, not beside it
            made.append(Suggestion(label, (action,), is_recommended=place == 0))
        return tuple(made)

    def _muscle_suggestions(
        self, found: Together, chart: Chart, encounter: str | None, *, recommends: bool
    ) -> tuple[Suggestion, ...]:
        reason = found.muscle.low[0].resource if found.muscle.low else None
        return tuple(
            Suggestion(
                label,
                tuple(_action(template, chart, encounter, reason) for template in templates),
                is_recommended=recommends and place == 0,
            )
            for place, (label, templates) in enumerate(muscle_card.panels(found, chart, self.known))
        )


def _action(
    template: OrderTemplate, chart: Chart, encounter: str | None, reason: str | None
) -> Action:
    resource: dict[str, Any] = draft(
        template,
        chart.patient,
        f"Encounter/{encounter.rpartition('/')[2]}" if encounter else None,
    )
    if reason is not None and REFERENCE.fullmatch(reason):
        match resource["resourceType"]:
            case "ServiceRequest" | "MedicationRequest":
                resource["reasonReference"] = [{"reference": reason}]
            case "Condition":
                resource["evidence"] = [{"detail": [{"reference": reason}]}]
    return Action("create", template.description, resource)


def record_of(found: Together, known: Known, suppressed: Iterable[str]) -> Mapping[str, Any]:
    """What the log and the records keep of an assessment: names, never values."""
    rules = [e.rule for e in found.b12.evidence]
    rules += [f"muscle:{e.rule}" for e in found.muscle.evidence]
    return {
        "b12Category": found.b12.category,
        "sarcopeniaCategory": found.muscle.category,
        "tier": found.tier,
        "rules": list(dict.fromkeys(rules)),
        "suppressed": list(suppressed),
        "knowledge": {
            "b12": known.b12.guideline.label,
            "sarcopenia": known.muscle.definition.label,
        },
    }
