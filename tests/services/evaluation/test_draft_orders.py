"""Draft orders against patients, through the running service: which card, which suggestion, or
silence.

`session` holds the drafts, all of them selected but those `aside`. Silence is `-`, with the reason
that the log gives. A suggestion that does more than create an order says so: [delete+create].
"""

import pytest
from order_sessions import hook_call, labels, session
from patients import drug, known, order
from tables import cases


def check(service, case, hook):
    drafts, selected = session(case["session"])
    before = len(service.lines())
    cards = service.cards(hook_call(case["on record"], drafts, hook, selected))
    if case["card"] == "-":
        assert cards == []
        [line] = [x for x in service.lines()[before:] if x["event"] == "decision"]
        assert " ".join(line["suppressed"]) == case["says"]
        return
    [card] = cards
    assert card["indicator"] == case["card"]
    assert case["says"] in card["summary"]
    assert " / ".join(labels(card)) == case["suggestions"]


@cases("""
    on record                                                          | session                                            | card     | says                                                                    | suggestions
    -------------------------------------------------------------------+----------------------------------------------------+----------+-------------------------------------------------------------------------+-------------------------------------------------------------------------------------------------------------------------------------
    b12 112                                                            | draft folic_acid dose 5000                         | critical | Do not give folic acid without B12. Vitamin B12 112 ng/L: deficient     | Hydroxocobalamin IM / Or cyanocobalamin 1 mg a day by mouth / Remove folic acid until B12 is given [delete] / Order full blood count
    b12 112                                                            | draft folic_acid dose 400                          | critical | Do not give folic acid without B12. Vitamin B12 112 ng/L: deficient     | Hydroxocobalamin IM / Or cyanocobalamin 1 mg a day by mouth / Remove folic acid until B12 is given [delete] / Order full blood count
    b12 112; +paraesthesia                                             | draft folic_acid dose 5000                         | critical | Do not give folic acid without B12. Vitamin B12 112 ng/L: deficient     | Hydroxocobalamin IM, neurological regimen / Remove folic acid until B12 is given [delete] / Order full blood count / Order folate
    b12 112                                                            | draft folic_acid dose 5000; draft hydroxocobalamin | -        | b12:already-drafted                                                     |
    b12 112; rx hydroxocobalamin since 2026-01-01; +pernicious_anaemia | draft folic_acid dose 5000                         | -        | b12:on-treatment                                                        |
    b12 212                                                            | draft folic_acid dose 5000                         | warning  | Folic acid: settle B12 first. Vitamin B12 212 ng/L is indeterminate     | Order methylmalonic acid
    b12 212                                                            | draft folic_acid dose 400                          | -        | b12:nothing-to-do                                                       |
    b12 212; +vegan_diet                                               | draft folic_acid dose 400                          | warning  | Folic acid: settle B12 first. Vitamin B12 212 ng/L is indeterminate     | Order methylmalonic acid
    b12 212 none                                                       | draft folic_acid dose 5000                         | warning  | Folic acid: settle B12 first. A vitamin B12 result cannot be read as it | Order vitamin B12 level / Order active B12
                                                                       | draft folic_acid dose 5000                         | info     | Folic acid: B12 is not known.                                           | Order vitamin B12 level / Order active B12
                                                                       | draft folic_acid dose 400                          | -        |                                                                         |
                                                                       | draft folic_acid dose 401                          | info     | Folic acid: B12 is not known.                                           | Order vitamin B12 level / Order active B12
                                                                       | draft folic_acid                                   | info     | Folic acid: B12 is not known.                                           | Order vitamin B12 level / Order active B12
    +vegan_diet                                                        | draft folic_acid dose 400                          | warning  | Folic acid: measure B12 first.                                          | Order vitamin B12 level / Order active B12
    mcv 104                                                            | draft folic_acid dose 400                          | warning  | Folic acid: measure B12 first.                                          | Order vitamin B12 level / Order active B12 / Order folate
    mcv 104                                                            | draft folic_acid dose 5000; order total_b12        | -        | b12:already-ordered                                                     |
    +fatigue                                                           | draft folic_acid dose 5000                         | warning  | Folic acid: measure B12 first.                                          | Order vitamin B12 level / Order active B12
    rx antifolate                                                      | draft folic_acid dose 5000                         | -        |                                                                         |
    rx antifolate; +numbness                                           | draft folic_acid dose 5000                         | warning  | Folic acid: measure B12 first.                                          | Order vitamin B12 level / Order active B12
    b12 420                                                            | draft folic_acid dose 5000                         | -        |                                                                         |
    +pregnancy; b12 150                                                | draft folic_acid dose 400                          | info     | Vitamin B12 150 ng/L in pregnancy: total B12 cannot be interpreted,     | Order active B12
    b12 112; rx cyanocobalamin since 2026-01-01 dose 50 route oral | draft folic_acid dose 5000 | critical | Do not give folic acid without B12. | Remove folic acid until B12 is given [delete] / Order full blood count / Order folate / Order intrinsic factor antibody
    b12 112; rx hydroxocobalamin since 2026-11-10 | draft folic_acid dose 5000 | info | Treatment has begun: look for the cause, review. | Order full blood count / Order folate / Order intrinsic factor antibody / Order coeliac serology
    b12 112; rx cyanocobalamin since 2026-01-01 dose 50 route oral | draft folic_acid dose 5000; draft hydroxocobalamin dose 428 route im | - | b12:already-drafted |
""")
def test_folic_acid(service, case):
    check(service, case, "order-select")


