"""One sentence for each finding: what, by which value, and what it asks for."""

from services.notes import Evidence
from services.vitamin_b12.outcome import Assessment

# Units that are the same number under another name, as a country's clinicians know them, and
# spellings for people instead of UCUM's.
US_UNITS = {"ng/L": "pg/mL", "ug/L": "ng/mL"}
SPELLINGS = {"umol/L": "µmol/L", "{1.73_m2}": "1.73 m²", "ug/L": "µg/L"}


def unit_text(text: str, locale: str) -> str:
    """`text` with its units as clinicians of the country write them."""
    for unit, spelling in (US_UNITS if locale == "en-US" else {}).items():
        text = text.replace(unit, spelling)
    for unit, spelling in SPELLINGS.items():
        text = text.replace(unit, spelling)
    return text


def summary(assessment: Assessment, locale: str) -> str:
    """The card's summary, before it is cut to length."""
    writer = WRITERS[assessment.category]
    return unit_text(writer(assessment), locale)


def _named(assessment: Assessment) -> str:
    deciding = assessment.deciding
    if deciding is None:
        return "Vitamin B12"
    name = "Active B12" if deciding.result.observation == "active_b12" else "Vitamin B12"
    result = deciding.result
    return f"{name} {result.comparator or ''}{result.value:g} {result.unit}"


def _deficient(assessment: Assessment) -> str:
    limit = f" ({assessment.deciding.limit})" if assessment.deciding else ""
    return f"{_named(assessment)}: deficient{limit}. {_urge(assessment)}"


def _urge(assessment: Assessment) -> str:
    if "switch-to-im-or-oral-1mg" in assessment.next_steps:
        return "The present B12 dose does not suffice."
    if "avoid-cyanocobalamin" in assessment.flags:
        return "Leber's optic neuropathy: hydroxocobalamin only."
    if assessment.situation is None:
        return "Treatment has begun: look for the cause, review."
    if assessment.urgency == "emergency":
        return "Spinal cord or brain affected: treat today."
    if assessment.neurological:
        return "Neurological findings: treat without waiting."
    if "identify-cause" in assessment.next_steps:
        return "Start replacement and look for the cause."
    return "Start replacement."


def _functional(assessment: Assessment) -> str:
    raised = _evidence(assessment, "methylmalonic-acid") or _evidence(assessment, "homocysteine")
    what = f"{raised.says} ({raised.value:g} {raised.unit})" if raised else "raised MMA"
    although = f" although {_named(assessment)}" if assessment.deciding else ""
    return f"Functional B12 deficiency: {what}{although}. {_urge(assessment)}"


def _evidence(assessment: Assessment, rule: str) -> Evidence | None:
    return next((e for e in assessment.evidence if e.rule == rule and "raised" in e.says), None)


def _indeterminate(assessment: Assessment) -> str:
    limit = assessment.deciding.limit if assessment.deciding else ""
    start = f"{_named(assessment)} is indeterminate ({limit})"
    if assessment.neurological:
        return f"{start} with neurological findings: clarify without delaying treatment."
    steps = assessment.next_steps
    if "consider-mma" in steps or "order-mma" in steps:
        return f"{start}: methylmalonic acid can resolve it."
    if "flag-renal-confounding" in assessment.flags:
        return f"{start}; raised MMA proves nothing with impaired kidneys."
    if "order-creatinine-egfr" in steps:
        return f"{start}; MMA is raised but kidney function is unknown."
    return f"{start}. Without symptoms, no further test."


def _uninterpretable(assessment: Assessment) -> str:
    named, flags, steps = _named(assessment), assessment.flags, assessment.next_steps
    if "stop-nitrous-oxide" in steps:
        if assessment.deciding is None:
            return "Nitrous oxide exposure: results so far do not exclude B12 deficiency."
        return f"{named} does not reassure after nitrous oxide: measure homocysteine or MMA."
    if "flag-assay-interference" in flags:
        return f"{named} may be falsely normal: intrinsic factor antibodies interfere."
    if any(e.rule == "pregnancy" for e in assessment.evidence):
        return f"{named} in pregnancy: total B12 cannot be interpreted, measure active B12."
    if "note-supplement-masks" in flags:
        return f"{named} under a B12 supplement does not reassure: measure MMA or homocysteine."
    return f"{named} must not be read as sufficient: another disease can raise or mask it."


def _insufficient(assessment: Assessment) -> str:
    if "take-blood-then-treat" in assessment.next_steps and assessment.deciding is None:
        return "Neurological signs and no readable B12 on file: take blood, then treat without waiting."
    return "A vitamin B12 result cannot be read as it was reported: verify it before deciding."


def _untested(assessment: Assessment) -> str:
    if "show-old-low-result" in assessment.flags:
        return "Vitamin B12 was low and has not been measured since: test again."
    if "check-b12-before-folic-acid" in assessment.next_steps:
        return "Folic acid ordered and vitamin B12 unknown: measure B12 first."
    if any(e.rule == "lifelong-need" for e in assessment.evidence):
        need = next(e.says for e in assessment.evidence if e.rule == "lifelong-need")
        return f"{need} on record, but neither B12 treatment nor a B12 result: clarify and test."
    names = dict.fromkeys(
        e.says
        for e in assessment.evidence
        if e.rule in ("risk-factor", "neurological", "symptom", "duration", "blood-count")
    )
    # "MCV" stays as it is.
    listed = ", ".join(
        name if name[:2].isupper() else name[:1].lower() + name[1:] for name in list(names)[:2]
    )
    return f"No vitamin B12 on file; {listed or 'a finding'}: a test is due."


def _high(assessment: Assessment) -> str:
    return f"{_named(assessment)} is high with no replacement on record: check supplements first."


def _on_treatment(assessment: Assessment) -> str:
    steps = assessment.next_steps
    if "suggest-cancel-repeat-b12" in steps:
        return "On B12 injections: a B12 level will not show need. Consider cancelling the test."
    if "use-hydroxocobalamin" in steps:
        return "Leber's optic neuropathy: cyanocobalamin is contraindicated, use hydroxocobalamin."
    if "increase-injection-frequency" in steps:
        return "Neurological findings under B12 injections: review dose interval and diagnosis."
    return "B12 by mouth is not working as hoped: check adherence, consider injections."


WRITERS = {
    "deficient": _deficient,
    "deficient-functional": _functional,
    "indeterminate": _indeterminate,
    "uninterpretable": _uninterpretable,
    "insufficient-data": _insufficient,
    "at-risk-untested": _untested,
    "high-b12": _high,
    "on-treatment": _on_treatment,
}
