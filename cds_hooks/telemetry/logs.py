"""One JSON line per event on standard output. No line holds a value of a patient."""

import logging
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from cds_hooks.protocol.hook_request import HOOKS

SCHEMA = Path(__file__).parent / "schemas" / "log_line.schema.json"
DECISION_SCHEMA = 2  # of a decision's line; lines of version 1 have no member `schema`
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def read_log_line_schema() -> dict[str, Any]:
    """The JSON Schema of a line, with the hooks that there are."""
    schema: dict[str, Any] = orjson.loads(SCHEMA.read_bytes())
    schema["$defs"]["hook"] = {"enum": [*HOOKS]}
    return schema


def _get_now() -> datetime:
    return datetime.now(UTC)


def build_processors(clock: Callable[[], datetime] = _get_now) -> list[Processor]:
    """Processors of structlog that turn an event into its line."""

    def stamp_by(_logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
        return _order_members(event, level, clock())

    return [stamp_by, _render]


def stamp_event(_logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """The event as its line has it, but for the writing."""
    return _order_members(event, level, _get_now())


def _order_members(event: EventDict, level: str, now: datetime) -> EventDict:
    """`event`, `time` and `level` first, the members of the call behind them."""
    return {
        "event": event.pop("event"),
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level,
        **event,
    }


def _render(_logger: WrappedLogger, _level: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=str)


class LineWriter:
    """Writes whole lines. Where they cannot be written, they are counted, and calls go on.

    A full disk or a collector that died must not cost an answer that is on record already. When
    there is room again, the first line says how many are missing.
    """

    def __init__(self, write: Callable[[bytes], int | None]) -> None:
        self._write = write
        self._lost = 0
        self._is_torn = False
        self._lock = threading.Lock()

    def msg(self, line: bytes) -> None:
        with self._lock:
            missing = self._render_lost_lines() if self._lost else b""
            if self._write_bytes(missing + line + b"\n"):
                self._lost = 0
            else:
                self._lost += 1

    debug = info = warning = error = critical = msg

    def _render_lost_lines(self) -> bytes:
        event = {"event": "error", "reason": "log lines lost", "lines": self._lost}
        return _render(None, "error", _order_members(event, "error", _get_now())) + b"\n"

    def _write_bytes(self, line: bytes) -> bool:
        rest = b"\n" + line if self._is_torn else line
        try:
            while rest:
                count = self._write(rest) or 0  # None: a pipe that is full and does not wait
                if count == 0:
                    return False
                rest = rest[count:]
                self._is_torn = bool(rest)
        except OSError:
            return False
        return True


def configure_logging(level: str = "info") -> Any:
    """The logger of this process.

    Libraries' own logging is kept to warnings: their debug lines quote URLs, and URLs hold
    patients' ids.
    """
    out = sys.stdout.buffer
    lines = LineWriter(getattr(out, "raw", out).write)  # no buffer: what is in one can be lost
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=build_processors(),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_names: lines,
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger()
