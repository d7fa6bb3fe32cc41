"""Units as people write them, on pages that show every unit there is."""

from services.cards.b12_summary import SPELLINGS
from services.cards.muscle import units_spelt

FURTHER = {  # beyond those of cards; the longer first
    **SPELLINGS,
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
ALONE = {"m2": "m²", "/a": "a year"}  # a unit that is the whole text


def spelt(text: str) -> str:
    """Text with its units as people write them."""
    if text in ALONE:
        return ALONE[text]
    for unit, spelling in FURTHER.items():
        text = text.replace(unit, spelling)
    return units_spelt(text)
