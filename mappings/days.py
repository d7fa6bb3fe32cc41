"""Dates in the knowledge files."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from mappings.fault import KnowledgeFault


def day_of(document: Mapping[str, Any], key: str, file: str) -> date:
    """The date under `key`. Raises KnowledgeFault."""
    try:
        return date.fromisoformat(document[key])
    except ValueError as fault:
        raise KnowledgeFault(file, key, "is no date such as 2026-11-22") from fault
