"""What a run reads: the files, and the parts that they are read in."""

import gzip
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from backports import zstd

from services.reports.duckdb_tools import compression_of

PACKED = frozenset({".gz", ".zst", ".zstd"})
LINES = frozenset({".ndjson", ".jsonl", ".ldjson"})
DOCUMENTS = frozenset({".json"})
GROWTH = 10  # how many times larger than its file a compressed export is taken to be


class NothingToRead(ValueError):
    """The paths that were given hold no file that a run could read."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file."""

    path: Path
    name: str  # as complaints name it
    size: int  # bytes on disk
    changed: int  # nanoseconds since 1970
    compression: str | None  # "gzip" or "zstd"
    whole: bool  # one JSON document rather than one on each line
    unreadable: str = ""  # why nothing of it can be read

    @property
    def unpacked(self) -> int:
        """Bytes that it is expected to hold."""
        return self.size * GROWTH if self.compression else self.size


class Part(NamedTuple):
    """A stretch of a file. A line belongs to the part that it begins in."""

    number: int
    source: int  # position in the list of sources
    start: int
    end: int | None  # None: to the end of the file


def find_sources(paths: Iterable[Path]) -> tuple[Source, ...]:
    """The files at `paths`, folders with all below them, in the order of their names.

    A file that is named is read whatever it is called; in a folder, NDJSON and JSON files are,
    compressed or not. Raises NothingToRead.
    """
    found: dict[Path, Source] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and _is_data(file))
            for file in inside:
                found.setdefault(file.resolve(), _source(file, str(file.relative_to(path))))
        elif path.exists():
            found.setdefault(path.resolve(), _source(path, path.name))
        else:
            raise NothingToRead(f"{path}: no such file or folder")
    if not found:
        raise NothingToRead(
            f"{', '.join(map(str, paths))}: no .ndjson or .json file (.gz and .zst included)"
        )
    return tuple(found.values())


def _is_data(file: Path) -> bool:
    return not file.name.startswith(".") and _kind(file) in LINES | DOCUMENTS


def _kind(file: Path) -> str:
    """The ending that says what is inside, below a compression's."""
    endings = [ending.lower() for ending in file.suffixes]
    while endings and endings[-1] in PACKED:
        endings.pop()
    return endings[-1] if endings else ""


def _source(path: Path, name: str) -> Source:
    whole = _kind(path) in DOCUMENTS
    try:
        stat, compression = path.stat(), compression_of(path)
    except OSError as fault:
        return Source(path, name, 0, 0, None, whole, fault.strerror or "unreadable")
    return Source(path, name, stat.st_size, stat.st_mtime_ns, compression, whole)


def parts_of(sources: Iterable[Source], most: int) -> tuple[Part, ...]:
    """The files in parts of `most` bytes; what is compressed or one document is one part."""
    found: list[Part] = []
    for position, source in enumerate(sources):
        if source.compression or source.whole or source.unreadable:
            found.append(Part(len(found), position, 0, None))
            continue
        for start in range(0, max(source.size, 1), most):
            end = start + most if start + most < source.size else None
            found.append(Part(len(found), position, start, end))
    return tuple(found)


def open_source(source: Source) -> BinaryIO:
    """The bytes inside `source`. Raises OSError; reading on may raise what `BROKEN` lists."""
    if source.compression == "gzip":
        return io.BufferedReader(gzip.GzipFile(source.path), 1 << 18)
    if source.compression == "zstd":
        return io.BufferedReader(zstd.ZstdFile(source.path), 1 << 18)
    return source.path.open("rb", buffering=1 << 18)


class Block(NamedTuple):
    """Lines that follow each other, without their ends; the first has number `first`, from 0."""

    first: int
    lines: list[bytes]


class Overlong(NamedTuple):
    """A line that is longer than may be held."""

    number: int


def blocks_of(
    file: BinaryIO, start: int, end: int | None, longest: int, block_bytes: int = 1 << 22
) -> Iterator[Block | Overlong]:
    """The lines that begin in `start` to `end`; none longer than `longest` is ever held whole."""
    if start:
        # Whoever has the byte before reads the line that it belongs to.
        file.seek(start - 1)
        start = start - 1 + _to_line_end(file)
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
        if len(rest) > longest:
            yield Overlong(number)
            rest, skipping = b"", True
    if rest:
        line = rest + file.readline(longest + 1)
        yield Overlong(number) if len(line) > longest else Block(number, [line.rstrip(b"\n")])


def _to_line_end(file: BinaryIO) -> int:
    """Reads to the end of the line; the number of bytes that were read."""
    read = 0
    while piece := file.readline(1 << 20):
        read += len(piece)
        if piece.endswith(b"\n"):
            break
    return read