@cases("""
    on record                                                          | session             | card     | says                                                                    | suggestions
    -------------------------------------------------------------------+---------------------+----------+-------------------------------------------------------------------------+---------------------------------------------------------------------------------------------------------------------
    b12 112                                                            | draft nitrous_oxide | critical | Avoid nitrous oxide: B12 deficiency is untreated. Vitamin B12 112 ng/L: | Hydroxocobalamin IM / Or cyanocobalamin 1 mg a day by mouth / Remove nitrous oxide [delete] / Order full blood count
    b12 112; +paraesthesia                                             | draft nitrous_oxide | critical | Avoid nitrous oxide: B12 deficiency is untreated. Vitamin B12 112 ng/L: | Hydroxocobalamin IM, neurological regimen / Remove nitrous oxide [delete] / Order full blood count / Order folate
    b12 112; rx hydroxocobalamin since 2026-06-01; +pernicious_anaemia | draft nitrous_oxide | -        | b12:on-treatment                                                        |
    b12 212                                                            | draft nitrous_oxide | warning  | Nitrous oxide: B12 is not settled. Vitamin B12 212 ng/L is              | Order methylmalonic acid
                                                                       | draft nitrous_oxide | info     | Nitrous oxide: B12 is not known.                                        | Order vitamin B12 level / Order active B12
    b12 420                                                            | draft nitrous_oxide | -        |                                                                         |
    b12 112; rx cyanocobalamin since 2026-01-01 dose 50 route oral | draft nitrous_oxide | critical | Avoid nitrous oxide: B12 deficiency is untreated. | Remove nitrous oxide [delete] / Order full blood count / Order folate / Order intrinsic factor antibody
""")
def test_nitrous_oxide(service, case):
    check(service, case, "order-select")


