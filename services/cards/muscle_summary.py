"""The muscle sentences of a card's summary: the finding, its value, and what it asks for."""

from mappings.text import LowercasedText, format_amount, make_text
from services.assessment.codes import SarcopeniaCategory, Trigger
from services.assessment.evidence import Outcome
from services.assessment.labels import get_sentence
from services.evaluation.combination import Evaluation
from services.knowledge.language import Language
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.outcome import SCREENED_POSITIVE, SarcopeniaAssessment

UNIT_SPELLINGS = {"kg/m2": "kg/m²", "{score}": "points", " m2": " m²"}
DOUBTFUL_OUTCOMES = frozenset({Outcome.UNDECIDED, Outcome.UNUSABLE})


def spell_muscle_units(text: str) -> str:
    """Write the units of `text` as people do."""
    for unit, spelling in UNIT_SPELLINGS.items():
        text = text.replace(unit, spelling)
    return text


def write_summary(evaluation: Evaluation, knowledge: SiteKnowledge) -> str:
    """The card's summary, before it is cut to length."""
    return " ".join(write_sentences(evaluation, knowledge))


def write_sentences(evaluation: Evaluation, knowledge: SiteKnowledge) -> tuple[str, ...]:
    """The sentences of the summary: what is found, then what it asks for."""
    return tuple(
        spell_muscle_units(knowledge.language(text))
        for text in _draft_sentences(evaluation, knowledge)
    )


def _draft_sentences(evaluation: Evaluation, knowledge: SiteKnowledge) -> tuple[str, ...]:
    muscle = evaluation.muscle
    urgent = next((cause for cause in evaluation.differential if cause.urgent), None)
    if evaluation.urgent and urgent:
        title, why = knowledge.muscle.causes_by_id[urgent.cause].title, urgent.texts[0]
        start = (
            make_text("{title} on record", title=title)
            if why == title
            else make_text("{why}: think of {title}", why=why, title=_lower_title(title))
        )
        return (make_text("{what}; {urge}", what=start, urge=_write_urgency(evaluation.urgent)),)
    if muscle.positive:
        low, category = (
            _describe_low_measure(muscle, knowledge),
            get_sentence(SarcopeniaCategory, muscle.category),
        )
        return make_text("{what}: {stage}.", what=low, stage=category), _write_action(muscle)
    return (_write_open_question(muscle, knowledge),)


def _write_open_question(muscle: SarcopeniaAssessment, knowledge: SiteKnowledge) -> str:
    """Write what is to be found out before muscle can be judged."""
    if muscle.category in SCREENED_POSITIVE:
        return make_text(
            "{what}: measure grip strength or time five chair rises.",
            what=_describe_screening(muscle, knowledge),
        )
    if muscle.category == "not_assessed":
        return make_text(
            "{what}, muscle strength not known: ask SARC-F or measure grip.",
            what=_describe_trigger(muscle),
        )
    if muscle.low:
        return make_text(
            "{what}; {urge}",
            what=_describe_low_measure(muscle, knowledge),
            urge=_describe_missing_measure(muscle),
        )
    return make_text("Muscle strength cannot be judged: {doubt}.", doubt=_find_first_doubt(muscle))


def _lower_title(title: str) -> LowercasedText:
    lowered = LowercasedText(title.lower())
    lowered.original = title
    return lowered


def _write_urgency(urgent: str) -> str:
    return make_text("act today.") if urgent == "same-day" else make_text("review without delay.")


def write_clause(evaluation: Evaluation, language: Language) -> str:
    """Write what muscle adds to the summary of another topic; empty where it only asks for data."""
    muscle = evaluation.muscle
    if muscle.positive:
        return language(
            make_text("Also {stage}.", stage=get_sentence(SarcopeniaCategory, muscle.category))
        )
    if muscle.category in SCREENED_POSITIVE:
        return language("Screening for sarcopenia positive.")
    return ""


def _describe_low_measure(muscle: SarcopeniaAssessment, knowledge: SiteKnowledge) -> str:
    first = muscle.low[0]
    title, result = knowledge.muscle.titles[first.observation], first.result
    if result is None:
        return make_text("{title} not possible", title=title)
    value = format_amount(result.value, result.unit, result.comparator, ".4g")
    text = make_text("{title} {amount}", title=title, amount=value)
    if first.row:
        text = make_text("{what} ({amount})", what=text, amount=str(first.row))
    has_low_mass = muscle.mass == "low" and not first.observation.startswith("asm")
    return make_text("{what}, low muscle mass", what=text) if has_low_mass else text


def _write_action(muscle: SarcopeniaAssessment) -> str:
    if "b12_pathway_treat" in muscle.next_steps:
        return make_text("Treat B12 deficiency first; look for other causes.")
    if "review_steroid" in muscle.next_steps:
        return make_text("Review the corticosteroid; exercise.")
    if muscle.confirmed:
        return make_text("Exercise, nutrition, other causes.")
    return make_text("Look for causes; resistance exercise.")


def _describe_screening(muscle: SarcopeniaAssessment, knowledge: SiteKnowledge) -> str:
    positive = muscle.screened[0]
    title, result = knowledge.muscle.titles[positive.observation], positive.result
    if result is None:
        return make_text("{what}, positive", what=title)
    value = format_amount(result.value, result.unit)
    if result.comparator == ">=":
        return make_text("{title} at least {amount}, positive", title=title, amount=value)
    return make_text("{title} {amount}, positive", title=title, amount=value)


def _describe_trigger(muscle: SarcopeniaAssessment) -> str:
    titles = [get_sentence(Trigger, name) for name in muscle.triggers if name != Trigger.MEASURED]
    if titles:
        return make_text("{title} on record", title=titles[0])
    return make_text("An earlier measure is too old or unreadable")


def _describe_missing_measure(muscle: SarcopeniaAssessment) -> str:
    """Describe what would decide, where something is low."""
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
