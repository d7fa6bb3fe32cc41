"""The production server: granian, whose HTTP is not Python, and threads for slow FHIR servers."""

import copy
import os
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LOGGING_CONFIG, LogLevels

from cds_hooks.settings import Settings
from services.wsgi import BASE_URL

THREADS = 16  # of one worker; enough for 50 calls a second that wait 200 ms for a FHIR server
BACKLOG = 256


def server_log() -> dict[str, Any]:
    """Standard output is for our own lines, one JSON object each; the server's words go beside."""
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    config["handlers"]["console"]["stream"] = "ext://sys.stderr"
    return config


def run(settings: Settings) -> None:
    """Serves until a signal; calls under way are finished first.

    Each worker reads the configuration file again; what only the command line said reaches it by
    the environment.
    """
    os.environ[BASE_URL] = settings.base_url
    Granian(
        "services.wsgi:application",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=THREADS,
        backpressure=BACKLOG,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        log_level=LogLevels.warning,
        log_dictconfig=server_log(),
        log_access=False,
    ).serve()
