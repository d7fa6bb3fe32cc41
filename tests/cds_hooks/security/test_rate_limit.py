"""Who calls too often is told so; counting starts no threads and forgets what is over."""

import threading
import time

import pytest

from cds_hooks.protocol.errors import TooManyCallsError
from cds_hooks.security import rate_limit as rate_limit_module
from cds_hooks.security.rate_limit import RateLimit


def test_an_address_may_send_so_many_a_minute_and_another_as_many():
    rate_limit = RateLimit(3)
    for _ in range(3):
        rate_limit.check_address("192.0.2.1")
    with pytest.raises(TooManyCallsError):
        rate_limit.check_address("192.0.2.1")
    rate_limit.check_address("192.0.2.2")


def test_a_tenant_has_a_limit_of_its_own():
    rate_limit = RateLimit(1000)
    for _ in range(2):
        rate_limit.check_tenant("north", 2)
    with pytest.raises(TooManyCallsError):
        rate_limit.check_tenant("north", 2)
    rate_limit.check_tenant("south", 2)


def test_counting_starts_no_thread(monkeypatch):
    rate_limit, started = RateLimit(10**6), []
    monkeypatch.setattr(threading.Thread, "start", started.append)
    for number in range(100):
        rate_limit.check_address(f"192.0.2.{number}")
        rate_limit.check_tenant("north", 10**6)
    assert started == []


def test_windows_that_are_over_are_forgotten(monkeypatch):
    rate_limit = RateLimit(10)
    for number in range(100):
        rate_limit.check_address(f"192.0.2.{number}")
    rate_limit.forget_expired()
    assert len(rate_limit) >= 100
    later = time.time() + 3600
    monkeypatch.setattr(rate_limit_module.time, "time", lambda: later)
    rate_limit.forget_expired()
    assert len(rate_limit) == 0
