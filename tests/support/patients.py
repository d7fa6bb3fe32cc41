"""Patients in one line, turned into the FHIR that an EHR would send.

    b12 212 ng/L; mma 0.61 umol/L; egfr 75; +paraesthesia; rx metformin since 2019-01-01

Each part is a result (`name value unit [@day]`, `<` and `>` before the value), a condition on
record (`+value_set`, `-value_set` for a resolved one), or a drug (`rx`, `was` or `draft`, then the
value set, and `since`, `until`, `dose ug/d`, `route`). Codes come from the value sets.

Muscle: `grip_right 14 kg`, `asmi 5.2 by DXA`, `walk 6 s over 4 m`, `unable chair`, `sarcf 5`, and
`answers 1 2 - 0 1` for the questions of SARC-F, `-` for one not answered.

Orders: `order total_b12` is drafted in the session, `pending total_b12` is on its way.
"""

import re
from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import Any

from cds_hooks.protocol.cards import Card
from mappings.terminology.value_set import ValueSetIndex
from mappings.terminology.value_set_file import load_value_sets
from services.cards.composer import CardComposer
from services.chart.model import Chart
from services.chart.reader import read_chart
from services.evaluation import evaluate
from services.evaluation.order_session import OrderSession
from services.hooks.topics import TOPICS
from services.knowledge.site import SiteKnowledge, load_knowledge
from services.vitamin_b12.assess import assess

TODAY = date(2026, 11, 20)
UCUM = "http://unitsofmeasure.org"
NAMES = {
    "b12": ("total_b12", "ng/L"),
    "active": ("active_b12", "pmol/L"),
    "mma": ("methylmalonic_acid", "umol/L"),
    "hcy": ("homocysteine", "umol/L"),
    "egfr": ("egfr", "mL/min/{1.73_m2}"),
    "hb": ("hemoglobin", "g/L"),
    "mcv": ("mcv", "fL"),
    "folate": ("folate_serum", "ug/L"),
    "k": ("potassium", "mmol/L"),
    "grip": ("grip_strength", "kg"),
    "grip_right": ("grip_strength", "kg"),
    "grip_left": ("grip_strength", "kg"),
    "grip_sum": ("grip_strength_combined", "kg"),
    "grip_score": ("grip_score", "{score}"),
    "chair": ("chair_stand_5x", "s"),
    "gait": ("gait_speed", "m/s"),
    "walk": ("walk_time", "s"),
    "sppb": ("sppb", "{score}"),
    "tug": ("tug", "s"),
    "walk400": ("walk_400m", "s"),
    "asm": ("asm", "kg"),
    "asmi": ("asm_height2", "kg/m2"),
    "lean": ("total_lean_mass", "kg"),
    "calf": ("calf_circumference", "cm"),
    "sarcf": ("sarc_f", "{score}"),
    "sarccalf": ("sarc_calf", "{score}"),
    "height": ("height", "cm"),
    "weight": ("weight", "kg"),
    "bmi": ("bmi", "kg/m2"),
    "ck": ("creatine_kinase", "U/L"),
    "crp": ("c_reactive_protein", "mg/L"),
    "tsh": ("tsh", "m[IU]/L"),
    "vitd": ("vitamin_d", "nmol/L"),
    "fallen": ("falls_12_months", "/a"),
}
QUESTIONS = ("sarc-f-strength", "sarc-f-walking", "sarc-f-rise", "sarc-f-climb", "sarc-f-falls")
MEASURE = "https://cobalamin.example/fhir/CodeSystem/muscle-measure"
ROUTES = {"im": "78421000", "oral": "26643006"}
SUBJECT = {"reference": "Patient/1"}


@cache
def index() -> ValueSetIndex:
    return load_value_sets()


@cache
def known(guideline: str = "uk-ng239", definition: str = "ewgsop2-2019") -> SiteKnowledge:
    return load_knowledge(
        {"b12": {"guideline": guideline}, "sarcopenia": {"definition": definition}}
    )


