"""Extract every message that the code has for a card into the template of catalogues.

    python tests/support/message_extraction.py

writes services/knowledge/languages/cards.pot anew, after a sentence of the code was changed.
Those of the knowledge files are read where they stand: services/knowledge/messages.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from mappings.knowledge_file import FOLDER
from mappings.publications.cutoffs import COMPARISON_WORDS, Undecided
from services.assessment.labels import LABELS, RECORD_PARTS, list_sentences
from services.cards.muscle_detail import GAPS
from services.knowledge.messages import MESSAGES_FILE, keep_words
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


def extract_messages() -> tuple[str, ...]:
    """The messages of the code, each once, in a steady order."""
    return keep_words((*_extract_from_code(), *_list_words()))


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


if __name__ == "__main__":
    write_template()
