"""The muscle part of a card: when there is something to say, its words, and its orders."""

from collections.abc import Iterator, Mapping
from typing import Any

from cds_hooks.protocol.cards import Indicator
from mappings.actions.order_template import OrderTemplate, OrderTemplates
from mappings.publications.differential import Cause
from mappings.text import LowercasedText, format_amount, make_text
from services.assessment.evidence import Evidence, Outcome
from services.cards.markdown import escape_cell, format_day, write_bullets, write_gaps
from services.chart.model import Chart
from services.evaluation.combination import Evaluation, SuspectedCause, is_b12_positive
from services.knowledge.language import Language
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.labels import CATEGORIES, FLAGS, LEVELS, NEXT_STEPS, TRIGGERS
from services.sarcopenia.outcome import POSITIVE, SCREENED_POSITIVE, SarcopeniaAssessment
from services.sarcopenia.weight import get_recent
from services.vitamin_b12.labels import KEYS

GAPS = {"muscle_observations": "measures of muscle", "questionnaire_responses": "questionnaires"}
MAX_STEPS = 5
MAX_FLAGS = 3
MAX_ROWS = 6
MAX_CAUSES = 4
TABLE_RULES = ("strength", "mass", "performance", "screen", "measure")
UNIT_SPELLINGS = {"kg/m2": "kg/m²", "{score}": "points", " m2": " m²"}
DOUBTFUL_OUTCOMES = frozenset({Outcome.UNDECIDED, Outcome.UNUSABLE})
# Blood tests for other causes: the order, and the result that makes it needless.
CAUSES_PANEL = ("order_creatine_kinase", "order_tsh", "order_vitamin_d", "order_crp")
URGENT_PANEL = ("order_creatine_kinase", "order_creatinine_egfr", "order_potassium")


def should_show(found: Evaluation, chart: Chart) -> tuple[bool, str | None]:
    """Whether muscle has something to say: never without a trigger, never on age alone."""
    muscle = found.muscle
    asks = muscle.category in SCREENED_POSITIVE or (
        muscle.category in ("not_assessed", "indeterminate")
        and bool(muscle.next_steps)
        and (muscle.category == "not_assessed" or _is_doubtful(muscle))
    )
    speaks = muscle.positive or found.urgent is not None or (asks and bool(muscle.triggers))
    if speaks and chart.deceased:
        return False, "muscle:deceased"
    return speaks, None


def _is_doubtful(muscle: SarcopeniaAssessment) -> bool:
    """Whether something is low or unreadable, or muscle is in question besides the measures.

    Measures that are all normal and leave a definition open ask for nobody's attention.
    """
    unread = any(e.outcome in DOUBTFUL_OUTCOMES for e in muscle.evidence)
    return bool(muscle.low) or unread or any(name != "measured" for name in muscle.triggers)


def choose_indicator(found: Evaluation) -> Indicator:
    """The indicator of a muscle card."""
    return find_indicator(found.muscle.category, found.urgent)


def find_indicator(category: str, urgent: str | None) -> Indicator:
    """Critical where a cause cannot wait a day, warning for a finding or an urgent cause, else info.

    `urgent`: "same-day" or "urgent" where a record points to such a cause.
    """
    if urgent == "same-day":
        return Indicator.CRITICAL
    return Indicator.WARNING if category in POSITIVE or urgent else Indicator.INFO


def build_topic_code(category: str) -> str:
    """The stable, alphanumeric code of a kind of card."""
    return "muscle" + "".join(part.capitalize() for part in category.split("_"))


def spell_muscle_units(text: str) -> str:
    for unit, spelling in UNIT_SPELLINGS.items():
        text = text.replace(unit, spelling)
    return text


def write_summary(found: Evaluation, known: SiteKnowledge) -> str:
    """The card's summary, before it is cut to length."""
    return " ".join(write_sentences(found, known))


def write_sentences(found: Evaluation, known: SiteKnowledge) -> tuple[str, ...]:
    """The sentences of the summary: what is found, then what it asks for."""
    return tuple(spell_muscle_units(known.language(one)) for one in _draft_sentences(found, known))