def coding(value_set: str, side: str | None = None) -> dict[str, str]:
    rows = [r for r in index().rows[value_set] if not r.code.endswith("*")]
    if value_set == "grip_strength":
        rows = [r for r in rows if r.side == side]
    if value_set == "walk_time":
        rows = [r for r in rows if r.system == MEASURE]
    return {"system": rows[0].system, "code": rows[0].code}


def observation(number: int, text: str) -> dict[str, Any]:
    found = re.fullmatch(
        r"(\w+) ([<>]=?)?([\d.]+)(?: (?!by |over |range )([^@\s]\S*))?(?: over (\S+) m)?"
        r"(?: by (.+?))?(?: @(\S+))?(?: range (\S+))?",
        text,
    )
    assert found, text
    name, comparator, value, unit, course, method, day, high = found.groups()
    value_set, usual = NAMES.get(name, (name, ""))
    quantity: dict[str, Any] = {"value": float(value)}
    if unit != "none":
        quantity |= {"unit": unit or usual, "code": unit or usual, "system": UCUM}
    if comparator:
        quantity["comparator"] = comparator
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [coding(value_set, name.partition("_")[2] or None)]},
        "subject": SUBJECT,
        "effectiveDateTime": day or "2026-11-01",
        "valueQuantity": quantity,
    }
    if method:
        resource["method"] = {"text": method}
    if course:
        length = {"value": float(course), "unit": "m", "code": "m", "system": UCUM}
        code = {"coding": [{"system": MEASURE, "code": "walk-distance"}]}
        resource["component"] = [{"code": code, "valueQuantity": length}]
    if high:
        bound = {"value": float(high), "unit": unit or usual}
        resource["referenceRange"] = [{"low" if name in ("hb", "k", "vitd") else "high": bound}]
    return resource


def unable(number: int, text: str) -> dict[str, Any]:
    name, _, day = text.removeprefix("unable ").partition(" @")
    result = observation(number, f"{name} 1 @{day or '2026-11-01'}")
    del result["valueQuantity"]
    answer = {"system": f"{MEASURE}-result", "code": "unable"}
    return {**result, "valueCodeableConcept": {"coding": [answer]}}


def answers(number: int, text: str) -> dict[str, Any]:
    given, _, day = text.removeprefix("answers ").partition(" @")
    return {
        "resourceType": "QuestionnaireResponse",
        "id": f"q{number}",
        "questionnaire": "https://cobalamin.example/fhir/Questionnaire/sarc-f|1.0.0",
        "status": "completed",
        "subject": SUBJECT,
        "authored": day or "2026-11-01",
        "item": [
            {"linkId": link_id, "answer": [{"valueInteger": int(score)}]}
            for link_id, score in zip(QUESTIONS, given.split(), strict=True)
            if score != "-"
        ],
    }


def antibody(number: int, text: str) -> dict[str, Any]:
    name, answer = text.split()
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [coding(name)]},
        "subject": SUBJECT,
        "effectiveDateTime": "2026-11-01",
        "valueString": answer,
    }


def condition(number: int, text: str) -> dict[str, Any]:
    name, _, onset = text[1:].partition(" @")
    active = "active" if text[0] == "+" else "resolved"
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    resource: dict[str, Any] = {
        "resourceType": "Condition",
        "id": f"c{number}",
        "clinicalStatus": {"coding": [{"system": system, "code": active}]},
        "code": {"coding": [coding(name)]},
        "subject": SUBJECT,
    }
    if onset:
        resource["onsetDateTime"] = onset
    return resource


def drug(number: int, text: str) -> dict[str, Any]:
    kind, name, *rest = text.split()
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    status = {"rx": "active", "was": "completed", "draft": "draft"}[kind]
    repeat: dict[str, Any] = {"frequency": 1, "period": 1, "periodUnit": "d"}
    if "until" in options:
        repeat["boundsPeriod"] = {"end": options["until"]}
    dosage: dict[str, Any] = {"timing": {"repeat": repeat}}
    if "dose" in options:
        dose = {"value": float(options["dose"]), "unit": "ug", "code": "ug", "system": UCUM}
        dosage["doseAndRate"] = [{"doseQuantity": dose}]
    if "route" in options:
        route = {"system": "http://snomed.info/sct", "code": ROUTES[options["route"]]}
        dosage["route"] = {"coding": [route]}
    resource: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": f"m{number}",
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"coding": [coding(name)]},
        "subject": SUBJECT,
        "dosageInstruction": [dosage],
    }
    if "since" in options:
        resource["authoredOn"] = options["since"]
    return resource


