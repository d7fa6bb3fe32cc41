"""Codes of a site's own in a file, each list of them with where it came from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mappings.knowledge_file import check_schema, read_toml
from mappings.terminology.value_set import CodeRow, SiteCodes
from mappings.text import name_code


def read_site_codes(path: Path) -> SiteCodes:
    """The codes of one file, as `cobalamin import-valueset` writes it. Raises KnowledgeError."""
    document = read_toml(path)
    check_schema(document, "site_value_set", path.name)
    title = document.get("title", document["value_set"])
    return SiteCodes(
        file=path.name,
        value_set=document["value_set"],
        kind=document.get("kind"),
        title=document.get("title"),
        sources=tuple(
            {key: value for key, value in source.items() if key != "codes"}
            for source in document["source"]
        ),
        rows=tuple(
            CodeRow(
                code["system"],
                code["code"],
                name_code(code["display"], title),
                listed=code["display"],
                source=describe_origin(source),
            )
            for source in document["source"]
            for code in source["codes"]
        ),
    )


def describe_origin(source: Mapping[str, Any]) -> str:
    """The canonical URL of the ValueSet with its version; without a URL, the file."""
    if "url" not in source:
        return str(source["file"])
    return f"{source['url']}|{source['version']}" if "version" in source else str(source["url"])
