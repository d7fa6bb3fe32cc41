"""Puts the parts together for one worker process."""

import atexit
import gc
import os
import signal
import threading
import time
from dataclasses import replace
from importlib.metadata import version

from flask import Flask

from cds_hooks.config.loader import find_configuration_file
from cds_hooks.config.settings import Settings
from cds_hooks.telemetry.logs import configure_logging
from cds_hooks.telemetry.metrics import DIRECTORY_VARIABLE, Metrics, use_multiprocess_files
from cds_hooks.telemetry.tracing import make_tracing
from cds_hooks.web.app import create_app, get_context
from cds_hooks.web.context import Telemetry, make_context
from cds_hooks.web.gateway import Gateway
from cds_hooks.web.maintenance import Maintenance, open_records
from cds_hooks.web.server import BASE_URL_VARIABLE, MAIN_PROCESS_VARIABLE
from cds_hooks.web.worker import WorkerMonitor
from services.evaluation.topic import list_labels
from services.hooks.catalog import build_services, load_tenant_knowledge
from services.hooks.self_test import find_failed_calls
from services.hooks.topics import TOPICS
from services.knowledge.configuration import load_settings
from services.web.site import make_pages, page_paths

VERSION = version("cobalamin-cds")
THREADS = 16  # of one worker; enough for 50 calls a second that wait 200 ms for a FHIR server
ORPHAN_SECONDS = 0.5  # between two looks whether that is there
STOP_SECONDS = 10  # for calls under way


def application() -> Flask:
    """The application by the configuration that the environment names, or by the defaults."""
    app, monitor = _build_application(_load_settings())
    atexit.register(monitor.stop)
    return app


def gateway() -> Gateway:
    """The same for the server of `cobalamin serve`."""
    # What a forked worker has from its main process would swallow the order to stop until the
    # server's own is there.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    settings = _load_settings()
    if MAIN_PROCESS_VARIABLE in os.environ:
        main = int(os.environ[MAIN_PROCESS_VARIABLE])
        threading.Thread(target=_end_with_main, args=(main,), name="orphan", daemon=True).start()
    app, monitor = _build_application(settings)
    return Gateway(
        app,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
        threads=THREADS,
        on_slow_body=monitor.report_slow_body,
        on_end=monitor.stop,
    )


def _end_with_main(main: int) -> None:
    """Ends this worker when its main process is gone.

    On its own it would go on answering beside the next start's workers, on the same port, with the
    old configuration, and nobody could tell it to stop.
    """
    while os.getppid() == main:
        time.sleep(ORPHAN_SECONDS)
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_SECONDS)
    os._exit(1)


def _load_settings() -> Settings:
    settings = load_settings(find_configuration_file(None))
    return replace(settings, base_url=os.environ.get(BASE_URL_VARIABLE, settings.base_url))


def _build_application(settings: Settings) -> tuple[Flask, WorkerMonitor]:
    if DIRECTORY_VARIABLE in os.environ:
        use_multiprocess_files()
    log = configure_logging(settings.log_level)
    knowledge = load_tenant_knowledge(settings.tenants)
    records = open_records(settings, may_be_down=True)  # the first start was not
    app = create_app(
        make_context(
            {
                tenant.id: build_services(
                    knowledge[tenant.id],
                    settings.base_url,
                    tenant.service_tables.get("attention"),
                    app=tenant.smart is not None,
                )
                for tenant in settings.tenants
            },
            settings,
            records,
            Telemetry(log, VERSION, metrics=Metrics(), tracing=make_tracing(settings, VERSION)),
            failed_calls=find_failed_calls(settings.tenants, knowledge),
        ),
        pages=make_pages(settings, knowledge, VERSION),
        page_paths=page_paths(settings, knowledge),
    )
    monitor = WorkerMonitor(
        get_context(app), {name: list_labels(one, TOPICS) for name, one in knowledge.items()}
    )
    monitor.start()
    Maintenance(records, log, VERSION, monitor.update).start()
    # What start-up made lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return app, monitor
