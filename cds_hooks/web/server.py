"""The production server: granian, whose HTTP is not Python, and threads for slow FHIR servers."""

import copy
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LOGGING_CONFIG, LogLevels

from cds_hooks.config.settings import ConfigurationError, ConfigurationProblem, Settings
from cds_hooks.net.urls import build_local_url
from cds_hooks.telemetry.prometheus_server import serve_metrics

BASE_URL_VARIABLE = "COBALAMIN_BASE_URL"  # set by `cobalamin serve` for its workers
MAIN_PROCESS_VARIABLE = "COBALAMIN_MAIN"  # the id of its main process, likewise
MAX_OPEN_REQUESTS = 2048  # of one worker: waiting for their bodies, their turn or their answer
HTTP_SETTINGS = HTTP1Settings(header_read_timeout=15_000, max_buffer_size=64 * 1024)


def build_log_config() -> dict[str, Any]:
    """Standard output is for our own lines, one JSON object each; the server's words go beside."""
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    config["handlers"]["console"]["stream"] = "ext://sys.stderr"
    return config


def run(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serves until a signal; calls under way are finished first. Raises ConfigurationError.

    Each worker reads the configuration file again; what only the command line said reaches it by
    the environment.
    """
    os.environ[BASE_URL_VARIABLE] = settings.base_url
    os.environ[MAIN_PROCESS_VARIABLE] = str(os.getpid())
    with open_metrics_page(settings, tell):
        _run_server(settings)


def open_metrics_page(
    settings: Settings, tell: Callable[[str], None]
) -> AbstractContextManager[None]:
    """Shows the workers' metrics, where that is wanted. Raises ConfigurationError.

    The address that nobody chose may be another service's already; then this one goes without.
    """
    page = settings.metrics
    if page is None:
        return nullcontext()
    address = build_local_url(page.host, page.port)
    try:
        shown = serve_metrics(page.host, page.port)
    except OSError as fault:
        reason = f"{address} cannot be used: {fault.strerror}"
        if page.is_chosen:
            raise ConfigurationError(
                [ConfigurationProblem(settings.file or "", "metrics", reason)]
            ) from None
        tell(f"Metrics are not shown: {reason}")
        return nullcontext()
    tell(f"Metrics on {address}/metrics")
    return shown


def _run_server(settings: Settings) -> None:
    Granian(
        "services.wsgi:gateway",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        workers=settings.workers,
        backpressure=MAX_OPEN_REQUESTS,
        http1_settings=HTTP_SETTINGS,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        log_level=LogLevels.warning,
        log_dictconfig=build_log_config(),
        log_access=False,
    ).serve()