def _draft_sentences(found: Evaluation, known: SiteKnowledge) -> tuple[str, ...]:
    muscle = found.muscle
    urgent = next((one for one in found.differential if one.urgent), None)
    if found.urgent and urgent:
        title, why = known.muscle.cause_of[urgent.cause].title, urgent.texts[0]
        start = (
            make_text("{title} on record", title=title)
            if why == title
            else make_text("{why}: think of {title}", why=why, title=_lower_title(title))
        )
        return (make_text("{what}; {urge}", what=start, urge=_write_urgency(found.urgent)),)
    if muscle.positive:
        low, category = _describe_low_measure(muscle, known), CATEGORIES[muscle.category]
        return make_text("{what}: {stage}.", what=low, stage=category), _write_action(muscle)
    return (_write_open_question(muscle, known),)


def _write_open_question(muscle: SarcopeniaAssessment, known: SiteKnowledge) -> str:
    """What is to be found out before anything can be said of muscle."""
    if muscle.category in SCREENED_POSITIVE:
        return make_text(
            "{what}: measure grip strength or time five chair rises.",
            what=_describe_screening(muscle, known),
        )
    if muscle.category == "not_assessed":
        return make_text(
            "{what}, muscle strength not known: ask SARC-F or measure grip.",
            what=_describe_trigger(muscle),
        )
    if muscle.low:
        return make_text(
            "{what}; {urge}",
            what=_describe_low_measure(muscle, known),
            urge=_describe_missing_measure(muscle),
        )
    return make_text("Muscle strength cannot be judged: {doubt}.", doubt=_find_first_doubt(muscle))


def _lower_title(title: str) -> LowercasedText:
    lowered = LowercasedText(title.lower())
    lowered.whole = title
    return lowered


def _write_urgency(urgent: str) -> str:
    return make_text("act today.") if urgent == "same-day" else make_text("review without delay.")


def write_clause(found: Evaluation, said: Language) -> str:
    """What muscle adds to a summary about B12; empty where it only asks for data."""
    muscle = found.muscle
    if muscle.positive:
        return said(make_text("Also {stage}.", stage=CATEGORIES[muscle.category]))
    if muscle.category in SCREENED_POSITIVE:
        return said("Screening for sarcopenia positive.")
    return ""


def _describe_low_measure(muscle: SarcopeniaAssessment, known: SiteKnowledge) -> str:
    first = muscle.low[0]
    title, result = known.muscle.titles[first.observation], first.result
    if result is None:
        return make_text("{title} not possible", title=title)
    value = format_amount(result.value, result.unit, result.comparator, ".4g")
    text = make_text("{title} {amount}", title=title, amount=value)
    if first.row:
        text = make_text("{what} ({amount})", what=text, amount=str(first.row))
    beside = muscle.mass == "low" and not first.observation.startswith("asm")
    return make_text("{what}, low muscle mass", what=text) if beside else text


def _write_action(muscle: SarcopeniaAssessment) -> str:
    if "b12_pathway_treat" in muscle.next_steps:
        return make_text("Treat B12 deficiency first; look for other causes.")
    if "review_steroid" in muscle.next_steps:
        return make_text("Review the corticosteroid; exercise.")
    if muscle.confirmed:
        return make_text("Exercise, nutrition, other causes.")
    return make_text("Look for causes; resistance exercise.")


def _describe_screening(muscle: SarcopeniaAssessment, known: SiteKnowledge) -> str:
    positive = muscle.screened[0]
    title, result = known.muscle.titles[positive.observation], positive.result
    if result is None:
        return make_text("{what}, positive", what=title)
    value = format_amount(result.value, result.unit)
    if result.comparator == ">=":
        return make_text("{title} at least {amount}, positive", title=title, amount=value)
    return make_text("{title} {amount}, positive", title=title, amount=value)


def _describe_trigger(muscle: SarcopeniaAssessment) -> str:
    named = [TRIGGERS[name] for name in muscle.triggers if name in TRIGGERS]
    if named:
        return make_text("{title} on record", title=named[0])
    return make_text("An earlier measure is too old or unreadable")


def _describe_missing_measure(muscle: SarcopeniaAssessment) -> str:
    """What would decide, where something is low."""
    if "record_birth_date" in muscle.next_steps:
        return make_text("whether the definition holds at this age is not known.")
    if muscle.strength == "unknown":
        return make_text("strength is not known: measure grip or five chair rises.")
    if "order_muscle_mass_dxa_bia" in muscle.next_steps:
        return make_text("muscle mass is not known, and decides.")
    return make_text("performance is not known: measure gait speed or SPPB.")


def _find_first_doubt(muscle: SarcopeniaAssessment) -> str:
    doubts = (e.says for e in muscle.evidence if e.outcome in DOUBTFUL_OUTCOMES)
    return next(doubts, make_text("what is measured does not decide"))


