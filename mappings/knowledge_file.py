"""Read a knowledge file: TOML against its JSON Schema, dates, change history, source attributes.

What is misspelt, missing or contradictory stops the start with file, key and reason.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource


class KnowledgeError(ValueError):
    """Names the file, the key in it, and the reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}")
        self.file = file
        self.key = key
        self.reason = reason


CANONICAL = "https://cobalamin.example/fhir"


def replace_base(text: str, base: str) -> str:
    """`text` with `base` wherever it says the default."""
    return text.replace(f"{CANONICAL}/", f"{base}/")


def get_canonical(clinical: Mapping[str, Any]) -> str:
    """The base URL of the site's own FHIR artefacts, without a slash at its end."""
    return str(clinical.get("site", {}).get("canonical", CANONICAL)).rstrip("/")


FOLDER = Path(__file__).parent
CLINICAL = FOLDER / "clinical"  # what every guideline shares


def read_toml(path: Path) -> dict[str, Any]:
    """The document, with dates as ISO text, as JSON Schema wants it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise KnowledgeError(path.name, "file", fault.strerror or "cannot be read") from fault
    except tomllib.TOMLDecodeError as fault:
        raise KnowledgeError(path.name, "file", str(fault)) from fault
    loaded: dict[str, Any] = json.loads(json.dumps(document, default=date.isoformat))
    return loaded


@cache
def _build_validator(name: str) -> Draft202012Validator:
    schemas = {
        path.name: json.loads(path.read_text())
        for path in (FOLDER / "schemas").glob("*.schema.json")
    }
    registry: Registry[Any] = Registry().with_resources(
        (file, Resource.from_contents(schema)) for file, schema in schemas.items()
    )
    return Draft202012Validator(schemas[f"{name}.schema.json"], registry=registry)


def check_schema(document: Mapping[str, Any], schema: str, file: str) -> None:
    """Raises KnowledgeError with the first place where `document` breaks its schema."""
    for fault in _build_validator(schema).iter_errors(document):
        key = ".".join(str(part) for part in fault.absolute_path) or "file"
        raise KnowledgeError(file, key, fault.message)


def read_day(document: Mapping[str, Any], key: str, file: str) -> date:
    """The date under `key`. Raises KnowledgeError."""
    try:
        return date.fromisoformat(document[key])
    except ValueError as fault:
        raise KnowledgeError(file, key, "is no date such as 2026-11-22") from fault


@dataclass(frozen=True, slots=True)
class Change:
    """One version of the rules."""

    version: str
    day: date
    what: str


def read_changes(document: Mapping[str, Any], file: str) -> tuple[Change, ...]:
    """The changes in the order of the file, the newest first; empty where it keeps no history.

    Raises KnowledgeError where the newest is not the version that the file has.
    """
    changes = tuple(
        Change(entry["version"], read_day(entry, "date", f"{file}: change[{place}]"), entry["what"])
        for place, entry in enumerate(document.get("change", ()))
    )
    if changes and changes[0].version != document["version"]:
        raise KnowledgeError(
            file, "change", f"the first is of version {changes[0].version}, not of this file's"
        )
    return changes


SOURCE_ATTRIBUTES = "source_attributes.toml"


@dataclass(frozen=True, slots=True)
class SourceAttributes:
    """The source attributes of decision support that a guideline answers, and their source."""

    source: str
    note: str
    names: Mapping[str, str]  # by the key in a guideline's file

    def list_answers(self, texts: Mapping[str, str]) -> list[tuple[str, str | None]]:
        """(official name, what a guideline says) in order; None where it does not say.

        What a file says besides comes after, under its own key.
        """
        answers = [(name, texts.get(key)) for key, name in self.names.items()]
        return [*answers, *((key, text) for key, text in texts.items() if key not in self.names)]


def read_source_attributes() -> SourceAttributes:
    """Raises KnowledgeError."""
    document = read_toml(CLINICAL / SOURCE_ATTRIBUTES)
    check_schema(document, "source_attributes", SOURCE_ATTRIBUTES)
    names = {entry["key"]: entry["name"] for entry in document["attribute"]}
    return SourceAttributes(document["source"], document["note"], names)
