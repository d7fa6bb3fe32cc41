"""Every rule as a table: just below, at, just above each limit; each modifier; each unknown."""

from patients import assessed, words
from tables import cases


@cases("""
    guideline   | result              | category
    ------------+---------------------+----------------
    uk-ng239    | b12 179 ng/L        | deficient
    uk-ng239    | b12 179.9 ng/L      | deficient
    uk-ng239    | b12 180 ng/L        | indeterminate
    uk-ng239    | b12 350 ng/L        | indeterminate
    uk-ng239    | b12 350.1 ng/L      | unlikely
    uk-ng239    | b12 351 ng/L        | unlikely
    uk-ng239    | b12 1000 ng/L       | unlikely
    uk-ng239    | b12 1001 ng/L       | high-b12
    uk-ng239    | b12 179 pg/mL       | deficient
    uk-ng239    | b12 180 pg/mL       | indeterminate
    uk-ng239    | b12 0.179 ng/mL     | deficient
    uk-ng239    | b12 0.18 ng/mL      | indeterminate
    uk-ng239    | b12 132 pmol/L      | deficient
    uk-ng239    | b12 132.9 pmol/L    | deficient
    uk-ng239    | b12 133 pmol/L      | indeterminate
    uk-ng239    | b12 258 pmol/L      | indeterminate
    uk-ng239    | b12 259 pmol/L      | unlikely
    uk-ng239    | active 24.9 pmol/L  | deficient
    uk-ng239    | active 25 pmol/L    | indeterminate
    uk-ng239    | active 70 pmol/L    | indeterminate
    uk-ng239    | active 70.1 pmol/L  | unlikely
    us-aafp2025 | b12 179 pg/mL       | deficient
    us-aafp2025 | b12 180 pg/mL       | indeterminate
    us-aafp2025 | b12 350 pg/mL       | indeterminate
    us-aafp2025 | b12 351 pg/mL       | unlikely
    us-aafp2025 | b12 1001 pg/mL      | high-b12
    us-aafp2017 | b12 149 pg/mL       | deficient
    us-aafp2017 | b12 150 pg/mL       | indeterminate
    us-aafp2017 | b12 399 pg/mL       | indeterminate
    us-aafp2017 | b12 400 pg/mL       | unlikely
    us-aafp2017 | b12 120 pmol/L      | insufficient-data
    bsh2014     | b12 199 ng/L        | deficient
    bsh2014     | b12 200 ng/L        | unlikely
    bsh2014     | b12 147 pmol/L      | deficient
    bsh2014     | b12 148 pmol/L      | unlikely
    who         | b12 149 pmol/L      | deficient
    who         | b12 150 pmol/L      | unlikely
    who         | b12 221 pmol/L      | unlikely
    who         | b12 222 pmol/L      | unlikely
    who         | b12 202 ng/L        | deficient
    who         | b12 203 ng/L        | unlikely
""")
def test_bands_of_the_first_line_test(case):
    """Rules R1 to R3: compared in the unit reported, at each edge."""
    assert assessed(case["result"], case["guideline"])["category"] == case["category"]


@cases("""
    mass  | moles | category
    ------+-------+----------
    150   | 111   | deficient
    202   | 149   | deficient
    203   | 150   | unlikely
    210   | 155   | unlikely
    299   | 221   | unlikely
    301   | 222   | unlikely
""")
def test_who_has_one_limit_whatever_the_unit(case):
    """150 pmol/L, or 203 ng/L; moles are mass by 1355 g/mol, rounded as laboratories print them."""
    assert round(float(case["mass"]) / 1.355) == int(case["moles"])
    for result in (f"b12 {case['mass']} ng/L", f"b12 {case['moles']} pmol/L"):
        assert assessed(result, "who")["category"] == case["category"]


