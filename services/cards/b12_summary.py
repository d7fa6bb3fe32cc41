"""One sentence for each finding: what, by which value, and what it asks for."""

from collections.abc import Callable, Mapping

from mappings.text import format_amount, lowercase_first, make_text
from services.assessment.evidence import Evidence, Outcome
from services.knowledge.language import Language
from services.vitamin_b12.outcome import B12Assessment

Sentences = tuple[str, ...]
RAISED_OUTCOMES = frozenset({Outcome.RAISED, Outcome.GROSSLY_RAISED})
# Spellings for people instead of UCUM's; in the United States, two units under the name that
# clinicians know there, the number being the same.
UNIT_SPELLINGS = {"umol/L": "µmol/L", "{1.73_m2}": "1.73 m²", "ug/L": "µg/L"}
US_SPELLINGS = {**UNIT_SPELLINGS, "ug/L": "ng/mL", "ng/L": "pg/mL"}


def spell_units(text: str, locale: str) -> str:
    """`text` with its units as clinicians of the country write them."""
    spellings = US_SPELLINGS if locale == "en-US" else UNIT_SPELLINGS
    for unit, spelling in spellings.items():
        text = text.replace(unit, spelling)
    return text


def write_summary(assessment: B12Assessment, locale: str, language: Language) -> str:
    """The card's summary, before it is cut to length."""
    return " ".join(write_sentences(assessment, locale, language))


def write_sentences(assessment: B12Assessment, locale: str, language: Language) -> tuple[str, ...]:
    """The sentences of the summary: what is found, then what it asks for."""
    texts = SENTENCE_WRITERS[assessment.category](assessment)
    return tuple(spell_units(language(text), locale) for text in texts)


def _name_result(assessment: B12Assessment) -> str:
    deciding = assessment.deciding
    if deciding is None:
        return make_text("Vitamin B12")
    active = deciding.result.observation == "active_b12"
    name = make_text("Active B12") if active else make_text("Vitamin B12")
    result = deciding.result
    return make_text(
        "{title} {amount}",
        title=name,
        amount=format_amount(result.value, result.unit, result.comparator),
    )


def _write_deficient(assessment: B12Assessment) -> Sentences:
    result, urge = _name_result(assessment), _write_action(assessment)
    if assessment.deciding is None:
        return make_text("{result}: deficient.", result=result), urge
    limit = assessment.deciding.limit
    return make_text("{result}: deficient ({limit}).", result=result, limit=limit), urge


def _write_action(assessment: B12Assessment) -> str:
    if "switch-to-im-or-oral-1mg" in assessment.next_steps:
        return make_text("The present B12 dose does not suffice.")
    if "avoid-cyanocobalamin" in assessment.flags:
        return make_text("Leber's optic neuropathy: hydroxocobalamin only.")
    if assessment.situation is None:
        return make_text("Treatment has begun: look for the cause, review.")
    if assessment.urgency == "emergency":
        return make_text("Spinal cord or brain affected: treat today.")
    if assessment.neurological:
        return make_text("Neurological findings: treat without waiting.")
    if "identify-cause" in assessment.next_steps:
        return make_text("Start replacement and look for the cause.")
    return make_text("Start replacement.")


def _write_functional(assessment: B12Assessment) -> Sentences:
    raised = _find_raised(assessment, "methylmalonic-acid") or _find_raised(
        assessment, "homocysteine"
    )
    what: str = make_text("raised MMA")
    if raised and raised.value is not None:
        value = format_amount(raised.value, raised.unit or "")
        what = make_text("{what} ({amount})", what=raised.says, amount=value)
    urge = _write_action(assessment)
    if assessment.deciding is None:
        return make_text("Functional B12 deficiency: {what}.", what=what), urge
    result = _name_result(assessment)
    return make_text(
        "Functional B12 deficiency: {what} although {result}.", what=what, result=result
    ), urge


def _find_raised(assessment: B12Assessment, rule: str) -> Evidence | None:
    return next(
        (e for e in assessment.evidence if e.rule == rule and e.outcome in RAISED_OUTCOMES), None
    )


def _write_indeterminate(assessment: B12Assessment) -> Sentences:
    limit = assessment.deciding.limit if assessment.deciding else ""
    start = make_text(
        "{result} is indeterminate ({limit})", result=_name_result(assessment), limit=limit
    )
    if assessment.neurological:
        return (
            make_text(
                "{start} with neurological findings: clarify without delaying treatment.",
                start=start,
            ),
        )
    steps = assessment.next_steps
    if "consider-mma" in steps or "order-mma" in steps:
        return (make_text("{start}: methylmalonic acid can resolve it.", start=start),)
    if "flag-renal-confounding" in assessment.flags:
        return (
            make_text("{start}; raised MMA proves nothing with impaired kidneys.", start=start),
        )
    if "order-creatinine-egfr" in steps:
        return (make_text("{start}; MMA is raised but kidney function is unknown.", start=start),)
    return make_text("{start}.", start=start), make_text("Without symptoms, no further test.")