@cases("""
    on record                                  | session                     | card    | says                                                                  | suggestions
    -------------------------------------------+-----------------------------+---------+-----------------------------------------------------------------------+----------------------------------------------------------------------------------------------------
                                               | draft metformin             | -       |                                                                       |
    +fatigue                                   | draft metformin             | info    | Metformin lowers B12: a symptom is on record, B12 is not.             | Order vitamin B12 level
    +numbness; rx metformin since 2019-01-01   | draft metformin             | info    | Metformin lowers B12, and a test is due. No vitamin B12 on file;      | Order vitamin B12 level / Order active B12
    rx metformin since 2019-01-01              | draft metformin             | -       |                                                                       |
    rx metformin since 2019-01-01; +vegan_diet | draft metformin             | info    | Metformin with a further risk factor: consider measuring B12.         | Order vitamin B12 level
    b12 112                                    | draft metformin             | warning | Metformin lowers B12, which is deficient. Vitamin B12 112 ng/L:       | Hydroxocobalamin IM / Or cyanocobalamin 1 mg a day by mouth / Order full blood count / Order folate
    b12 420; +fatigue                          | draft metformin             | -       |                                                                       |
    +fatigue                                   | draft proton_pump_inhibitor | info    | Proton pump inhibitor lowers B12: a symptom is on record, B12 is not. | Order vitamin B12 level
                                               | draft proton_pump_inhibitor | -       |                                                                       |
    +glossitis                                 | draft h2_antagonist         | info    | H2 antagonist lowers B12: a symptom is on record, B12 is not.         | Order vitamin B12 level
    +fatigue                                   | draft colchicine            | info    | Colchicine lowers B12: a symptom is on record, B12 is not.            | Order vitamin B12 level
    +fatigue                                   | draft pregabalin            | info    | Pregabalin lowers B12: a symptom is on record, B12 is not.            | Order vitamin B12 level
    +fatigue; pending total_b12                | draft topiramate            | -       |                                                                       |
                                               | draft phenobarbital         | -       |                                                                       |
""")
def test_medicines_that_lower_b12(service, case):
    check(service, case, "order-select")


@cases("""
    on record                        | session                                                           | card     | says                                                             | suggestions
    ---------------------------------+-------------------------------------------------------------------+----------+------------------------------------------------------------------+-------------------------------------------------------------------------------------------------------------------------
    +leber_optic_neuropathy          | draft cyanocobalamin dose 1000 route im                           | critical | Leber's optic neuropathy: cyanocobalamin is contraindicated. Use | Replace by hydroxocobalamin IM [delete+create]
    +leber_optic_neuropathy; b12 112 | draft cyanocobalamin dose 1000 route oral                         | critical | Leber's optic neuropathy: cyanocobalamin is contraindicated. Use | Replace by hydroxocobalamin IM [delete+create] / Order full blood count / Order folate / Order intrinsic factor antibody
    +leber_optic_neuropathy; b12 112 | draft cyanocobalamin dose 1000 route oral; draft hydroxocobalamin | critical | Leber's optic neuropathy: cyanocobalamin is contraindicated. Use | Remove cyanocobalamin [delete]
    +leber_optic_neuropathy; b12 112 | draft hydroxocobalamin                                            | -        | b12:already-drafted                                              |
""")
def test_cyanocobalamin_in_lebers(service, case):
    check(service, case, "order-select")


