"""A list of words: names with the sentences that cards say for them, and where those stand."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.knowledge.site import SiteKnowledge


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: in words, and on which page."""

    says: str
    href: str | None = None


@dataclass(frozen=True, slots=True)
class GlossaryEntry:
    """One name and its sentence; `here` is the sentence in the site's language."""

    name: str
    says: str
    here: str | None = None
    indicator: str | None = None  # how loud the card is, in words
    usual: str | None = None  # the indicator of the card where nothing presses
    when: str | None = None
    where: tuple[Place, ...] = ()
    offers: tuple[str, ...] = ()  # labels of orders

    def as_json(self) -> dict[str, Any]:
        plain = {
            "name": self.name,
            "says": self.says,
            "translated": self.here,
            "indicator": self.indicator,
            "when": self.when,
            "where": [place.says for place in self.where],
            "offers": list(self.offers),
        }
        return {key: value for key, value in plain.items() if value}


@dataclass(frozen=True, slots=True)
class GlossarySection:
    """Words of one kind."""

    id: str
    title: str
    about: str
    entries: tuple[GlossaryEntry, ...]


def translate_text(knowledge: SiteKnowledge, text: str) -> str | None:
    translated = knowledge.language(text)
    return translated if translated != text else None


def build_entries(table: Mapping[str, str], knowledge: SiteKnowledge) -> Iterator[GlossaryEntry]:
    for name, says in table.items():
        yield GlossaryEntry(name, says, translate_text(knowledge, says))


def as_json(sections: Iterable[GlossarySection], language: str) -> dict[str, Any]:
    """The list as JSON."""
    return {
        "language": language,
        "sections": [
            {
                "id": section.id,
                "title": section.title,
                "words": [word.as_json() for word in section.entries],
            }
            for section in sections
        ],
    }
