"""The card a clinician reads: few, right, short, and its basis open."""

import re

import pytest
from patients import TODAY, chart, known, resources
from patients import cards as cards_of
from tables import cases

from cds_hooks.protocol.cards import as_json
from services.assessment.b12_steps import B12Step
from services.assessment.labels import get_sentence


def made(text, guideline="uk-ng239", **options):
    knows = known(guideline)
    found = chart(text, **options)
    cards, withheld = cards_of(found, knows, "7", resources(text)[1])
    return [as_json(card) for card in cards], withheld


@cases("""
    patient                                              | indicator | summary has
    -----------------------------------------------------+-----------+--------------------------------------
    b12 112                                              | warning   | Vitamin B12 112 ng/L: deficient (below 180 ng/L)
    b12 112; +paraesthesia                               | warning   | Neurological findings: treat without waiting
    b12 112; +myelopathy                                 | critical  | treat today
    b12 112; draft folic_acid                            | critical  | Do not give folic acid without B12
    b12 212                                              | info      | indeterminate (180 to 350 ng/L)
    b12 212; +fatigue                                    | info      | methylmalonic acid can resolve it
    b12 212; +ataxia                                     | warning   | without delaying treatment
    b12 212; mma 0.61; egfr 78                           | warning   | Functional B12 deficiency
    b12 212; mma 0.61; egfr 40                           | info      | proves nothing with impaired kidneys
    +paraesthesia; rx metformin                          | info      | No vitamin B12 on file
    +ataxia; +numbness                                   | warning   | take blood, then treat
    b12 212 none                                         | info      | cannot be read
    b12 1200                                             | info      | check supplements first
    +nitrous_oxide; b12 400; +numbness                   | warning   | does not reassure after nitrous oxide
    +pregnancy; b12 150                                  | info      | measure active B12
    b12 400; intrinsic_factor_antibody positive          | info      | falsely normal
    rx hydroxocobalamin since 2026-01-01; order total_b12 | info     | Consider cancelling the test
""")
def test_the_summary_says_the_finding_with_its_value(case):
    [card], _ = made(case["patient"])
    assert card["indicator"] == case["indicator"]
    assert case["summary has"] in card["summary"]
    assert len(card["summary"]) <= 139


@cases("""
    patient                              | withheld
    -------------------------------------+--------------------
    +fatigue                             |
    b12 400                              |
    b12 400; +fatigue                    |
    rx hydroxocobalamin since 2026-01-01 | b12:on-treatment
    b12 112; draft hydroxocobalamin; +coeliac_disease; intrinsic_factor_antibody negative | b12:already-drafted
    +fatigue; rx metformin; order total_b12 | b12:already-ordered
    +fatigue; rx metformin; pending total_b12 | b12:already-ordered
    +fatigue; rx metformin; pending total_b12 @2026-09-21 | b12:already-ordered
""")
def test_silence_where_there_is_nothing_to_say(case):
    cards, withheld = made(case["patient"])
    assert cards == []
    assert withheld == ((case["withheld"],) if case["withheld"] else ())


def test_children_get_no_card():
    assert made("b12 112", born="2015-01-01") == ([], ())


@cases("""
    patient                                   | suggestions
    ------------------------------------------+------------------------------------------------------
    b12 112; +paraesthesia; hb 130; folate 9  | Hydroxocobalamin IM, neurological regimen / Order intrinsic factor antibody / Order coeliac serology
    b12 112; +vegan_diet; hb 130; folate 9    | Cyanocobalamin 50 to 150 micrograms a day / Or hydroxocobalamin IM twice a year
    b12 112; +vegan_diet; +leber_optic_neuropathy; hb 130; folate 9 | Hydroxocobalamin IM
    b12 212; +fatigue; egfr 90                | Order methylmalonic acid
    b12 212; +fatigue                         | Order methylmalonic acid / Order creatinine and eGFR
    b12 212; +fatigue; order methylmalonic_acid | Order creatinine and eGFR
    +fatigue; rx metformin                    | Order vitamin B12 level / Order active B12
    +fatigue; rx metformin; pending total_b12 @2026-09-20 | Order vitamin B12 level / Order active B12
    +pregnancy; b12 150                       | Order active B12
    b12 112; rx cyanocobalamin dose 50 route oral; hb 130; folate 9 | Order intrinsic factor antibody / Order coeliac serology
""")
def test_suggestions_fit_and_repeat_nothing(case):
    [card], _ = made(case["patient"])
    labels = [suggestion["label"] for suggestion in card.get("suggestions", [])]
    assert labels == [label for label in case["suggestions"].split(" / ") if label]