def order(number: int, text: str) -> dict[str, Any]:
    _, name = text.split()
    return {
        "resourceType": "ServiceRequest",
        "id": f"s{number}",
        "status": "draft",
        "intent": "order",
        "code": {"coding": [coding(name)]},
        "subject": SUBJECT,
    }


def pending(number: int, text: str) -> dict[str, Any]:
    """A test that is on its way already."""
    text, _, day = text.partition(" @")
    return {**order(number, text), "status": "active", "authoredOn": day or "2026-11-18"}


def resources(text: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The resources on record and the drafts of the session."""
    record: list[dict[str, Any]] = []
    drafts: list[dict[str, Any]] = []
    for number, part in enumerate(p.strip() for p in text.split(";") if p.strip()):
        if part[0] in "+-":
            record.append(condition(number, part))
        elif part.split()[0] in ("rx", "was"):
            record.append(drug(number, part))
        elif part.startswith("draft "):
            drafts.append(drug(number, part))
        elif part.startswith("pending "):
            record.append(pending(number, part))
        elif part.startswith("order "):
            drafts.append(order(number, part))
        elif part.startswith("unable "):
            record.append(unable(number, part))
        elif part.startswith("answers "):
            record.append(answers(number, part))
        elif part.split()[0].endswith("antibody"):
            record.append(antibody(number, part))
        else:
            record.append(observation(number, part))
    return record, drafts


def patient(sex: str = "female", born: str | None = "1950-02-01") -> dict[str, Any]:
    resource = {"resourceType": "Patient", "id": "1", "gender": sex, "birthDate": born}
    return {name: value for name, value in resource.items() if value is not None}


def chart(text: str, born: str | None = "1950-02-01", sex: str = "female") -> Chart:
    record, drafts = resources(text)
    return read_chart(
        [patient(sex, born), *record], "1", known().chart_knowledge, today=TODAY, drafts=drafts
    )


def assessed(text: str, guideline: str = "uk-ng239", born: str = "1950-02-01") -> dict[str, Any]:
    """The `b12` member of the assessment."""
    return assess(chart(text, born), known(guideline).b12).as_json()


def muscle(
    text: str,
    definition: str = "ewgsop2-2019",
    born: str | None = "1950-02-01",
    sex: str = "female",
) -> dict[str, Any]:
    """The `sarcopenia` member of the assessment, with tier and differential beside it."""
    found = chart(text, born, sex)
    whole = evaluate.as_json(found, evaluate.evaluate(found, known(definition=definition), TOPICS))
    differential = {one["cause"]: one["pointers"] for one in whole["differential"]}
    return {**whole["sarcopenia"], "tier": whole["tier"], "differential": differential}


def words(assessment: dict[str, Any]) -> set[str]:
    """Next steps and flags together."""
    return {*assessment["nextSteps"], *assessment["flags"]}


def maker(knows: SiteKnowledge) -> CardComposer:
    return CardComposer.from_site(knows, TOPICS, "https://cds.example")


def cards(
    found: Chart,
    knows: SiteKnowledge | None = None,
    encounter: str | None = None,
    drafts: Iterable[dict[str, Any]] = (),
) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    """The cards there is reason to show, whatever was shown before, and what is withheld."""
    knows = knows or known()
    session = OrderSession(
        found,
        evaluate.evaluate(found, knows, TOPICS),
        knows,
        {f"{draft['resourceType']}/{draft['id']}": draft for draft in drafts},
        encounter=encounter,
    )
    candidates, withheld = maker(knows).draft_candidates(session, {})
    return tuple(one.card for one in candidates), withheld
