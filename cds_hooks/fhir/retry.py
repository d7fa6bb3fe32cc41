"""How long to wait before a server is asked again."""

import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from cds_hooks.fhir.issues import ExportInterruptedError

MIN_WAIT_SECONDS = 1.0
MAX_WAIT_SECONDS = 60.0
MAX_RETRY_AFTER_SECONDS = (
    3600.0  # a server may ask for more time than we would take, and not for days
)


class Backoff:
    """Waits longer each time, or as long as the server asks for, until the deadline.

    `tries`: how many waits in a row; None: any number. `stop` ends a wait from another thread.
    """

    def __init__(
        self, seconds: float, stop: threading.Event, tries: int | None = None, doing: str = ""
    ) -> None:
        self._deadline = time.monotonic() + seconds
        self._stop = stop
        self._tries = tries
        self._activity = doing
        self.restart()

    def restart(self) -> None:
        """Begins anew with short waits: there was progress."""
        self._pause = MIN_WAIT_SECONDS
        self._tries_left = self._tries

    def wait(self, reason: str, answer: requests.Response | None = None) -> None:
        """Raises ExportUnfinished where patience ends; `reason` says why we wait."""
        retry_after = read_retry_after(answer) if answer is not None else None
        pause = self._pause if retry_after is None else min(retry_after, MAX_RETRY_AFTER_SECONDS)
        self._pause = min(self._pause * 2, MAX_WAIT_SECONDS)
        if self._tries_left is not None:
            self._tries_left -= 1
        over = time.monotonic() + pause > self._deadline
        if over or (self._tries_left is not None and self._tries_left < 0):
            raise ExportInterruptedError(f"{self._activity}: {reason}")
        if self._stop.wait(pause):
            raise ExportInterruptedError(f"{self._activity}: stopped")


def read_retry_after(answer: requests.Response) -> float | None:
    """What Retry-After says, in seconds or as a date; None where it says nothing."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
