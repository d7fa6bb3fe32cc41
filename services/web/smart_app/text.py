"""How the app says things: in the tenant's language, with units as its clinicians write them."""

from dataclasses import dataclass
from datetime import date

from mappings.text import as_amount, format_amount, make_text
from services.cards.b12_summary import spell_units
from services.cards.muscle_summary import spell_muscle_units
from services.chart.model import Measurement
from services.knowledge.language import Language
from services.knowledge.site import SiteKnowledge


@dataclass(frozen=True, slots=True)
class PageTranslator:
    """Everything that the app's pages say goes through here."""

    language: Language
    locale: str  # of the orders: decides between pg/mL and ng/L

    @classmethod
    def from_knowledge(cls, knowledge: SiteKnowledge) -> "PageTranslator":
        return cls(knowledge.language, knowledge.templates.locale)

    def __call__(self, text: str) -> str:
        """`text` in the language, its units spelt for people."""
        return spell_muscle_units(spell_units(self.language(text), self.locale))

    def capitalise(self, text: str) -> str:
        """The same, begun with a capital; "eGFR" stays as it is."""
        text_ = self(text)
        if text_[1:2].isupper():
            return text_
        return text_[:1].upper() + text_[1:]

    def format_unit(self, unit: str) -> str:
        return spell_muscle_units(spell_units(unit, self.locale))

    def format_day(self, day: date) -> str:
        return self.language.format_day(day)

    def format_value(self, result: Measurement) -> str:
        """Value and unit, with its bound."""
        return self(format_amount(result.value, result.unit, result.comparator, ".4g"))

    def format_number(self, result: Measurement) -> str:
        """The value alone, with its bound; its unit stands at the head of the column."""
        return self(format_amount(result.value, "", result.comparator, ".4g")).strip()

    def format_reported(self, text: str) -> str:
        """Value and unit as they were sent: "240 nmol/L"."""
        return self(as_amount(text))

    def count_older(self, number: int) -> str:
        if number == 1:
            return self(make_text("1 older result"))
        return self(make_text("{number} older results", number=number))
