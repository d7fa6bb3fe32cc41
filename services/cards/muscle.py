"""The muscle part of a card: when there is something to say, its words, and its orders."""

from collections.abc import Iterator, Mapping
from typing import Any

from cds_hooks.protocol.cards import Indicator
from mappings.actions.order_template import OrderTemplate, OrderTemplates
from mappings.publications.differential import Cause
from mappings.text import Small, amount, say
from services.assessment.evidence import Evidence, Outcome
from services.cards.markdown import bullets, cell, gaps, when
from services.chart.model import Chart
from services.evaluation.combination import Pointed, Together, b12_positive
from services.knowledge.language import Language
from services.knowledge.site import Known
from services.sarcopenia.knowledge import Knowledge
from services.sarcopenia.labels import CATEGORIES, FLAGS, LEVELS, NEXT_STEPS, TRIGGERS
from services.sarcopenia.outcome import SCREENED_POSITIVE, Assessment
from services.sarcopenia.weight import recent
from services.vitamin_b12.labels import KEYS

GAPS = {"muscle_observations": "measures of muscle", "questionnaire_responses": "questionnaires"}
MOST_STEPS = 5
MOST_FLAGS = 3
MOST_ROWS = 6
MOST_CAUSES = 4
SHOWN = ("strength", "mass", "performance", "screen", "measure")
SPELLINGS = {"kg/m2": "kg/m²", "{score}": "points", " m2": " m²"}
IN_DOUBT = frozenset({Outcome.UNDECIDED, Outcome.UNUSABLE})
# Blood tests for other causes: the order, and the result that makes it needless.
CAUSES_PANEL = ("order_creatine_kinase", "order_tsh", "order_vitamin_d", "order_crp")
URGENT_PANEL = ("order_creatine_kinase", "order_creatinine_egfr", "order_potassium")


def worth_showing(found: Together, chart: Chart) -> tuple[bool, str | None]:
    """Whether muscle has something to say: never without a trigger, never on age alone."""
    muscle = found.muscle
    asks = muscle.category in SCREENED_POSITIVE or (
        muscle.category in ("not_assessed", "indeterminate")
        and bool(muscle.next_steps)
        and (muscle.category == "not_assessed" or _in_doubt(muscle))
    )
    speaks = muscle.positive or found.urgent is not None or (asks and bool(muscle.triggers))
    if speaks and chart.deceased:
        return False, "muscle:deceased"
    return speaks, None


def _in_doubt(muscle: Assessment) -> bool:
    """Whether something is low or unreadable, or muscle is in question besides the measures.

    Measures that are all normal and leave a definition open ask for nobody's attention.
    """
    unread = any(e.outcome in IN_DOUBT for e in muscle.evidence)
    return bool(muscle.low) or unread or any(name != "measured" for name in muscle.triggers)


def indicator(found: Together) -> Indicator:
    """Critical where a cause that cannot wait is pointed to, warning for a finding, else info."""
    if found.urgent == "same-day":
        return Indicator.CRITICAL
    return Indicator.WARNING if found.muscle.positive or found.urgent else Indicator.INFO


def topic(category: str) -> str:
    """The stable, alphanumeric code of a kind of card."""
    return "muscle" + "".join(part.capitalize() for part in category.split("_"))


def units_spelt(text: str) -> str:
    for unit, spelling in SPELLINGS.items():
        text = text.replace(unit, spelling)
    return text


def summary(found: Together, known: Known) -> str:
    """The card's summary, before it is cut to length."""
    return " ".join(sentences(found, known))


def sentences(found: Together, known: Known) -> tuple[str, ...]:
    """The sentences of the summary: what is found, then what it asks for."""
    return tuple(units_spelt(known.language(one)) for one in _sentences(found, known))


def _sentences(found: Together, known: Known) -> tuple[str, ...]:
    muscle = found.muscle
    urgent = next((one for one in found.differential if one.urgent), None)
    if found.urgent and urgent:
        title, why = known.muscle.cause_of[urgent.cause].title, urgent.says[0]
        start = (
            say("{title} on record", title=title)
            if why == title
            else say("{why}: think of {title}", why=why, title=_lowered(title))
        )
        return (say("{what}; {urge}", what=start, urge=_today(found.urgent)),)
    if muscle.positive:
        low, category = _low_text(muscle, known), CATEGORIES[muscle.category]
        return say("{what}: {stage}.", what=low, stage=category), _urge(muscle)
    return (_open_question(muscle, known),)


