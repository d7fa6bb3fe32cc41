"""Who sees the pages for people, and for how long: the table [pages]."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AREAS = ("start", "evidence", "what-if", "governance")
PUBLIC = ("start", "evidence")  # areas that can be opened to everybody: they show no patient


@dataclass(frozen=True, slots=True)
class Pages:
    """Without tenants everything is shown to callers on this machine, and nothing of this asked."""

    public: frozenset[str] = frozenset({"evidence"})  # cards link there
    key_file: Path | None = None  # signs sessions; None: made in the state folder
    idle_minutes: int = 30
    session_hours: int = 8


def pages_of(table: Mapping[str, Any], folder: Path) -> Pages:
    """The table `[pages]`; relative paths start at `folder`."""
    default = Pages()
    return Pages(
        public=frozenset(table.get("public", default.public)),
        key_file=folder / table["key_file"] if "key_file" in table else None,
        idle_minutes=table.get("idle_minutes", default.idle_minutes),
        session_hours=table.get("session_hours", default.session_hours),
    )
