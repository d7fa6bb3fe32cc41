"""One label for each code: what cards, pages, reports and commands call it for people."""

from collections.abc import Mapping
from enum import StrEnum

from services.assessment import b12_labels, b12_steps, muscle_labels
from services.assessment.b12_steps import B12Rule, B12Step
from services.assessment.codes import (
    B12Category,
    B12Flag,
    IndicatorClass,
    Label,
    Level,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Tier,
    Trigger,
    UnknownLevelReason,
    Urgency,
    WithheldReason,
    make_labels,
)
from services.assessment.evidence import SarcopeniaRule
from services.chart.model import DroppedReason, UnusableReason

URGENCIES: dict[str, Label] = {
    Urgency.NONE: Label("nothing is pressing", "None"),
    Urgency.ROUTINE: Label("at the next planned contact", "Routine (next planned contact)"),
    Urgency.SOON: Label("within weeks", "Soon (weeks)"),
    Urgency.URGENT: Label("within days, without waiting for further results", "Urgent (days)"),
    Urgency.EMERGENCY: Label("today", "Emergency (same day)"),
}
TIERS: dict[str, Label] = {
    Tier.T1: Label(
        "B12 deficiency with a neurological finding", "T1: deficient, with a nerve sign"
    ),
    Tier.T2: Label("B12 and muscle both have a finding", "T2: both axes positive"),
    Tier.T3: Label("one of B12 and muscle has a finding", "T3: one axis positive"),
    Tier.T4: Label("something asks to be measured", "T4: reason to look, too little data"),
    Tier.T5: Label("neither has a finding by what is on record", "T5: neither"),
}
WITHHELD: dict[str, Label] = {
    WithheldReason.SNOOZED: Label("was answered not long ago", "Snoozed by the clinician"),
    WithheldReason.REPEAT: Label(
        "was shown in this encounter already", "Shown before, nothing new"
    ),
    WithheldReason.LIMIT: Label(
        "as many cards as the site allows are there already", "More important cards came first"
    ),
    WithheldReason.BELOW: Label(
        "less than the site lets interrupt", "Below what the site wants shown"
    ),
    WithheldReason.SILENT: Label("the site's rules keep it silent", "Silent mode"),
    WithheldReason.OFF: Label("switched off by the site", "Switched off by the site"),
    WithheldReason.AUDIENCE: Label("not for this user's specialty", "Not for this reader"),
    WithheldReason.UNSUPPORTED: Label("this EHR cannot carry out such an order", "Unsupported"),
    WithheldReason.UNMAPPED: Label("the site's catalogue has no such order", "Unmapped"),
    WithheldReason.DECEASED: Label("the patient has died", "Deceased"),
    WithheldReason.ON_TREATMENT: Label(
        "treatment is under way and asks for nothing", "On treatment"
    ),
    WithheldReason.ALREADY_DRAFTED: Label("the treatment is among these orders", "Already drafted"),
    WithheldReason.ALREADY_ORDERED: Label("the test is ordered already", "Already ordered"),
    WithheldReason.NOTHING_TO_DO: Label(
        "nothing presses and nothing is to be done", "Nothing to do"
    ),
    WithheldReason.NOT_ABOUT_THESE_ORDERS: Label(
        "has nothing to do with these orders", "Not about these orders"
    ),
}
UNUSABLE = make_labels(
    {
        UnusableReason.NO_UNIT: "reported without a unit",
        UnusableReason.UNKNOWN_UNIT: "the unit cannot be read",
        UnusableReason.IMPOSSIBLE_VALUE: "the value is not possible in this unit",
        UnusableReason.NO_VALUE: "reported without a number",
        UnusableReason.WRONG_SPECIMEN: "the code is for another specimen or unit",
        UnusableReason.NO_DISTANCE: "the distance walked is not stated",
        UnusableReason.REFUSED: "of a kind that is never read as this measure",
    }
)
DROPPED = make_labels(
    {
        DroppedReason.OTHER_PATIENT: "of another patient",
        DroppedReason.NO_PATIENT: "of no patient that is named",
        DroppedReason.REPEATED: "sent twice",
        DroppedReason.IN_THE_FUTURE: "dated in the future",
        DroppedReason.UNDATED: "without a date",
        DroppedReason.NO_OUTCOME: "without an outcome",
        DroppedReason.NO_STATUS: "without a status",
        DroppedReason.NOT_ORDERED: "proposed and never ordered",
        DroppedReason.NOT_FINAL: "not final",
        DroppedReason.REFUTED: "refuted",
        DroppedReason.ENTERED_IN_ERROR: "entered in error",
    }
)

LABELS: Mapping[type[StrEnum], Mapping[str, Label]] = {
    B12Category: b12_labels.CATEGORIES,
    B12Step: b12_steps.STEPS,
    B12Flag: b12_labels.FLAGS,
    B12Rule: b12_steps.RULES,
    IndicatorClass: b12_labels.INDICATOR_CLASSES,
    SarcopeniaCategory: muscle_labels.CATEGORIES,
    SarcopeniaStep: muscle_labels.STEPS,
    SarcopeniaFlag: muscle_labels.FLAGS,
    SarcopeniaRule: muscle_labels.RULES,
    Level: muscle_labels.LEVELS,
    Trigger: muscle_labels.TRIGGERS,
    UnknownLevelReason: muscle_labels.UNKNOWN_LEVELS,
    Urgency: URGENCIES,
    Tier: TIERS,
    WithheldReason: WITHHELD,
    UnusableReason: UNUSABLE,
    DroppedReason: DROPPED,
}
# What the keys of the prefetch are called, where a part of the record could not be had.
RECORD_PARTS: Mapping[str, str] = {
    "conditions": "problem list",
    "medications": "prescriptions",
    "medication_statements": "stated medicines",
    "procedures": "procedures",
    "service_requests": "test orders",
    "allergies": "allergies",
    "observations": "results",
    "patient": "patient",
}


def get_sentence(kind: type[StrEnum], code: str) -> str:
    """What cards say for `code`, a code of `kind`."""
    return LABELS[kind][code].sentence


def list_sentences(kind: type[StrEnum]) -> dict[str, str]:
    """The sentence of each code of `kind`, in the order of its labels."""
    return {code: label.sentence for code, label in LABELS[kind].items()}


def find_reason(reason: str) -> str | None:
    """Why a result or resource on record was not used; None where `reason` is its FHIR status."""
    label = DROPPED.get(reason) or UNUSABLE.get(reason)
    return label.sentence if label else None