@cases("""
    on record                    | session                                   | card    | says                                                                  | suggestions
    -----------------------------+-------------------------------------------+---------+-----------------------------------------------------------------------+-----------------------------------------------------------------------------------------------------------------------------------------------
    b12 112; +paraesthesia       | draft cyanocobalamin dose 50 route oral   | warning | Neurological findings: oral B12 does not suffice. Give B12 by         | Replace by hydroxocobalamin IM, neurological regimen [delete+create] / Order full blood count / Order folate / Order intrinsic factor antibody
    b12 112; +paraesthesia       | draft cyanocobalamin dose 1000 route oral | warning | Neurological findings: oral B12 does not suffice. Give B12 by         | Replace by hydroxocobalamin IM, neurological regimen [delete+create] / Order full blood count / Order folate / Order intrinsic factor antibody
    b12 112; +bariatric_surgery  | draft cyanocobalamin dose 50 route oral   | warning | This oral B12 dose does not suffice in malabsorption. Vitamin B12 112 | Change to cyanocobalamin 1 mg a day by mouth [update] / Order full blood count / Order folate
    b12 112; +bariatric_surgery  | draft cyanocobalamin dose 1000 route oral | -       | b12:already-drafted                                                   |
    b12 112; +pernicious_anaemia | draft cyanocobalamin dose 100 route oral  | warning | This oral B12 dose does not suffice in malabsorption. Vitamin B12 112 | Replace by hydroxocobalamin IM [delete+create] / Order full blood count / Order folate
    +pernicious_anaemia          | draft cyanocobalamin dose 50 route oral   | warning | This oral B12 dose does not suffice in malabsorption.                 | Replace by hydroxocobalamin IM [delete+create] / Order vitamin B12 level / Order active B12
    b12 112                      | draft cyanocobalamin dose 50 route oral   | warning | This oral B12 dose suits dietary lack only. Vitamin B12 112 ng/L:     | Change to cyanocobalamin 1 mg a day by mouth [update] / Order full blood count / Order folate / Order intrinsic factor antibody
    b12 112; +vegan_diet         | draft cyanocobalamin dose 50 route oral   | -       | b12:already-drafted                                                   |
    b12 112; +ataxia             | draft hydroxocobalamin dose 16 route im   | warning | Neurological findings: use the neurological B12 regimen.              | Change to hydroxocobalamin IM, neurological regimen [update]
    b12 112; +ataxia             | draft hydroxocobalamin dose 500 route im  | -       | b12:already-drafted                                                   |
    b12 112                      | draft hydroxocobalamin dose 16 route im   | -       | b12:already-drafted                                                   |
""")
def test_dose_and_regimen(service, case):
    check(service, case, "order-select")


@cases("""
    on record                                                 | session                                              | card | says                                                                   | suggestions
    ----------------------------------------------------------+------------------------------------------------------+------+------------------------------------------------------------------------+---------------------------------------------------------------------------------
    rx hydroxocobalamin since 2026-01-01; +pernicious_anaemia | order total_b12                                      | info | A B12 level under injections does not show need. Consider cancelling   | Cancel the test: Vitamin B12 [delete]
    rx hydroxocobalamin since 2026-01-01; +pernicious_anaemia | order methylmalonic_acid                             | -    | b12:on-treatment                                                       |
    pending total_b12                                         | order total_b12                                      | info | Vitamin B12 is ordered already.                                        | Cancel the second order: Vitamin B12 [delete]
    pending total_b12 @2026-01-01 | order total_b12 | - | |
                                                              | order total_b12                                      | -    |                                                                        |
                                                              | order total_b12; order total_b12                     | info | Vitamin B12 is ordered already.                                        | Cancel the second order: Vitamin B12 [delete]
    b12 212; +fatigue; pending methylmalonic_acid             | order methylmalonic_acid                             | info | Methylmalonic acid is ordered already. Vitamin B12 212 ng/L is         | Cancel the second order: Methylmalonic acid [delete] / Order creatinine and eGFR
    b12 212; +fatigue; egfr 80                                | order methylmalonic_acid                             | -    | b12:already-ordered                                                    |
    b12 212; +fatigue                                         | order total_b12                                      | info | Vitamin B12 212 ng/L is indeterminate (180 to 350 ng/L): methylmalonic | Order methylmalonic acid / Order creatinine and eGFR
    mcv 104                                                   | order order_cbc                                      | info | Blood count for macrocytosis: add B12 and folate. No vitamin B12 on    | Order vitamin B12 level / Order active B12 / Order folate
    mcv 104                                                   | order order_cbc; order total_b12; order folate_serum | -    | b12:already-ordered                                                    |
    +peripheral_neuropathy                                    | order order_cbc                                      | info | Blood count for peripheral neuropathy: add B12 and folate.             | Order vitamin B12 level / Order folate
    +peripheral_neuropathy; b12 420                           | order order_cbc                                      | -    |                                                                        |
                                                              | order order_cbc                                      | -    |                                                                        |
""")
def test_tests_and_blood_counts(service, case):
    check(service, case, "order-select")


