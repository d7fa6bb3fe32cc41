"""One JSON line per event on standard output, by SCHEMA. No line holds a value of a patient."""

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

SCHEMA = Path(__file__).parent / "schemas" / "log_line.schema.json"
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def stamp(_logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """`event`, `time` and `level` first, the members of the call behind them."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {
        "event": event.pop("event"),
        "time": now.replace("+00:00", "Z"),
        "level": level,
        **event,
    }


def _render(_logger: WrappedLogger, _level: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=str)


def configure(level: str = "info") -> Any:
    """The logger of this process.

    Libraries' own logging is kept to warnings: their debug lines quote URLs, and URLs hold
    patients' ids.
    """
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[stamp, _render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger()
