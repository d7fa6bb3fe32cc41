"""Every knowledge file against its JSON Schema: what is misspelt stops the start."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from mappings.fault import KnowledgeFault

FOLDER = Path(__file__).parent / "schemas"


@cache
def _validator(name: str) -> Draft202012Validator:
    schemas = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.schema.json")}
    registry: Registry[Any] = Registry().with_resources(
        (file, Resource.from_contents(schema)) for file, schema in schemas.items()
    )
    return Draft202012Validator(schemas[f"{name}.schema.json"], registry=registry)


def check(document: Mapping[str, Any], schema: str, file: str) -> None:
    """Raises KnowledgeFault with the first place where `document` breaks its schema."""
    for fault in _validator(schema).iter_errors(document):
        key = ".".join(str(part) for part in fault.absolute_path) or "file"
        raise KnowledgeFault(file, key, fault.message)
