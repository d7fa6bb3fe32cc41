"""Extract every message that a card can be made of into the template of catalogues.

    python tests/support/message_extraction.py

writes services/knowledge/languages/cards.pot anew, after a sentence was changed.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from mappings.knowledge_file import CLINICAL, FOLDER, read_toml
from mappings.publications.cutoffs import COMPARISON_WORDS, Undecided
from mappings.terminology.value_set_file import load_value_sets, read_derived_titles
from services.assessment.labels import LABELS, RECORD_PARTS, list_sentences
from services.cards.muscle_detail import GAPS
from services.knowledge.language import MESSAGES_FILE
from services.web.smart_app.pages import SEXES
from services.web.smart_app.patient import CARDS, STATES

PACKAGES = (Path(__file__).parents[2] / "services", FOLDER)
# Written into other texts, where no extractor finds them.
HEADINGS = (
    *("Result", "Measure", "Value", "Date", "Compared with", "Next", "Mind", "On record"),
    *("Next for muscle", "Other causes pointed to", "What is known", "Source", "Regimen"),
    *("Limits of the laboratory", "About the order", "B12 deficiency"),
    *("Other causes of muscle loss", "strength", "mass", "performance"),
)
KEYWORDS: dict[str, Any] = {"make_text": None, "translate": None, "language": None}
# What population runs say is for the site's own committee, in English alone.
METHODS = [
    ("population/**.py", "ignore"),
    ("**.py", "python"),
    ("web/smart_app/templates/**.html", "jinja2"),
]
LETTERS = re.compile(r"[A-Za-z]{2}")


def extract_messages() -> tuple[str, ...]:
    """All messages, each once, in a steady order: those of the code, then those of the files."""
    found = dict.fromkeys((*_extract_from_code(), *_list_words(), *_read_file_texts()))
    return tuple(text for text in found if LETTERS.search(re.sub(r"\{\w+\}", "", text)))


def write_template() -> None:
    """The messages as gettext's template, without a header: its date would differ each time."""
    catalogue = Catalog()
    for text in extract_messages():
        catalogue.add(text)
    with MESSAGES_FILE.open("wb") as file:
        write_po(file, catalogue, width=0, omit_header=True)


def _extract_from_code() -> Iterator[str]:
    for package in PACKAGES:
        found = extract_from_dir(package, keywords=KEYWORDS, method_map=METHODS)
        for _file, _line, message, _comments, _context in sorted(found, key=lambda m: (m[0], m[1])):
            yield message if isinstance(message, str) else message[0]
    yield from HEADINGS


def _list_words() -> Iterator[str]:
    """Words that stand in tables of the code."""
    yield from COMPARISON_WORDS.values()
    yield from (reason.value for reason in Undecided)
    for kind in LABELS:
        yield from list_sentences(kind).values()
    for table in (RECORD_PARTS, GAPS, STATES, CARDS, SEXES):
        yield from table.values()
    # What results and kidneys are said to be.
    yield from ("left", "right", "working", "impaired", "unknown", "low", "normal")
    yield from ("raised", "grossly raised")


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


if __name__ == "__main__":
    write_template()
