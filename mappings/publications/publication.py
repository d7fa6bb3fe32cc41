"""Common parts of guidelines and definitions of sarcopenia: head, cut-offs and history."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mappings.knowledge_file import Change, read_changes, read_day
from mappings.publications.cutoffs import CutoffTable

COPIED_KEYS = (
    *("id", "version", "title", "publisher", "citation", "url", "reviewer", "strength"),
    *("minimum_age", "source_attributes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication(CutoffTable):
    """One publication as its file has it."""

    id: str
    version: str
    title: str
    publisher: str
    citation: str
    published: date
    url: str
    reviewed: date
    reviewer: str
    strength: str
    minimum_age: int
    not_for: tuple[str, ...]
    source_attributes: Mapping[str, str]
    based_on: Mapping[str, str] | None = None  # id, version and citation that it was copied from
    changes: tuple[Change, ...] = ()  # the newest first; empty where the file keeps no history

    @property
    def label(self) -> str:
        """Id and version, as printed on cards and in logs."""
        return f"{self.id}@{self.version}"


def read_head(document: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The members of Publication in a file, all but the cut-offs. Raises KnowledgeError."""
    return {
        **{key: document[key] for key in COPIED_KEYS},
        "published": read_day(document, "published", file),
        "reviewed": read_day(document, "reviewed", file),
        "not_for": tuple(document["not_for"]),
        "based_on": document.get("based_on"),
        "changes": read_changes(document, file),
    }
