"""The words of a report for what assessments say in short."""

import re
from collections.abc import Mapping
from functools import cache

from mappings.publications.differential import read_differential
from mappings.terminology.value_set_file import load_value_sets
from services.sarcopenia import labels as muscle
from services.vitamin_b12 import labels as b12

B12: Mapping[str, str] = {
    "deficient": "Deficient",
    "deficient-functional": "Functional deficiency",
    "indeterminate": "Indeterminate",
    "uninterpretable": "Cannot be interpreted",
    "on-treatment": "On treatment",
    "high-b12": "High",
    "unlikely": "Deficiency unlikely",
    "insufficient-data": "Too little to judge by",
    "at-risk-untested": "Reason to test, no recent result",
    "no-action": "No recent result, no reason to test",
    "out-of-scope": "Too young for the guideline",
}
MUSCLE: Mapping[str, str] = {
    "severe": "Severe sarcopenia",
    "severe_sarcopenia": "Severe sarcopenia",
    "confirmed": "Sarcopenia",
    "sarcopenia": "Sarcopenia",
    "probable": "Probable sarcopenia",
    "possible": "Possible sarcopenia",
    "find_positive": "Screening positive",
    "screen_positive": "Screening positive",
    "indeterminate": "Indeterminate",
    "no_sarcopenia": "No sarcopenia",
    "find_negative": "Screening negative",
    "screen_negative": "Screening negative",
    "not_assessed": "Not assessed",
    "out_of_scope_age": "Too young for the definition",
}
TIERS: Mapping[str, str] = {
    "T1": "T1: deficient, with a nerve sign",
    "T2": "T2: both axes positive",
    "T3": "T3: one axis positive",
    "T4": "T4: reason to look, too little data",
    "T5": "T5: neither",
}
GRADES: Mapping[str, str] = {"probable": "Probable or possible sarcopenia"}
OTHERS: Mapping[str, str] = {
    "emergency": "Emergency (same day)",
    "urgent": "Urgent (days)",
    "soon": "Soon (weeks)",
    "routine": "Routine (next planned contact)",
    "b12": "Vitamin B12, total or active",
    "b12-deficiency": "Vitamin B12 deficiency",
    "kidney_function": "Kidney function (eGFR or creatinine)",
    "muscle_mass": "Muscle mass",
    "snoozed": "Snoozed by the clinician",
    "repeat": "Shown before, nothing new",
    "limit": "More important cards came first",
    "below": "Below what the site wants shown",
    "silent": "Silent mode",
    "off": "Switched off by the site",
    "audience": "Not for this reader",
}
HASH_LENGTH = 12  # of a hash
CAMEL_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def get_label(value: str) -> str:
    """A category, tier, urgency or reason in plain words."""
    for words in (B12, MUSCLE, TIERS, OTHERS):
        if value in words:
            return words[value]
    spaced = value.replace("_", " ").replace("-", " ")
    return spaced[:1].upper() + spaced[1:]


def get_grade_label(value: str) -> str:
    """A category that stands for those of several definitions."""
    return GRADES.get(value) or get_label(value)


def make_unbroken(name: str) -> str:
    """The id of a guideline or a hook, on one line."""
    return name.replace("-", "\N{NON-BREAKING HYPHEN}")


def shorten_hash(patient: str) -> str:
    """So much of a hash as tells people apart on a page."""
    return (
        patient
        if len(patient) <= HASH_LENGTH
        else f"{patient[:HASH_LENGTH]}\N{HORIZONTAL ELLIPSIS}"
    )


def shorten_age_band(band: str) -> str:
    """A band of ages, short: "90+"."""
    return band.replace(" to ", "\N{EN DASH}").replace(" and over", "+")


def get_advice_label(value: str) -> str:
    """A next step or a flag as the cards word it."""
    for words in (b12.NEXT_STEPS, muscle.NEXT_STEPS, b12.FLAGS, muscle.FLAGS):
        if value in words:
            return words[value]
    return get_label(value)


def get_data_label(value: str) -> str:
    """What is missing: a test or a part of the record."""
    return OTHERS.get(value) or _load_titles().get(value) or get_label(value)


def get_unusable_label(value: str) -> str:
    """A result that cannot be used: "total_b12:no-unit"."""
    test, _, reason = value.partition(":")
    return f"{get_data_label(test)}: {reason.replace('-', ' ')}" if reason else get_data_label(test)


def get_cause_label(value: str) -> str:
    return _load_causes().get(value) or get_label(value)


def get_topic_label(value: str) -> str:
    """The topic of a card: "b12AtRiskUntested" or the name of a rule."""
    first, *others = CAMEL_BORDER.split(value)
    words = " ".join([first[:1].upper() + first[1:], *(word.lower() for word in others)])
    return words.replace("Muscle", "Muscle:", 1) if first == "muscle" and others else words


@cache
def _load_titles() -> Mapping[str, str]:
    return {name: value_set.title for name, value_set in load_value_sets().sets.items()}


@cache
def _load_causes() -> Mapping[str, str]:
    return {cause.id: cause.title for cause in read_differential(load_value_sets())}
