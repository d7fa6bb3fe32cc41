"""The words of the muscle cards. One sentence for each next step and flag; none says more than the
definition or the evidence does."""

CATEGORIES = {
    "not_assessed": "not assessed",
    "find_negative": "SARC-F below its limit (excludes nothing)",
    "find_positive": "screening positive, strength not measured",
    "screen_negative": "screening below its limit (excludes nothing)",
    "screen_positive": "screening positive, strength and performance not measured",
    "no_sarcopenia": "no sarcopenia",
    "probable": "probable sarcopenia",
    "possible": "possible sarcopenia",
    "confirmed": "sarcopenia confirmed",
    "sarcopenia": "sarcopenia",
    "severe": "severe sarcopenia",
    "severe_sarcopenia": "severe sarcopenia",
    "indeterminate": "cannot be judged from what is on record",
    "out_of_scope_age": "the definition does not apply at this age",
}

NEXT_STEPS = {
    "urgent_ck_rhabdo": "Creatine kinase far above range or rhabdomyolysis on record: creatine kinase, kidney function and potassium today.",
    "urgent_neuro_review": "Nerve disease that cannot wait is on record: neurological review without delay.",
    "b12_pathway_treat": "Treat the B12 deficiency first, for its own reasons; no measurement of muscle delays it.",
    "b12_pathway_mma": "Resolve the B12 result, for its own reasons.",
    "assess_secondary_causes": "Look for other causes: drugs, thyroid, muscle enzymes, vitamin D, inflammation, nutrition, nerves.",
    "refer_physio_resistance_exercise": "Resistance-based exercise with physiotherapy (strongly recommended, ICFSR 2018).",
    "refer_dietitian_protein": "Dietitian: protein and energy intake (conditionally recommended; caution with impaired kidneys).",
    "falls_assessment": "Assess the risk of falls.",
    "order_muscle_mass_dxa_bia": "Measure muscle mass (DXA or BIA) if confirmation would change management.",
    "measure_grip": "Measure grip strength, best of both hands.",
    "measure_chair_stand": "Or time five rises from a chair.",
    "measure_gait_or_sppb": "Measure gait speed or SPPB.",
    "complete_sarc_f": "Ask the five questions of SARC-F.",
    "neuro_exam": "Examine nerves: strength by side, reflexes, sensation, fasciculation.",
    "weight_loss_workup": "Look for the cause of the weight loss.",
    "review_steroid": "Review dose and duration of the corticosteroid; never stop abruptly.",
    "clarify_unit": "A measure has no readable unit or distance: clarify it.",
    "record_sex_parameter": "Record the sex parameter for clinical use: the limits differ.",
    "record_birth_date": "Record the birth date: the definition has a lower age.",
    "record_height": "Record height: muscle mass is judged by height squared.",
}

FLAGS = {
    "alternative_cause_urgent": "A cause that cannot wait is pointed to; it goes before sarcopenia.",
    "awgs_performance_not_assessed": "Physical performance was not measured; AWGS 2019 needs it.",
    "equality_conflict": "Calf circumference is exactly at the limit, where AWGS 2019 and SARC-CalF part.",
    "grip_asymmetry_red_flag": "The hands differ clearly: think of a nerve, joint or brain cause on one side.",
    "low_mass_only": "Muscle mass is low and strength normal: not sarcopenia by this definition.",
    "mass_index_absolute_discordant": "Muscle mass and its index disagree; the index decided.",
    "mass_normal_strength_low": "Strength is low and muscle mass normal: think of nerves, joints, pain and effort.",
    "method_missing": "The method of the muscle mass (DXA or BIA) is not stated.",
    "method_required": "The limits for DXA and BIA part here: the method is needed.",
    "sex_missing": "No sex parameter: only what needs no sex was decided.",
    "stale": "An earlier measure is too old to decide.",
    "low_grip_below_reference": "Strength is low for an adult, although the definition does not apply at this age.",
}

LEVELS = {"low": "low", "normal": "normal", "unknown": "not known"}

TRIGGERS = {
    "falls": "Falls",
    "muscle_weakness": "Muscle weakness",
    "muscle_atrophy": "Muscle atrophy",
    "weight_loss": "Weight loss",
    "sarcopenia": "Sarcopenia",
}
