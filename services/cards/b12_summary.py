"""One sentence for each finding: what, by which value, and what it asks for."""

from collections.abc import Callable, Mapping

from mappings.text import amount, say, small
from services.assessment.evidence import Evidence, Outcome
from services.knowledge.language import Language
from services.vitamin_b12.outcome import Assessment

Sentences = tuple[str, ...]
# Units that are the same number under another name, as a country's clinicians know them, and
# spellings for people instead of UCUM's.
US_UNITS = {"ng/L": "pg/mL", "ug/L": "ng/mL"}
RAISED = frozenset({Outcome.RAISED, Outcome.GROSSLY_RAISED})
SPELLINGS = {"umol/L": "µmol/L", "{1.73_m2}": "1.73 m²", "ug/L": "µg/L"}


def unit_text(text: str, locale: str) -> str:
    """`text` with its units as clinicians of the country write them."""
    for unit, spelling in (US_UNITS if locale == "en-US" else {}).items():
        text = text.replace(unit, spelling)
    for unit, spelling in SPELLINGS.items():
        text = text.replace(unit, spelling)
    return text


def summary(assessment: Assessment, locale: str, language: Language) -> str:
    """The card's summary, before it is cut to length."""
    return " ".join(sentences(assessment, locale, language))


def sentences(assessment: Assessment, locale: str, language: Language) -> tuple[str, ...]:
    """The sentences of the summary: what is found, then what it asks for."""
    written = WRITERS[assessment.category](assessment)
    return tuple(unit_text(language(one), locale) for one in written)


def _named(assessment: Assessment) -> str:
    deciding = assessment.deciding
    if deciding is None:
        return say("Vitamin B12")
    active = deciding.result.observation == "active_b12"
    name = say("Active B12") if active else say("Vitamin B12")
    result = deciding.result
    return say(
        "{title} {amount}",
        title=name,
        amount=amount(result.value, result.unit, result.comparator),
    )


def _deficient(assessment: Assessment) -> Sentences:
    named, urge = _named(assessment), _urge(assessment)
    if assessment.deciding is None:
        return say("{result}: deficient.", result=named), urge
    limit = assessment.deciding.limit
    return say("{result}: deficient ({limit}).", result=named, limit=limit), urge


def _urge(assessment: Assessment) -> str:
    if "switch-to-im-or-oral-1mg" in assessment.next_steps:
        return say("The present B12 dose does not suffice.")
    if "avoid-cyanocobalamin" in assessment.flags:
        return say("Leber's optic neuropathy: hydroxocobalamin only.")
    if assessment.situation is None:
        return say("Treatment has begun: look for the cause, review.")
    if assessment.urgency == "emergency":
        return say("Spinal cord or brain affected: treat today.")
    if assessment.neurological:
        return say("Neurological findings: treat without waiting.")
    if "identify-cause" in assessment.next_steps:
        return say("Start replacement and look for the cause.")
    return say("Start replacement.")


def _functional(assessment: Assessment) -> Sentences:
    raised = _evidence(assessment, "methylmalonic-acid") or _evidence(assessment, "homocysteine")
    what: str = say("raised MMA")
    if raised and raised.value is not None:
        found = amount(raised.value, raised.unit or "")
        what = say("{what} ({amount})", what=raised.says, amount=found)
    urge = _urge(assessment)
    if assessment.deciding is None:
        return say("Functional B12 deficiency: {what}.", what=what), urge
    named = _named(assessment)
    return say(
        "Functional B12 deficiency: {what} although {result}.", what=what, result=named
    ), urge


def _evidence(assessment: Assessment, rule: str) -> Evidence | None:
    return next((e for e in assessment.evidence if e.rule == rule and e.outcome in RAISED), None)


def _indeterminate(assessment: Assessment) -> Sentences:
    limit = assessment.deciding.limit if assessment.deciding else ""
    start = say("{result} is indeterminate ({limit})", result=_named(assessment), limit=limit)
    if assessment.neurological:
        return (
            say(
                "{start} with neurological findings: clarify without delaying treatment.",
                start=start,
            ),
        )
    steps = assessment.next_steps
    if "consider-mma" in steps or "order-mma" in steps:
        return (say("{start}: methylmalonic acid can resolve it.", start=start),)
    if "flag-renal-confounding" in assessment.flags:
        return (say("{start}; raised MMA proves nothing with impaired kidneys.", start=start),)
    if "order-creatinine-egfr" in steps:
        return (say("{start}; MMA is raised but kidney function is unknown.", start=start),)
    return say("{start}.", start=start), say("Without symptoms, no further test.")


