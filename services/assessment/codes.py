"""The codes of an assessment: categories, steps, flags and reasons, as records hold them.

The spelling of a code never changes: records, snoozes and the queries of sites hold it. What a
code is called for people stands in `services.assessment.labels`. A member is its own string, so
JSON, comparisons and look-ups need no conversion.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Code(StrEnum):
    """A string enumeration whose members are plain class attributes, as in Python 3.12.

    Python 3.11 finds a member by a property. Rules name some dozens in a call, so that costs.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for member in cls:
            type.__setattr__(cls, member.name, member)


class Label(NamedTuple):
    """What a code is called for people, in English."""

    sentence: str  # as cards word it; translated
    title: str = ""  # for a row or a bar of a report; empty: the sentence serves
    explanation: str = ""  # when a category holds, for the page that lists the codes

    @property
    def short(self) -> str:
        return self.title or self.sentence


def make_labels(sentences: Mapping[str, str]) -> dict[str, Label]:
    """Labels that have a sentence and no other title."""
    return {code: Label(sentence) for code, sentence in sentences.items()}


class B12Category(Code):
    """What the guideline says of a patient's vitamin B12."""

    OUT_OF_SCOPE = "out-of-scope"
    ON_TREATMENT = "on-treatment"
    DEFICIENT = "deficient"
    DEFICIENT_FUNCTIONAL = "deficient-functional"
    INDETERMINATE = "indeterminate"
    UNLIKELY = "unlikely"
    HIGH_B12 = "high-b12"
    UNINTERPRETABLE = "uninterpretable"
    INSUFFICIENT_DATA = "insufficient-data"
    AT_RISK_UNTESTED = "at-risk-untested"
    NO_ACTION = "no-action"


class B12Flag(Code):
    """What could mislead about vitamin B12."""

    DO_NOT_DISMISS = "do-not-dismiss"
    FLAG_DISCORDANCE = "flag-discordance"
    FLAG_RENAL_CONFOUNDING = "flag-renal-confounding"
    INTERPRET_MMA_WITH_RENAL_FUNCTION = "interpret-mma-with-renal-function"
    INTERPRET_HCY_WITH_RENAL_FUNCTION = "interpret-hcy-with-renal-function"
    FLAG_FOLATE_RAISES_HCY = "flag-folate-raises-hcy"
    FLAG_COC_LOWERS_TOTAL_B12 = "flag-coc-lowers-total-b12"
    FLAG_ASSAY_INTERFERENCE = "flag-assay-interference"
    NEGATIVE_IF_AB_DOES_NOT_EXCLUDE = "negative-if-ab-does-not-exclude"
    NOTE_SUPPLEMENT_MASKS = "note-supplement-masks"
    DO_NOT_INTERPRET_B12_LEVEL = "do-not-interpret-b12-level"
    WARN_AVOID_NITROUS_OXIDE = "warn-avoid-nitrous-oxide"
    USE_LAB_REFERENCE_RANGE = "use-lab-reference-range"
    USE_MOST_RECENT_RESULT = "use-most-recent-result"
    REQUEST_EXACT_VALUE = "request-exact-value"
    REQUEST_UNIT = "request-unit"
    VERIFY_RESULT = "verify-result"
    VERIFY_MMA_UNIT = "verify-mma-unit"
    WARN_CODE_UNIT_MISMATCH = "warn-code-unit-mismatch"
    NO_LIMIT_IN_UNIT = "no-limit-in-unit"
    SHOW_OLD_LOW_RESULT = "show-old-low-result"
    DO_NOT_ASSUME_B12_DEFICIENCY_FROM_E53_8 = "do-not-assume-b12-deficiency-from-E53.8"
    DO_NOT_ATTRIBUTE_SARCOPENIA_SOLELY_TO_B12 = "do-not-attribute-sarcopenia-solely-to-b12"
    NOTE_REDUCED_HAEMATOLOGICAL_RESPONSE = "note-reduced-haematological-response"
    AVOID_CYANOCOBALAMIN = "avoid-cyanocobalamin"
    COBALAMIN_ALLERGY = "cobalamin-allergy"
    CAUTION_POLYCYTHAEMIA_VERA = "caution-polycythaemia-vera"
    CLINICAL_JUDGEMENT = "clinical-judgement"
    MMA_NOT_INTERPRETABLE = "mma-not-interpretable"
    AGE_UNKNOWN = "age-unknown"
    SHOW_PROFILE_AND_LAB_RULE = "show-profile-and-lab-rule"
    NOTE_ETHNICITY_REFERENCE_RANGE = "note-ethnicity-reference-range"


class IndicatorClass(Code):
    """The class of the combined indicator cB12."""

    PROBABLE_DEFICIENCY = "probable-deficiency"
    POSSIBLE_DEFICIENCY = "possible-deficiency"
    LOW = "low"
    ADEQUATE = "adequate"
    ELEVATED = "elevated"


