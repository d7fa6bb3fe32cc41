"""First pass of a population run: read every line once, deal patients into buckets.

Patients are dealt by a digest of their id. A part of the input becomes one file of segments, one
segment for each bucket; the second pass reads one bucket across all of them. Nothing but one part,
and later one bucket, is ever in memory. Input that cannot be used is counted and located.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from backports import zstd

from services.population.run.line_filter import FilteredLine, LineFilter, RejectedLine
from services.population.run.sources import (
    InputFile,
    InputPart,
    OverlongLine,
    open_file,
    read_blocks,
)

MAX_LOCATED = 100  # complaints of one kind that one step locates; the rest are counted


@dataclass(slots=True)
class Complaints:
    """Of one part or bucket, or of a whole run."""

    # Part, line in it from 0 (None for the file as a whole), reason.
    located: list[tuple[int, int | None, str]] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)  # all of them, by reason

    def add(self, part: int, line: int | None, reason: str) -> None:
        self.counted[reason] += 1
        if self.counted[reason] <= MAX_LOCATED:
            self.located.append((part, line, reason))

    def as_json(self) -> dict[str, Any]:
        return {"located": self.located, "counted": dict(self.counted)}

    def merge(self, said: Mapping[str, Any]) -> None:
        """Adds those of another step, as `as_json` says them."""
        self.located += [tuple(one) for one in said["located"]]
        self.counted.update(said["counted"])


TRUNCATION_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError)
BOM = b"\xef\xbb\xbf"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
COMPRESSION_LEVEL = 1  # of compression: what is written is read once, soon


@dataclass(slots=True)
class PartScan:
    """What one part held."""

    part: int
    lines: int = 0
    resources: Counter[str] = field(default_factory=Counter)  # by type
    kept_lines: int = 0
    complaints: Complaints = field(default_factory=Complaints)
    drugs: dict[str, dict[str, Any]] = field(default_factory=dict)  # by reference
    buckets: list[list[bytes]] = field(default_factory=list)

    def add_complaint(self, line: int | None, reason: str) -> None:
        """`line` is counted in the part, from 0; None for the whole file."""
        self.complaints.add(self.part, line, reason)

    def add_line(self, patient: str, number: int, line: bytes) -> None:
        """Puts a line with those of its patient; `patients_in` takes it apart again."""
        self.kept_lines += 1
        id_ = patient.encode()
        bucket = self.buckets[zlib.crc32(id_) % len(self.buckets)]
        bucket.append(b"%b\t%d\t%b\n" % (id_, number, line))

    def pack_segments(self) -> list[bytes]:
        """The buckets, packed; b"" where a bucket got nothing."""
        return [
            zstd.compress(b"".join(lines), COMPRESSION_LEVEL) if lines else b""
            for lines in self.buckets
        ]


def scan_part(
    part: InputPart, source: InputFile, sieve: LineFilter, buckets: int, longest: int
) -> PartScan:
    """The lines of `part`, each with its patient's or complained of."""
    found = PartScan(part.number, buckets=[[] for _ in range(buckets)])
    if source.read_error:
        found.add_complaint(None, "unreadable")
        return found
    try:
        with open_file(source) as file:
            if source.is_document:
                _scan_document(file.read(longest + 1), sieve, found, longest)
            else:
                _scan_lines(read_blocks(file, part.start, part.end, longest), part, sieve, found)
    except TRUNCATION_ERRORS:
        found.add_complaint(found.lines, "truncated")
    except OSError:
        found.add_complaint(None, "unreadable")
    return found


def _scan_document(data: bytes, sieve: LineFilter, found: PartScan, longest: int) -> None:
    """A file that is one JSON document; one that is not is read as lines after all."""
    if len(data) > longest:
        found.add_complaint(None, "too-long")
        return
    data = data.removeprefix(BOM)
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        _scan_block(0, data.split(b"\n"), sieve, found)
        return
    found.lines = max(data.count(b"\n"), 1)
    if isinstance(document, dict) and "transactionTime" in document:
        return  # the manifest of an export
    _scan_resource(document, 0, sieve, found)


def _scan_lines(blocks: Iterable[Any], part: InputPart, sieve: LineFilter, found: PartScan) -> None:
    for block in blocks:
        if isinstance(block, OverlongLine):
            found.add_complaint(block.number, "too-long")
            found.lines = block.number + 1
            continue
        lines = block.lines
        if block.first == 0 and part.start == 0:
            if lines[0].startswith(UTF_16_MARKS):
                found.add_complaint(None, "not-utf-8")
                return
            lines[0] = lines[0].removeprefix(BOM)
        _scan_block(block.first, lines, sieve, found)


def _scan_block(first: int, lines: list[bytes], sieve: LineFilter, found: PartScan) -> None:
    """The hot loop."""
    sort, resources = sieve.classify, found.resources
    for number, line in enumerate(lines, first):
        if not line or line.isspace():
            continue
        if not line.isascii() and not _is_utf_8(line):
            found.add_complaint(number, "not-utf-8")
            continue
        place = sort(line)
        if place.__class__ is not FilteredLine:
            _handle_irregular(place, number, sieve, found)
            continue
        kind, patient, keep = place
        resources[kind] += 1
        if not keep:
            continue
        if patient is None:
            _keep_shared(orjson.loads(line), sieve, found)
            continue
        found.add_line(patient, number, line)
    found.lines = first + len(lines)


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _handle_irregular(place: Any, number: int, sieve: LineFilter, found: PartScan) -> None:
    if isinstance(place, RejectedLine):
        found.add_complaint(number, place.reason)
        return
    for resource in place.resources:
        _scan_resource(resource, number, sieve, found)


def _scan_resource(document: Any, number: int, sieve: LineFilter, found: PartScan) -> None:
    place = sieve.classify_document(document)
    if not isinstance(place, FilteredLine):
        _handle_irregular(place, number, sieve, found)
        return
    found.resources[place.kind] += 1
    if not place.keep:
        return
    if place.patient is None:
        _keep_shared(document, sieve, found)
        return
    found.add_line(place.patient, number, orjson.dumps(document))


def _keep_shared(resource: dict[str, Any], sieve: LineFilter, found: PartScan) -> None:
    """A resource of no patient that those of patients refer to."""
    kept = sieve.reduce_medication(resource) if resource["resourceType"] != "Device" else resource
    if kept is not None and isinstance(kept.get("id"), str):
        found.drugs[f"{kept['resourceType']}/{kept['id']}"] = kept


class Line(NamedTuple):
    """A line of a patient, and where it stood."""

    part: int
    number: int  # in its part, from 0
    text: bytes


def group_by_patient(segments: Iterable[tuple[int, bytes]]) -> list[tuple[str, list[Line]]]:
    """The patients of one bucket with their lines, in the order of their ids.

    `segments` are (number of the part, packed segment), in the order of the parts.
    """
    found: dict[bytes, list[Line]] = {}
    for part, segment in segments:
        if not segment:
            continue
        for line in zstd.decompress(segment).split(b"\n"):
            if line:
                patient, number, text = line.split(b"\t", 2)
                kept = Line(part, int(number), text)
                lines = found.get(patient)
                if lines is None:
                    found[patient] = [kept]
                else:
                    lines.append(kept)
    return sorted((patient.decode(), lines) for patient, lines in found.items())