def write_detail(found: Evaluation, chart: Chart, known: SiteKnowledge, *, with_b12: bool) -> str:
    """GFM without HTML: finding, measures with limits, next, other causes, evidence, source."""
    muscle, said = found.muscle, known.language
    flags = [FLAGS[f] for f in muscle.flags if f not in _find_implied_flags(muscle)]
    parts = [
        _write_finding(muscle, known),
        _write_table(muscle, said),
        _list_findings(muscle, said, with_b12=with_b12),
        write_bullets(
            "Next for muscle", [NEXT_STEPS[s] for s in select_steps(found)], MAX_STEPS, said
        ),
        write_bullets("Mind", flags, MAX_FLAGS, said),
        _write_causes(found, known.muscle, said),
    ]
    if with_b12 and muscle.positive and is_b12_positive(found.b12):
        parts.append(f"**{said('What is known')}:** {said(known.comparison['statement']['says'])}")
        if any(one.cause in known.muscle.cause_of for one in found.differential):
            parts.append(write_comparison(known.comparison, said))
    missing = " ".join(write_gaps(chart, GAPS, said)) if with_b12 else write_all_gaps(chart, said)
    parts += [missing, _write_source(muscle, known)]
    return "\n\n".join(part for part in parts if part)


def select_steps(found: Evaluation) -> Iterator[str]:
    """The steps that say something of their own: what a cause below says is said there."""
    steps = found.muscle.next_steps
    untold = {"review_steroid", "weight_loss_workup"} if found.muscle.positive else set()
    if "measure_grip" not in steps:
        untold.add("measure_chair_stand")
    return (step for step in steps if step not in untold)


def _find_implied_flags(muscle: SarcopeniaAssessment) -> frozenset[str]:
    """Flags that another says better."""
    return frozenset({"method_missing"} if "method_required" in muscle.flags else ())


def _write_finding(muscle: SarcopeniaAssessment, known: SiteKnowledge) -> str:
    said = known.language
    by = said(make_text("Muscle, by {definition}", definition=known.muscle.definition.id))
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


def _write_table(muscle: SarcopeniaAssessment, said: Language) -> str:
    rows = [e for e in muscle.evidence if e.value is not None and e.rule in TABLE_RULES]
    if "mass_index_absolute_discordant" not in muscle.flags:
        decisive = next((e for e in rows if e.rule == "mass"), None)
        rows = [e for e in rows if e.rule != "mass" or e is decisive]
    if not rows:
        return ""
    heads = ("Measure", "Value", "Date", "Compared with")
    lines = [f"| {' | '.join(map(said, heads))} |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(_write_cells(row, said))} |" for row in rows[:MAX_ROWS]]
    return "\n".join(lines)


def _write_cells(row: Evidence, said: Language) -> tuple[str, ...]:
    value = said(format_amount(row.value or 0.0, row.unit or "", row.comparator, ".4g"))
    day = format_day(row.day, said)
    limit = said(row.limit or "no limit applied")
    return tuple(
        escape_cell(spell_muscle_units(text)) for text in (said(row.says), value, day, limit)
    )


def _list_findings(muscle: SarcopeniaAssessment, said: Language, *, with_b12: bool) -> str:
    """Triggers, where the B12 part does not tell them, and measures that could not be used."""
    untold = ("age", "trigger") if with_b12 else ("age",)
    told = [
        escape_cell(said(e.says))
        for e in muscle.evidence
        if e.value is None and e.rule not in untold
    ]
    told += [
        _write_value(e, said)
        for e in muscle.evidence
        if e.value is not None and e.rule == "trigger"
    ]
    unique = list(dict.fromkeys(told))[:MAX_ROWS]
    return f"**{said('On record')}:** {'; '.join(unique)}." if unique else ""


def _write_value(row: Evidence, said: Language) -> str:
    value = said(
        format_amount(row.value or 0.0, "" if row.unit == "/a" else row.unit or "")
    ).strip()
    dated = f" ({said.day(row.day)})" if row.day else ""
    return f"{said(row.says)} {value}{dated}"


def _write_causes(found: Evaluation, knowledge: SarcopeniaKnowledge, said: Language) -> str:
    """What else the record points to; a pointer is no diagnosis."""
    causes = knowledge.cause_of
    if not (found.muscle.positive or found.urgent):
        return ""
    told = [
        _write_cause(one, causes[one.cause], said)
        for one in found.differential
        if one.cause in causes
    ]
    return write_bullets(
        "Other causes pointed to", [escape_cell(text) for text in told], MAX_CAUSES, said
    )


