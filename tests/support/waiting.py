"""Waits for a condition, however busy the machine is."""

import time
from collections.abc import Callable

PATIENCE = 120.0  # seconds; nothing takes so long that ends at all


def wait_until(
    holds: Callable[[], object],
    seconds: float = PATIENCE,
    otherwise: Callable[[], str] = lambda: "it did not come to that",
) -> None:
    """Returns when `holds` is true. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)
