"""What the codes about vitamin B12 are called for people. No sentence says more than the guideline."""

from services.assessment.codes import B12Category, B12Flag, IndicatorClass, Label, make_labels

CATEGORIES: dict[str, Label] = {
    B12Category.OUT_OF_SCOPE: Label(
        "The guideline does not apply at this age",
        "Too young for the guideline",
        "The patient is younger than the guideline's lowest age.",
    ),
    B12Category.ON_TREATMENT: Label(
        "Vitamin B12 treatment",
        "On treatment",
        "B12 is given by injection, or by mouth for a known deficiency, and what decides is neither a result from just before it began nor a low one under a dose too small to treat.",
    ),
    B12Category.DEFICIENT: Label(
        "Vitamin B12 deficiency",
        "Deficient",
        "The deciding first-line result meets the guideline's limit for deficiency; in pregnancy active B12 alone is read so.",
    ),
    B12Category.DEFICIENT_FUNCTIONAL: Label(
        "Functional vitamin B12 deficiency",
        "Functional deficiency",
        "The first-line result does not show it; a raised methylmalonic acid with working kidneys does, or a grossly raised one with symptoms or signs, or a raised methylmalonic acid or homocysteine after nitrous oxide. Without a first-line result or nitrous oxide it takes a grossly raised methylmalonic acid.",
    ),
    B12Category.INDETERMINATE: Label(
        "Indeterminate vitamin B12",
        "Indeterminate",
        "The deciding result lies between the limits, and nothing measured resolves it.",
    ),
    B12Category.UNLIKELY: Label(
        "Vitamin B12 deficiency is unlikely by what was measured",
        "Deficiency unlikely",
        "The result lies above the limits, or a normal methylmalonic acid resolves one between them; after nitrous oxide, only where both metabolites are normal and no symptom or sign is on record.",
    ),
    B12Category.HIGH_B12: Label(
        "High vitamin B12",
        "High",
        "The result lies above the upper limit, and nothing on record explains it.",
    ),
    B12Category.UNINTERPRETABLE: Label(
        "Vitamin B12 result that must not reassure",
        "Cannot be interpreted",
        "There is a result, and it must not reassure: nitrous oxide, a supplement, pregnancy with total B12 alone, interfering antibodies, or a disease that raises or masks B12.",
    ),
    B12Category.INSUFFICIENT_DATA: Label(
        "Vitamin B12 cannot be judged",
        "Too little to judge by",
        "There is a first-line result and none can be read, or strong neurological signs and nothing measured.",
    ),
    B12Category.AT_RISK_UNTESTED: Label(
        "Vitamin B12 test due",
        "Reason to test, no recent result",
        "No recent first-line result, and something calls for one: the guideline's rule, how long a medicine is taken or the age where it says so, a draft order, a blood finding, a raised methylmalonic acid, an old low result, or a cause that stays and is not treated.",
    ),
    B12Category.NO_ACTION: Label(
        "No usable B12 result, and no rule that asks for a test",
        "No recent result, no reason to test",
        "No recent first-line result, and nothing calls for a test.",
    ),
}
FLAGS = make_labels(
    {
        B12Flag.DO_NOT_DISMISS: "Normal haemoglobin, MCV or B12 does not exclude deficiency of the nervous system.",
        B12Flag.FLAG_DISCORDANCE: "Results disagree: level and function tell different things.",
        B12Flag.FLAG_RENAL_CONFOUNDING: "MMA and homocysteine rise with impaired kidneys.",
        B12Flag.INTERPRET_MMA_WITH_RENAL_FUNCTION: "MMA cannot be read without working kidneys.",
        B12Flag.INTERPRET_HCY_WITH_RENAL_FUNCTION: "Homocysteine cannot be read without working kidneys.",
        B12Flag.FLAG_FOLATE_RAISES_HCY: "Low folate also raises homocysteine.",
        B12Flag.FLAG_COC_LOWERS_TOTAL_B12: "Hormonal contraceptives lower total B12 without deficiency.",
        B12Flag.FLAG_ASSAY_INTERFERENCE: "Intrinsic factor antibodies can make total B12 look normal.",
        B12Flag.NEGATIVE_IF_AB_DOES_NOT_EXCLUDE: "A negative intrinsic factor antibody does not exclude autoimmune gastritis.",
        B12Flag.NOTE_SUPPLEMENT_MASKS: "B12 taken as a supplement hides a deficiency in total B12.",
        B12Flag.DO_NOT_INTERPRET_B12_LEVEL: "B12 levels under injections are not to be interpreted.",
        B12Flag.WARN_AVOID_NITROUS_OXIDE: "Avoid nitrous oxide anaesthesia and Entonox until treated.",
        B12Flag.USE_LAB_REFERENCE_RANGE: "Limits differ by laboratory: its own reference range goes first.",
        B12Flag.USE_MOST_RECENT_RESULT: "Earlier results differ; the most recent decides.",
        B12Flag.REQUEST_EXACT_VALUE: "The result is only a bound: ask the laboratory for the value.",
        B12Flag.REQUEST_UNIT: "The result has no usable unit: ask the laboratory.",
        B12Flag.VERIFY_RESULT: "The value is not possible in its unit: verify it.",
        B12Flag.VERIFY_MMA_UNIT: "The MMA value does not fit its unit (nmol/L or µmol/L): verify it.",
        B12Flag.WARN_CODE_UNIT_MISMATCH: "Code and unit of the result do not fit; the unit was read.",
        B12Flag.NO_LIMIT_IN_UNIT: "The guideline prints no limit in the unit reported.",
        B12Flag.SHOW_OLD_LOW_RESULT: "An old result was low and has not been followed up here.",
        B12Flag.DO_NOT_ASSUME_B12_DEFICIENCY_FROM_E53_8: "E53.8 also codes folate, biotin and pantothenic acid deficiency.",
        B12Flag.DO_NOT_ATTRIBUTE_SARCOPENIA_SOLELY_TO_B12: "Low B12 may contribute to muscle loss; do not attribute sarcopenia to it alone.",
        B12Flag.NOTE_REDUCED_HAEMATOLOGICAL_RESPONSE: "Chloramphenicol may blunt the blood's response.",
        B12Flag.AVOID_CYANOCOBALAMIN: "Leber's optic neuropathy: cyanocobalamin is contraindicated.",
        B12Flag.COBALAMIN_ALLERGY: "Allergy to a cobalamin is on record.",
        B12Flag.CAUTION_POLYCYTHAEMIA_VERA: "Treatment can unmask polycythaemia vera.",
        B12Flag.CLINICAL_JUDGEMENT: "This guideline gives no definitive cut-off: the clinical picture goes first.",
        B12Flag.MMA_NOT_INTERPRETABLE: "MMA cannot be interpreted in inborn methylmalonic acidaemia.",
        B12Flag.AGE_UNKNOWN: "The birth date is unknown: the guideline holds from its minimum age.",
        B12Flag.SHOW_PROFILE_AND_LAB_RULE: "The laboratory's own limits replace the guideline's.",
        B12Flag.NOTE_ETHNICITY_REFERENCE_RANGE: "B12 levels differ between ethnic groups: the laboratory's reference range goes first.",
    }
)
INDICATOR_CLASSES = make_labels(
    {
        IndicatorClass.PROBABLE_DEFICIENCY: "probable deficiency",
        IndicatorClass.POSSIBLE_DEFICIENCY: "possible deficiency",
        IndicatorClass.LOW: "low",
        IndicatorClass.ADEQUATE: "adequate",
        IndicatorClass.ELEVATED: "elevated",
    }
)