class SarcopeniaCategory(Code):
    """What a definition says of a patient's muscle; each definition has its own among them."""

    NOT_ASSESSED = "not_assessed"
    FIND_NEGATIVE = "find_negative"
    FIND_POSITIVE = "find_positive"
    SCREEN_NEGATIVE = "screen_negative"
    SCREEN_POSITIVE = "screen_positive"
    NO_SARCOPENIA = "no_sarcopenia"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    CONFIRMED = "confirmed"
    SARCOPENIA = "sarcopenia"
    SEVERE = "severe"
    SEVERE_SARCOPENIA = "severe_sarcopenia"
    INDETERMINATE = "indeterminate"
    OUT_OF_SCOPE_AGE = "out_of_scope_age"


class SarcopeniaStep(Code):
    """What a card about muscle says to do next."""

    URGENT_CK_RHABDO = "urgent_ck_rhabdo"
    URGENT_NEURO_REVIEW = "urgent_neuro_review"
    B12_PATHWAY_TREAT = "b12_pathway_treat"
    B12_PATHWAY_MMA = "b12_pathway_mma"
    ASSESS_SECONDARY_CAUSES = "assess_secondary_causes"
    REFER_PHYSIO_RESISTANCE_EXERCISE = "refer_physio_resistance_exercise"
    REFER_DIETITIAN_PROTEIN = "refer_dietitian_protein"
    FALLS_ASSESSMENT = "falls_assessment"
    ORDER_MUSCLE_MASS_DXA_BIA = "order_muscle_mass_dxa_bia"
    MEASURE_GRIP = "measure_grip"
    MEASURE_CHAIR_STAND = "measure_chair_stand"
    MEASURE_GAIT_OR_SPPB = "measure_gait_or_sppb"
    COMPLETE_SARC_F = "complete_sarc_f"
    NEURO_EXAM = "neuro_exam"
    WEIGHT_LOSS_WORKUP = "weight_loss_workup"
    REVIEW_STEROID = "review_steroid"
    CLARIFY_UNIT = "clarify_unit"
    RECORD_SEX_PARAMETER = "record_sex_parameter"
    RECORD_BIRTH_DATE = "record_birth_date"
    RECORD_HEIGHT = "record_height"


class SarcopeniaFlag(Code):
    """What could mislead about muscle."""

    ALTERNATIVE_CAUSE_URGENT = "alternative_cause_urgent"
    AWGS_PERFORMANCE_NOT_ASSESSED = "awgs_performance_not_assessed"
    EQUALITY_CONFLICT = "equality_conflict"
    GRIP_ASYMMETRY_RED_FLAG = "grip_asymmetry_red_flag"
    LOW_MASS_ONLY = "low_mass_only"
    MASS_INDEX_ABSOLUTE_DISCORDANT = "mass_index_absolute_discordant"
    MASS_NORMAL_STRENGTH_LOW = "mass_normal_strength_low"
    METHOD_MISSING = "method_missing"
    METHOD_REQUIRED = "method_required"
    SEX_MISSING = "sex_missing"
    STALE = "stale"
    LOW_GRIP_BELOW_REFERENCE = "low_grip_below_reference"


class Level(Code):
    """Strength, mass or performance by the limits of a definition."""

    LOW = "low"
    NORMAL = "normal"
    UNKNOWN = "unknown"


class Trigger(Code):
    """Why muscle is looked at."""

    MEASURED = "measured"
    FALLS = "falls"
    MUSCLE_WEAKNESS = "muscle_weakness"
    MUSCLE_ATROPHY = "muscle_atrophy"
    WEIGHT_LOSS = "weight_loss"
    SARCOPENIA = "sarcopenia"


class UnknownLevelReason(Code):
    """Why a measure of muscle that can be read has no level."""

    SEX = "sex"
    METHOD = "method"
    BOUND = "bound"
    BEST_TRIAL = "best-trial"
    UNANSWERED = "unanswered"
    UNABLE = "unable"


class Urgency(Code):
    """How soon a patient's vitamin B12 asks for something."""

    NONE = "none"
    ROUTINE = "routine"
    SOON = "soon"
    URGENT = "urgent"
    EMERGENCY = "emergency"


class Tier(Code):
    """The order of attention, B12 and muscle together."""

    T1 = "T1"
    T2 = "T2"
    T3 = "T3"
    T4 = "T4"
    T5 = "T5"


class WithheldReason(Code):
    """Why a card or a suggestion is not shown."""

    SNOOZED = "snoozed"
    REPEAT = "repeat"
    LIMIT = "limit"
    BELOW = "below"
    SILENT = "silent"
    OFF = "off"
    AUDIENCE = "audience"
    UNSUPPORTED = "unsupported"
    UNMAPPED = "unmapped"
    DECEASED = "deceased"
    ON_TREATMENT = "on-treatment"
    ALREADY_DRAFTED = "already-drafted"
    ALREADY_ORDERED = "already-ordered"
    NOTHING_TO_DO = "nothing-to-do"
    NOT_ABOUT_THESE_ORDERS = "not-about-these-orders"