@cases("""
    result            | category          | asks for
    ------------------+-------------------+--------------------
    b12 <83 ng/L      | deficient         |
    b12 <180 ng/L     | deficient         |
    b12 <=180 ng/L    | insufficient-data | request-exact-value
    b12 <150 pmol/L   | insufficient-data | request-exact-value
    b12 >350 ng/L     | insufficient-data | request-exact-value
    b12 >1500 ng/L    | high-b12          |
    b12 >300 ng/L     | insufficient-data | request-exact-value
    b12 212 none      | insufficient-data | request-unit
    b12 212 furlong   | insufficient-data | request-unit
    b12 19 ng/L       | insufficient-data | verify-result
    b12 212 ng/mL     | insufficient-data | verify-result
    b12 212 mmol/L    | insufficient-data | verify-result
    active 212 ng/L   | insufficient-data | request-unit
""")
def test_unit_safety(case):
    """Rule R20: what cannot be read is never a value."""
    found = assessed(case["result"])
    assert found["category"] == case["category"]
    if case["asks for"]:
        assert case["asks for"] in words(found)


@cases("""
    patient                                                  | category             | word
    ---------------------------------------------------------+----------------------+---------------------------------
    b12 212; mma 0.28; egfr 90                               | unlikely             | no-further-test-if-asymptomatic
    b12 212; mma 0.281; egfr 90                              | deficient-functional | start-b12-replacement
    b12 212; mma 281 nmol/L; egfr 90                         | deficient-functional | start-b12-replacement
    b12 212; mma 280 nmol/L; egfr 90                         | unlikely             |
    b12 212; mma 0.30 umol/L range 0.32; egfr 90             | unlikely             |
    b12 212; mma 0.33 umol/L range 0.32; egfr 90             | deficient-functional |
    b12 212; mma 0.5; egfr 60                                | deficient-functional |
    b12 212; mma 0.5; egfr 59                                | indeterminate        | flag-renal-confounding
    b12 212; mma 0.5; egfr 59.9                              | indeterminate        | consider-active-b12-or-urine-mma
    b12 212; mma 0.5; egfr >60                               | deficient-functional |
    b12 212; mma 0.5                                         | indeterminate        | order-creatinine-egfr
    b12 212; mma 0.5; +chronic_kidney_disease                | indeterminate        | flag-renal-confounding
    b12 212; mma 0.5; egfr 80; +chronic_kidney_disease       | deficient-functional |
    b12 212; mma 0.75; +fatigue                              | indeterminate        |
    b12 212; mma 0.76; +fatigue                              | deficient-functional |
    b12 212; mma 0.76; egfr 40; +paraesthesia                | deficient-functional |
    b12 212; mma 0.76; egfr 40                               | indeterminate        |
    b12 500; mma 0.5; egfr 90                                | deficient-functional | flag-discordance
    b12 500; mma 0.5; egfr 40                                | unlikely             | flag-renal-confounding
    b12 500; mma 0.5                                         | unlikely             | order-creatinine-egfr
    b12 120; mma 0.2; egfr 90                                | deficient            | flag-discordance
    b12 212; mma 0.5; egfr 90; +inborn_methylmalonic_acidaemia | indeterminate      | mma-not-interpretable
    b12 212; mma 5 nmol/L; egfr 90                           | indeterminate        | verify-mma-unit
    b12 212; mma 80 umol/L; egfr 90                          | indeterminate        | verify-mma-unit
    b12 212; mma <0.05; egfr 90                              | unlikely             |
    b12 212; mma <0.4; egfr 90                               | indeterminate        | request-exact-value
""")
def test_methylmalonic_acid_and_the_kidneys(case):
    """Rules R5 to R7."""
    found = assessed(case["patient"])
    assert found["category"] == case["category"]
    if case["word"]:
        assert case["word"] in words(found)


@cases("""
    guideline   | patient              | word
    ------------+----------------------+--------------------------------
    uk-ng239    | b12 212              | no-further-test-if-asymptomatic
    uk-ng239    | b12 212; +fatigue    | consider-mma
    us-aafp2025 | b12 212              | order-mma
    us-aafp2025 | b12 212; +fatigue    | order-mma
    us-aafp2025 | b12 212; mcv 104     | order-mma
    uk-ng239    | b12 212; mcv 104     | consider-mma
    uk-ng239    | b12 212; +fatigue; egfr 40 | consider-active-b12-or-urine-mma
""")
def test_second_test_for_an_indeterminate_result(case):
    """Rule R5: NG239 with symptoms, AAFP always."""
    found = assessed(case["patient"], case["guideline"])
    assert found["category"] == "indeterminate"
    assert case["word"] in words(found)