@cases("""
    on record                                                 | session                       | card    | says                                                                    | suggestions
    ----------------------------------------------------------+-------------------------------+---------+-------------------------------------------------------------------------+----------------------------------------------------------------------------------------------------------------------------
    rx hydroxocobalamin since 2026-06-01; +pernicious_anaemia | draft chloramphenicol         | info    | Chloramphenicol may blunt the blood's response to B12.                  |
    rx chloramphenicol; b12 112                               | draft hydroxocobalamin        | info    | Chloramphenicol may blunt the blood's response to B12.                  |
                                                              | draft chloramphenicol         | -       |                                                                         |
    +muscle_weakness                                          | draft systemic_corticosteroid | info    | Weak muscle: systemic steroids can add to it. Muscle weakness on        | Have SARC-F answered
                                                              | draft systemic_corticosteroid | -       |                                                                         |
    +muscle_weakness                                          | draft statin                  | info    | Weak muscle: measure creatine kinase before the statin. Muscle weakness | Order creatine kinase / Have SARC-F answered
    +muscle_weakness; ck 90 range 170                         | draft statin                  | info    | Muscle weakness on record, muscle strength not known: ask SARC-F or     | Have SARC-F answered
    grip 14                                                   | draft statin                  | warning | Weak muscle: measure creatine kinase before the statin. Grip strength   | Refer to physiotherapy / Order creatine kinase, TSH, 25-OH vitamin D, C-reactive protein / Measure muscle mass (DXA or BIA)
    grip 14                                                   | draft systemic_corticosteroid | warning | Weak muscle: systemic steroids can add to it. Grip strength 14 kg       | Refer to physiotherapy / Order creatine kinase, TSH, 25-OH vitamin D, C-reactive protein / Measure muscle mass (DXA or BIA)
""")
def test_other_medicines(service, case):
    check(service, case, "order-select")


@cases("""
    on record                   | session                                                  | card     | says                                                                   | suggestions
    ----------------------------+----------------------------------------------------------+----------+------------------------------------------------------------------------+--------------------------------------------------------------------------------------------------------------------
    b12 112                     | order height                                             | -        | b12:not-about-these-orders                                             |
    b12 112; +myelopathy        | order height                                             | critical | Vitamin B12 112 ng/L: deficient (below 180 ng/L). Spinal cord or brain | Hydroxocobalamin IM, neurological regimen / Order full blood count / Order folate / Order intrinsic factor antibody
    b12 112                     | draft statin                                             | -        | b12:not-about-these-orders                                             |
    b12 212                     | aside draft folic_acid dose 5000; draft statin           | -        | b12:nothing-to-do                                                      |
    b12 112                     | aside draft hydroxocobalamin; draft folic_acid dose 5000 | -        | b12:already-drafted                                                    |
    b12 112; +bariatric_surgery | draft cyanocobalamin dose 500 route oral                 | warning  | This oral B12 dose does not suffice in malabsorption. Vitamin B12 112  | Change to cyanocobalamin 1 mg a day by mouth [update] / Order full blood count / Order folate
    b12 212; +fatigue; egfr 40  | draft folic_acid dose 5000                               | warning  | Folic acid: settle B12 first. Vitamin B12 212 ng/L is indeterminate    | Order active B12
    b12 112                     | draft hydroxocobalamin; draft nitrous_oxide              | critical | Avoid nitrous oxide: B12 deficiency is untreated.                      | Remove nitrous oxide [delete]
""")
def test_what_only_stands_beside(service, case):
    check(service, case, "order-select")


