"""How often a tenant and an address may call, counted in each worker."""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from cds_hooks.errors import TooManyCalls


class Throttle:
    """Counts over a window that moves along, in little memory for each name."""

    def __init__(self, requests_per_minute_and_address: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._of_address = RateLimitItemPerMinute(requests_per_minute_and_address)

    def address(self, address: str) -> None:
        """Raises TooManyCalls."""
        if not self._limiter.hit(self._of_address, "address", address):
            raise TooManyCalls

    def tenant(self, tenant: str, calls_per_minute: int) -> None:
        """Raises TooManyCalls."""
        limit = RateLimitItemPerMinute(calls_per_minute)
        if not self._limiter.hit(limit, "tenant", tenant):
            raise TooManyCalls