def _write_uninterpretable(assessment: B12Assessment) -> str:
    result, flags, steps = _name_result(assessment), assessment.flags, assessment.next_steps
    if "stop-nitrous-oxide" in steps:
        if assessment.deciding is None:
            return make_text(
                "Nitrous oxide exposure: results so far do not exclude B12 deficiency."
            )
        if "order-hcy-or-mma" not in steps:
            return make_text(
                "{result} does not reassure after nitrous oxide while there are symptoms or signs.",
                result=result,
            )
        return make_text(
            "{result} does not reassure after nitrous oxide: measure homocysteine or MMA.",
            result=result,
        )
    if "flag-assay-interference" in flags:
        return make_text(
            "{result} may be falsely normal: intrinsic factor antibodies interfere.", result=result
        )
    if any(e.rule == "pregnancy" for e in assessment.evidence):
        return make_text(
            "{result} in pregnancy: total B12 cannot be interpreted, measure active B12.",
            result=result,
        )
    if "note-supplement-masks" in flags:
        return make_text(
            "{result} under a B12 supplement does not reassure: measure MMA or homocysteine.",
            result=result,
        )
    return make_text(
        "{result} must not be read as sufficient: another disease can raise or mask it.",
        result=result,
    )


def _write_insufficient(assessment: B12Assessment) -> str:
    if "take-blood-then-treat" in assessment.next_steps and assessment.deciding is None:
        return make_text(
            "Neurological signs and no readable B12 on file: take blood, then treat without waiting."
        )
    return make_text(
        "A vitamin B12 result cannot be read as it was reported: verify it before deciding."
    )


def _write_untested(assessment: B12Assessment) -> str:
    if "show-old-low-result" in assessment.flags:
        return make_text("Vitamin B12 was low and has not been measured since: test again.")
    if "check-b12-before-folic-acid" in assessment.next_steps:
        return make_text("Folic acid ordered and vitamin B12 unknown: measure B12 first.")
    if any(e.rule == "lifelong-need" for e in assessment.evidence):
        need = next(e.says for e in assessment.evidence if e.rule == "lifelong-need")
        return make_text(
            "{need} on record, but neither B12 treatment nor a B12 result: clarify and test.",
            need=need,
        )
    names = dict.fromkeys(
        e.says
        for e in assessment.evidence
        if e.rule in ("risk-factor", "neurological", "symptom", "duration", "blood-count")
    )
    listed: tuple[str, ...] = tuple(map(lowercase_first, list(names)[:2])) or (
        make_text("a finding"),
    )
    return make_text("No vitamin B12 on file; {listed}: a test is due.", listed=listed)


def _write_high(assessment: B12Assessment) -> str:
    return make_text(
        "{result} is high with no replacement on record: check supplements first.",
        result=_name_result(assessment),
    )


def _write_on_treatment(assessment: B12Assessment) -> Sentences:
    if "suggest-cancel-repeat-b12" in assessment.next_steps:
        return (
            make_text("On B12 injections: a B12 level will not show need."),
            make_text("Consider cancelling the test."),
        )
    return (_write_treatment_review(assessment),)


def _write_treatment_review(assessment: B12Assessment) -> str:
    steps = assessment.next_steps
    if "use-hydroxocobalamin" in steps:
        return make_text(
            "Leber's optic neuropathy: cyanocobalamin is contraindicated, use hydroxocobalamin."
        )
    if "increase-injection-frequency" in steps:
        return make_text(
            "Neurological findings under B12 injections: review dose interval and diagnosis."
        )
    return make_text("B12 by mouth is not working as hoped: check adherence, consider injections.")


def _wrap_sentence(
    sentence: Callable[[B12Assessment], str],
) -> Callable[[B12Assessment], Sentences]:
    return lambda assessment: (sentence(assessment),)


SENTENCE_WRITERS: Mapping[str, Callable[[B12Assessment], Sentences]] = {
    "deficient": _write_deficient,
    "deficient-functional": _write_functional,
    "indeterminate": _write_indeterminate,
    "uninterpretable": _wrap_sentence(_write_uninterpretable),
    "insufficient-data": _wrap_sentence(_write_insufficient),
    "at-risk-untested": _wrap_sentence(_write_untested),
    "high-b12": _wrap_sentence(_write_high),
    "on-treatment": _write_on_treatment,
}