@cases("""
    patient                         | category      | word
    --------------------------------+---------------+---------------------------------
    b12 212; hcy 30; egfr 90        | indeterminate |
    b12 500; hcy 30; egfr 90        | unlikely      |
    b12 212; hcy 16; egfr 40        | indeterminate | interpret-hcy-with-renal-function
    b12 212; hcy 16; folate 2.9     | indeterminate | flag-folate-raises-hcy
    b12 212; hcy 16; folate 3       | indeterminate |
    b12 212; hcy 16; folate 6.9 nmol/L | indeterminate | flag-folate-raises-hcy
""")
def test_homocysteine_alone_never_decides(case):
    """Rule R8."""
    found = assessed(case["patient"])
    assert found["category"] == case["category"]
    if case["word"]:
        assert case["word"] in words(found)
    elif "folate" in case["patient"]:
        assert "flag-folate-raises-hcy" not in words(found)


@cases("""
    guideline   | patient                                       | category         | word
    ------------+-----------------------------------------------+------------------+---------------------------
    uk-ng239    | +fatigue                                      | no-action        |
    uk-ng239    | +vegan_diet                                   | no-action        | no-test-without-symptom
    uk-ng239    | +vegan_diet; +fatigue                         | at-risk-untested | order-total-or-active-b12
    uk-ng239    | +paraesthesia; +coeliac_disease               | at-risk-untested | order-total-or-active-b12
    uk-ng239    | +paraesthesia; -coeliac_disease               | no-action        |
    uk-ng239    | rx metformin since 2016-01-01                 | no-action        | consider-periodic-monitoring
    uk-ng239    | rx metformin since 2026-10-01; +numbness      | at-risk-untested | order-total-or-active-b12
    uk-ng239    | was metformin since 2016-01-01; +numbness     | no-action        |
    us-aafp2025 | rx metformin since 2026-07-20                 | no-action        |
    us-aafp2025 | rx metformin since 2026-07-19                 | at-risk-untested | order-total-b12
    us-aafp2025 | rx metformin                                  | no-action        |
    us-aafp2025 | rx proton_pump_inhibitor since 2025-11-20     | no-action        |
    us-aafp2025 | rx proton_pump_inhibitor since 2025-11-19     | at-risk-untested | order-total-b12
    us-aafp2025 | rx h2_antagonist since 2025-11-19             | at-risk-untested | order-total-b12
    us-aafp2025 | +vegan_diet; +fatigue                         | at-risk-untested | order-total-b12
    us-aafp2025 | +vegan_diet                                   | no-action        |
    us-aafp2017 | +vegan_diet                                   | at-risk-untested | order-total-b12
    us-aafp2017 | +bariatric_surgery                            | at-risk-untested | order-total-b12
    bsh2014     | +paraesthesia                                 | at-risk-untested | order-total-b12
    uk-ng239    | mcv 100                                       | no-action        |
    uk-ng239    | mcv 100.1                                     | at-risk-untested | check-folate
    uk-ng239    | mcv 100.1 fL range 101                        | no-action        |
    uk-ng239    | mcv 99 fL range 98                            | at-risk-untested | check-folate
    uk-ng239    | mcv 104; order order_cbc                      | at-risk-untested | add-total-b12
    uk-ng239    | b12 120 @2024-01-01                           | at-risk-untested | show-old-low-result
    uk-ng239    | b12 400 @2024-01-01                           | no-action        |
    uk-ng239    | mma 0.5; egfr 90                              | at-risk-untested | order-total-or-active-b12
    uk-ng239    | +pernicious_anaemia                           | at-risk-untested | order-total-or-active-b12
    uk-ng239    | +total_gastrectomy                            | at-risk-untested | order-total-or-active-b12
    uk-ng239    | +bariatric_surgery                            | no-action        | no-test-without-symptom
    uk-ng239    | +pernicious_anaemia; rx hydroxocobalamin      | on-treatment     |
    uk-ng239    | -pernicious_anaemia                           | no-action        |
    uk-ng239    | +pregnancy; +fatigue; +vegan_diet             | at-risk-untested | order-active-b12
""")
def test_whom_to_test(case):
    """Rules R4 and R14, with nothing usable measured."""
    found = assessed(case["patient"], case["guideline"], born="1960-02-01")
    assert found["category"] == case["category"]
    if case["word"]:
        assert case["word"] in words(found)


