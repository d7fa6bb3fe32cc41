"""Monitor a worker: its gauges every few seconds, its start and stop lines in the log."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cds_hooks.records.database import get_sqlite_file
from cds_hooks.web.context import Context

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STATM = Path("/proc/self/statm")  # pages: all, resident and others; Linux alone


class WorkerMonitor:
    """Keeps the gauges of one worker true, and its key sets fresh."""

    def __init__(self, context: Context, knowledge: Mapping[str, Mapping[str, str]]) -> None:
        """`knowledge`: what is in force for each tenant: id@version by topic."""
        self._context = context
        self._knowledge = knowledge
        self._started_at = time.monotonic()
        self._cpu = 0.0
        self._is_stopped = False

    def start(self) -> None:
        metrics, version = self._context.telemetry.metrics, self._context.telemetry.version
        metrics.build[version, ".".join(map(str, sys.version_info[:3]))].set(1)
        metrics.worker_starts[()].inc()
        metrics.workers[()].set(1)
        for tenant, labels in self._knowledge.items():
            for topic, label in labels.items():
                metrics.knowledge[tenant, topic, label].set(1)
            self._context.telemetry.log.info(
                "start", version=version, tenant=tenant, knowledge=labels
            )
        for tenant, site in self._context.sites.items():
            metrics.start_at_zero(tenant, site.services)
        self._update_readiness()
        unfit = self._context.readiness.get_report().failed_calls
        if unfit:
            reason, process = "golden calls differ", os.getpid()
            self._context.telemetry.log.error(
                "error", version=version, process=process, reason=reason, places=list(unfit)
            )

    def stop(self) -> None:
        """Once, however often it is told."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._context.telemetry.tracing.close()
        self._context.telemetry.log.info(
            "stop",
            version=self._context.telemetry.version,
            process=os.getpid(),
            upSeconds=round(time.monotonic() - self._started_at, 1),
        )

    def report_slow_body(self) -> None:
        """A request was given up before it was whole."""
        context, status = self._context, 408
        context.telemetry.metrics.requests["", "", "none", str(status)].inc()
        context.telemetry.log.warning(
            "error", version=context.telemetry.version, status=status, reason="BodyTooSlow"
        )

    def update(self, came: int = 0) -> None:
        """`came`: records that were brought in from the spool since the last look."""
        context = self._context
        for keys in context.keys.values():
            keys.renew()
        if context.rate_limit is not None:
            context.rate_limit.forget_expired()
        self._update_tenants()
        self._update_records(came)
        self._update_process()
        self._update_readiness()

    def _update_readiness(self) -> None:
        metrics, report = self._context.telemetry.metrics, self._context.readiness.get_report()
        metrics.ready[()].set(report.is_ready)
        metrics.records_up[()].set(report.records == "ok")

    def _update_tenants(self) -> None:
        context, metrics = self._context, self._context.telemetry.metrics
        for tenant, keys in context.keys.items():
            metrics.tenant_ready[tenant, "keys"].set(keys.freshness.is_healthy)
            if keys.age is not None:
                metrics.key_set_age[tenant,].set(keys.age)
        for tenant, site in context.sites.items():
            metrics.breaker_open[tenant,].set(site.fhir.is_paused)

    def _update_records(self, came: int) -> None:
        context, metrics = self._context, self._context.telemetry.metrics
        spool = context.records.spool
        if spool is not None:
            metrics.spool_drained[()].inc(came)
            try:
                metrics.spool_waiting[()].set(spool.count_records())
            except OSError:
                return  # the alert on a spool that fails goes by its failures
        for subject, folder in self._list_folders():
            free = shutil.disk_usage(folder)
            metrics.disk_free[subject,].set(free.free)
            metrics.disk_size[subject,].set(free.total)

    def _list_folders(self) -> Iterator[tuple[str, Path]]:
        """Where this machine keeps what must not run out of space."""
        context = self._context
        file = get_sqlite_file(context.settings.records_url)
        if file is not None and file.parent.is_dir():
            yield "records", file.parent
        if context.records.spool is not None:
            yield "spool", context.records.spool.folder

    def _update_process(self) -> None:
        metrics, cpu = self._context.telemetry.metrics, time.process_time()
        metrics.worker_cpu[()].inc(cpu - self._cpu)
        self._cpu = cpu
        if STATM.exists():
            metrics.worker_memory[()].set(int(STATM.read_text().split()[1]) * PAGE_BYTES)
