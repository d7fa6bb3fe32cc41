"""Columns of the output tables, and how an assessment fills them.

No column names a patient: `patient` is the keyed hash under which the service's own records would
keep them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.assessment.evidence import Evidence
from services.chart.model import Chart, calculate_age
from services.evaluation.combination import Evaluation

EVIDENCE_TYPE = (
    'STRUCT("rule" VARCHAR, says VARCHAR, "value" DOUBLE, unit VARCHAR, "date" DATE, '
    '"limit" VARCHAR)[]'
)
ASSESSMENT_COLUMNS: Mapping[str, str] = {
    "patient": "VARCHAR",
    "as_of": "DATE",
    "age": "INTEGER",
    "sex": "VARCHAR",
    "deceased": "BOOLEAN",
    "primary_pair": "BOOLEAN",
    "b12_guideline": "VARCHAR",
    "b12_category": "VARCHAR",
    "b12_urgency": "VARCHAR",
    "neurological": "BOOLEAN",
    "b12_flags": "VARCHAR[]",
    "b12_next_steps": "VARCHAR[]",
    "b12_evidence": EVIDENCE_TYPE,
    "indicator_class": "VARCHAR",
    "muscle_definition": "VARCHAR",
    "muscle_category": "VARCHAR",
    "strength": "VARCHAR",
    "mass": "VARCHAR",
    "performance": "VARCHAR",
    "muscle_flags": "VARCHAR[]",
    "muscle_next_steps": "VARCHAR[]",
    "muscle_evidence": EVIDENCE_TYPE,
    "tier": "VARCHAR",
    "differential": "VARCHAR[]",
    "missing": "VARCHAR[]",
    "unusable": "VARCHAR[]",
    "dropped": "STRUCT(reason VARCHAR, n INTEGER)[]",
}
CARD_COLUMNS: Mapping[str, str] = {
    "patient": "VARCHAR",
    "at": "TIMESTAMP",
    "hook": "VARCHAR",
    "encounter": "VARCHAR",
    "practitioner": "VARCHAR",
    "topic": "VARCHAR",
    "indicator": "VARCHAR",
    "summary": "VARCHAR",
    "suggestions": "VARCHAR[]",
    "shown": "BOOLEAN",
    "withheld": "VARCHAR",
}
CALL_COLUMNS: Mapping[str, str] = {
    "patient": "VARCHAR",
    "at": "TIMESTAMP",
    "hook": "VARCHAR",
    "encounter": "VARCHAR",
    "practitioner": "VARCHAR",
    "b12_category": "VARCHAR",
    "muscle_category": "VARCHAR",
    "tier": "VARCHAR",
    "shown": "INTEGER",
    "withheld": "INTEGER",
}
TABLES: Mapping[str, Mapping[str, str]] = {
    "assessments": ASSESSMENT_COLUMNS,
    "cards": CARD_COLUMNS,
    "calls": CALL_COLUMNS,
}
# What an assessment would like to have: a name for each, and the observations that will do.
EXPECTED_DATA: Mapping[str, tuple[str, ...]] = {
    "b12": ("total_b12", "active_b12"),
    "methylmalonic_acid": ("methylmalonic_acid",),
    "homocysteine": ("homocysteine",),
    "hemoglobin": ("hemoglobin",),
    "mcv": ("mcv",),
    "kidney_function": ("egfr", "creatinine"),
    "folate": ("folate_serum", "folate_rbc"),
    "grip_strength": ("grip_strength",),
    "gait_speed": ("gait_speed",),
    "chair_stand_5x": ("chair_stand_5x",),
    "muscle_mass": ("asm", "asm_height2", "asm_bmi"),
    "sarc_f": ("sarc_f", "sarc_f_strength"),
}

Row = dict[str, Any]


def build_patient_row(chart: Chart, patient: str) -> Row:
    """The columns that do not depend on a guideline; `patient` is the hash."""
    return {
        "patient": patient,
        "as_of": chart.today.isoformat(),
        "age": compute_age(chart),
        "sex": chart.sex,
        "deceased": chart.deceased,
        "missing": list_missing(chart),
        "unusable": sorted(
            {
                f"{result.observation}:{result.reason}"
                for results in chart.unusable.values()
                for result in results
            }
        ),
        "dropped": [{"reason": reason, "n": n} for reason, n in sorted(chart.dropped.items())],
    }


def compute_age(chart: Chart) -> int | None:
    """Completed years; None where the birth date leaves more than one number open."""
    if chart.born is None:
        return None
    oldest, youngest = (calculate_age(day, chart.today) for day in chart.born)
    return youngest if oldest == youngest and youngest >= 0 else None


def list_missing(chart: Chart) -> list[str]:
    """Names of EXPECTED_DATA that the chart lacks."""
    names = [] if chart.born else ["birth_date"]
    if chart.sex is None:
        names.append("sex")
    measured = chart.measurements
    if not measured and not chart.unable:
        return [*names, *EXPECTED_DATA]
    for name, observations in EXPECTED_DATA.items():
        if not any(
            observation in measured or observation in chart.unable for observation in observations
        ):
            names.append(name)
    return names


def build_assessment_row(evaluation: Evaluation, *, primary: bool) -> Row:
    """The columns of one pair of guidelines."""
    b12, muscle = evaluation.b12, evaluation.muscle
    indicator = b12.combined_indicator
    return {
        "primary_pair": primary,
        "b12_guideline": b12.guideline,
        "b12_category": b12.category,
        "b12_urgency": b12.urgency,
        "neurological": b12.neurological,
        "b12_flags": b12.flags,
        "b12_next_steps": b12.next_steps,
        "b12_evidence": build_evidence_rows(b12.evidence),
        "indicator_class": indicator.class_name if indicator is not None else None,
        "muscle_definition": muscle.definition,
        "muscle_category": muscle.category,
        "strength": muscle.strength,
        "mass": muscle.mass,
        "performance": muscle.performance,
        "muscle_flags": muscle.flags,
        "muscle_next_steps": muscle.next_steps,
        "muscle_evidence": build_evidence_rows(muscle.evidence),
        "tier": evaluation.tier,
        "differential": [suspected.cause for suspected in evaluation.differential],
    }


def build_evidence_rows(evidence: Iterable[Evidence]) -> list[Row]:
    """What rules looked at: the value, never the resource it came from."""
    return [
        {
            "rule": e.rule,
            "says": e.says,
            "value": e.value,
            "unit": e.unit,
            "date": e.day,
            "limit": e.limit,
        }
        for e in evidence
    ]