@cases("""
    born       | category
    -----------+-----------------
    1951-11-20 | no-action
    1950-11-21 | no-action
    1950-11-20 | at-risk-untested
    1950       | no-action
    1949       | at-risk-untested
""")
def test_age_over_75_by_aafp(case):
    """A person of 75 is not over 75; a birth year alone counts from its last day."""
    assert assessed("", "us-aafp2025", born=case["born"])["category"] == case["category"]


@cases("""
    born       | category
    -----------+-------------
    2010-11-20 | deficient
    2010-11-21 | out-of-scope
    2011       | out-of-scope
    2010       | deficient
""")
def test_people_under_16_are_out_of_scope(case):
    found = assessed("b12 120", born=case["born"])
    assert found["category"] == case["category"]
    if case["category"] == "out-of-scope":
        assert found["nextSteps"] == ["paediatric-specialist-advice"]


@cases("""
    patient                                            | urgency   | word
    ---------------------------------------------------+-----------+--------------------------------------
    b12 120                                            | soon      | start-b12-replacement
    b12 120; +paraesthesia                             | urgent    | start-im-b12-neuro-regimen
    b12 120; +paraesthesia; hb 135; mcv 90             | urgent    | do-not-dismiss
    b12 120; +myelopathy                               | emergency | urgent-neurology-haematology-advice
    b12 120; hb 79                                     | urgent    | monitor-potassium
    b12 120; hb 80                                     | soon      |
    b12 120; hb 79                                     | urgent    | urgent-haematology-advice
    b12 212                                            | routine   |
    b12 212; +fatigue                                  | soon      |
    b12 212; +ataxia                                   | urgent    | do-not-delay-treatment-if-progressive
    b12 212; +ataxia; +numbness                        | urgent    | take-blood-then-treat
    b12 400; +ataxia                                   | routine   | reassess-if-symptoms-persist
    +ataxia; +numbness                                 | urgent    | take-blood-then-treat
    +myelopathy                                        | emergency | take-blood-then-treat
    +ataxia; +vegan_diet                               | soon      | assess-neuropathy
""")
def test_neurological_findings_do_not_wait(case):
    """Rules R10 and R18."""
    found = assessed(case["patient"])
    assert found["urgency"] == case["urgency"]
    if case["word"]:
        assert case["word"] in words(found)


@cases("""
    patient              | category
    ---------------------+------------------
    +ataxia; +numbness   | insufficient-data
    +visual_disturbance  | insufficient-data
    +myelopathy          | insufficient-data
    +ataxia              | no-action
    +ataxia; +vegan_diet | at-risk-untested
""")
def test_strong_signs_and_nothing_measured(case):
    assert assessed(case["patient"])["category"] == case["category"]


@cases("""
    patient                                            | category             | word
    ---------------------------------------------------+----------------------+------------------
    +nitrous_oxide; b12 400                            | uninterpretable      | order-hcy-or-mma
    +nitrous_oxide; b12 212                            | uninterpretable      | stop-nitrous-oxide
    +nitrous_oxide; b12 120                            | deficient            | stop-nitrous-oxide
    +nitrous_oxide; b12 400; mma 0.5                   | deficient-functional | stop-nitrous-oxide
    +nitrous_oxide; b12 400; hcy 16                    | deficient-functional | stop-nitrous-oxide
    +nitrous_oxide; hcy 16                             | deficient-functional | start-b12-replacement
    +nitrous_oxide; b12 400; mma 0.2; hcy 10           | unlikely             |
    +nitrous_oxide; b12 400; mma 0.2                   | uninterpretable      | order-hcy-or-mma
    +nitrous_oxide; b12 400; mma 0.2; hcy 10; +numbness| uninterpretable      | clinical-judgement-trial
    +nitrous_oxide; +fatigue                           | at-risk-untested     | order-hcy-or-mma
    +nitrous_oxide                                     | no-action            | stop-nitrous-oxide
    +nitrous_oxide; +ataxia; +numbness                 | insufficient-data    | order-hcy-or-mma
""")
def test_nitrous_oxide(case):
    """Rule R9: a normal B12 does not reassure."""
    found = assessed(case["patient"])
    assert found["category"] == case["category"]
    if case["word"]:
        assert case["word"] in words(found)