def _uninterpretable(assessment: Assessment) -> str:
    named, flags, steps = _named(assessment), assessment.flags, assessment.next_steps
    if "stop-nitrous-oxide" in steps:
        if assessment.deciding is None:
            return say("Nitrous oxide exposure: results so far do not exclude B12 deficiency.")
        if "order-hcy-or-mma" not in steps:
            return say(
                "{result} does not reassure after nitrous oxide while there are symptoms or signs.",
                result=named,
            )
        return say(
            "{result} does not reassure after nitrous oxide: measure homocysteine or MMA.",
            result=named,
        )
    if "flag-assay-interference" in flags:
        return say(
            "{result} may be falsely normal: intrinsic factor antibodies interfere.", result=named
        )
    if any(e.rule == "pregnancy" for e in assessment.evidence):
        return say(
            "{result} in pregnancy: total B12 cannot be interpreted, measure active B12.",
            result=named,
        )
    if "note-supplement-masks" in flags:
        return say(
            "{result} under a B12 supplement does not reassure: measure MMA or homocysteine.",
            result=named,
        )
    return say(
        "{result} must not be read as sufficient: another disease can raise or mask it.",
        result=named,
    )


def _insufficient(assessment: Assessment) -> str:
    if "take-blood-then-treat" in assessment.next_steps and assessment.deciding is None:
        return say(
            "Neurological signs and no readable B12 on file: take blood, then treat without waiting."
        )
    return say("A vitamin B12 result cannot be read as it was reported: verify it before deciding.")


def _untested(assessment: Assessment) -> str:
    if "show-old-low-result" in assessment.flags:
        return say("Vitamin B12 was low and has not been measured since: test again.")
    if "check-b12-before-folic-acid" in assessment.next_steps:
        return say("Folic acid ordered and vitamin B12 unknown: measure B12 first.")
    if any(e.rule == "lifelong-need" for e in assessment.evidence):
        need = next(e.says for e in assessment.evidence if e.rule == "lifelong-need")
        return say(
            "{need} on record, but neither B12 treatment nor a B12 result: clarify and test.",
            need=need,
        )
    names = dict.fromkeys(
        e.says
        for e in assessment.evidence
        if e.rule in ("risk-factor", "neurological", "symptom", "duration", "blood-count")
    )
    listed: tuple[str, ...] = tuple(map(small, list(names)[:2])) or (say("a finding"),)
    return say("No vitamin B12 on file; {listed}: a test is due.", listed=listed)


def _high(assessment: Assessment) -> str:
    return say(
        "{result} is high with no replacement on record: check supplements first.",
        result=_named(assessment),
    )


def _on_treatment(assessment: Assessment) -> Sentences:
    if "suggest-cancel-repeat-b12" in assessment.next_steps:
        return (
            say("On B12 injections: a B12 level will not show need."),
            say("Consider cancelling the test."),
        )
    return (_treated(assessment),)


def _treated(assessment: Assessment) -> str:
    steps = assessment.next_steps
    if "use-hydroxocobalamin" in steps:
        return say(
            "Leber's optic neuropathy: cyanocobalamin is contraindicated, use hydroxocobalamin."
        )
    if "increase-injection-frequency" in steps:
        return say(
            "Neurological findings under B12 injections: review dose interval and diagnosis."
        )
    return say("B12 by mouth is not working as hoped: check adherence, consider injections.")


def _alone(sentence: Callable[[Assessment], str]) -> Callable[[Assessment], Sentences]:
    return lambda assessment: (sentence(assessment),)


WRITERS: Mapping[str, Callable[[Assessment], Sentences]] = {
    "deficient": _deficient,
    "deficient-functional": _functional,
    "indeterminate": _indeterminate,
    "uninterpretable": _alone(_uninterpretable),
    "insufficient-data": _alone(_insufficient),
    "at-risk-untested": _alone(_untested),
    "high-b12": _alone(_high),
    "on-treatment": _on_treatment,
}