def _open_question(muscle: Assessment, known: Known) -> str:
    """What is to be found out before anything can be said of muscle."""
    if muscle.category in SCREENED_POSITIVE:
        return say(
            "{what}: measure grip strength or time five chair rises.",
            what=_screened(muscle, known),
        )
    if muscle.category == "not_assessed":
        return say(
            "{what}, muscle strength not known: ask SARC-F or measure grip.",
            what=_why_looked_at(muscle),
        )
    if muscle.low:
        return say("{what}; {urge}", what=_low_text(muscle, known), urge=_wanted(muscle))
    return say("Muscle strength cannot be judged: {doubt}.", doubt=_first_doubt(muscle))


def _lowered(title: str) -> Small:
    lowered = Small(title.lower())
    lowered.whole = title
    return lowered


def _today(urgent: str) -> str:
    return say("act today.") if urgent == "same-day" else say("review without delay.")


def clause(found: Together, said: Language) -> str:
    """What muscle adds to a summary about B12; empty where it only asks for data."""
    muscle = found.muscle
    if muscle.positive:
        return said(say("Also {stage}.", stage=CATEGORIES[muscle.category]))
    if muscle.category in SCREENED_POSITIVE:
        return said("Screening for sarcopenia positive.")
    return ""


def _low_text(muscle: Assessment, known: Known) -> str:
    first = muscle.low[0]
    title, result = known.muscle.titles[first.observation], first.result
    if result is None:
        return say("{title} not possible", title=title)
    value = amount(result.value, result.unit, result.comparator, ".4g")
    text = say("{title} {amount}", title=title, amount=value)
    if first.row:
        text = say("{what} ({amount})", what=text, amount=str(first.row))
    beside = muscle.mass == "low" and not first.observation.startswith("asm")
    return say("{what}, low muscle mass", what=text) if beside else text


def _urge(muscle: Assessment) -> str:
    if "b12_pathway_treat" in muscle.next_steps:
        return say("Treat B12 deficiency first; look for other causes.")
    if "review_steroid" in muscle.next_steps:
        return say("Review the corticosteroid; exercise.")
    if muscle.confirmed:
        return say("Exercise, nutrition, other causes.")
    return say("Look for causes; resistance exercise.")


def _screened(muscle: Assessment, known: Known) -> str:
    positive = muscle.screened[0]
    title, result = known.muscle.titles[positive.observation], positive.result
    if result is None:
        return say("{what}, positive", what=title)
    value = amount(result.value, result.unit)
    if result.comparator == ">=":
        return say("{title} at least {amount}, positive", title=title, amount=value)
    return say("{title} {amount}, positive", title=title, amount=value)


def _why_looked_at(muscle: Assessment) -> str:
    named = [TRIGGERS[name] for name in muscle.triggers if name in TRIGGERS]
    if named:
        return say("{title} on record", title=named[0])
    return say("An earlier measure is too old or unreadable")


def _wanted(muscle: Assessment) -> str:
    """What would decide, where something is low."""
    if "record_birth_date" in muscle.next_steps:
        return say("whether the definition holds at this age is not known.")
    if muscle.strength == "unknown":
        return say("strength is not known: measure grip or five chair rises.")
    if "order_muscle_mass_dxa_bia" in muscle.next_steps:
        return say("muscle mass is not known, and decides.")
    return say("performance is not known: measure gait speed or SPPB.")


def _first_doubt(muscle: Assessment) -> str:
    doubts = (e.says for e in muscle.evidence if e.outcome in IN_DOUBT)
    return next(doubts, say("what is measured does not decide"))


