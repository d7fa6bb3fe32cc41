"""The next steps of a B12 card and the rules of its evidence: each code, and what it is called."""

from services.assessment.codes import Code, make_labels


class B12Step(Code):
    """What a B12 card says to do next."""

    TAKE_BLOOD_THEN_TREAT = "take-blood-then-treat"
    URGENT_NEUROLOGY_HAEMATOLOGY_ADVICE = "urgent-neurology-haematology-advice"
    URGENT_HAEMATOLOGY_ADVICE = "urgent-haematology-advice"
    START_IM_B12_NEURO_REGIMEN = "start-im-b12-neuro-regimen"
    START_IM_B12 = "start-im-b12"
    START_B12_REPLACEMENT = "start-b12-replacement"
    IM_OR_HIGH_DOSE_ORAL_SHARED_DECISION = "im-or-high-dose-oral-shared-decision"
    LIFELONG_IM_B12_RECOMMENDED = "lifelong-im-b12-recommended"
    USE_HYDROXOCOBALAMIN = "use-hydroxocobalamin"
    SWITCH_TO_IM_OR_ORAL_1MG = "switch-to-im-or-oral-1mg"
    CHECK_ADHERENCE = "check-adherence"
    INCREASE_INJECTION_FREQUENCY = "increase-injection-frequency"
    SUGGEST_CANCEL_REPEAT_B12 = "suggest-cancel-repeat-b12"
    STOP_NITROUS_OXIDE = "stop-nitrous-oxide"
    DO_NOT_GIVE_FOLIC_ACID_ALONE = "do-not-give-folic-acid-alone"
    B12_BEFORE_OR_WITH_FOLIC_ACID = "b12-before-or-with-folic-acid"
    CHECK_B12_BEFORE_FOLIC_ACID = "check-b12-before-folic-acid"
    EXCLUDE_B12_BEFORE_FOLIC_ACID = "exclude-b12-before-folic-acid"
    MONITOR_POTASSIUM = "monitor-potassium"
    CORRECT_HYPOKALAEMIA = "correct-hypokalaemia"
    DO_NOT_DELAY_TREATMENT_IF_PROGRESSIVE = "do-not-delay-treatment-if-progressive"
    CLINICAL_JUDGEMENT_TRIAL = "clinical-judgement-trial"
    CONSIDER_MMA = "consider-mma"
    ORDER_MMA = "order-mma"
    CONSIDER_ACTIVE_B12_OR_MMA = "consider-active-b12-or-mma"
    CONSIDER_ACTIVE_B12_OR_URINE_MMA = "consider-active-b12-or-urine-mma"
    ORDER_HCY_OR_MMA = "order-hcy-or-mma"
    ORDER_ACTIVE_B12 = "order-active-b12"
    ORDER_TOTAL_OR_ACTIVE_B12 = "order-total-or-active-b12"
    ORDER_TOTAL_B12 = "order-total-b12"
    ADD_TOTAL_B12 = "add-total-b12"
    ADD_FOLATE = "add-folate"
    OPTIONAL_CONSIDER_B12 = "optional-consider-b12"
    ORDER_CREATININE_EGFR = "order-creatinine-egfr"
    IDENTIFY_CAUSE = "identify-cause"
    CHECK_IF_ANTIBODY = "check-if-antibody"
    COELIAC_SEROLOGY = "coeliac-serology"
    CHECK_CBC = "check-cbc"
    CHECK_FOLATE = "check-folate"
    REVIEW_SYMPTOMS_3_MONTHS = "review-symptoms-3-months"
    REVIEW_1_MONTH = "review-1-month"
    DIET_ADVICE_OR_SUPPLEMENT = "diet-advice-or-supplement"
    PREVENTION_ADVICE = "prevention-advice"
    CHECK_SUPPLEMENT_USE = "check-supplement-use"
    VERIFY_RESULT = "verify-result"
    EVALUATE_LIVER_HAEMATOLOGICAL_MALIGNANCY = "evaluate-liver-haematological-malignancy"
    NO_FURTHER_TEST = "no-further-test"
    NO_FURTHER_TEST_IF_ASYMPTOMATIC = "no-further-test-if-asymptomatic"
    REASSESS_IF_SYMPTOMS_PERSIST = "reassess-if-symptoms-persist"
    CONSIDER_ALTERNATIVE_DIAGNOSIS = "consider-alternative-diagnosis"
    ASSESS_NEUROPATHY = "assess-neuropathy"
    CONSIDER_STOP_IF_CAUSE_ADDRESSED = "consider-stop-if-cause-addressed"
    NO_TEST_WITHOUT_SYMPTOM = "no-test-without-symptom"
    CONSIDER_ORDER_TOTAL_B12 = "consider-order-total-b12"
    CONSIDER_PERIODIC_MONITORING = "consider-periodic-monitoring"
    SUGGEST_HYDROXOCOBALAMIN_IM = "suggest-hydroxocobalamin-im"
    PAEDIATRIC_SPECIALIST_ADVICE = "paediatric-specialist-advice"


