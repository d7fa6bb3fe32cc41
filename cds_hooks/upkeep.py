"""What the records need besides calls: opened as configured, and tidied now and then."""

import os
import threading
from datetime import UTC, datetime
from typing import Any

from cds_hooks.records import Records, RecordsUnavailable
from cds_hooks.settings import Settings

SECONDS = 5.0  # between two looks


def open_records(settings: Settings, *, patient: bool = False) -> Records:
    """As configured; `patient` where the database may come later.

    Raises ConfigurationFault and RecordsUnavailable.
    """
    return Records.open(
        settings.records_url,
        settings.records_key_file,
        settings.records_old_key_files,
        settings.spool,
        patient=patient,
    )


class Upkeep:
    """A thread of a worker that brings in what waits in the spool and forgets old tokens.

    It ends with its process: what it was at is done whole or again by the next.
    """

    def __init__(self, records: Records, log: Any, version: str, seconds: float = SECONDS) -> None:
        self._records = records
        self._log = log
        self._version = version
        self._seconds = seconds
        self._over = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="upkeep", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        is_down = False
        while not self._over.is_set():
            try:
                came, aside = self._records.tidy(datetime.now(UTC))
            except (RecordsUnavailable, OSError, ValueError) as fault:
                if not is_down:  # said once, not every few seconds
                    self._say(self._log.error, "upkeep failed", kind=type(fault).__name__)
                is_down = True
            else:
                is_down = False
                if came:
                    self._say(self._log.warning, "spool drained", records=came)
                if aside:
                    self._say(self._log.error, "spooled records set aside", records=aside)
            self._over.wait(self._seconds)

    def _say(self, write: Any, reason: str, **more: Any) -> None:
        write("error", version=self._version, process=os.getpid(), reason=reason, **more)