def detail(found: Together, chart: Chart, known: Known, *, with_b12: bool) -> str:
    """GFM without HTML: finding, measures with limits, next, other causes, evidence, source."""
    muscle, said = found.muscle, known.language
    flags = [FLAGS[f] for f in muscle.flags if f not in _implied(muscle)]
    parts = [
        _finding(muscle, known),
        _table(muscle, said),
        _besides(muscle, said, with_b12=with_b12),
        bullets("Next for muscle", [NEXT_STEPS[s] for s in steps_told(found)], MOST_STEPS, said),
        bullets("Mind", flags, MOST_FLAGS, said),
        _causes(found, known.muscle, said),
    ]
    if with_b12 and muscle.positive and b12_positive(found.b12):
        parts.append(f"**{said('What is known')}:** {said(known.comparison['statement']['says'])}")
        if any(one.cause in known.muscle.cause_of for one in found.differential):
            parts.append(comparison_table(known.comparison, said))
    missing = " ".join(gaps(chart, GAPS, said)) if with_b12 else all_gaps(chart, said)
    parts += [missing, _source(muscle, known)]
    return "\n\n".join(part for part in parts if part)


def steps_told(found: Together) -> Iterator[str]:
    """The steps that say something of their own: what a cause below says is said there."""
    steps = found.muscle.next_steps
    untold = {"review_steroid", "weight_loss_workup"} if found.muscle.positive else set()
    if "measure_grip" not in steps:
        untold.add("measure_chair_stand")
    return (step for step in steps if step not in untold)


def _implied(muscle: Assessment) -> frozenset[str]:
    """Flags that another says better."""
    return frozenset({"method_missing"} if "method_required" in muscle.flags else ())


def _finding(muscle: Assessment, known: Known) -> str:
    said = known.language
    by = said(say("Muscle, by {definition}", definition=known.muscle.definition.id))
    start = f"**{by}:** {said(CATEGORIES[muscle.category])}"
    if {muscle.strength, muscle.mass, muscle.performance} == {"unknown"}:
        return f"{start}."
    levels = ", ".join(
        f"{said(name)} {said(LEVELS[level])}"
        for name, level in (
            ("strength", muscle.strength),
            ("mass", muscle.mass),
            ("performance", muscle.performance),
        )
    )
    return f"{start}; {levels}."


def _table(muscle: Assessment, said: Language) -> str:
    rows = [e for e in muscle.evidence if e.value is not None and e.rule in SHOWN]
    if "mass_index_absolute_discordant" not in muscle.flags:
        decisive = next((e for e in rows if e.rule == "mass"), None)
        rows = [e for e in rows if e.rule != "mass" or e is decisive]
    if not rows:
        return ""
    heads = ("Measure", "Value", "Date", "Compared with")
    lines = [f"| {' | '.join(map(said, heads))} |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(_cells(row, said))} |" for row in rows[:MOST_ROWS]]
    return "\n".join(lines)


def _cells(row: Evidence, said: Language) -> tuple[str, ...]:
    value = said(amount(row.value or 0.0, row.unit or "", row.comparator, ".4g"))
    day = when(row.day, said)
    limit = said(row.limit or "no limit applied")
    return tuple(cell(units_spelt(text)) for text in (said(row.says), value, day, limit))


def _besides(muscle: Assessment, said: Language, *, with_b12: bool) -> str:
    """Triggers, where the B12 part does not tell them, and measures that could not be used."""
    untold = ("age", "trigger") if with_b12 else ("age",)
    told = [cell(said(e.says)) for e in muscle.evidence if e.value is None and e.rule not in untold]
    told += [
        _valued(e, said) for e in muscle.evidence if e.value is not None and e.rule == "trigger"
    ]
    unique = list(dict.fromkeys(told))[:MOST_ROWS]
    return f"**{said('On record')}:** {'; '.join(unique)}." if unique else ""


def _valued(row: Evidence, said: Language) -> str:
    value = said(amount(row.value or 0.0, "" if row.unit == "/a" else row.unit or "")).strip()
    dated = f" ({said.day(row.day)})" if row.day else ""
    return f"{said(row.says)} {value}{dated}"


def _causes(found: Together, knowledge: Knowledge, said: Language) -> str:
    """What else the record points to; a pointer is no diagnosis."""
    causes = knowledge.cause_of
    if not (found.muscle.positive or found.urgent):
        return ""
    told = [
        _cause(one, causes[one.cause], said) for one in found.differential if one.cause in causes
    ]
    return bullets("Other causes pointed to", [cell(text) for text in told], MOST_CAUSES, said)


