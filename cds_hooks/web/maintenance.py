"""Open the records as configured, and run their maintenance in a background thread."""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cds_hooks.config.settings import Settings
from cds_hooks.records.store import Records, RecordsUnavailableError

INTERVAL_SECONDS = 5.0  # between two looks


def open_records(settings: Settings, *, may_be_down: bool = False) -> Records:
    """As configured; `may_be_down` where the database may come later.

    Raises ConfigurationError and RecordsUnavailableError.
    """
    return Records.open(
        settings.records_url,
        settings.records_key_file,
        settings.records_old_key_files,
        settings.spool,
        may_be_down=may_be_down,
    )


class Maintenance:
    """A thread of a worker that brings in what waits in the spool and forgets old tokens.

    It ends with its process: what it was at is done whole or again by the next. `look` is called
    each time, and told how many records came in.
    """

    def __init__(
        self,
        records: Records,
        log: Any,
        version: str,
        look: Callable[[int], None] = lambda _came: None,
        seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._records = records
        self._log = log
        self._version = version
        self._on_run = look
        self._seconds = seconds
        self._stopped = threading.Event()
        self._is_down = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="upkeep", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._on_run(self._maintain_records())
            self._stopped.wait(self._seconds)

    def _maintain_records(self) -> int:
        """How many records came in from the spool."""
        try:
            came, aside = self._records.run_maintenance(datetime.now(UTC))
        except (RecordsUnavailableError, OSError, ValueError) as fault:
            if not self._is_down:  # said once, not every few seconds
                kind = getattr(fault, "code", type(fault).__name__)
                self._write_line(self._log.error, "error", reason="upkeep failed", kind=kind)
            self._is_down = True
            return 0
        if came or self._is_down:  # the end of a fault is none
            self._write_line(self._log.info, "start", part="records", spooled=came)
        if aside:
            reason = "spooled records set aside"
            self._write_line(self._log.error, "error", reason=reason, records=aside)
        self._is_down = False
        return came

    def _write_line(self, write: Any, event: str, **members: Any) -> None:
        write(event, version=self._version, process=os.getpid(), **members)
