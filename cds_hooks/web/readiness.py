"""Readiness of this worker and of each tenant, for probes, metrics and people."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cds_hooks.records.store import Records, RecordsUnavailableError
from cds_hooks.security.key_sets import KeySet

CACHE_SECONDS = 1.0  # for which one report is given to every probe


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """State of the records, the golden calls and the key sets at one check."""

    records: str  # "ok", or the kind of fault
    is_spooling: bool  # the database is down, and records wait in the spool
    failed_calls: tuple[str, ...]  # golden calls that were not answered as they should be
    degraded: Mapping[str, str]  # tenant -> what its key set suffers from
    tenants: int

    @property
    def is_ready(self) -> bool:
        """Key sets don't count: one EHR's fault must not take the service from the others."""
        return not self.failed_calls and (self.records == "ok" or self.is_spooling)

    def as_json(self, version: str) -> dict[str, Any]:
        """For whoever can reach the service: tenants are counted, not named."""
        document: dict[str, Any] = {
            "status": "ready" if self.is_ready else "not ready",
            "version": version,
            "records": "spooled" if self.is_spooling else self.records,
            "knowledge": "differs" if self.failed_calls else "ok",
            "tenants": self.tenants,
        }
        if self.failed_calls:
            document["differs"] = list(self.failed_calls)
        if self.degraded:
            document["degradedTenants"] = len(self.degraded)
        return document


class Readiness:
    """Checks on request, at most once a second, one thread at a time."""

    def __init__(
        self,
        records: Records,
        keys: Mapping[str, KeySet],
        tenants: int,
        unfit: Sequence[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._keys = keys
        self._tenants = tenants
        self._failed_calls = tuple(unfit)
        self._now = now
        self._lock = threading.Lock()
        self._last_report: tuple[float, ReadinessReport] | None = None

    def get_report(self) -> ReadinessReport:
        """The last finding where it is new, or while another thread looks."""
        last = self._last_report
        if last is not None and self._now() - last[0] < CACHE_SECONDS:
            return last[1]
        if last is None:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            return last[1]
        try:
            report = self._check()
            self._last_report = self._now(), report
            return report
        finally:
            self._lock.release()

    def _check(self) -> ReadinessReport:
        records = "ok"
        try:
            self._records.check()
        except RecordsUnavailableError as fault:
            records = str(fault)
        degraded = {
            tenant: keys.freshness.value
            for tenant, keys in self._keys.items()
            if not keys.freshness.is_healthy
        }
        is_spooling = records != "ok" and self._records.spool is not None
        return ReadinessReport(records, is_spooling, self._failed_calls, degraded, self._tenants)
