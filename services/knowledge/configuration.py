"""Read the configuration of a site: the tables of the platform and the clinical ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cds_hooks.config import loader
from cds_hooks.config.settings import ServiceTables, Settings

SCHEMA = Path(__file__).parent / "schemas" / "clinical_configuration.schema.json"
# The key that chooses the publication in force, by the table of its topic.
PUBLICATION_KEYS: Mapping[str, str] = {"b12": "guideline", "sarcopenia": "definition"}
FILE_TABLES = ("value_set", "guideline")  # tables that each name a file of the site's own


def load_settings(path: Path | None) -> Settings:
    """The settings in the TOML file at `path`; None gives the defaults, for loopback only.

    Raises ConfigurationError with every fault of the file.
    """
    return loader.load_settings(path, get_clinical_tables())


def get_clinical_tables() -> ServiceTables:
    """The tables that say what is assessed, by which knowledge, and when a card is shown."""
    schema = json.loads(SCHEMA.read_bytes())
    return ServiceTables(schema, file_only=frozenset({"site"}), resolve_paths=resolve_paths)


def resolve_paths(tables: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The tables with the site's own files by their whole paths."""
    resolved = dict(tables)
    for name in FILE_TABLES:
        if name in tables:
            resolved[name] = [{"file": str(folder / entry["file"])} for entry in tables[name]]
    match resolved:
        case {"b12": {"laboratory": file, **others}}:
            resolved["b12"] = {**others, "laboratory": str(folder / file)}
    return resolved


def choose_publication(tables: Mapping[str, Any], topic: str, id_: str) -> dict[str, Any]:
    """The tables with the guideline or definition `id_` in force for `topic`."""
    return {**tables, topic: {**tables.get(topic, {}), PUBLICATION_KEYS[topic]: id_}}
