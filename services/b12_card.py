"""The B12 card: the finding in a clinician's words, its basis open to her own judgement."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
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
    escape_markdown,
    shorten,
)
from mappings.guideline_file import FOLDER, read_toml
from mappings.order_template import OrderTemplate, draft
from services.chart import Chart
from services.knowledge import Known
from services.vitamin_b12.notes import Assessment, Evidence
from services.vitamin_b12.suggestions import suggested
from services.vitamin_b12.summary import summary, unit_text
from services.vitamin_b12.wording import FLAGS, KEYS, NEXT_STEPS, TITLES

REFERENCE = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}")
UNREADABLE = ("no-unit", "unknown-unit", "undated", "impossible-value")
MOST_STEPS = 5
MOST_FLAGS = 4
MOST_ROWS = 8
RENAL = frozenset({"interpret-mma-with-renal-function", "interpret-hcy-with-renal-function"})
# Evidence that gives a reason rather than a finding; the steps and the source line say it.
REASONS = frozenset(
    {"treatment", "second-test", "offer-test", "medicine", "pregnancy", "macrocytosis"}
)
STARTS = frozenset(
    {"start-im-b12", "start-im-b12-neuro-regimen", "im-or-high-dose-oral-shared-decision"}
)
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


def detail(assessment: Assessment, chart: Chart, known: Known) -> str:
    """GFM without HTML: results with dates and limits, why, what next, what misleads, source."""
    parts = [
        _table(assessment.evidence, known.templates.locale),
        _on_record(assessment),
        _bullets("Next", (NEXT_STEPS.get(s) for s in _steps_told(assessment)), MOST_STEPS),
        _bullets("Mind", (FLAGS.get(f) for f in _flags_told(assessment)), MOST_FLAGS),
        _indicator_line(assessment),
        _gaps(chart),
        _source(assessment, known),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(evidence: Iterable[Evidence], locale: str) -> str:
    rows = [e for e in evidence if e.value is not None and e.unit is not None][:MOST_ROWS]
    if not rows:
        return ""
    lines = ["| Result | Value | Date | Compared with |", "|---|---|---|---|"]
    for row in rows:
        value = unit_text(f"{row.comparator or ''}{row.value:g} {row.unit}", locale)
        limit = unit_text(row.limit or "", locale) or "no limit applied"
        cells = (_cell(row.says), _cell(value), _day(row.day), _cell(limit))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("<", "&lt;").replace(">", "&gt;")


def _day(day: date | None) -> str:
    return f"{day.day} {day:%b %Y}" if day else "undated"


def _on_record(assessment: Assessment) -> str:
    """What is on record besides the results, each once."""
    seen: dict[str, None] = {}
    for evidence in assessment.evidence:
        if evidence.value is None and evidence.rule not in REASONS:
            when = f" ({_day(evidence.day)})" if evidence.day else ""
            seen.setdefault(f"{_cell(evidence.says)}{when}")
    if not seen:
        return ""
    return "**On record:** " + "; ".join(list(seen)[:MOST_ROWS]) + "."


def _bullets(title: str, sentences: Iterable[str | None], most: int) -> str:
    kept = [sentence for sentence in sentences if sentence][:most]
    return f"**{title}**\n\n" + "\n".join(f"- {s}" for s in kept) if kept else ""


def _steps_told(assessment: Assessment) -> Iterator[str]:
    """The steps that say something of their own: how to start says that to start."""
    untold = {"start-b12-replacement"} if {*assessment.next_steps} & STARTS else set()
    if assessment.category == "on-treatment":
        untold.add("review-symptoms-3-months")
    return (step for step in assessment.next_steps if step not in untold)


def _flags_told(assessment: Assessment) -> Iterator[str]:
    """The flags that say something of their own: why kidneys matter is said once."""
    confounded = "flag-renal-confounding" in assessment.flags
    return (f for f in assessment.flags if not (confounded and f in RENAL))


def _indicator_line(assessment: Assessment) -> str:
    combined = assessment.combined_indicator
    if combined is None or combined.value is None:
        return ""
    words = (combined.klass or "").replace("-", " ")
    return (
        f"Combined indicator cB12 {combined.value:g} ({words}); for information, "
        "it did not move the finding."
    )


def _gaps(chart: Chart) -> str:
    missing = [KEYS[key] for key in KEYS if key in chart.unknown]
    partly = [KEYS[key] for key in KEYS if key in chart.incomplete and key not in chart.unknown]
    said = []
    if missing:
        said.append(f"Could not be checked: {', '.join(missing)}.")
    if partly:
        said.append(f"Only a part was available: {', '.join(partly)}.")
    unread = sum(chart.dropped.get(reason, 0) for reason in UNREADABLE)
    if unread:
        said.append(f"{unread} unreadable result{'s' if unread > 1 else ''} not used.")
    return " ".join(said)


def _source(assessment: Assessment, known: Known) -> str:
    guideline = known.b12.guideline
    located = [e.locator for e in assessment.evidence if e.rule == "first-line-band" and e.locator]
    where = f" ({located[0]})" if located else ""
    treated = [e for e in assessment.evidence if e.rule == "treatment"]
    regimen = f"\n\nRegimen: {treated[0].says} ({treated[0].locator})" if treated else ""
    laboratory = (
        f" Limits of the laboratory: {escape_markdown(guideline.laboratory)}."
        if guideline.laboratory
        else ""
    )
    return (
        f"Source: {guideline.citation}{where} Rules {guideline.id} version {guideline.version}. "
        f"{guideline.strength}{laboratory}{regimen}"
    )


def record_of(assessment: Assessment, known: Known, suppressed: Iterable[str]) -> Mapping[str, Any]:
    """What the log and the records keep of an assessment: names, never values."""
    return {
        "b12Category": assessment.category,
        "rules": list(dict.fromkeys(e.rule for e in assessment.evidence)),
        "suppressed": list(suppressed),
        "knowledge": {"b12": known.b12.guideline.label},
    }