@cases("""
    patient                            | category        | word
    -----------------------------------+-----------------+-----------------
    +pregnancy @2026-06-01; b12 120    | uninterpretable | order-active-b12
    +pregnancy @2026-06-01; b12 400    | uninterpretable | order-active-b12
    +pregnancy @2026-06-01; active 20  | deficient       | review-1-month
    +pregnancy @2026-06-01; b12 120; active 80 | unlikely |
    +pregnancy @2025-12-01; b12 120    | deficient       | review-symptoms-3-months
    +pregnancy; b12 120                | uninterpretable | order-active-b12
""")
def test_pregnancy(case):
    """Rule R11; a pregnancy recorded 300 days ago is over."""
    found = assessed(case["patient"])
    assert found["category"] == case["category"]
    if case["word"]:
        assert case["word"] in words(found)


@cases("""
    patient                                                                                | category        | word
    ---------------------------------------------------------------------------------------+-----------------+---------------------------
    rx hydroxocobalamin since 2026-03-01; b12 900                                          | on-treatment    | do-not-interpret-b12-level
    rx hydroxocobalamin since 2026-03-01; b12 120                                          | on-treatment    | do-not-interpret-b12-level
    rx hydroxocobalamin since 2026-03-01                                                   | on-treatment    | review-symptoms-3-months
    rx hydroxocobalamin since 2026-03-01; +paraesthesia                                    | on-treatment    | increase-injection-frequency
    rx hydroxocobalamin since 2026-03-01; order total_b12                                  | on-treatment    | suggest-cancel-repeat-b12
    was hydroxocobalamin since 2026-07-21; b12 120                                         | on-treatment    |
    was hydroxocobalamin since 2026-07-19; b12 120                                         | deficient       |
    b12 120 @2026-10-20; rx hydroxocobalamin since 2026-10-25                              | deficient       | review-symptoms-3-months
    b12 120 @2026-03-20; rx hydroxocobalamin since 2026-03-25                              | on-treatment    |
    +b12_deficiency; rx cyanocobalamin since 2026-01-01 dose 1000 route oral; b12 300      | on-treatment    | consider-stop-if-cause-addressed
    +b12_deficiency; rx cyanocobalamin since 2026-01-01 dose 1000 route oral; b12 120      | on-treatment    | check-adherence
    +pernicious_anaemia; rx cyanocobalamin since 2026-01-01 dose 50 route oral; b12 120    | deficient       | switch-to-im-or-oral-1mg
    rx cyanocobalamin since 2026-01-01 dose 50 route oral; b12 120                         | deficient       | check-adherence
    rx cyanocobalamin since 2026-01-01 dose 50 route oral; b12 400                         | uninterpretable | note-supplement-masks
    rx cyanocobalamin since 2026-01-01 dose 50 route oral; b12 212                         | uninterpretable | order-hcy-or-mma
    rx cyanocobalamin since 2026-01-01 dose 50 route oral; b12 212; mma 0.2; egfr 90       | unlikely        |
    rx cyanocobalamin since 2026-01-01 dose 50 route oral; b12 1200                        | uninterpretable | check-supplement-use
    was cyanocobalamin since 2026-01-01 until 2026-07-01 dose 50 route oral; b12 400       | unlikely        |
    rx hydroxocobalamin_antidote since 2026-11-01; b12 400                                 | unlikely        |
    draft hydroxocobalamin; b12 120                                                        | deficient       |
""")
def test_replacement_under_way(case):
    """Rules R15 and R16."""
    found = assessed(case["patient"])
    assert found["category"] == case["category"]
    if case["word"]:
        assert case["word"] in words(found)


