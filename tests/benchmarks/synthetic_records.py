"""What may stand in a synthetic record, with how often: codes and figures as tables.

A code is either in one of our value sets, from where its name is taken, or one that no rule reads:
a vital sign or laboratory test by LOINC, a common diagnosis or drug.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks import fhir_lines as lines
from benchmarks.fhir_lines import LOINC, RXNORM
from mappings.terminology.value_set_file import load_value_sets

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
OURS = "https://cobalamin.example/fhir/CodeSystem/muscle-measure"


@dataclass(frozen=True, slots=True)
class Result:
    """A kind of result: in women and in men, each (mean, standard deviation)."""

    template: str
    by_sex: tuple[tuple[float, float], tuple[float, float]]
    decimals: int
    a_year: float = 0.0  # added for each year over 50
    least: float = 0.0
    si_template: str = ""  # as laboratories that count moles report it
    si_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """A diagnosis, drug, order or procedure that a share of people have."""

    template: str
    share: float
    ages: tuple[int, int] = (0, 120)
    sex: str | None = None
    risk: float = 0.0  # how much more B12 is looked for
    still: float = 0.8  # share that is in force
    by_reference: str = ""  # a prescription that refers to the formulary


@cache
def _index() -> Any:
    return load_value_sets()


def known(name: str, code: str) -> dict[str, Any]:
    """A code of the value set `name`. Raises LookupError where it has none such."""
    for row in _index().rows[name]:
        if row.code == code:
            return lines.concept(row.system, code, row.display)
    raise LookupError(f"{name} has no code {code}")


def unread(system: str, code: str, display: str) -> dict[str, Any]:
    """A code that no rule reads. Raises LookupError where one does."""
    if _index().look_up(system, code):
        raise LookupError(f"{code} is read")
    return lines.concept(system, code, display)


def _result(
    code: dict[str, Any],
    unit: str,
    usual: tuple[float, float],
    women: tuple[float, float],
    men: tuple[float, float] | None = None,
    decimals: int = 0,
    *,
    si: tuple[dict[str, Any], str, float] | None = None,
    category: str = "laboratory",
    a_year: float = 0.0,
    least: float = 0.0,
) -> Result:
    """`si` is another code, its unit and what the value is multiplied by."""
    ucum = UCUM.get(unit, unit)
    other, factor = "", 1.0
    if si is not None:
        si_code, si_unit, factor = si
        limits = (round(usual[0] * factor), round(usual[1] * factor))
        other = lines.measured(category, si_code, si_unit, UCUM.get(si_unit, si_unit), limits)
    template = lines.measured(category, code, unit, ucum, usual)
    return Result(template, (women, men or women), decimals, a_year, least, other, factor)


UCUM = {"mL/min/1.73m2": "mL/min/{1.73_m2}", "beats/min": "/min", "mIU/L": "m[IU]/L", "°C": "Cel"}
VITAL, EXAM = "vital-signs", "exam"

RESULTS: Mapping[str, Result] = {
    # Read by no rule.
    "heart_rate": _result(
        unread(LOINC, "8867-4", "Heart rate"), "beats/min", (60, 100), (76, 11), category=VITAL
    ),
    "temperature": _result(
        unread(LOINC, "8310-5", "Body temperature"), "°C", (36.1, 37.8), (36.8, 0.4), None, 1,
        category=VITAL,
    ),
    "spo2": _result(
        unread(LOINC, "2708-6", "Oxygen saturation in Arterial blood"), "%", (95, 100), (97, 1),
        category=VITAL,
    ),
    "leukocytes": _result(
        unread(LOINC, "6690-2", "Leukocytes [#/volume] in Blood by Automated count"),
        "10*3/uL", (4.0, 11.0), (7.2, 1.9), None, 1, least=0.4,
    ),
    "platelets": _result(
        unread(LOINC, "777-3", "Platelets [#/volume] in Blood by Automated count"),
        "10*3/uL", (150, 400), (250, 60), least=8,
    ),
    "sodium": _result(
        unread(LOINC, "2951-2", "Sodium [Moles/volume] in Serum or Plasma"),
        "mmol/L", (135, 145), (139.5, 2.6),
    ),
    "glucose": _result(
        unread(LOINC, "2345-7", "Glucose [Mass/volume] in Serum or Plasma"),
        "mg/dL", (70, 99), (108, 30), least=45, a_year=0.25,
    ),
    "hba1c": _result(
        unread(LOINC, "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        "%", (4.0, 5.6), (6.1, 1.1), None, 1, least=4.1,
    ),
    "cholesterol": _result(
        unread(LOINC, "2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"),
        "mg/dL", (100, 199), (188, 38), least=70,
    ),
    # Read.
    "weight": _result(
        known("weight", "29463-7"), "kg", (45, 110), (73, 16), (86, 16), 1,
        category=VITAL, least=3,
    ),
    "height": _result(
        known("height", "8302-2"), "cm", (145, 195), (162, 7), (176, 7), 1, category=VITAL
    ),
    "bmi": _result(
        known("bmi", "39156-5"), "kg/m2", (18.5, 25), (28, 5.5), None, 1,
        category=VITAL, least=13,
    ),
    "hemoglobin": _result(
        known("hemoglobin", "718-7"), "g/dL", (12.0, 17.0), (13.2, 1.2), (14.6, 1.3), 1,
        a_year=-0.012, least=5,
    ),
    "mcv": _result(known("mcv", "787-2"), "fL", (80, 100), (90, 5.2), None, 1, a_year=0.02),
    "creatinine": _result(
        known("creatinine", "2160-0"), "mg/dL", (0.6, 1.3), (0.82, 0.22), (1.02, 0.25), 2,
        si=(known("creatinine", "14682-9"), "umol/L", 88.42), a_year=0.003, least=0.3,
    ),
    "egfr": _result(
        known("egfr", "98979-8"), "mL/min/1.73m2", (60, 120), (88, 17),
        a_year=-0.8, least=6,
    ),
    "potassium": _result(
        known("potassium", "2823-3"), "mmol/L", (3.5, 5.1), (4.2, 0.4), None, 1, least=2.4
    ),
    "tsh": _result(known("tsh", "3016-3"), "mIU/L", (0.4, 4.0), (2.3, 1.3), None, 2, least=0.02),
    "total_b12": _result(
        known("total_b12", "2132-9"), "pg/mL", (200, 900), (440, 165),
        si=(known("total_b12", "14685-2"), "pmol/L", 0.738), least=50,
    ),
    "active_b12": _result(
        known("active_b12", "72160-5"), "pmol/L", (25, 150), (75, 32), least=8
    ),
    "folate": _result(
        known("folate_serum", "2284-8"), "ng/mL", (3.9, 20.0), (11, 4.4), None, 1,
        si=(known("folate_serum", "14732-2"), "nmol/L", 2.266), least=1,
    ),
    "mma": _result(
        known("methylmalonic_acid", "13964-2"), "umol/L", (0.07, 0.4), (0.24, 0.13), None, 2,
        si=(known("methylmalonic_acid", "13964-2"), "nmol/L", 1000), least=0.06,
    ),
    "homocysteine": _result(
        known("homocysteine", "13965-9"), "umol/L", (5, 15), (11, 3.8), None, 1, least=3
    ),
    "grip_right": _result(
        known("grip_strength", "83174-3"), "kg", (16, 60), (23, 6), (36, 8), 1,
        category=EXAM, a_year=-0.15, least=3,
    ),
    "grip_left": _result(
        known("grip_strength", "83173-5"), "kg", (16, 60), (22, 6), (34, 8), 1,
        category=EXAM, a_year=-0.15, least=3,
    ),
    "gait_speed": _result(
        known("gait_speed", "83172-7"), "m/s", (0.8, 1.6), (1.15, 0.22), None, 2,
        category=EXAM, a_year=-0.006, least=0.2,
    ),
    "sarc_f": _result(
        known("sarc_f", "sarc-f-total"), "", (0, 4), (2, 1.7), category="survey"
    ),
}  # fmt: skip


@cache
def blood_pressure() -> str:
    return lines.blood_pressure(
        unread(LOINC, "85354-9", "Blood pressure panel with all children optional"),
        unread(LOINC, "8480-6", "Systolic blood pressure"),
        unread(LOINC, "8462-4", "Diastolic blood pressure"),
    )


OLD, ADULT = (65, 120), (18, 120)


def _held(code: dict[str, Any], share: float, ages: tuple[int, int] = ADULT, **more: Any) -> Held:
    category = "problem-list-item" if more.pop("lasting", True) else "encounter-diagnosis"
    return Held(lines.condition(code, category), share, ages, **more)


CONDITIONS = (
    _held(unread(ICD, "I10", "Essential (primary) hypertension"), 0.25, (35, 120)),
    _held(unread(ICD, "E78.0", "Pure hypercholesterolemia"), 0.17, (35, 120)),
    _held(unread(ICD, "E11", "Type 2 diabetes mellitus"), 0.11, (30, 120)),
    _held(unread(ICD, "K21", "Gastro-esophageal reflux disease"), 0.1),
    _held(unread(ICD, "J45", "Asthma"), 0.07, (0, 120)),
    _held(unread(ICD, "F41.9", "Anxiety disorder, unspecified"), 0.07),
    _held(unread(ICD, "M54.5", "Low back pain"), 0.12, lasting=False),
    _held(unread(ICD, "M25.5", "Pain in joint"), 0.1, lasting=False),
    _held(unread(ICD, "J06.9", "Acute upper respiratory infection, unspecified"), 0.14, (0, 120),
          lasting=False),
    _held(unread(ICD, "N39.0", "Urinary tract infection, site not specified"), 0.06,
          lasting=False),
    _held(unread(ICD, "R05", "Cough"), 0.06, (0, 120), lasting=False),
    _held(unread(ICD, "R51", "Headache"), 0.05, lasting=False),
    _held(known("pernicious_anaemia", "D51.0"), 0.004, risk=4),
    _held(known("b12_deficiency", "190634004"), 0.008, risk=3),
    _held(known("bariatric_surgery", "Z98.84"), 0.006, risk=3),
    _held(known("peripheral_neuropathy", "G62.9"), 0.02, (40, 120), risk=1.5),
    _held(known("paraesthesia", "R20.2"), 0.02, risk=1.5),
    _held(known("diabetic_neuropathy", "E11.42"), 0.015, (40, 120), risk=1),
    _held(known("cognitive_impairment", "386805003"), 0.05, OLD, risk=1.5),
    _held(known("fatigue", "R53.83"), 0.05, risk=1, lasting=False),
    _held(known("depression", "F32.A"), 0.07),
    _held(known("thyroid_disease", "E03.9"), 0.06),
    _held(known("type_1_diabetes", "E10.9"), 0.005, (5, 120)),
    _held(known("atrophic_gastritis", "84568007"), 0.004, risk=2),
    _held(known("coeliac_disease", "K90.0"), 0.006, risk=1),
    _held(known("crohn_disease", "K50.90"), 0.004, risk=1),
    _held(known("chronic_kidney_disease", "433144002"), 0.09, OLD),
    _held(known("macrocytosis", "397073000"), 0.004, risk=3),
    _held(known("gait_disturbance", "22325002"), 0.015, OLD, risk=1),
    _held(known("falls", "R29.6"), 0.04, OLD),
    _held(known("weight_loss", "R63.4"), 0.01, lasting=False),
    _held(known("frailty", "R54"), 0.02, OLD),
    _held(known("sarcopenia", "M62.84"), 0.004, OLD),
    _held(known("muscle_weakness", "M62.81"), 0.02, (50, 120)),
    _held(known("vegan_diet", "24930006"), 0.006, risk=1),
    _held(known("pregnancy", "Z33.1"), 0.04, (18, 42), sex="female", lasting=False),
)  # fmt: skip


def _drug(code: dict[str, Any], share: float, ages: tuple[int, int] = ADULT, **more: Any) -> Held:
    """`dose` is an amount and a unit, once a day; `month` makes it once a month, by injection."""
    amount, unit = more.pop("dose", (1, "tablet"))
    month = more.pop("month", False)
    route = known(*(("route_im", "78421000") if month else ("route_oral", "26643006")))
    dosage = {
        "text": f"{amount} {unit} {'once a month' if month else 'daily'}",
        "timing": {
            "repeat": {"frequency": 1, "period": 1, "periodUnit": "mo" if month else "d"},
        },
        "route": route,
        "doseAndRate": [{"doseQuantity": {"value": amount, "unit": unit}}],
    }
    id_ = f"formulary-{code['coding'][0]['code']}"
    FORMULARY.append(lines.medication(id_, code))
    return Held(
        lines.prescription({"medicationCodeableConcept": code}, dosage),
        share,
        ages,
        by_reference=lines.prescription(
            {"medicationReference": {"reference": f"Medication/{id_}"}}, dosage
        ),
        **more,
    )


FORMULARY: list[str] = []  # lines of Medication resources, one for each drug
DRUGS = (
    _drug(unread(RXNORM, "29046", "lisinopril"), 0.12, (35, 120)),
    _drug(unread(RXNORM, "17767", "amlodipine"), 0.1, (35, 120)),
    _drug(unread(RXNORM, "6918", "metoprolol"), 0.07, (35, 120)),
    _drug(unread(RXNORM, "5487", "hydrochlorothiazide"), 0.06, (35, 120)),
    _drug(unread(RXNORM, "52175", "losartan"), 0.06, (35, 120)),
    _drug(unread(RXNORM, "10582", "levothyroxine"), 0.06),
    _drug(unread(RXNORM, "435", "albuterol"), 0.08, (0, 120)),
    _drug(unread(RXNORM, "36437", "sertraline"), 0.06),
    _drug(unread(RXNORM, "5640", "ibuprofen"), 0.1, still=0.3),
    _drug(unread(RXNORM, "723", "amoxicillin"), 0.08, (0, 120), still=0.1),
    _drug(known("metformin", "861007"), 0.1, (30, 120), dose=(2, "tablet")),
    _drug(known("proton_pump_inhibitor", "198051"), 0.09, dose=(20, "mg")),
    _drug(known("proton_pump_inhibitor", "314200"), 0.045, dose=(40, "mg")),
    _drug(known("h2_antagonist", "4278"), 0.025),
    _drug(known("statin", "83367"), 0.18, (40, 120), dose=(20, "mg")),
    _drug(known("cyanocobalamin", "309593"), 0.018, dose=(1000, "ug")),
    _drug(known("cyanocobalamin", "309594"), 0.012, dose=(1000, "ug"), month=True),
    _drug(known("hydroxocobalamin", "317106"), 0.004, dose=(1000, "ug"), month=True),
    _drug(known("folic_acid", "310410"), 0.02, dose=(1, "mg")),
    _drug(known("systemic_corticosteroid", "8640"), 0.03, still=0.3, dose=(5, "mg")),
    _drug(known("pregabalin", "187832"), 0.01),
    _drug(known("colchicine", "2683"), 0.006, (40, 120)),
    _drug(known("levodopa", "103990"), 0.008, OLD),
)


def _order(code: dict[str, Any], share: float, ages: tuple[int, int] = ADULT) -> Held:
    return Held(lines.order(code), share, ages, still=0.3)


def _procedure(
    code: dict[str, Any], share: float, ages: tuple[int, int] = ADULT, **more: Any
) -> Held:
    return Held(lines.procedure(code), share, ages, **more)


ORDERS = (
    _order(known("order_cbc", "58410-2"), 0.06),
    _order(known("total_b12", "2132-9"), 0.01),
    _order(known("methylmalonic_acid", "13964-2"), 0.002),
    _order({"text": "Chest radiograph, two views"}, 0.06),
)
PROCEDURES = (
    _procedure({"text": "Influenza immunization given"}, 0.08, (0, 120)),
    _procedure({"text": "Colonoscopy with biopsy"}, 0.04, (45, 120)),
    _procedure(known("bariatric_surgery", "173747005"), 0.004),
    _procedure(known("ileal_resection", "307193005"), 0.0015),
    _procedure(known("b12_injection", "308752009"), 0.006),
)
VISITS = (
    *(lines.encounter("AMB", "Office visit"),) * 8,
    lines.encounter("EMER", "Emergency visit"),
    lines.encounter("IMP", "Inpatient stay"),
)
