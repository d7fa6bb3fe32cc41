"""Units as people write them, on pages that show every unit there is."""

from services.cards.b12_summary import UNIT_SPELLINGS
from services.cards.muscle_summary import spell_muscle_units

UNIT_SPELLINGS = {  # beyond those of cards; the longer first
    **UNIT_SPELLINGS,
    "m[IU]/L": "mIU/L",
    "[arb'U]/mL": "arbitrary units/mL",
    "10*3/uL": "10³/µL",
    "{creat}": " creatinine",
    "{score}": "points",
    "[lbf_av]": "pounds-force",
    "[lb_av]": "lb",
    "[in_i]": "in",
    "[ft_i]": "ft",
    "umol": "µmol",
    "ug/": "µg/",
}
WHOLE_SPELLINGS = {"m2": "m²", "/a": "a year"}  # a unit that is the whole text


def spell_units(text: str) -> str:
    """Text with its units as people write them."""
    if text in WHOLE_SPELLINGS:
        return WHOLE_SPELLINGS[text]
    for unit, spelling in UNIT_SPELLINGS.items():
        text = text.replace(unit, spelling)
    return spell_muscle_units(text)
