"""Conditions, procedures, family history and allergies: what is on record besides results."""

from datetime import date

from mappings.terminology.value_set import ValueSetIndex
from services.chart.fhir_values import (
    Resource,
    as_list,
    parse_date_span,
    parse_first_day,
    read_codings,
    read_period,
    read_status_code,
)
from services.chart.model import DroppedReason, Finding, Medication

REFUTED_STATUSES = frozenset({"refuted", "entered-in-error"})
INACTIVE_STATUSES = frozenset({"inactive", "remission", "resolved"})
PERFORMED_STATUSES = frozenset({"completed", "in-progress"})
INJECTIONS = frozenset({"b12_injection", "b12_administration"})
# Which diagnoses in a relative count as which risk factor; both are value sets' names.
FAMILY_RISK_FACTORS = {
    **dict.fromkeys(
        ("b12_deficiency", "b12_deficiency_history", "pernicious_anaemia"),
        "family_history_b12_deficiency",
    ),
    **dict.fromkeys(
        ("thyroid_disease", "type_1_diabetes", "sjogren_syndrome", "vitiligo", "coeliac_disease"),
        "family_history_autoimmune_disease",
    ),
}
B12_DRUGS = frozenset({"cyanocobalamin", "hydroxocobalamin", "methylcobalamin", "b12_product"})


def read_condition(
    resource: Resource, reference: str, index: ValueSetIndex, today: date
) -> list[Finding] | str:
    """Findings of a Condition, or the reason to leave it."""
    matches = index.match_codes(read_codings(resource.get("code")))
    matches = [m for m in matches if m.value_set.kind == "condition"] if matches else ()
    if not matches:
        return []
    verification = read_status_code(resource.get("verificationStatus"))
    if verification in REFUTED_STATUSES:
        return verification or DroppedReason.REFUTED
    over = read_status_code(resource.get("clinicalStatus")) in INACTIVE_STATUSES or _is_abated(
        resource, today
    )
    onset = _find_onset(resource)
    return [
        Finding(m.value_set.name, reference, onset, m.row.display, active=not over) for m in matches
    ]


def _find_onset(resource: Resource) -> date | None:
    start = read_period(resource["onsetPeriod"])[0] if "onsetPeriod" in resource else None
    for key in ("onsetDateTime", "recordedDate", "assertedDate", "dateRecorded"):
        day = parse_first_day(resource[key]) if key in resource else None
        if day is not None:
            return start or day
    return start


def _is_abated(resource: Resource, today: date) -> bool:
    if resource.get("abatementBoolean") is True:
        return True
    span = parse_date_span(resource.get("abatementDateTime"))
    return span is not None and span[1] <= today


def read_procedure(
    resource: Resource, reference: str, index: ValueSetIndex
) -> tuple[list[Finding] | str, list[Medication]]:
    """Findings of a Procedure (or the reason to leave it) and the B12 injections it stands for."""
    matches = index.match_codes(read_codings(resource.get("code")))
    if not matches:
        return [], []
    status = read_status_code(resource.get("status"))
    if status not in PERFORMED_STATUSES:
        return status or DroppedReason.NO_STATUS, []
    day = parse_first_day(resource.get("performedDateTime", resource.get("occurrenceDateTime")))
    if day is None:
        for key in ("performedPeriod", "occurrencePeriod"):
            start, end = read_period(resource.get(key))
            day = day or end or start
    findings = [
        Finding(m.value_set.name, reference, day, m.row.display)
        for m in matches
        if m.value_set.kind in ("condition", "procedure") and m.value_set.name not in INJECTIONS
    ]
    injections = [
        Medication("b12_product", reference, "past", day, day, "im", text=m.row.display)
        for m in matches
        if m.value_set.name in INJECTIONS
    ]
    return findings, injections


def read_family_history(
    resource: Resource, reference: str, index: ValueSetIndex
) -> list[Finding] | str:
    """Risk factors that a relative's diagnoses make."""
    status = read_status_code(resource.get("status"))
    if status == "entered-in-error":
        return status
    risk_factors: dict[str, Finding] = {}
    for entry in as_list(resource.get("condition")):
        if isinstance(entry, dict):
            for match in index.match_codes(read_codings(entry.get("code"))):
                name = FAMILY_RISK_FACTORS.get(match.value_set.name)
                if name is not None:
                    risk_factors[name] = Finding(name, reference, None, match.row.display)
    return list(risk_factors.values())


def read_allergy(resource: Resource, reference: str, index: ValueSetIndex) -> list[Finding] | str:
    """A cobalamin allergy, from the substance or the reactions on record."""
    verification = read_status_code(resource.get("verificationStatus"))
    status = read_status_code(resource.get("clinicalStatus")) or read_status_code(
        resource.get("status")
    )
    if verification in REFUTED_STATUSES or status in REFUTED_STATUSES:
        return DroppedReason.REFUTED
    places = [resource.get("code"), resource.get("substance")]
    places += [r.get("substance") for r in as_list(resource.get("reaction")) if isinstance(r, dict)]
    for place in places:
        for match in index.match_codes(read_codings(place)):
            if match.value_set.name in B12_DRUGS:
                active = status not in INACTIVE_STATUSES
                return [
                    Finding("cobalamin_allergy", reference, None, match.row.display, active=active)
                ]
    return []
