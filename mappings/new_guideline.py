"""A guideline of a site's own, begun as a copy of one that ships."""

from pathlib import Path

import tomlkit

from mappings.fault import KnowledgeFault
from mappings.guideline_checks import TO_FILL_IN
from mappings.guideline_file import GUIDELINES

# What the site must say itself: a copy is not reviewed by whoever reviewed the original.
OPEN = ("title", "publisher", "citation", "reviewer")
NOTE = (
    "Copied from {id}@{version}. Until every {open} is replaced, and reviewed says the day on "
    "which a clinician compared each limit with its source, no service starts with this file."
)


def copied(original: str, id_: str) -> str:
    """The text of guideline or definition `original` under `id_`, comments and order kept.

    Raises KnowledgeFault where there is no such guideline.
    """
    file = GUIDELINES / f"{original.replace('-', '_')}.toml"
    if not file.is_file():
        there = ", ".join(sorted(path.stem.replace("_", "-") for path in GUIDELINES.glob("*.toml")))
        raise KnowledgeFault("guidelines", original, f"no such guideline; there are {there}")
    document = tomlkit.parse(file.read_text(encoding="utf-8"))
    based_on = tomlkit.inline_table()
    for key in ("id", "version", "citation"):
        based_on[key] = document[key]
    note = NOTE.format(id=document["id"], version=document["version"], open=TO_FILL_IN)
    document["id"] = id_
    document["version"] = "0.1.0"
    for key in OPEN:
        document[key] = f"{TO_FILL_IN}: {key}"
    document["reviewed"] = TO_FILL_IN
    # Behind the last plain key, before the first table: where TOML has it.
    text = tomlkit.dumps(document)
    head, mark, tail = text.partition("\ncutoffs = ")
    return f"# {note}\n{head}\nbased_on = {based_on.as_string()}\n{mark}{tail}"


def as_file_name(id_: str) -> Path:
    return Path(f"{id_.replace('-', '_')}.toml")