@cases("""
    patient                                              | category        | word
    -----------------------------------------------------+-----------------+--------------------------------------
    b12 1100                                             | high-b12        | verify-result
    b12 1100; b12 1200 @2026-10-01                       | high-b12        | evaluate-liver-haematological-malignancy
    b12 1100; +myeloproliferative_disorder               | uninterpretable | do-not-dismiss
    b12 1100; +chronic_liver_disease; +fatigue           | uninterpretable | order-hcy-or-mma
    b12 500; +chronic_liver_disease                      | unlikely        |
    b12 400; intrinsic_factor_antibody positive          | uninterpretable | flag-assay-interference
    b12 400; intrinsic_factor_antibody negative          | unlikely        |
    active 90; intrinsic_factor_antibody positive        | unlikely        |
    b12 400; +transcobalamin_deficiency                  | uninterpretable | order-hcy-or-mma
""")
def test_results_that_must_not_reassure(case):
    """Rule R17 and the pitfalls."""
    found = assessed(case["patient"])
    assert found["category"] == case["category"]
    if case["word"]:
        assert case["word"] in words(found)


@cases("""
    patient                                                   | words
    ----------------------------------------------------------+---------------------------------------------------
    b12 120; +leber_optic_neuropathy                          | avoid-cyanocobalamin use-hydroxocobalamin
    b12 120; folate 2                                         | b12-before-or-with-folic-acid do-not-give-folic-acid-alone
    b12 120; draft folic_acid                                 | do-not-give-folic-acid-alone
    b12 212; draft folic_acid                                 | check-b12-before-folic-acid
    draft folic_acid dose 5000                                | exclude-b12-before-folic-acid order-total-or-active-b12
    b12 120; rx chloramphenicol                               | note-reduced-haematological-response
    b12 120; k 3.4                                            | correct-hypokalaemia monitor-potassium
    b12 120; +pernicious_anaemia                              | lifelong-im-b12-recommended start-im-b12
    b12 120; +total_gastrectomy                               | lifelong-im-b12-recommended
    b12 120; +bariatric_surgery                               | im-or-high-dose-oral-shared-decision
    b12 120; +vegan_diet                                      | diet-advice-or-supplement start-b12-replacement
    b12 120                                                   | identify-cause check-if-antibody coeliac-serology
    b12 120; intrinsic_factor_antibody negative               | negative-if-ab-does-not-exclude
    b12 120; +sarcopenia                                      | do-not-attribute-sarcopenia-solely-to-b12
    b12 120; b12 400 @2026-01-05                              | use-most-recent-result
    b12 120; active 90                                        | flag-discordance
    +nonspecific_b_vitamin_deficiency                         | do-not-assume-b12-deficiency-from-E53.8
""")
def test_safety_cause_and_cautions(case):
    """Rules R12, R13, R18, R19 and the pitfalls list."""
    expected = set(case["words"].split())
    assert expected <= words(assessed(case["patient"]))


@cases("""
    patient                          | category
    ---------------------------------+-----------------
    draft folic_acid dose 400        | no-action
    draft folic_acid dose 401        | at-risk-untested
    draft folic_acid                 | at-risk-untested
    draft folic_acid dose 400; mcv 104 | at-risk-untested
    draft folic_acid dose 400; +vegan_diet | at-risk-untested
    draft nitrous_oxide              | at-risk-untested
    draft folic_acid; b12 400        | unlikely
""")
def test_drafts_that_call_for_a_test(case):
    """Rule R12: not for a preconception dose without a reason."""
    assert assessed(case["patient"])["category"] == case["category"]


def test_e538_alone_is_not_known_deficiency():
    found = assessed(
        "+nonspecific_b_vitamin_deficiency; rx cyanocobalamin dose 1000 route oral; b12 400"
    )
    assert found["category"] == "uninterpretable"


def test_an_older_readable_result_decides_beside_a_newer_unreadable_one():
    found = assessed("b12 120 @2026-10-01; b12 212 none @2026-11-01")
    assert found["category"] == "deficient"
    assert "request-unit" in words(found)


def test_evidence_names_value_limit_and_place():
    found = assessed("b12 112")
    [band] = [e for e in found["evidence"] if e["rule"] == "first-line-band"]
    assert band == {
        "rule": "first-line-band",
        "says": "Vitamin B12 deficient",
        "resource": "Observation/o0",
        "value": 112.0,
        "unit": "ng/L",
        "date": "2026-11-01",
        "limit": "below 180 ng/L",
        "locator": "recommendation 1.3.9 and table 1",
    }
