"""How often a tenant and an address may call, counted in each worker."""

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from cds_hooks.protocol.errors import TooManyCallsError


class RateLimit:
    """Counts over a window that moves along, in little memory for each name."""

    def __init__(self, requests_per_minute_and_address: int) -> None:
        self._counts = MemoryStorage()
        self._counts.timer.cancel()
        self._counts.timer = _Sweeping()  # type: ignore[assignment]  # see there
        self._limiter = SlidingWindowCounterRateLimiter(self._counts)
        self._of_address = RateLimitItemPerMinute(requests_per_minute_and_address)

    def check_address(self, address: str) -> None:
        """Raises TooManyCalls."""
        if not self._limiter.hit(self._of_address, "address", address):
            raise TooManyCallsError

    def check_tenant(self, tenant: str, calls_per_minute: int) -> None:
        """Raises TooManyCalls."""
        limit = RateLimitItemPerMinute(calls_per_minute)
        if not self._limiter.hit(limit, "tenant", tenant):
            raise TooManyCallsError

    def forget_expired(self) -> None:
        """Drops the counts of windows that are over; who asks again begins anew all the same."""
        now = time.time()
        for name, until in list(self._counts.expirations.items()):
            if until <= now:
                self._counts.clear(name)

    def __len__(self) -> int:
        """How many windows are counted."""
        return len(self._counts.expirations)


class _Sweeping:
    """Stands where the storage keeps its timer, a new thread for nearly every request.

    The storage starts none while one is alive; `Throttle.forget` does the work, now and then.
    """

    def is_alive(self) -> bool:
        return True
