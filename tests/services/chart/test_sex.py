"""Which sex's limits apply: stated for clinical use, else recorded, else gender; never a default."""

import pytest
from patients import TODAY, known, patient

from services.chart.reader import read_chart

BASE = "http://hl7.org/fhir/StructureDefinition/"
CLINICAL = "http://terminology.hl7.org/CodeSystem/sex-parameter-for-clinical-use"
GENDER = "http://hl7.org/fhir/administrative-gender"


def stated(name, system, code, **more):
    value = {"url": "value", "valueCodeableConcept": {"coding": [{"system": system, "code": code}]}}
    parts = [value, *({"url": url, "valuePeriod": held} for url, held in more.items())]
    return {"url": f"{BASE}{name}", "extension": parts}


def clinical(code, **more):
    return stated("patient-sexParameterForClinicalUse", CLINICAL, code, **more)


def recorded(code, **more):
    return stated("individual-recordedSexOrGender", GENDER, code, **more)


@pytest.mark.parametrize(
    ("gender", "extensions", "sex"),
    [
        ("female", [], "female"),
        ("male", [], "male"),
        ("other", [], None),
        ("unknown", [], None),
        (None, [], None),
        ("female", [clinical("male-typical")], "male"),
        ("male", [clinical("female-typical"), recorded("male")], "female"),
        ("male", [recorded("female")], "female"),
        ("female", [clinical("specified")], None),
        ("female", [clinical("unknown")], None),
        ("female", [clinical("male-typical"), clinical("female-typical")], None),
        ("female", [recorded("male"), recorded("female")], None),
        ("female", [recorded("other")], None),
        ("female", [recorded("unknown")], None),
        ("female", [recorded("male"), recorded("other")], None),
        ("female", [recorded("X")], "female"),  # no code of that system
        ("female", [clinical("X")], None),
        ("female", [clinical("male-typical", period={"end": "2020-01-01"})], "female"),
        ("female", [clinical("male-typical", period={"start": "2020-01-01"})], "male"),
        ("female", [clinical("male-typical", period={"start": "2030-01-01"})], "female"),
        ("female", [recorded("male", effectivePeriod={"end": "2020-01-01"})], "female"),
        ("female", [{"url": f"{BASE}patient-sexParameterForClinicalUse"}], "female"),
        ("female", [{**clinical("male-typical"), "extension": [{"url": ["value"]}]}], "female"),
        ("female", ["not an extension", {"url": "https://other.example"}], "female"),
    ],
)
def test_the_first_statement_decides(gender, extensions, sex):
    resource = {**patient(), "gender": gender, "extension": extensions}
    assert read_chart([resource], "1", known().chart_knowledge, today=TODAY).sex == sex