@cases("""
    on record                                                     | session                                        | card     | says                                                   | suggestions
    --------------------------------------------------------------+------------------------------------------------+----------+--------------------------------------------------------+------------------------------------------------
    b12 112                                                       | draft hydroxocobalamin dose 428 route im       | info     | Still open: intrinsic factor antibody, coeliac serology | Order intrinsic factor antibody, coeliac serology
    b12 112; +coeliac_disease; intrinsic_factor_antibody negative | draft hydroxocobalamin dose 428 route im       | -        | b12:already-drafted                                    |
    b12 112; hb 70                                                | draft hydroxocobalamin dose 428 route im       | info     | Still open: potassium, intrinsic factor antibody       | Order potassium, intrinsic factor antibody, coeliac serology
    b12 112; +paraesthesia                                        | draft hydroxocobalamin dose 428 route im       | warning  | use the neurological B12 regimen                       | Change to hydroxocobalamin IM, neurological regimen [update] / Order intrinsic factor antibody, coeliac serology
    b12 112                                                       | draft folic_acid dose 5000; draft hydroxocobalamin; order intrinsic_factor_antibody; order ttg_iga | - | b12:already-drafted |
    b12 112                                                       | order height                                   | warning  | Vitamin B12 112 ng/L: deficient                        | Hydroxocobalamin IM / Or cyanocobalamin 1 mg a day by mouth / Order full blood count / Order folate
    b12 212; +fatigue                                             | order height                                   | -        | b12:not-about-these-orders                             |
    b12 212; +fatigue                                             | order methylmalonic_acid; order creatinine     | -        | b12:already-ordered                                    |
    b12 112; grip 14                                              | draft folic_acid dose 5000; draft statin       | critical | Do not give folic acid without B12.                    | Hydroxocobalamin IM / Or cyanocobalamin 1 mg a day by mouth / Remove folic acid until B12 is given [delete] / Order full blood count / Refer to physiotherapy
    +leber_optic_neuropathy                                       | draft cyanocobalamin dose 1000 route im; draft folic_acid dose 5000 | critical | cyanocobalamin is contraindicated | Replace by hydroxocobalamin IM [delete+create] / Order vitamin B12 level / Order active B12
""")
def test_all_that_is_about_to_be_signed(service, case):
    check(service, case, "order-sign")


def test_an_order_revised_is_no_second_order(service):
    """Re-signing: the order is in the record and in the session under one id."""
    call = hook_call("", [order(7, "order total_b12")], "order-sign")
    [draft] = call["context"]["draftOrders"]["entry"]
    revised = {**draft["resource"], "status": "active", "priority": "urgent"}
    draft["resource"] = revised
    call["prefetch"]["service_requests"] = {
        "resourceType": "Bundle",
        "entry": [{"resource": revised}],
    }
    assert service.cards(call) == []


def test_a_revised_drug_is_judged_like_a_new_one(service):
    draft = {**drug(7, "draft folic_acid dose 5000"), "status": "active"}
    [card] = service.cards(hook_call("b12 112", [draft], "order-sign"))
    assert card["indicator"] == "critical"


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "stopped"])
def test_a_withdrawn_draft_is_nobodys_order(service, status):
    draft = {**drug(7, "draft folic_acid dose 5000"), "status": status}
    assert service.cards(hook_call("", [draft], "order-sign")) == []


def test_a_change_keeps_what_the_ehr_put_into_the_draft(service):
    draft = drug(7, "draft cyanocobalamin dose 50 route oral") | {
        "extension": [{"url": "https://ehr.example/own", "valueString": "kept"}],
        "com.vendor": {"unknown": [1, 2]},
        "encounter": {"reference": "Encounter/7"},
        "dispenseRequest": {"numberOfRepeatsAllowed": 3},
    }
    call = hook_call("b12 112; +bariatric_surgery", [draft], selected=["MedicationRequest/m7"])
    [card] = service.cards(call)
    [action] = card["suggestions"][0]["actions"]
    sent = call["context"]["draftOrders"]["entry"][0]["resource"]
    changed = action["resource"]
    assert action["type"] == "update"
    differing = {k for k in {*sent, *changed} if sent.get(k) != changed.get(k)}
    assert differing == {"medicationCodeableConcept", "dosageInstruction"}
    assert changed["dosageInstruction"][0]["doseAndRate"][0]["doseRange"]["low"]["value"] == 1


