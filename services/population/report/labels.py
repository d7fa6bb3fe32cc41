"""Codes as a report writes them, and names as they fit its tables."""

import re
from collections.abc import Mapping
from functools import cache

from mappings.publications.differential import read_differential
from mappings.terminology.value_set_file import load_value_sets
from services.assessment.b12_steps import B12Step
from services.assessment.codes import (
    B12Category,
    B12Flag,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Tier,
    Urgency,
    WithheldReason,
)
from services.assessment.labels import LABELS, get_sentence
from services.chart.model import DroppedReason, UnusableReason
from services.evaluation.combination import B12_CAUSE

GRADES: Mapping[str, str] = {"probable": "Probable or possible sarcopenia"}
DATA: Mapping[str, str] = {
    "b12": "Vitamin B12, total or active",
    "kidney_function": "Kidney function (eGFR or creatinine)",
    "muscle_mass": "Muscle mass",
}
B12_CAUSE_TITLE = "Vitamin B12 deficiency"
KINDS = (B12Category, SarcopeniaCategory, Tier, Urgency, WithheldReason, DroppedReason)
ADVICE = (B12Step, SarcopeniaStep, B12Flag, SarcopeniaFlag)
HASH_LENGTH = 12  # of a hash
CAMEL_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def get_label(value: str) -> str:
    """A category, tier, urgency or reason in plain words."""
    for kind in KINDS:
        if value in LABELS[kind]:
            return _capitalise(LABELS[kind][value].short)
    return _capitalise(value.replace("_", " ").replace("-", " "))


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    for kind in ADVICE:
        if value in LABELS[kind]:
            return get_sentence(kind, value)
    return get_label(value)


def get_data_label(value: str) -> str:
    """What is missing: a test or a part of the record."""
    return DATA.get(value) or _load_titles().get(value) or get_label(value)


def get_unusable_label(value: str) -> str:
    """A result that cannot be used: "total_b12:no-unit"."""
    test, _, reason = value.partition(":")
    title = get_data_label(test)
    return f"{title}: {get_sentence(UnusableReason, reason)}" if reason else title


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
    causes = {cause.id: cause.title for cause in read_differential(load_value_sets())}
    return {**causes, B12_CAUSE: B12_CAUSE_TITLE}
