"""Copy a guideline file as a site's own: comments and order stay, names are left to fill in."""

from datetime import date
from typing import Any

import tomlkit
from tomlkit.items import InlineTable

from mappings.publications.guideline_checks import PLACEHOLDER

HEADER = """\
{id}: begun as a copy of {origin} version {version}.
What says TO FILL IN is for you to write; until then no start uses this file.
1. Change the limits that differ. `source` and `locator` of a limit say where the number stands:
   change them with it. The word before the number says what happens exactly at it.
2. Fill in title, publisher, citation and the rest. `reviewed` is the day on which somebody has
   compared every line with its source, and `reviewer` who that was.
3. Name this file in the configuration, and ask `cobalamin check-config`.
What follows, comments included, is the copy.\
"""
FIRST_VERSION = "0.1.0"
OPEN_KEYS = {
    "title": "what it is called on cards and pages",
    "publisher": "who stands behind it",
    "citation": "the whole reference, or the minutes that adopted it",
    "published": "a day such as 2026-11-22",
    "url": "where it can be read, https://...",
    "reviewed": "the day of the comparison, such as 2026-11-22",
    "reviewer": "who compared every line with its source",
    "strength": "how strong the evidence for its limits is",
}
OPEN_ATTRIBUTES = {
    "bibliographic_citation": "the reference in short",
    "developer": "who wrote the guideline, and who this file",
    "funding": "who paid for it, or that nobody did",
    "release_and_revision_dates": "of the guideline and of this file",
}


def copy_guideline(text: str, id_: str, day: date) -> str:
    """The guideline or definition in `text` as the beginning of another one, called `id_`, made
    on `day`.

    Each limit says from which publication it was taken, so that a limit left as it was is still
    cited rightly under the new title.
    """
    document = tomlkit.parse(text)
    origin, version = str(document["id"]), str(document["version"])
    citation = str(document["citation"])
    for row in document["cutoffs"]:
        row.setdefault("source", citation.rstrip("."))
    document["id"] = id_
    document["version"] = FIRST_VERSION
    _leave_open(document, OPEN_KEYS)
    _leave_open(document["source_attributes"], OPEN_ATTRIBUTES)
    based_on: InlineTable = tomlkit.inline_table()
    based_on.update({"id": origin, "version": version, "citation": citation})
    document["based_on"] = based_on
    change = tomlkit.table()
    change.update(
        {
            "version": FIRST_VERSION,
            "date": day,
            "what": f"Begun as a copy of {origin} version {version}.",
        }
    )
    document["change"] = tomlkit.aot()
    document["change"].append(change)
    head = HEADER.format(id=id_, origin=origin, version=version)
    return "".join(f"# {line}\n" for line in head.splitlines()) + "\n" + tomlkit.dumps(document)


def _leave_open(table: Any, what: dict[str, str]) -> None:
    for key, says in what.items():
        table[key] = f"{PLACEHOLDER}: {says}"
