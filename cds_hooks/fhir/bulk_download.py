"""One file of an export, downloaded so that a download that broke off goes on where it was.

The bytes are kept as they are sent, compressed or not, under a hidden name until all are there.
Beside them stands what they are a beginning of: without it, or where the server has another file by
now, the download starts afresh.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import requests

from cds_hooks.fhir.bulk_server import LOST, PASSING, BulkServer, refusal
from cds_hooks.fhir.issues import ExportFailed
from cds_hooks.fhir.retry import Patience

CHUNK = 64 * 1024  # what a kill may lose of a file
TRIES = 8  # in a row without a byte
DAY = 86_400
GONE = frozenset({401, 403, 404, 410})  # links of an export live for a while only
RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
PRIVATE = 0o600  # what is downloaded is about patients


class LinkExpired(Exception):
    """The link leads nowhere now; the server may give another for the same file."""


class Restart(Exception):
    """What there is of the file is no beginning of what the server has."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Which file a beginning is of, as the server told it."""

    validator: str  # ETag or Last-Modified; "" for neither
    total: int | None  # bytes as they are sent
    encoding: str

    @classmethod
    def of(cls, answer: requests.Response) -> "Mark":
        etag = answer.headers.get("ETag", "")
        strong = etag if not etag.startswith("W/") else ""
        return cls(
            strong or answer.headers.get("Last-Modified", ""),
            _total(answer),
            answer.headers.get("Content-Encoding", ""),
        )

    @property
    def tells(self) -> bool:
        """Whether it would be noticed if the server had another file by now."""
        return bool(self.validator) or self.total is not None


def _total(answer: requests.Response) -> int | None:
    if answer.status_code == 206:
        found = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        return int(found[2]) if found and found[2] != "*" else None
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


class Download:
    """A file on its way to `part`; `told` gets the bytes as they arrive."""

    def __init__(self, server: BulkServer, part: Path, told: Callable[[int], None]) -> None:
        self._server = server
        self._part = part
        self._note = part.with_name(f"{part.name}.mark")
        self._told = told

    def fetch(self, url: str, *, with_token: bool) -> None:
        """Until `part` is whole. Raises LinkExpired, ExportFailed, ExportUnfinished."""
        with self._server.attempt():
            self._fetch(url, with_token=with_token)

    def _fetch(self, url: str, *, with_token: bool) -> None:
        patience = Patience(DAY, self._server.stop, TRIES, "downloading")
        while True:
            before, answer = self._size(), None
            try:
                mark, have = self._read_mark(), before
                if mark is not None and mark.total == have:
                    return
                headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip"}
                headers |= _continuing(mark, have)
                with self._server.asked("GET", url, headers, with_token=with_token) as answer:
                    if self._take(answer, mark, have):
                        return
                    reason = f"status {answer.status_code}"
            except LOST as fault:
                reason, answer = type(fault).__name__, None
            except Restart:
                self.forget()
                reason = "the file changed"
            if self._size() > before:
                patience.restart()
            passing = answer if answer is not None and answer.status_code in PASSING else None
            patience.wait(reason, passing)

    def forget(self) -> None:
        """Removes what there is of it."""
        self._note.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def keep(self, name: Path) -> None:
        """Gives the whole file its name."""
        self._part.rename(name)
        self._note.unlink(missing_ok=True)

    def _take(self, answer: requests.Response, mark: Mark | None, have: int) -> bool:
        """Whether the file is whole now; False where it should be asked for again."""
        status = answer.status_code
        if status in PASSING:
            return False
        if status in GONE:
            raise LinkExpired
        if status == 416 or (status == 206 and not _follows(answer, mark, have)):
            raise Restart
        if status not in (200, 206):
            raise ExportFailed(refusal("a file cannot be downloaded", answer, Counter()))
        if status == 200:
            self.forget()
            mark = Mark.of(answer)
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
        with os.fdopen(handle, "ab") as file:
            if status == 200:
                # Only now is there nothing left that this mark could be wrong about.
                self._write_mark(mark)
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
                file.flush()  # what has arrived outlives this process
                self._told(len(chunk))
                if self._server.stop.is_set():
                    return False
            os.fsync(file.fileno())
        return mark is None or mark.total is None or mark.total == self._size()

    def _size(self) -> int:
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def _read_mark(self) -> Mark | None:
        try:
            return Mark(**orjson.loads(self._note.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def _write_mark(self, mark: Mark | None) -> None:
        if mark is not None:
            self._note.write_bytes(orjson.dumps(asdict(mark)))


def _continuing(mark: Mark | None, have: int) -> dict[str, str]:
    """The headers that ask for the rest alone, where that is safe."""
    if mark is None or not have or not mark.tells:
        return {}
    asked = {"Range": f"bytes={have}-"}
    return asked | ({"If-Range": mark.validator} if mark.validator else {})


def _follows(answer: requests.Response, mark: Mark | None, have: int) -> bool:
    """Whether the part that was sent is the rest of the file that was begun."""
    found = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if mark is None or found is None or found[1] is None or int(found[1]) != have:
        return False
    now = Mark.of(answer)
    same_size = now.total is None or mark.total is None or now.total == mark.total
    same = not (now.validator and mark.validator) or now.validator == mark.validator
    return same_size and same and now.encoding == mark.encoding
