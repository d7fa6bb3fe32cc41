"""Advisories as OSV publishes them, one JSON object a file, and whether they concern a version.

https://ossf.github.io/osv-schema/
"""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

ECOSYSTEM = "PyPI"


class AdvisoryFault(ValueError):
    """The folder holds something that is no advisory, or nothing that could warn of anything."""


@dataclass(frozen=True, slots=True)
class Affected:
    """One package that an advisory is about."""

    package: NormalizedName
    versions: frozenset[str]  # as they are written there
    ranges: tuple[tuple[Mapping[str, str], ...], ...]  # each a list of events

    def includes(self, version: Version) -> bool:
        """Whether `version` is affected; a range that cannot be read includes every version."""
        return version in self._listed() or any(_within(version, one) for one in self.ranges)

    def _listed(self) -> Iterator[Version]:
        for text in self.versions:
            try:
                yield Version(text)
            except InvalidVersion:  # from before PEP 440: nothing that could be locked
                continue

    @property
    def fixed(self) -> tuple[str, ...]:
        """The versions that mend it."""
        return tuple(event["fixed"] for one in self.ranges for event in one if "fixed" in event)


@dataclass(frozen=True, slots=True)
class Advisory:
    """What is known of one weakness."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    modified: str  # RFC 3339
    affected: tuple[Affected, ...]


def read_advisories(source: Path) -> list[Advisory]:
    """The advisories about Python packages in a folder, or in the ZIP file that OSV exports.

    Those that were withdrawn are left out. Raises AdvisoryFault.
    """
    found = []
    for name, data in _files(source):
        try:
            advisory = _advisory(orjson.loads(data))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as fault:
            raise AdvisoryFault(f"{name}: is no OSV advisory ({type(fault).__name__})") from None
        if advisory is not None:
            found.append(advisory)
    if not found:
        raise AdvisoryFault(f"{source}: holds no advisory about a Python package")
    return found


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for file in sorted(source.rglob("*.json")):
            yield str(file), file.read_bytes()
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".json"):
                    yield f"{source}: {name}", archive.read(name)
    except (OSError, zipfile.BadZipFile):
        raise AdvisoryFault(f"{source}: is neither a folder nor a ZIP file") from None


def _advisory(document: Mapping[str, Any]) -> Advisory | None:
    affected = tuple(
        _affected(one)
        for one in document.get("affected", ())
        if one.get("package", {}).get("ecosystem") == ECOSYSTEM
    )
    if not affected or "withdrawn" in document:
        return None
    return Advisory(
        id=document["id"],
        aliases=tuple(document.get("aliases", ())),
        summary=document.get("summary") or "no summary",
        modified=document["modified"],
        affected=affected,
    )


def _affected(one: Mapping[str, Any]) -> Affected:
    return Affected(
        canonicalize_name(one["package"]["name"]),
        frozenset(one.get("versions", ())),
        tuple(tuple(each["events"]) for each in one.get("ranges", ()) if each["type"] != "GIT"),
    )


def _within(version: Version, events: tuple[Mapping[str, str], ...]) -> bool:
    """Whether the last event at or before `version` leaves it affected."""
    try:
        steps = sorted((_step(event) for event in events), key=lambda step: step[0])
    except InvalidVersion:
        return True
    is_affected = False
    for bound, kind in steps:
        if kind == "introduced" and version >= bound:
            is_affected = True
        elif (kind == "fixed" and version >= bound) or (
            kind == "last_affected" and version > bound
        ):
            is_affected = False
    return is_affected


def _step(event: Mapping[str, str]) -> tuple[Version, str]:
    [(kind, text)] = event.items()
    # "0" stands for the beginning, before every pre-release.
    return Version("0.dev0" if kind == "introduced" and text == "0" else text), kind