def test_a_removal_names_the_draft_and_carries_no_resource(service):
    drafts, selected = session("draft cyanocobalamin dose 1000 route im")
    [card] = service.cards(hook_call("+leber_optic_neuropathy", drafts, selected=selected))
    remove, create = card["suggestions"][0]["actions"]
    assert remove["resourceId"] == "MedicationRequest/m50"
    assert "resource" not in remove
    assert create["resource"]["reasonReference"][0]["reference"].startswith("Condition/")
    assert create["resource"]["reasonCode"] == [
        {"text": "Cyanocobalamin in Leber's optic neuropathy"}
    ]


def test_a_draft_without_an_id_is_not_removed_but_still_judged(service):
    draft = drug(7, "draft folic_acid dose 5000")
    del draft["id"]
    [card] = service.cards(hook_call("b12 112", [draft], "order-sign"))
    assert card["indicator"] == "critical"
    assert not any("Remove" in label for label in labels(card))


SELECTIONS = {
    "relative": ["MedicationRequest/m7"],
    "absolute": ["https://ehr.example/fhir/MedicationRequest/m7"],
    "versioned": ["MedicationRequest/m7/_history/2"],
    "id alone": ["m7"],
    "Reference": [{"reference": "MedicationRequest/m7"}],
    "one text": "MedicationRequest/m7",
    "naming no draft": ["MedicationRequest/elsewhere"],  # a client's fault silences nobody
}


@pytest.mark.parametrize("selections", SELECTIONS.values(), ids=SELECTIONS.keys())
def test_selections_in_every_shape(service, selections):
    drafts = [drug(7, "draft folic_acid dose 5000"), order(8, "order height")]
    call = hook_call("b12 112", drafts)
    call["context"]["selections"] = selections
    [card] = service.cards(call)
    assert "folic acid" in card["summary"]


def test_a_draft_known_by_the_url_of_its_entry(service):
    draft = drug(7, "draft folic_acid dose 5000")
    del draft["id"]
    call = hook_call("b12 112", [draft, order(8, "order height")])
    url = "urn:uuid:0b3c1b1e-7c60-4f6f-9a55-1f2a9b3f1e11"
    call["context"]["draftOrders"]["entry"][0]["fullUrl"] = url
    call["context"]["selections"] = [url]
    [card] = service.cards(call)
    assert "folic acid" in card["summary"]


@pytest.mark.parametrize("selections", [[], ["ServiceRequest/s8"]])
def test_what_is_not_selected_does_not_speak(service, selections):
    drafts = [drug(7, "draft folic_acid dose 5000"), order(8, "order height")]
    assert service.cards(hook_call("b12 112", drafts, selected=selections)) == []


@cases("""
    guideline   | order                            | by its first dosage       | micrograms a day
    ------------+----------------------------------+---------------------------+-----------------
    uk-ng239    | hydroxocobalamin_im_neurological | 1 mg on alternate days    | 500
    uk-ng239    | hydroxocobalamin_im_standard     | 1 mg three times a week   | 428.6
    uk-ng239    | cyanocobalamin_oral_high_dose    | 1 mg a day                | 1000
    us-aafp2025 | cyanocobalamin_im                | 1000 micrograms a day     | 1000
    us-aafp2025 | order_mma                        |                           | unknown
""")
def test_an_order_has_its_daily_dose_as_a_number(case):
    """What the rule about regimens compares drafts with; it reads no FHIR."""
    dose = known(case["guideline"]).templates.by_id[case["order"]].ug_per_day
    assert ("unknown" if dose is None else f"{dose:.4g}") == case["micrograms a day"]