class B12Rule(Code):
    """Which rule looked at a piece of evidence about vitamin B12."""

    AGE = "age"
    ALLERGY = "allergy"
    BLOOD_COUNT = "blood-count"
    CODED_DIAGNOSIS = "coded-diagnosis"
    DURATION = "duration"
    FIRST_LINE_BAND = "first-line-band"
    FOLATE = "folate"
    FOLIC_ACID = "folic-acid"
    HIGH_B12 = "high-b12"
    HOMOCYSTEINE = "homocysteine"
    KIDNEY_FUNCTION = "kidney-function"
    LEBER = "leber"
    LIFELONG_NEED = "lifelong-need"
    MACROCYTOSIS = "macrocytosis"
    MEDICINE = "medicine"
    METHYLMALONIC_ACID = "methylmalonic-acid"
    NEUROLOGICAL = "neurological"
    NITROUS_OXIDE = "nitrous-oxide"
    OFFER_TEST = "offer-test"
    OLD_RESULT = "old-result"
    POTASSIUM = "potassium"
    PREGNANCY = "pregnancy"
    REPLACEMENT = "replacement"
    RISK_FACTOR = "risk-factor"
    SECOND_TEST = "second-test"
    SUPPLEMENT = "supplement"
    SYMPTOM = "symptom"
    TRANSCOBALAMIN = "transcobalamin"
    TREATMENT = "treatment"
    UNIT_SAFETY = "unit-safety"


