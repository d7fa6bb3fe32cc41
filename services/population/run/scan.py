"""First pass of a population run: read every line once, deal patients into buckets.

Patients are dealt by a digest of their id. A part of the input becomes one file of segments, one
segment for each bucket; the second pass reads one bucket across all of them. Nothing but one part,
and later one bucket, is ever in memory. Input that cannot be used is counted and located.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

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


class ComplaintsJson(TypedDict):
    """Complaints as a step's result file holds them."""

    located: list[tuple[int, int | None, str]]  # part, line in it from 0, reason
    counted: dict[str, int]  # by reason


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

    def as_json(self) -> ComplaintsJson:
        return {"located": self.located, "counted": dict(self.counted)}

    def merge(self, complaints: ComplaintsJson) -> None:
        """Add those of another step."""
        self.located += [(part, line, reason) for part, line, reason in complaints["located"]]
        self.counted.update(complaints["counted"])


TRUNCATION_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError)
BOM = b"\xef\xbb\xbf"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
COMPRESSION_LEVEL = 1  # of compression: what is written is read once, soon


@dataclass(slots=True)
class PartScan:
    """What one part of the input holds."""

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
    part: InputPart, source: InputFile, line_filter: LineFilter, buckets: int, max_line_bytes: int
) -> PartScan:
    """Read the lines of `part` into buckets of patients; count what cannot be used."""
    part_scan = PartScan(part.number, buckets=[[] for _ in range(buckets)])
    if source.read_error:
        part_scan.add_complaint(None, "unreadable")
        return part_scan
    try:
        with open_file(source) as file:
            if source.is_document:
                _scan_document(
                    file.read(max_line_bytes + 1), line_filter, part_scan, max_line_bytes
                )
            else:
                _scan_lines(
                    read_blocks(file, part.start, part.end, max_line_bytes),
                    part,
                    line_filter,
                    part_scan,
                )
    except TRUNCATION_ERRORS:
        part_scan.add_complaint(part_scan.lines, "truncated")
    except OSError:
        part_scan.add_complaint(None, "unreadable")
    return part_scan


def _scan_document(
    data: bytes, line_filter: LineFilter, part_scan: PartScan, max_line_bytes: int
) -> None:
    """Scan a file as one JSON document; one that is not is read as lines after all."""
    if len(data) > max_line_bytes:
        part_scan.add_complaint(None, "too-long")
        return
    data = data.removeprefix(BOM)
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        _scan_block(0, data.split(b"\n"), line_filter, part_scan)
        return
    part_scan.lines = max(data.count(b"\n"), 1)
    if isinstance(document, dict) and "transactionTime" in document:
        return  # the manifest of an export
    _scan_resource(document, 0, line_filter, part_scan)


def _scan_lines(
    blocks: Iterable[Any], part: InputPart, line_filter: LineFilter, part_scan: PartScan
) -> None:
    for block in blocks:
        if isinstance(block, OverlongLine):
            part_scan.add_complaint(block.number, "too-long")
            part_scan.lines = block.number + 1
            continue
        lines = block.lines
        if block.first == 0 and part.start == 0:
            if lines[0].startswith(UTF_16_MARKS):
                part_scan.add_complaint(None, "not-utf-8")
                return
            lines[0] = lines[0].removeprefix(BOM)
        _scan_block(block.first, lines, line_filter, part_scan)


def _scan_block(
    first: int, lines: list[bytes], line_filter: LineFilter, part_scan: PartScan
) -> None:
    """The hot loop."""
    sort, resources = line_filter.classify, part_scan.resources
    for number, line in enumerate(lines, first):
        if not line or line.isspace():
            continue
        if not line.isascii() and not _is_utf_8(line):
            part_scan.add_complaint(number, "not-utf-8")
            continue
        filtered = sort(line)
        if filtered.__class__ is not FilteredLine:
            _handle_irregular(filtered, number, line_filter, part_scan)
            continue
        kind, patient, keep = filtered
        resources[kind] += 1
        if not keep:
            continue
        if patient is None:
            _keep_shared(orjson.loads(line), line_filter, part_scan)
            continue
        part_scan.add_line(patient, number, line)
    part_scan.lines = first + len(lines)


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _handle_irregular(
    filtered: Any, number: int, line_filter: LineFilter, part_scan: PartScan
) -> None:
    if isinstance(filtered, RejectedLine):
        part_scan.add_complaint(number, filtered.reason)
        return
    for resource in filtered.resources:
        _scan_resource(resource, number, line_filter, part_scan)


def _scan_resource(
    document: Any, number: int, line_filter: LineFilter, part_scan: PartScan
) -> None:
    filtered = line_filter.classify_document(document)
    if not isinstance(filtered, FilteredLine):
        _handle_irregular(filtered, number, line_filter, part_scan)
        return
    part_scan.resources[filtered.kind] += 1
    if not filtered.keep:
        return
    if filtered.patient is None:
        _keep_shared(document, line_filter, part_scan)
        return
    part_scan.add_line(filtered.patient, number, orjson.dumps(document))


def _keep_shared(resource: dict[str, Any], line_filter: LineFilter, part_scan: PartScan) -> None:
    """Keep a resource of no patient that those of patients refer to."""
    shared = (
        line_filter.reduce_medication(resource)
        if resource["resourceType"] != "Device"
        else resource
    )
    if shared is not None and isinstance(shared.get("id"), str):
        part_scan.drugs[f"{shared['resourceType']}/{shared['id']}"] = shared


class Line(NamedTuple):
    """A line of a patient, and where it stood."""

    part: int
    number: int  # in its part, from 0
    text: bytes


def group_by_patient(segments: Iterable[tuple[int, bytes]]) -> list[tuple[str, list[Line]]]:
    """Group the lines of one bucket by patient, in the order of their ids.

    `segments` are (number of the part, packed segment), in the order of the parts.
    """
    lines_by_patient: dict[bytes, list[Line]] = {}
    for part, segment in segments:
        if not segment:
            continue
        for line in zstd.decompress(segment).split(b"\n"):
            if line:
                patient, number, text = line.split(b"\t", 2)
                entry = Line(part, int(number), text)
                lines = lines_by_patient.get(patient)
                if lines is None:
                    lines_by_patient[patient] = [entry]
                else:
                    lines.append(entry)
    return sorted((patient.decode(), lines) for patient, lines in lines_by_patient.items())
