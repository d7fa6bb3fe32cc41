"""What changed in a guideline's file, version by version, as the file itself says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mappings.days import day_of
from mappings.fault import KnowledgeFault


@dataclass(frozen=True, slots=True)
class Change:
    """One version of the rules."""

    version: str
    day: date
    what: str


def changes_of(document: Mapping[str, Any], file: str) -> tuple[Change, ...]:
    """The changes in the order of the file, the newest first; empty where it keeps no history.

    Raises KnowledgeFault where the newest is not the version that the file has.
    """
    changes = tuple(
        Change(entry["version"], day_of(entry, "date", f"{file}: change[{place}]"), entry["what"])
        for place, entry in enumerate(document.get("change", ()))
    )
    if changes and changes[0].version != document["version"]:
        raise KnowledgeFault(
            file, "change", f"the first is of version {changes[0].version}, not of this file's"
        )
    return changes
