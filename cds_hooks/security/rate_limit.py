"""Limit how often a tenant and an address may call, counted in each worker."""

import threading
import time

from cds_hooks.protocol.errors import TooManyCallsError

WINDOW_SECONDS = 60


class RateLimit:
    """A window of a minute that moves along, in two counts for each name.

    Calls of the minute before count by the share of it that the window still covers.
    """

    def __init__(self, requests_per_minute_and_address: int) -> None:
        self._per_address = requests_per_minute_and_address
        # (kind, name) -> number of the minute, calls in it, calls in the minute before
        self._counts: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._lock = threading.Lock()

    def check_address(self, address: str) -> None:
        """Counts a request from `address`. Raises TooManyCallsError."""
        self._count(("address", address), self._per_address)

    def check_tenant(self, tenant: str, calls_per_minute: int) -> None:
        """Counts a call of `tenant`. Raises TooManyCallsError."""
        self._count(("tenant", tenant), calls_per_minute)

    def _count(self, name: tuple[str, str], limit: int) -> None:
        now = time.time() / WINDOW_SECONDS
        minute = int(now)
        with self._lock:
            counted, calls, before = self._counts.get(name, (minute, 0, 0))
            if counted != minute:
                calls, before = 0, calls if counted == minute - 1 else 0
            if calls + int(before * (minute + 1 - now)) >= limit:
                raise TooManyCallsError
            self._counts[name] = minute, calls + 1, before

    def forget_expired(self) -> None:
        """Drops counts that no window covers any more."""
        oldest = int(time.time() / WINDOW_SECONDS) - 1
        with self._lock:
            for name, (minute, *_) in list(self._counts.items()):
                if minute < oldest:
                    del self._counts[name]

    def __len__(self) -> int:
        """How many names are counted."""
        return len(self._counts)
