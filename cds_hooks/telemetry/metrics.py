"""Metrics of a worker for Prometheus: by tenant, service and rule, never by patient.

Every label has few values, and all come from the configuration, the knowledge or this code; none is
an id or a text that a caller chose. Under several workers the values live in files that outlast a
worker (prometheus_server.py).
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from cds_hooks.protocol.prefetch import FetchResult, PrefetchAnswer, PrefetchState

# Where values of several processes are kept; prometheus_client reads it.
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CALL_BUCKETS = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0,
)  # fmt: skip
WORK_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
# Statuses of FHIR servers that have an own meaning here; others count by their hundred.
REPORTED_STATUSES = frozenset({"401", "403", "404", "410", "429", "500", "502", "503", "504"})


def use_multiprocess_files() -> None:
    """From here on values are kept in the files of DIRECTORY.

    prometheus_client chooses when it is imported; a worker that is forked has imported it before.
    """
    values.ValueClass = values.MultiProcessValue(_process_id.get)


class _ProcessId:
    """Of this process. Each count asks for it, and the kernel takes longer to say than a count."""

    def __init__(self) -> None:
        self.refresh()
        os.register_at_fork(after_in_child=self.refresh)

    def refresh(self) -> None:
        self._number = os.getpid()

    def get(self) -> int:
        return self._number


_process_id = _ProcessId()


class Series(dict[tuple[str, ...], Any]):
    """The time series of one metric by their labels' values, each made when it is first met.

    Finding one here costs a tenth of asking the metric for it.
    """

    def __init__(self, metric: Any) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Any:
        self[labels] = series = self._metric.labels(*labels) if labels else self._metric
        return series


class _NoSeries:
    """Takes what a time series takes and keeps none of it."""

    def inc(self, _amount: float = 1) -> None: ...

    def set(self, _value: float) -> None: ...

    def observe(self, _value: float) -> None: ...

    def labels(self, *_values: str) -> "_NoSeries":
        return self


class Metrics:
    """All metrics of one worker. Names begin with `cobalamin_`, units are seconds."""

    def __init__(self, *, counts: bool = True) -> None:
        """`counts`: False for an application beside the service, whose calls are not its work."""
        self.registry = CollectorRegistry()
        self._counts = counts
        self._add_call_metrics()
        self._add_network_metrics()
        self._add_record_metrics()
        self._add_worker_metrics()

    def _make_series(
        self, kind: Any, name: str, text: str, labels: tuple[str, ...], **options: Any
    ) -> Series:
        if not self._counts:
            return Series(_NoSeries())
        return Series(kind(f"cobalamin_{name}", text, labels, registry=self.registry, **options))

    def _make_counter(self, name: str, text: str, *labels: str) -> Series:
        return self._make_series(Counter, name, text, labels)

    def _make_timer(
        self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = CALL_BUCKETS
    ) -> Series:
        return self._make_series(Histogram, f"{name}_seconds", text, labels, buckets=buckets)

    def _make_gauge(
        self, name: str, text: str, *labels: str, of_workers: Any = "livemax"
    ) -> Series:
        """`of_workers`: whose value stands for all workers that are alive."""
        return self._make_series(Gauge, name, text, labels, multiprocess_mode=of_workers)

    def _add_call_metrics(self) -> None:
        self.requests = self._make_counter(
            "requests", "Requests answered.", "tenant", "service", "endpoint", "status"
        )
        self.calls = self._make_timer(
            "call_duration", "From a call's arrival to its answer.", "tenant", "service"
        )
        self.calls_with_cards = self._make_counter(
            "calls_with_cards", "Calls answered with a card or more.", "tenant", "service"
        )
        self.cards = self._make_counter("cards", "Cards shown.", "tenant", "topic", "indicator")
        self.withheld = self._make_counter(
            "withheld", "Findings that were not shown, and why.", "tenant", "reason", "subject"
        )
        self.feedback = self._make_counter(
            "feedback", "What became of cards.", "tenant", "service", "topic", "outcome"
        )
        self.prefetch = self._make_counter(
            "prefetch", "How each key of a call was come by.", "tenant", "key", "state"
        )
        self.auth_refusals = self._make_counter(
            "auth_refusals", "Callers not let in.", "tenant", "reason"
        )

    def _add_network_metrics(self) -> None:
        self.fhir_requests = self._make_counter(
            "fhir_requests", "Queries to FHIR servers by how they ended.", "tenant", "reason"
        )
        self.fhir_seconds = self._make_timer(
            "fhir_request_duration", "Queries to FHIR servers that were sent.", "tenant"
        )
        self.breaker_open = self._make_gauge(
            "fhir_breaker_open", "1 while a FHIR server is left alone.", "tenant"
        )
        self.key_set_fetches = self._make_counter(
            "key_set_fetches", "Attempts to fetch a key set.", "tenant", "outcome"
        )
        self.key_set_age = self._make_gauge(
            "key_set_age_seconds", "Since the key set was fetched; not for pinned keys.", "tenant"
        )
        self.tenant_ready = self._make_gauge(
            "tenant_ready", "0 where a part fails a tenant.", "tenant", "part", of_workers="livemin"
        )

    def _add_record_metrics(self) -> None:
        self.records_seconds = self._make_timer(
            "records", "Work of the records; spool: kept aside.", "work", buckets=WORK_BUCKETS
        )
        self.records_failed = self._make_counter("records_failed", "Work that failed.", "work")
        self.records_up = self._make_gauge(
            "records_up", "1 while the database answers.", of_workers="livemin"
        )
        self.spool_waiting = self._make_gauge("spool_waiting", "Records in the spool.")
        self.spool_drained = self._make_counter(
            "spool_drained", "Records brought in from the spool."
        )
        self.disk_free = self._make_gauge(
            "disk_free_bytes", "Space left where it is kept.", "kept", of_workers="livemin"
        )
        self.disk_size = self._make_gauge("disk_size_bytes", "Space there is.", "kept")

    def _add_worker_metrics(self) -> None:
        self.ready = self._make_gauge(
            "ready", "1 while a worker is fit to answer.", of_workers="livemin"
        )
        self.build = self._make_gauge("build_info", "Version that runs.", "version", "python")
        self.knowledge = self._make_gauge(
            "knowledge_info", "Knowledge in force.", "tenant", "topic", "version"
        )
        self.workers = self._make_gauge("workers", "Workers alive.", of_workers="livesum")
        self.worker_starts = self._make_counter("worker_starts", "Workers started.")
        self.worker_cpu = self._make_counter("worker_cpu_seconds", "CPU time of workers.")
        self.worker_memory = self._make_gauge(
            "worker_resident_memory_bytes", "Memory of workers.", of_workers="livesum"
        )

    def start_at_zero(self, tenant: str, services: Iterable[str]) -> None:
        """Begins at nought what alerts look at: a series that begins at one has not risen."""
        for service in services:
            for status in ("200", "500", "503"):
                self.requests[tenant, service, "call", status].inc(0)
        for reason in ("ok", "deadline", "connection"):
            self.fhir_requests[tenant, reason].inc(0)
        for work in ("read", "write", "spool"):
            self.records_failed[work,].inc(0)
        self.auth_refusals["", "no-token"].inc(0)

    def count_record_work(self, work: str, seconds: float | None) -> None:
        """`seconds` is None where the work failed."""
        if seconds is None:
            self.records_failed[work,].inc()
        else:
            self.records_seconds[work,].observe(seconds)

    def count_fhir_requests(self, tenant: str, fetches: Iterable[FetchResult]) -> None:
        """Queries that a call made, or did not make, to a FHIR server."""
        for fetch in fetches:
            self.fhir_requests[tenant, _group_reason(fetch.reason)].inc()
            if fetch.milliseconds:
                self.fhir_seconds[tenant,].observe(fetch.milliseconds / 1000)

    def count_prefetch(self, tenant: str, answers: Mapping[str, PrefetchAnswer]) -> None:
        """Each key of a call: supplied or fetched, with or without resources, or unknown."""
        for key, answer in answers.items():
            self.prefetch[tenant, key, _find_prefetch_outcome(answer)].inc()

    def count_decision(
        self, tenant: str, service: str, cards: Iterable[tuple[str, str]], withheld: Iterable[str]
    ) -> None:
        """`cards`: topic and indicator of each; `withheld` as the log has it."""
        is_first = True
        for topic, indicator in cards:
            if is_first:
                self.calls_with_cards[tenant, service].inc()
                is_first = False
            self.cards[tenant, topic, indicator].inc()
        for code in withheld:
            reason, _, subject = code.partition(":")
            self.withheld[tenant, reason, subject].inc()


def _find_prefetch_outcome(answer: PrefetchAnswer) -> str:
    match answer.state:
        case PrefetchState.FAILED:
            return "failed"
        case PrefetchState.LEFT_OUT:
            return "missing"
    if answer.is_fetched:
        return "fetched"
    return "supplied" if answer.state is PrefetchState.FOUND else "supplied-none"


def _group_reason(reason: str) -> str:
    kind, _, status = reason.partition("-")
    if kind == "status" and status not in REPORTED_STATUSES:
        return f"status-{status[:1]}xx"
    return reason
