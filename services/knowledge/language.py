"""Translate cards into the site's language: a catalogue of messages, numbers and dates.

Catalogues are gettext files, read by Babel. What has no translation stays English, and
`cobalamin check-config` names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from string import Formatter

from babel.dates import format_date
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from mappings.knowledge_file import KnowledgeError
from mappings.text import CodeName, LowercasedText, Numeral, Part, Text, format_english
from services.knowledge.messages import list_messages

FOLDER = Path(__file__).parent / "languages"
ENGLISH = "en"
# The month as a word: no two countries read 1.11. alike. Others as their locale has it.
DAY_FORMATS = {"de": "d. MMM y"}


@dataclass(frozen=True)
class Language:
    """Translates what a card says; English is what is written already."""

    code: str = ENGLISH
    messages: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        """`text` in this language, its parts included; as it is where nothing is known."""
        if self.code == ENGLISH:
            return text
        match text:
            case Text():
                template = self.messages.get(text.template, text.template)
                return template.format(
                    **{n: self._translate_part(p) for n, p in text.parts.items()}
                )
            case LowercasedText():
                return self(text.original)
            case CodeName():
                return self.messages.get(text) or self.messages.get(text.general) or str(text)
            case Numeral():
                return str(format_decimal(Decimal(text), format="0.######", locale=self.code))
        return self.messages.get(text, text)

    def _translate_part(self, part: Part) -> str:
        match part:
            case str():
                return self(part)
            case tuple():
                return ", ".join(map(self, part))
            case date():
                return self.format_day(part)
        return self(Numeral(format_english(part)))

    def format_day(self, day: date) -> str:
        if self.code == ENGLISH:
            return format_english(day)
        return format_date(day, format=DAY_FORMATS.get(self.code, "medium"), locale=self.code)


def list_languages() -> tuple[str, ...]:
    """Codes of the languages there are."""
    return (ENGLISH, *sorted(path.stem for path in FOLDER.glob("*.po")))


def read_language(code: str) -> Language:
    """The language `code`. Raises KnowledgeError where there is none, or a message is broken."""
    if code == ENGLISH:
        return Language()
    path = FOLDER / f"{code}.po"
    if not path.is_file():
        raise KnowledgeError("language", "code", f"{code} is none of {', '.join(list_languages())}")
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code)
    messages: dict[str, str] = {}
    for message in catalogue:
        if not message.id or not message.string or message.fuzzy:
            continue
        original, translated = str(message.id), str(message.string)
        if _find_fields(original) != _find_fields(translated):
            raise KnowledgeError(path.name, original[:60], "the translation has other {parts}")
        messages[original] = translated
    return Language(code, messages)


def find_untranslated(language: Language) -> tuple[str, ...]:
    """Messages that cards in `language` say in English; none for English itself."""
    if not language.messages:
        return ()
    return tuple(text for text in list_messages() if text not in language.messages)


def _find_fields(template: str) -> set[str]:
    try:
        return {name for _text, name, _spec, _conversion in Formatter().parse(template) if name}
    except ValueError:
        return {"?"}
