"""The assessment as the app tells it: a headline, every reason with its place, what to do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mappings.text import amount, say
from services.assessment.evidence import Evidence
from services.cards import b12 as b12_card
from services.cards import muscle as muscle_card
from services.cards.b12 import flags_told
from services.cards.b12 import steps_told as b12_steps
from services.cards.b12_summary import summary as b12_summary
from services.cards.muscle import steps_told as muscle_steps
from services.chart.model import Chart
from services.evaluation.combination import B12_CAUSE, Pointed, Together, b12_positive
from services.evaluation.evaluate import evaluate
from services.knowledge.site import Known
from services.sarcopenia import labels as muscle_words
from services.sarcopenia.labels import LEVELS
from services.vitamin_b12 import labels as b12_words
from services.vitamin_b12.outcome import Assessment
from services.web.chart_data import Tone
from services.web.smart_app.labels import CATEGORIES, TIERS, URGENCIES
from services.web.smart_app.text import Words

LOUD: dict[str, Tone] = {"info": "plain", "warning": "watch", "critical": "bad"}
QUIET: dict[str, Tone] = {"unlikely": "good", "no_sarcopenia": "good"}


class Reason(NamedTuple):
    """One thing that a rule looked at, in words."""

    says: str
    value: str
    day: str
    limit: str
    locator: str
    rule: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one axis comes to. All texts are in the tenant's language."""

    title: str
    headline: str
    tone: Tone
    when: str | None  # how soon; None where nobody can say, or the axis has no urgency of its own
    reasons: tuple[Reason, ...]
    steps: tuple[str, ...]
    flags: tuple[str, ...]
    remark: str  # for information, without weight; empty where there is none
    id: str  # of guideline or definition
    label: str
    citation: str
    strength: str
    reviewed: str


class Cause(NamedTuple):
    """Another cause that something on record points to."""

    title: str
    pointers: tuple[str, ...]
    against: str
    next: str
    urgent: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """Both axes, and what they mean together. `partial`: not all of the record could be had."""

    b12: Finding
    muscle: Finding
    together: str  # the order of attention, in words
    causes: tuple[Cause, ...]
    association: str | None  # what is known of B12 and muscle, where both have a finding
    comparison: tuple[Mapping[str, Any], ...]
    partial: bool


def findings(chart: Chart, known: Known) -> Findings:
    """What a request would be answered from, told in full."""
    found, words = evaluate(chart, known), Words.of(known)
    both = found.muscle.positive and b12_positive(found.b12)
    return Findings(
        b12=_b12(found, chart, known, words),
        muscle=_muscle(found, chart, known, words),
        together=words.upper(_together(found)),
        causes=tuple(_causes(found.differential, known, words)),
        association=words(known.comparison["statement"]["says"]) if both else None,
        comparison=tuple(known.comparison["row"]),
        partial=_is_partial(chart),
    )


def _together(found: Together) -> str:
    """The order of attention; of a child nobody has looked for a finding."""
    if found.tier == "T5" and found.b12.category == "out-of-scope":
        return CATEGORIES["out-of-scope"]
    return TIERS[found.tier]


def _is_partial(chart: Chart) -> bool:
    return bool(chart.unknown or chart.incomplete)


def _b12(found: Together, chart: Chart, known: Known, words: Words) -> Finding:
    b12, guideline = found.b12, known.b12.guideline
    loud = LOUD[b12_card.indicator(b12).value]
    # What was not seen could make it pressing, and no guideline has judged a child.
    quiet = b12.urgency == "none" and (_is_partial(chart) or b12.category == "out-of-scope")
    return Finding(
        title=words(say("Vitamin B12")),
        headline=_headline(b12, known, words),
        tone=loud if _is_partial(chart) else QUIET.get(b12.category, loud),
        when=None if quiet else words(URGENCIES[b12.urgency]),
        reasons=tuple(_reasons(b12.evidence, words)),
        steps=_sentences(b12_steps(b12), b12_words.NEXT_STEPS, words),
        flags=_sentences(flags_told(b12), b12_words.FLAGS, words),
        remark=_indicator(b12, words),
        id=guideline.id,
        label=guideline.label,
        citation=guideline.citation,
        strength=words(guideline.strength),
        reviewed=_reviewed(guideline.reviewer, words.day(guideline.reviewed), words),
    )


