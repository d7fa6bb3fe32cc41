"""What the codes about muscle are called for people. No sentence says more than the definition or the evidence."""

from services.assessment.codes import (
    Label,
    Level,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Trigger,
    UnknownLevelReason,
    make_labels,
)
from services.assessment.evidence import SarcopeniaRule

CATEGORIES: dict[str, Label] = {
    SarcopeniaCategory.NOT_ASSESSED: Label("not assessed", "Not assessed"),
    SarcopeniaCategory.FIND_NEGATIVE: Label(
        "SARC-F below its limit (excludes nothing)", "Screening negative"
    ),
    SarcopeniaCategory.FIND_POSITIVE: Label(
        "screening positive, strength not measured", "Screening positive"
    ),
    SarcopeniaCategory.SCREEN_NEGATIVE: Label(
        "screening below its limit (excludes nothing)", "Screening negative"
    ),
    SarcopeniaCategory.SCREEN_POSITIVE: Label(
        "screening positive, strength and performance not measured", "Screening positive"
    ),
    SarcopeniaCategory.NO_SARCOPENIA: Label("no sarcopenia", "No sarcopenia"),
    SarcopeniaCategory.PROBABLE: Label("probable sarcopenia", "Probable sarcopenia"),
    SarcopeniaCategory.POSSIBLE: Label("possible sarcopenia", "Possible sarcopenia"),
    SarcopeniaCategory.CONFIRMED: Label("sarcopenia confirmed", "Sarcopenia"),
    SarcopeniaCategory.SARCOPENIA: Label("sarcopenia", "Sarcopenia"),
    SarcopeniaCategory.SEVERE: Label("severe sarcopenia", "Severe sarcopenia"),
    SarcopeniaCategory.SEVERE_SARCOPENIA: Label("severe sarcopenia", "Severe sarcopenia"),
    SarcopeniaCategory.INDETERMINATE: Label(
        "cannot be judged from what is on record", "Indeterminate"
    ),
    SarcopeniaCategory.OUT_OF_SCOPE_AGE: Label(
        "the definition does not apply at this age", "Too young for the definition"
    ),
}
STEPS = make_labels(
    {
        SarcopeniaStep.URGENT_CK_RHABDO: "Creatine kinase far above range or rhabdomyolysis on record: creatine kinase, kidney function and potassium today.",
        SarcopeniaStep.URGENT_NEURO_REVIEW: "Nerve disease that cannot wait is on record: neurological review without delay.",
        SarcopeniaStep.B12_PATHWAY_TREAT: "Treat the B12 deficiency first, for its own reasons; no measurement of muscle delays it.",
        SarcopeniaStep.B12_PATHWAY_MMA: "Resolve the B12 result, for its own reasons.",
        SarcopeniaStep.ASSESS_SECONDARY_CAUSES: "Look for other causes: drugs, thyroid, muscle enzymes, vitamin D, inflammation, nutrition, nerves.",
        SarcopeniaStep.REFER_PHYSIO_RESISTANCE_EXERCISE: "Resistance-based exercise with physiotherapy (strongly recommended, ICFSR 2018).",
        SarcopeniaStep.REFER_DIETITIAN_PROTEIN: "Dietitian: protein and energy intake (conditionally recommended; caution with impaired kidneys).",
        SarcopeniaStep.FALLS_ASSESSMENT: "Assess the risk of falls.",
        SarcopeniaStep.ORDER_MUSCLE_MASS_DXA_BIA: "Measure muscle mass (DXA or BIA) if confirmation would change management.",
        SarcopeniaStep.MEASURE_GRIP: "Measure grip strength, best of both hands.",
        SarcopeniaStep.MEASURE_CHAIR_STAND: "Or time five rises from a chair.",
        SarcopeniaStep.MEASURE_GAIT_OR_SPPB: "Measure gait speed or SPPB.",
        SarcopeniaStep.COMPLETE_SARC_F: "Ask the five questions of SARC-F.",
        SarcopeniaStep.NEURO_EXAM: "Examine nerves: strength by side, reflexes, sensation, fasciculation.",
        SarcopeniaStep.WEIGHT_LOSS_WORKUP: "Look for the cause of the weight loss.",
        SarcopeniaStep.REVIEW_STEROID: "Review dose and duration of the corticosteroid; never stop abruptly.",
        SarcopeniaStep.CLARIFY_UNIT: "A measure has no readable unit or distance: clarify it.",
        SarcopeniaStep.RECORD_SEX_PARAMETER: "Record the sex parameter for clinical use: the limits differ.",
        SarcopeniaStep.RECORD_BIRTH_DATE: "Record the birth date: the definition has a lower age.",
        SarcopeniaStep.RECORD_HEIGHT: "Record height: muscle mass is judged by height squared.",
    }
)
FLAGS = make_labels(
    {
        SarcopeniaFlag.ALTERNATIVE_CAUSE_URGENT: "A cause that cannot wait is pointed to; it goes before sarcopenia.",
        SarcopeniaFlag.AWGS_PERFORMANCE_NOT_ASSESSED: "Physical performance was not measured; AWGS 2019 needs it.",
        SarcopeniaFlag.EQUALITY_CONFLICT: "Calf circumference is exactly at the limit, where AWGS 2019 and SARC-CalF part.",
        SarcopeniaFlag.GRIP_ASYMMETRY_RED_FLAG: "The hands differ clearly: think of a nerve, joint or brain cause on one side.",
        SarcopeniaFlag.LOW_MASS_ONLY: "Muscle mass is low and strength normal: not sarcopenia by this definition.",
        SarcopeniaFlag.MASS_INDEX_ABSOLUTE_DISCORDANT: "Muscle mass and its index disagree; the index decided.",
        SarcopeniaFlag.MASS_NORMAL_STRENGTH_LOW: "Strength is low and muscle mass normal: think of nerves, joints, pain and effort.",
        SarcopeniaFlag.METHOD_MISSING: "The method of the muscle mass (DXA or BIA) is not stated.",
        SarcopeniaFlag.METHOD_REQUIRED: "The limits for DXA and BIA part here: the method is needed.",
        SarcopeniaFlag.SEX_MISSING: "No sex parameter: only what needs no sex was decided.",
        SarcopeniaFlag.STALE: "An earlier measure is too old to decide.",
        SarcopeniaFlag.LOW_GRIP_BELOW_REFERENCE: "Strength is low for an adult, although the definition does not apply at this age.",
    }
)
RULES = make_labels(
    {
        SarcopeniaRule.AGE: "The age, against the definition's lowest.",
        SarcopeniaRule.ASYMMETRY: "Right and left grip of one day.",
        SarcopeniaRule.MASS: "Muscle mass, against the definition's limits.",
        SarcopeniaRule.MEASURE: "A measure that this definition has no limit of its own for.",
        SarcopeniaRule.PERFORMANCE: "Walking and balance, against the definition's limits.",
        SarcopeniaRule.REFUSED: "Results that resemble a measure and are not it.",
        SarcopeniaRule.SCREEN: "SARC-F, SARC-CalF or calf circumference.",
        SarcopeniaRule.STALE: "A measure that is too old to decide.",
        SarcopeniaRule.STRENGTH: "Grip strength or chair stand, against the definition's limits.",
        SarcopeniaRule.TRIGGER: "Why muscle is looked at: falls, weakness, wasting, weight loss, sarcopenia.",
        SarcopeniaRule.UNIT_SAFETY: "Measures that cannot be read: no unit, impossible, or no distance.",
    }
)
LEVELS = make_labels(
    {
        Level.LOW: "low",
        Level.NORMAL: "normal",
        Level.UNKNOWN: "not known",
    }
)
TRIGGERS = make_labels(
    {
        Trigger.MEASURED: "Muscle was measured",
        Trigger.FALLS: "Falls",
        Trigger.MUSCLE_WEAKNESS: "Muscle weakness",
        Trigger.MUSCLE_ATROPHY: "Muscle atrophy",
        Trigger.WEIGHT_LOSS: "Weight loss",
        Trigger.SARCOPENIA: "Sarcopenia",
    }
)
UNKNOWN_LEVELS = make_labels(
    {
        UnknownLevelReason.SEX: "the limits of men and women part here, and the sex to apply is not known",
        UnknownLevelReason.METHOD: "the limits for DXA and BIA part here, and the method is not stated",
        UnknownLevelReason.BOUND: "only a bound is reported",
        UnknownLevelReason.BEST_TRIAL: "another trial of the day cannot be read",
        UnknownLevelReason.UNANSWERED: "questions are unanswered",
        UnknownLevelReason.UNABLE: "could not be done or completed",
    }
)
