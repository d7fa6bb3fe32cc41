"""The patient leaflet about vitamin B12: plain sentences, each with its sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from mappings.knowledge_file import CLINICAL, KnowledgeError, check_schema, read_toml

LANGUAGES = ("en", "de")  # every text is there in each of them


@dataclass(frozen=True, slots=True)
class LeafletSource:
    """A publication; `number` is its place in the list at the end of the leaflet."""

    number: int
    citation: str
    locator: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class LeafletSentence:
    """One thing to know. `text` is by language; `sources` are numbers."""

    text: Mapping[str, str]
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LeafletSection:
    """Sentences under a heading. `urgent` ones stand out."""

    title: Mapping[str, str]
    sentences: tuple[LeafletSentence, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Leaflet:
    """The whole leaflet. It says nothing about any one patient."""

    version: str
    reviewed: date
    reviewer: Mapping[str, str]
    title: Mapping[str, str]
    lead: Mapping[str, str]
    sources_heading: Mapping[str, str]
    closing: Mapping[str, str]
    sections: tuple[LeafletSection, ...]
    sources: tuple[LeafletSource, ...]


def read_leaflet() -> Leaflet:
    """The leaflet that ships. Raises KnowledgeError."""
    path = CLINICAL / "leaflet.toml"
    document = read_toml(path)
    check_schema(document, "leaflet", path.name)
    numbers = {entry["id"]: number for number, entry in enumerate(document["source"], 1)}
    used: set[str] = set()
    sections = []
    for entry in document["section"]:
        sentences = []
        for sentence in entry["sentence"]:
            unknown = [id_ for id_ in sentence["sources"] if id_ not in numbers]
            if unknown:
                raise KnowledgeError(path.name, entry["title"]["en"], f"no source {unknown[0]}")
            used.update(sentence["sources"])
            places = tuple(sorted(numbers[id_] for id_ in sentence["sources"]))
            sentences.append(LeafletSentence({key: sentence[key] for key in LANGUAGES}, places))
        sections.append(
            LeafletSection(entry["title"], tuple(sentences), entry.get("urgent", False))
        )
    for id_ in numbers.keys() - used:
        raise KnowledgeError(path.name, id_, "a source that no sentence names")
    return Leaflet(
        version=document["version"],
        reviewed=date.fromisoformat(document["reviewed"]),
        reviewer=document["reviewer"],
        title=document["title"],
        lead=document["lead"],
        sources_heading=document["sources_heading"],
        closing=document["closing"],
        sections=tuple(sections),
        sources=tuple(
            LeafletSource(numbers[s["id"]], s["citation"], s["locator"], s.get("url"))
            for s in document["source"]
        ),
    )
