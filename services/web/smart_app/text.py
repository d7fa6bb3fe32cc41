"""How the app says things: in the tenant's language, with units as its clinicians write them."""

from dataclasses import dataclass
from datetime import date

from mappings.text import amount, as_amount, say
from services.cards.b12_summary import unit_text
from services.cards.muscle import units_spelt
from services.chart.model import Measurement
from services.knowledge.language import Language
from services.knowledge.site import Known


@dataclass(frozen=True, slots=True)
class Words:
    """Everything that the app's pages say goes through here."""

    language: Language
    locale: str  # of the orders: decides between pg/mL and ng/L

    @classmethod
    def of(cls, known: Known) -> "Words":
        return cls(known.language, known.templates.locale)

    def __call__(self, text: str) -> str:
        """`text` in the language, its units spelt for people."""
        return units_spelt(unit_text(self.language(text), self.locale))

    def upper(self, text: str) -> str:
        """The same, begun with a capital; "eGFR" stays as it is."""
        told = self(text)
        if told[1:2].isupper():
            return told
        return told[:1].upper() + told[1:]

    def unit(self, unit: str) -> str:
        return units_spelt(unit_text(unit, self.locale))

    def day(self, day: date) -> str:
        return self.language.day(day)

    def value(self, result: Measurement) -> str:
        """Value and unit, with its bound."""
        return self(amount(result.value, result.unit, result.comparator, ".4g"))

    def number(self, result: Measurement) -> str:
        """The value alone, with its bound; its unit stands at the head of the column."""
        return self(amount(result.value, "", result.comparator, ".4g")).strip()

    def reported(self, text: str) -> str:
        """Value and unit as they were sent: "240 nmol/L"."""
        return self(as_amount(text))

    def older(self, number: int) -> str:
        if number == 1:
            return self(say("1 older result"))
        return self(say("{number} older results", number=number))
