"""Every message that a card can be made of: those of the code, and those of the knowledge files."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

from mappings.knowledge_file import CLINICAL, FOLDER, read_toml
from mappings.terminology.value_set_file import load_value_sets, read_derived_titles

MESSAGES_FILE = Path(__file__).parent / "languages" / "cards.pot"  # what the code says
LETTERS = re.compile(r"[A-Za-z]{2}")


@cache
def list_messages() -> tuple[str, ...]:
    """All messages, each once: those of the template, then those of the knowledge files."""
    return tuple(dict.fromkeys((*read_template(), *keep_words(_read_file_texts()))))


def read_template() -> tuple[str, ...]:
    with MESSAGES_FILE.open("rb") as file:
        return tuple(str(message.id) for message in read_po(file) if message.id)


def keep_words(texts: Iterable[str]) -> tuple[str, ...]:
    """Those of `texts` that have a word to translate, each once."""
    found = dict.fromkeys(texts)
    return tuple(text for text in found if LETTERS.search(re.sub(r"\{\w+\}", "", text)))


def _read_file_texts() -> Iterator[str]:
    index = load_value_sets()
    yield from (value_set.title for value_set in index.sets.values() if _is_named(value_set.kind))
    yield from (v.refused for v in index.sets.values() if v.refused)
    yield from read_derived_titles().values()
    yield from (
        reason["display"] for reason in read_toml(CLINICAL / "override_reasons.toml")["reasons"]
    )
    for rule in read_toml(CLINICAL / "order_rules.toml")["rule"].values():
        yield from (rule["title"], rule["locator"])
        for case in rule["case"].values():
            yield from (case["summary"], case["says"])
    for file in sorted((FOLDER / "order_templates").glob("*.toml")):
        for template in read_toml(file)["template"]:
            yield from (template["label"], template["description"])
            if "test" in template:
                yield template["test"]
    for file in sorted((FOLDER / "guidelines").glob("*.toml")):
        yield from _read_guideline_texts(read_toml(file))
    yield from _find_meanings(read_toml(CLINICAL / "laboratory.toml"))
    for cause in read_toml(CLINICAL / "differential.toml")["cause"]:
        yield from (cause["title"], cause["next"], cause["against"])
    comparison = read_toml(CLINICAL / "comparison.toml")
    yield comparison["statement"]["says"]
    for row in comparison["row"]:
        yield from (row["aspect"], row["b12"], row["other"])
    yield read_toml(CLINICAL / "clinical_sets.toml")["leber"]["says"]


def _is_named(kind: str) -> bool:
    """Whether a card can name something of this kind."""
    return kind not in ("route", "answer")


def _read_guideline_texts(document: dict[str, Any]) -> Iterator[str]:
    yield from (document["strength"], document["reviewer"])
    yield from (treatment["says"] for treatment in document.get("treatment", ()))
    if document["subject"] == "b12":  # a measure of muscle is told as low, not by its limit
        yield from _find_meanings(document)


def _find_meanings(node: object) -> Iterator[str]:
    match node:
        case {"means": str(means)}:
            yield means.replace("_", " ")
        case dict():
            for value in node.values():
                yield from _find_meanings(value)
        case list():
            for value in node:
                yield from _find_meanings(value)