def _muscle(found: Together, chart: Chart, known: Known, words: Words) -> Finding:
    muscle, definition = found.muscle, known.muscle.definition
    speaks, _why = muscle_card.worth_showing(found, chart)
    category = words.upper(muscle_words.CATEGORIES[muscle.category])
    levels = {"strength": muscle.strength, "mass": muscle.mass, "performance": muscle.performance}
    told = ", ".join(f"{words(name)} {words(LEVELS[level])}" for name, level in levels.items())
    loud = LOUD[muscle_card.indicator(found).value]
    doubtful = _is_partial(chart) or "low" in levels.values() or bool(muscle.flags)
    return Finding(
        title=words(say("Muscle")),
        headline=words(muscle_card.summary(found, known)) if speaks else f"{category}.",
        tone=loud if doubtful else QUIET.get(muscle.category, loud),
        when=None,
        reasons=tuple(_reasons(muscle.evidence, words)),
        steps=_sentences(muscle_steps(found), muscle_words.NEXT_STEPS, words),
        flags=_sentences(muscle.flags, muscle_words.FLAGS, words),
        remark=f"{category}: {told}.",
        id=definition.id,
        label=definition.label,
        citation=definition.citation,
        strength=words(definition.strength),
        reviewed=_reviewed(definition.reviewer, words.day(definition.reviewed), words),
    )


def _headline(b12: Assessment, known: Known, words: Words) -> str:
    """The card's summary where there would be a card, the category where there would be none."""
    quiet = b12.category == "on-treatment" and not b12_card.WORTH_A_WORD & {*b12.next_steps}
    if b12.category in b12_words.TITLES and not quiet:
        return b12_summary(b12, known.templates.locale, known.language)
    return f"{words(CATEGORIES[b12.category])}."


def _reasons(evidence: Iterable[Evidence], words: Words) -> Iterator[Reason]:
    for row in dict.fromkeys(evidence):
        value = ""
        if row.value is not None:
            unit = "" if row.unit in (None, "/a") else row.unit
            value = words(amount(row.value, unit or "", row.comparator, ".4g")).strip()
        yield Reason(
            says=words.upper(row.says),
            value=value,
            day=words.day(row.day) if row.day else "",
            limit=words(row.limit) if row.limit else "",
            locator=row.locator or "",
            rule=row.rule,
        )


def _sentences(names: Iterable[str], table: Mapping[str, str], words: Words) -> tuple[str, ...]:
    return tuple(words(table[name]) for name in names if name in table)


def _indicator(b12: Assessment, words: Words) -> str:
    combined = b12.combined_indicator
    if combined is None or combined.value is None:
        return ""
    return words(
        say(
            "Combined indicator cB12 {value} ({words}); for information, "
            "it did not move the finding.",
            value=combined.value,
            words=(combined.klass or "").replace("-", " "),
        )
    )


def _reviewed(reviewer: str, day: str, words: Words) -> str:
    return words(say("Rules last looked at on {day}: {reviewer}", day=day, reviewer=reviewer))


def _causes(differential: Iterable[Pointed], known: Known, words: Words) -> Iterator[Cause]:
    for one in differential:
        cause = known.muscle.cause_of.get(one.cause)
        if one.cause == B12_CAUSE or cause is None:
            continue
        yield Cause(
            title=words(cause.title),
            pointers=tuple(map(words, one.says)),
            against=words(cause.against),
            next=words(cause.next),
            urgent=one.urgent is not None,
        )