def _cause(one: Pointed, cause: Cause, said: Language) -> str:
    source = f" ({cause.gross['source']})" if cause.gross and one.urgent else ""
    pointers = "; ".join(map(said, one.says[:2]))
    return f"{said(cause.title)} ({pointers}). {said(cause.next)}{source}"


def comparison_table(comparison: Mapping[str, Any], said: Language) -> str:
    """The source's comparison as a table."""
    heads = ("B12 deficiency", "Other causes of muscle loss")
    lines = [f"| | {' | '.join(map(said, heads))} |", "|---|---|---|"]
    lines += [
        f"| {said(r['aspect'])} | {said(r['b12'])} | {said(r['other'])} |"
        for r in comparison["row"]
    ]
    return "\n".join(lines)


def all_gaps(chart: Chart, said: Language) -> str:
    """Everything that could not be looked up."""
    return " ".join(gaps(chart, {**KEYS, **GAPS}, said))


def _source(muscle: Assessment, known: Known) -> str:
    definition, said = known.muscle.definition, known.language
    located = (e.locator for e in muscle.evidence if e.rule in SHOWN and e.locator)
    where = next(located, None)
    place = f" ({where})" if where else ""
    rules = say("Rules {id} version {version}.", id=definition.id, version=definition.version)
    return (
        f"{said('Source')}: {definition.citation}{place} {said(rules)} {said(definition.strength)}"
    )


def panels(
    found: Together, chart: Chart, known: Known
) -> Iterator[tuple[str, tuple[OrderTemplate, ...]]]:
    """Label and orders of each suggestion, the most useful first; nothing held already."""
    muscle, templates = found.muscle, known.templates
    steps = muscle.next_steps
    if "urgent_ck_rhabdo" in steps:
        # A recent result is the reason here, not a hindrance; an order on its way is one.
        by_id = templates.by_id
        yield from _panel(
            [n for n in URGENT_PANEL if not chart.orders.get(by_id[n].concept)], known
        )
    if "refer_physio_resistance_exercise" in steps:
        yield from _single("refer_physiotherapy", chart, known)
    if "assess_secondary_causes" in steps and "urgent_ck_rhabdo" not in steps:
        wanted = [n for n in CAUSES_PANEL if not _held(templates.by_id[n], chart, known)]
        yield from _panel(wanted, known)
    for step, name in (
        ("refer_dietitian_protein", "refer_dietitian"),
        ("order_muscle_mass_dxa_bia", "order_muscle_mass"),
        ("complete_sarc_f", "sarc_f_questionnaire"),
    ):
        if step in steps:
            yield from _single(name, chart, known)
    if "neuro_exam" in steps and chart.has(known.muscle.groups["neuropathic_sign"]):
        yield from _single("order_nerve_conduction", chart, known)
    if muscle.confirmed and _may_be_coded(chart, known, templates):
        yield templates.by_id["record_sarcopenia"].label, (templates.by_id["record_sarcopenia"],)


def _panel(names: list[str], known: Known) -> Iterator[tuple[str, tuple[OrderTemplate, ...]]]:
    """Several tests as one suggestion, named one by one."""
    orders = tuple(known.templates.by_id[name] for name in names)
    if orders:
        tests = tuple(order.test for order in orders)
        yield say("Order {tests}", tests=tests), orders


def _single(
    name: str, chart: Chart, known: Known
) -> Iterator[tuple[str, tuple[OrderTemplate, ...]]]:
    template = known.templates.by_id[name]
    if not _held(template, chart, known):
        yield template.label, (template,)


def _may_be_coded(chart: Chart, known: Known, templates: OrderTemplates) -> bool:
    """M62.84 only where the locale has it, and never beside a code that it excludes."""
    excluded = known.muscle.groups["sarcopenia_code_excluded"]
    return "record_sarcopenia" in templates.by_id and not chart.has(excluded)


def _held(template: OrderTemplate, chart: Chart, known: Known) -> bool:
    """Whether the order is on its way, or its result recent."""
    if chart.orders.get(template.concept):
        return True
    return recent(template.concept, chart, known.muscle) is not None
