"""Read the manifest of a bulk export: the list of its files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from cds_hooks.fhir.issues import ExportError

RESOURCE_TYPE = re.compile(r"[A-Za-z]{1,64}")  # becomes part of a file's name


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of the manifest."""

    section: str  # "output", "deleted" or "error"
    type: str  # resource type; "" where the server does not say
    url: str
    count: int | None = None  # resources, where the server says


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of an export, from all pages of its manifest."""

    transaction_time: str
    needs_token: bool
    files: tuple[RemoteFile, ...]


def read_page(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ExportError("the manifest is not a JSON object")
    return document


def find_next_page(page: Mapping[str, Any]) -> str | None:
    links = page.get("link")
    for link in links if isinstance(links, list) else ():
        match link:
            case {"relation": "next", "url": str(url)}:
                return url
    return None


def build_manifest(pages: list[dict[str, Any]]) -> Manifest:
    first = pages[0]
    if not isinstance(first.get("output"), list):
        raise ExportError("the manifest has no output")
    files = tuple(file for page in pages for file in _read_files(page))
    moment = first.get("transactionTime")
    return Manifest(
        moment if isinstance(moment, str) else "",
        # Where it does not say, the files may well need one; it never goes further than allowed.
        first.get("requiresAccessToken") is not False,
        files,
    )


# Version 4 of the specification calls the errors what they often are.
SECTIONS = {"output": "output", "deleted": "deleted", "error": "error", "outcome": "error"}


def _read_files(page: Mapping[str, Any]) -> Iterator[RemoteFile]:
    for member, section in SECTIONS.items():
        entries = page.get(member)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            match entry:
                case {"url": str(url)}:
                    kind, count = entry.get("type"), entry.get("count")
                    yield RemoteFile(
                        section,
                        kind if isinstance(kind, str) and RESOURCE_TYPE.fullmatch(kind) else "",
                        url,
                        count if isinstance(count, int) and count >= 0 else None,
                    )
                case _:
                    raise ExportError(f"the manifest's {member}[{number}] has no url")