def _write_cause(one: SuspectedCause, cause: Cause, said: Language) -> str:
    source = f" ({cause.gross['source']})" if cause.gross and one.urgent else ""
    pointers = "; ".join(map(said, one.texts[:2]))
    return f"{said(cause.title)} ({pointers}). {said(cause.next)}{source}"


def write_comparison(comparison: Mapping[str, Any], said: Language) -> str:
    """The source's comparison as a table."""
    heads = ("B12 deficiency", "Other causes of muscle loss")
    lines = [f"| | {' | '.join(map(said, heads))} |", "|---|---|---|"]
    lines += [
        f"| {said(r['aspect'])} | {said(r['b12'])} | {said(r['other'])} |"
        for r in comparison["row"]
    ]
    return "\n".join(lines)


def write_all_gaps(chart: Chart, said: Language) -> str:
    """Everything that could not be looked up."""
    return " ".join(write_gaps(chart, {**KEYS, **GAPS}, said))


def _write_source(muscle: SarcopeniaAssessment, known: SiteKnowledge) -> str:
    definition, said = known.muscle.definition, known.language
    located = (e.locator for e in muscle.evidence if e.rule in TABLE_RULES and e.locator)
    where = next(located, None)
    place = f" ({where})" if where else ""
    rules = make_text("Rules {id} version {version}.", id=definition.id, version=definition.version)
    return (
        f"{said('Source')}: {definition.citation}{place} {said(rules)} {said(definition.strength)}"
    )


def select_panels(
    found: Evaluation, chart: Chart, known: SiteKnowledge
) -> Iterator[tuple[str, tuple[OrderTemplate, ...]]]:
    """Label and orders of each suggestion, the most useful first; nothing held already."""
    muscle, templates = found.muscle, known.templates
    steps = muscle.next_steps
    if "urgent_ck_rhabdo" in steps:
        # A recent result is the reason here, not a hindrance; an order on its way is one.
        by_id = templates.by_id
        yield from _build_panel(
            [n for n in URGENT_PANEL if not chart.orders.get(by_id[n].concept)], known
        )
    if "refer_physio_resistance_exercise" in steps:
        yield from _build_single("refer_physiotherapy", chart, known)
    if "assess_secondary_causes" in steps and "urgent_ck_rhabdo" not in steps:
        wanted = [n for n in CAUSES_PANEL if not _is_held(templates.by_id[n], chart, known)]
        yield from _build_panel(wanted, known)
    for step, name in (
        ("refer_dietitian_protein", "refer_dietitian"),
        ("order_muscle_mass_dxa_bia", "order_muscle_mass"),
        ("complete_sarc_f", "sarc_f_questionnaire"),
    ):
        if step in steps:
            yield from _build_single(name, chart, known)
    if "neuro_exam" in steps and chart.has(known.muscle.groups["neuropathic_sign"]):
        yield from _build_single("order_nerve_conduction", chart, known)
    if muscle.confirmed and _can_be_coded(chart, known, templates):
        yield templates.by_id["record_sarcopenia"].label, (templates.by_id["record_sarcopenia"],)


def _build_panel(
    names: list[str], known: SiteKnowledge
) -> Iterator[tuple[str, tuple[OrderTemplate, ...]]]:
    """Several tests as one suggestion, named one by one."""
    orders = tuple(known.templates.by_id[name] for name in names)
    if orders:
        tests = tuple(order.test for order in orders)
        yield make_text("Order {tests}", tests=tests), orders


def _build_single(
    name: str, chart: Chart, known: SiteKnowledge
) -> Iterator[tuple[str, tuple[OrderTemplate, ...]]]:
    template = known.templates.by_id[name]
    if not _is_held(template, chart, known):
        yield template.label, (template,)


def _can_be_coded(chart: Chart, known: SiteKnowledge, templates: OrderTemplates) -> bool:
    """M62.84 only where the locale has it, and never beside a code that it excludes."""
    excluded = known.muscle.groups["sarcopenia_code_excluded"]
    return "record_sarcopenia" in templates.by_id and not chart.has(excluded)


def _is_held(template: OrderTemplate, chart: Chart, known: SiteKnowledge) -> bool:
    """Whether the order is on its way, or its result recent."""
    if chart.orders.get(template.concept):
        return True
    return get_recent(template.concept, chart, known.muscle) is not None
