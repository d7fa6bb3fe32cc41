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

from cds_hooks.fhir.bulk_server import (
    CONNECTION_ERRORS,
    TRANSIENT_STATUSES,
    BulkServer,
    describe_refusal,
)
from cds_hooks.fhir.issues import ExportError
from cds_hooks.fhir.retry import Backoff

CHUNK_BYTES = 64 * 1024  # what a kill may lose of a file
MAX_TRIES = 8  # in a row without a byte
SECONDS_PER_DAY = 86_400
EXPIRED_STATUSES = frozenset({401, 403, 404, 410})  # links of an export live for a while only
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
PRIVATE_MODE = 0o600  # what is downloaded is about patients


class LinkExpiredError(Exception):
    """The link leads nowhere now; the server may give another for the same file."""


class FileChangedError(Exception):
    """What there is of the file is no beginning of what the server has."""


@dataclass(frozen=True, slots=True)
class DownloadState:
    """Which file a beginning is of, as the server told it."""

    validator: str  # ETag or Last-Modified; "" for neither
    total: int | None  # bytes as they are sent
    encoding: str

    @classmethod
    def from_response(cls, answer: requests.Response) -> "DownloadState":
        etag = answer.headers.get("ETag", "")
        strong = etag if not etag.startswith("W/") else ""
        return cls(
            strong or answer.headers.get("Last-Modified", ""),
            _read_total(answer),
            answer.headers.get("Content-Encoding", ""),
        )

    @property
    def can_detect_change(self) -> bool:
        """Whether it would be noticed if the server had another file by now."""
        return bool(self.validator) or self.total is not None


def _read_total(answer: requests.Response) -> int | None:
    if answer.status_code == 206:
        match = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        return int(match[2]) if match and match[2] != "*" else None
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


class Download:
    """A file on its way to `part`; `told` gets the bytes as they arrive."""

    def __init__(self, server: BulkServer, part: Path, report_bytes: Callable[[int], None]) -> None:
        self._server = server
        self._part = part
        self._state_file = part.with_name(f"{part.name}.mark")
        self._report_bytes = report_bytes

    def fetch(self, url: str, *, with_token: bool) -> None:
        """Until `part` is whole. Raises LinkExpired, ExportFailed, ExportUnfinished."""
        with self._server.track_request():
            self._fetch(url, with_token=with_token)

    def _fetch(self, url: str, *, with_token: bool) -> None:
        backoff = Backoff(SECONDS_PER_DAY, self._server.stop, MAX_TRIES, "downloading")
        while True:
            before, answer = self._get_size(), None
            try:
                state, size = self._read_state(), before
                if state is not None and state.total == size:
                    return
                headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip"}
                headers |= _build_range_headers(state, size)
                with self._server.send_request(
                    "GET", url, headers, with_token=with_token
                ) as answer:
                    if self._save_response(answer, state, size):
                        return
                    reason = f"status {answer.status_code}"
            except CONNECTION_ERRORS as fault:
                reason, answer = type(fault).__name__, None
            except FileChangedError:
                self.discard()
                reason = "the file changed"
            if self._get_size() > before:
                backoff.restart()
            passing = (
                answer if answer is not None and answer.status_code in TRANSIENT_STATUSES else None
            )
            backoff.wait(reason, passing)

    def discard(self) -> None:
        """Removes what there is of it."""
        self._state_file.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def finish(self, name: Path) -> None:
        """Gives the whole file its name."""
        self._part.rename(name)
        self._state_file.unlink(missing_ok=True)

    def _save_response(
        self, answer: requests.Response, state: DownloadState | None, size: int
    ) -> bool:
        """Whether the file is whole now; False where it should be asked for again."""
        status = answer.status_code
        if status in TRANSIENT_STATUSES:
            return False
        if status in EXPIRED_STATUSES:
            raise LinkExpiredError
        if status == 416 or (status == 206 and not _is_continuation(answer, state, size)):
            raise FileChangedError
        if status not in (200, 206):
            raise ExportError(describe_refusal("a file cannot be downloaded", answer, Counter()))
        if status == 200:
            self.discard()
            state = DownloadState.from_response(answer)
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_MODE)
        with os.fdopen(handle, "ab") as file:
            if status == 200:
                # Only now is there nothing left that this mark could be wrong about.
                self._write_state(state)
            for chunk in answer.raw.stream(CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                file.flush()  # what has arrived outlives this process
                self._report_bytes(len(chunk))
                if self._server.stop.is_set():
                    return False
            os.fsync(file.fileno())
        return state is None or state.total is None or state.total == self._get_size()

    def _get_size(self) -> int:
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def _read_state(self) -> DownloadState | None:
        try:
            return DownloadState(**orjson.loads(self._state_file.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def _write_state(self, state: DownloadState | None) -> None:
        if state is not None:
            self._state_file.write_bytes(orjson.dumps(asdict(state)))


def _build_range_headers(state: DownloadState | None, size: int) -> dict[str, str]:
    """The headers that ask for the rest alone, where that is safe."""
    if state is None or not size or not state.can_detect_change:
        return {}
    headers = {"Range": f"bytes={size}-"}
    return headers | ({"If-Range": state.validator} if state.validator else {})


def _is_continuation(answer: requests.Response, state: DownloadState | None, size: int) -> bool:
    """Whether the part that was sent is the rest of the file that was begun."""
    match = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if state is None or match is None or match[1] is None or int(match[1]) != size:
        return False
    now = DownloadState.from_response(answer)
    same_size = now.total is None or state.total is None or now.total == state.total
    same_validator = not (now.validator and state.validator) or now.validator == state.validator
    return same_size and same_validator and now.encoding == state.encoding
