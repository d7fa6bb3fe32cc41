"""Words of the app that stand in no rule: one for each category, urgency, state and reason."""

from services.vitamin_b12.labels import TITLES

# Where no card would be shown, and so no summary is written: a card's title, or words of its own.
CATEGORIES = {
    **TITLES,
    "on-treatment": "Vitamin B12 is being replaced: symptoms are followed",
    "unlikely": "Vitamin B12 deficiency is unlikely by what was measured",
    "no-action": "No usable B12 result, and no rule that asks for a test",
    "out-of-scope": "The guideline does not apply at this age",
}

URGENCIES = {
    "none": "nothing is pressing",
    "routine": "at the next planned contact",
    "soon": "within weeks",
    "urgent": "within days, without waiting for further results",
    "emergency": "today",
}

TIERS = {
    "T1": "B12 deficiency with a neurological finding",
    "T2": "B12 and muscle both have a finding",
    "T3": "one of B12 and muscle has a finding",
    "T4": "something asks to be measured",
    "T5": "neither has a finding by what is on record",
}

STATES = {
    "found": "looked up",
    "none": "looked up, nothing there",
    "failed": "could not be looked up",
    "left out": "was not looked up",
    "partly": "looked up in part",
}

# Why a resource was not used. What is not here is a status that no result is read from.
DROPPED = {
    "other-patient": "of another patient",
    "no-patient": "of no patient that is named",
    "repeated": "sent twice",
    "in-the-future": "dated in the future",
    "undated": "without a date",
    "no-outcome": "without an outcome",
    "refused": "of a kind that is never read as this measure",
    "no-status": "without a status",
    "not-ordered": "proposed and never ordered",
    "not-final": "not final",
    "refuted": "refuted",
    "entered-in-error": "entered in error",
}

# By how the topic of the card begins that the app was opened from.
CARDS = {
    "b12": "Opened from a card about vitamin B12.",
    "muscle": "Opened from a card about muscle.",
    "order": "Opened from a card about an order; what is said of the order stands on the card.",
}

SEXES = {"female": "female", "male": "male"}