STEPS = make_labels(
    {
        B12Step.TAKE_BLOOD_THEN_TREAT: "Take blood, then treat without waiting for the result.",
        B12Step.URGENT_NEUROLOGY_HAEMATOLOGY_ADVICE: "Seek urgent neurology or haematology advice.",
        B12Step.URGENT_HAEMATOLOGY_ADVICE: "Severe anaemia: seek urgent haematology advice.",
        B12Step.START_IM_B12_NEURO_REGIMEN: "Start intramuscular B12 with the neurological regimen; do not wait for antibody results.",
        B12Step.START_IM_B12: "Start intramuscular B12.",
        B12Step.START_B12_REPLACEMENT: "Start B12 replacement.",
        B12Step.IM_OR_HIGH_DOSE_ORAL_SHARED_DECISION: "Start B12: injection or high-dose oral, decided together with the patient.",
        B12Step.LIFELONG_IM_B12_RECOMMENDED: "The cause stays: plan lifelong injections.",
        B12Step.USE_HYDROXOCOBALAMIN: "Use hydroxocobalamin, never cyanocobalamin (Leber's optic neuropathy).",
        B12Step.SWITCH_TO_IM_OR_ORAL_1MG: "The present dose does not suffice: change to injections or at least 1 mg a day by mouth.",
        B12Step.CHECK_ADHERENCE: "Ask whether the tablets are taken.",
        B12Step.INCREASE_INJECTION_FREQUENCY: "Symptoms persist: consider more frequent injections, as the product information allows.",
        B12Step.SUGGEST_CANCEL_REPEAT_B12: "A B12 level under injections does not show need: consider cancelling the order and follow symptoms.",
        B12Step.STOP_NITROUS_OXIDE: "Advise stopping nitrous oxide.",
        B12Step.DO_NOT_GIVE_FOLIC_ACID_ALONE: "Do not give folic acid alone: blood may recover while nerves worsen.",
        B12Step.B12_BEFORE_OR_WITH_FOLIC_ACID: "Give B12 before or together with folic acid.",
        B12Step.CHECK_B12_BEFORE_FOLIC_ACID: "Measure B12 before folic acid is started.",
        B12Step.EXCLUDE_B12_BEFORE_FOLIC_ACID: "Exclude B12 deficiency before treating low folate.",
        B12Step.MONITOR_POTASSIUM: "Check potassium before treatment and closely in its first 48 hours.",
        B12Step.CORRECT_HYPOKALAEMIA: "Correct low potassium.",
        B12Step.DO_NOT_DELAY_TREATMENT_IF_PROGRESSIVE: "Do not delay treatment if signs progress.",
        B12Step.CLINICAL_JUDGEMENT_TRIAL: "A trial of treatment is a clinical judgement here.",
        B12Step.CONSIDER_MMA: "Consider methylmalonic acid (MMA) as second test.",
        B12Step.ORDER_MMA: "Measure methylmalonic acid (MMA).",
        B12Step.CONSIDER_ACTIVE_B12_OR_MMA: "Consider active B12 or MMA.",
        B12Step.CONSIDER_ACTIVE_B12_OR_URINE_MMA: "With impaired kidneys serum MMA misleads: consider active B12 or urine MMA.",
        B12Step.ORDER_HCY_OR_MMA: "Measure homocysteine or MMA.",
        B12Step.ORDER_ACTIVE_B12: "Measure active B12 rather than total B12.",
        B12Step.ORDER_TOTAL_OR_ACTIVE_B12: "Measure total or active B12.",
        B12Step.ORDER_TOTAL_B12: "Measure total B12.",
        B12Step.ADD_TOTAL_B12: "Add B12 to the blood count ordered.",
        B12Step.ADD_FOLATE: "Add folate to the blood count ordered.",
        B12Step.OPTIONAL_CONSIDER_B12: "Consider measuring B12 (may be screened at this age).",
        B12Step.ORDER_CREATININE_EGFR: "Measure creatinine and eGFR, to read MMA and homocysteine by.",
        B12Step.IDENTIFY_CAUSE: "Look for the cause.",
        B12Step.CHECK_IF_ANTIBODY: "Consider intrinsic factor antibody where autoimmune gastritis is possible.",
        B12Step.COELIAC_SEROLOGY: "Consider coeliac serology where the cause is unexplained.",
        B12Step.CHECK_CBC: "Measure a blood count (a normal one excludes nothing).",
        B12Step.CHECK_FOLATE: "Measure folate.",
        B12Step.REVIEW_SYMPTOMS_3_MONTHS: "Review symptoms 3 months after starting.",
        B12Step.REVIEW_1_MONTH: "Review 1 month after starting (pregnancy).",
        B12Step.DIET_ADVICE_OR_SUPPLEMENT: "Advise on diet or a supplement.",
        B12Step.PREVENTION_ADVICE: "Advise on prevention.",
        B12Step.CHECK_SUPPLEMENT_USE: "Ask about supplements, over-the-counter ones included.",
        B12Step.VERIFY_RESULT: "Repeat the measurement to verify it.",
        B12Step.EVALUATE_LIVER_HAEMATOLOGICAL_MALIGNANCY: "High twice without replacement: consider liver disease, myeloproliferative disease and solid tumours.",
        B12Step.NO_FURTHER_TEST: "No further test.",
        B12Step.NO_FURTHER_TEST_IF_ASYMPTOMATIC: "Without symptoms, no further test.",
        B12Step.REASSESS_IF_SYMPTOMS_PERSIST: "Reassess if symptoms persist.",
        B12Step.CONSIDER_ALTERNATIVE_DIAGNOSIS: "Consider another diagnosis.",
        B12Step.ASSESS_NEUROPATHY: "Examine for neuropathy.",
        B12Step.CONSIDER_STOP_IF_CAUSE_ADDRESSED: "If the cause is gone and symptoms have resolved, stopping may be considered.",
        B12Step.NO_TEST_WITHOUT_SYMPTOM: "A risk factor without symptoms: the guideline offers no test.",
        B12Step.CONSIDER_ORDER_TOTAL_B12: "With a further risk factor, consider measuring B12.",
        B12Step.CONSIDER_PERIODIC_MONITORING: "Consider periodic monitoring of B12.",
        B12Step.SUGGEST_HYDROXOCOBALAMIN_IM: "Offer hydroxocobalamin by injection.",
        B12Step.PAEDIATRIC_SPECIALIST_ADVICE: "Take a paediatrician's advice: the guideline is not for this age.",
    }
)
RULES = make_labels(
    {
        B12Rule.AGE: "The age, against the guideline's lowest.",
        B12Rule.ALLERGY: "An allergy to a cobalamin on record.",
        B12Rule.BLOOD_COUNT: "MCV and haemoglobin, against the laboratory's range, else the limits common to all guidelines; severe anaemia by those alone.",
        B12Rule.CODED_DIAGNOSIS: "A diagnosis code that means more than B12 deficiency.",
        B12Rule.DURATION: "How long a medicine has been taken, or the age, where the guideline gives one.",
        B12Rule.FIRST_LINE_BAND: "Total or active B12, against the guideline's limits.",
        B12Rule.FOLATE: "Serum folate, against the laboratory's range, else its limit.",
        B12Rule.FOLIC_ACID: "A draft of folic acid while B12 is not known.",
        B12Rule.HIGH_B12: "Diseases on record that raise B12.",
        B12Rule.HOMOCYSTEINE: "Homocysteine, against the laboratory's range, else the guideline's limit.",
        B12Rule.KIDNEY_FUNCTION: "eGFR: whether methylmalonic acid and homocysteine can be read.",
        B12Rule.LEBER: "Leber's optic neuropathy on record.",
        B12Rule.LIFELONG_NEED: "A cause that stays, with neither treatment nor a result on record.",
        B12Rule.MACROCYTOSIS: "Large red cells, which call for B12 and folate.",
        B12Rule.MEDICINE: "A medicine that lowers B12, without symptoms.",
        B12Rule.METHYLMALONIC_ACID: "Methylmalonic acid, against the laboratory's range, else the guideline's limit.",
        B12Rule.NEUROLOGICAL: "Findings of nerves, cord, brain or eyes on record.",
        B12Rule.NITROUS_OXIDE: "Exposure to nitrous oxide, or a draft of it.",
        B12Rule.OFFER_TEST: "The guideline's rule for offering a test.",
        B12Rule.OLD_RESULT: "A low result that is too old to decide.",
        B12Rule.POTASSIUM: "Low potassium, where a deficiency is treated.",
        B12Rule.PREGNANCY: "Pregnancy, in which total B12 is not read.",
        B12Rule.REPLACEMENT: "Injections and tablets of B12 that count as treatment.",
        B12Rule.RISK_FACTOR: "Risk factors that the guideline names.",
        B12Rule.SECOND_TEST: "The guideline's second test for a result between the limits.",
        B12Rule.SUPPLEMENT: "B12 by mouth that hides a deficiency in total B12.",
        B12Rule.SYMPTOM: "Symptoms and signs that the guideline names.",
        B12Rule.TRANSCOBALAMIN: "Transcobalamin deficiency, in which total B12 looks normal.",
        B12Rule.TREATMENT: "The guideline's treatment for the situation.",
        B12Rule.UNIT_SAFETY: "Results that cannot be read: no unit, impossible, or a bound across a limit.",
    }
)