def test_no_cyanocobalamin_is_offered_in_lebers_under_any_guideline():
    for guideline in ("uk-ng239", "us-aafp2025", "us-aafp2017", "bsh2014", "who"):
        for cause in ("", "; +vegan_diet", "; +bariatric_surgery", "; +paraesthesia", "; hb 70"):
            [card], _ = made(f"b12 112; +leber_optic_neuropathy{cause}", guideline)
            orders = str(card["suggestions"]).lower()
            assert "hydroxocobalamin" in orders
            assert "cyanocobalamin" not in orders
            for line in card["detail"].splitlines():
                if "cyanocobalamin" in line:
                    assert "contraindicated" in line or "never" in line


def test_severe_anaemia_is_treated_by_injection_in_the_us():
    [card], _ = made("b12 112; hb 74; +vegan_diet", "us-aafp2025")
    assert card["suggestions"][0]["label"] == "Cyanocobalamin 1000 mcg IM"
    assert "urgent haematology advice" in card["detail"]


def test_low_potassium_is_named_before_treatment_begins():
    [card], _ = made("b12 112; k 3.1; hb 74")
    assert "| Potassium low | 3.1 mmol/L |" in card["detail"]
    assert get_sentence(B12Step, B12Step.CORRECT_HYPOKALAEMIA) in card["detail"]


def test_nothing_is_offered_against_a_cobalamin_allergy():
    from patients import SUBJECT, coding, patient, resources

    from services.chart.reader import read_chart

    record, _ = resources("b12 112")
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "a",
        "patient": SUBJECT,
        "code": {"coding": [coding("cyanocobalamin")]},
    }
    found = read_chart([patient(), *record, allergy], "1", known().chart_knowledge, today=TODAY)
    [card], _ = cards_of(found)
    drafts = [a.resource for s in card.suggestions for a in s.actions]
    assert {d["resourceType"] for d in drafts if d} == {"ServiceRequest"}
    assert "Allergy to a cobalamin" in str(card.detail)


def test_orders_are_drafts_for_this_patient_with_their_reason():
    [card], _ = made("b12 112; +paraesthesia")
    [action] = card["suggestions"][0]["actions"]
    order = action["resource"]
    assert (order["status"], order["intent"]) == ("draft", "proposal")
    assert order["subject"] == {"reference": "Patient/1"}
    assert order["encounter"] == {"reference": "Encounter/7"}
    assert order["reasonReference"] == [{"reference": "Observation/o0"}]


@pytest.mark.parametrize("guideline", ["uk-ng239", "us-aafp2025", "us-aafp2017", "bsh2014", "who"])
def test_every_order_and_card_is_valid_r4(guideline):
    from fhir.resources.R4B import get_fhir_model_class

    for text in ("b12 112", "b12 112; +ataxia", "b12 112; +vegan_diet", "b12 112; hb 75; k 3"):
        [card], _ = made(text, guideline)
        for suggestion in card["suggestions"]:
            for action in suggestion["actions"]:
                kind = get_fhir_model_class(action["resource"]["resourceType"])
                kind.model_validate(action["resource"])


def test_the_basis_is_open_to_judgement():
    [card], _ = made("b12 112; +paraesthesia; rx metformin since 2017-05-02")
    detail = card["detail"]
    for part in (
        "| Vitamin B12 deficient | 112 ng/L | 1 Nov 2026 | below 180 ng/L |",
        "NG239",
        "uk-ng239 version 1.0.0",
        "recommendation 1.3.9",
        "BNF",
        "secondary copies",
    ):
        assert part in detail
    assert not re.search(r"<[a-zA-Z/]", detail)
    links = {link["url"] for link in card["links"]}
    assert links == {
        "https://cds.example/evidence/uk-ng239",
        "https://www.nice.org.uk/guidance/ng239",
    }


def test_americans_read_their_own_units():
    [card], _ = made("b12 112 pg/mL", "us-aafp2025")
    assert "112 pg/mL: deficient (below 180 pg/mL)" in card["summary"]
    assert "ng/L" not in card["summary"]


def test_what_could_not_be_checked_is_said():
    from patients import patient, resources

    from services.chart.reader import read_chart

    record, _ = resources("b12 212")
    found = read_chart(
        [patient(), *record],
        "1",
        known().chart_knowledge,
        today=TODAY,
        unknown=["conditions", "medications"],
        incomplete=["observations"],
    )
    [card], _ = cards_of(found)
    assert "Could not be checked: problem list, prescriptions." in str(card.detail)
    assert "Only a part was available: results." in str(card.detail)
