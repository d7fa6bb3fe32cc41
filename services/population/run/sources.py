"""Input files of a population run, and the parts that they are read in."""

import gzip
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from backports import zstd

from services.reports.duckdb_tools import detect_compression

COMPRESSION_SUFFIXES = frozenset({".gz", ".zst", ".zstd"})
LINE_SUFFIXES = frozenset({".ndjson", ".jsonl", ".ldjson"})
DOCUMENT_SUFFIXES = frozenset({".json"})
EXPANSION_RATIO = 10  # how many times larger than its file a compressed export is taken to be


class NoInputError(ValueError):
    """The paths hold no file that a run can read."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file."""

    path: Path
    name: str  # as complaints name it
    size: int  # bytes on disk
    changed_ns: int  # nanoseconds since 1970
    compression: str | None  # "gzip" or "zstd"
    is_document: bool  # one JSON document rather than one on each line
    read_error: str = ""  # why nothing of it can be read

    @property
    def expected_bytes(self) -> int:
        """Bytes that it is expected to hold."""
        return self.size * EXPANSION_RATIO if self.compression else self.size


class InputPart(NamedTuple):
    """A stretch of a file. A line belongs to the part that it begins in."""

    number: int
    source: int  # position in the list of sources
    start: int
    end: int | None  # None: to the end of the file


def find_files(paths: Iterable[Path]) -> tuple[InputFile, ...]:
    """Find the input files at `paths`, folders with all below them, in the order of names.

    A file that is named is read whatever it is called; in a folder, NDJSON and JSON files are,
    compressed or not. Raises NoInputError.
    """
    files: dict[Path, InputFile] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and _is_data(file))
            for file in inside:
                files.setdefault(file.resolve(), _describe_file(file, str(file.relative_to(path))))
        elif path.exists():
            files.setdefault(path.resolve(), _describe_file(path, path.name))
        else:
            raise NoInputError(f"{path}: no such file or folder")
    if not files:
        raise NoInputError(
            f"{', '.join(map(str, paths))}: no .ndjson or .json file (.gz and .zst included)"
        )
    return tuple(files.values())


def _is_data(file: Path) -> bool:
    return not file.name.startswith(".") and _find_suffix(file) in LINE_SUFFIXES | DOCUMENT_SUFFIXES


def _find_suffix(file: Path) -> str:
    """The ending that says what is inside, below a compression's."""
    endings = [ending.lower() for ending in file.suffixes]
    while endings and endings[-1] in COMPRESSION_SUFFIXES:
        endings.pop()
    return endings[-1] if endings else ""


def _describe_file(path: Path, name: str) -> InputFile:
    is_document = _find_suffix(path) in DOCUMENT_SUFFIXES
    try:
        stat, compression = path.stat(), detect_compression(path)
    except OSError as error:
        return InputFile(path, name, 0, 0, None, is_document, error.strerror or "unreadable")
    return InputFile(path, name, stat.st_size, stat.st_mtime_ns, compression, is_document)


def split_files(sources: Iterable[InputFile], max_bytes: int) -> tuple[InputPart, ...]:
    """The files in parts of `max_bytes` bytes; what is compressed or one document is one part."""
    parts: list[InputPart] = []
    for position, source in enumerate(sources):
        if source.compression or source.is_document or source.read_error:
            parts.append(InputPart(len(parts), position, 0, None))
            continue
        for start in range(0, max(source.size, 1), max_bytes):
            end = start + max_bytes if start + max_bytes < source.size else None
            parts.append(InputPart(len(parts), position, start, end))
    return tuple(parts)


def open_file(source: InputFile) -> BinaryIO:
    """Open the bytes inside `source`. Raises OSError; reading may raise TRUNCATION_ERRORS."""
    if source.compression == "gzip":
        return io.BufferedReader(gzip.GzipFile(source.path), 1 << 18)
    if source.compression == "zstd":
        return io.BufferedReader(zstd.ZstdFile(source.path), 1 << 18)
    return source.path.open("rb", buffering=1 << 18)


class Block(NamedTuple):
    """Lines that follow each other, without their ends; the first has number `first`, from 0."""

    first: int
    lines: list[bytes]


class OverlongLine(NamedTuple):
    """A line that is longer than may be held."""

    number: int


def read_blocks(
    file: BinaryIO, start: int, end: int | None, max_line_bytes: int, block_bytes: int = 1 << 22
) -> Iterator[Block | OverlongLine]:
    """Read the lines that begin in `start` to `end`; none over `max_line_bytes` is held whole."""
    if start:
        # Whoever has the byte before reads the line that it belongs to.
        file.seek(start - 1)
        start = start - 1 + _skip_line(file)
    position, number, rest, skipping = start, 0, b"", False
    while end is None or position < end:
        block = file.read(block_bytes if end is None else min(block_bytes, end - position))
        if not block:
            break
        position += len(block)
        if skipping:
            cut = block.find(b"\n")
            if cut < 0:
                continue
            block, skipping, number = block[cut + 1 :], False, number + 1
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if lines:
            yield Block(number, lines)
            number += len(lines)
        if len(rest) > max_line_bytes:
            yield OverlongLine(number)
            rest, skipping = b"", True
    if rest:
        line = rest + file.readline(max_line_bytes + 1)
        yield (
            OverlongLine(number)
            if len(line) > max_line_bytes
            else Block(number, [line.rstrip(b"\n")])
        )


def _skip_line(file: BinaryIO) -> int:
    """Reads to the end of the line; the number of bytes that were read."""
    read = 0
    while piece := file.readline(1 << 20):
        read += len(piece)
        if piece.endswith(b"\n"):
            break
    return read
