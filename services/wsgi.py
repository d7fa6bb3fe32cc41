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

from cds_hooks.config.settings import Settings, configuration_file
from cds_hooks.telemetry.logs import configure
from cds_hooks.telemetry.metrics import DIRECTORY, Metrics, keep_in_files
from cds_hooks.telemetry.tracing import tracing_of
from cds_hooks.web.app import context_of, create_app
from cds_hooks.web.gateway import Gateway
from cds_hooks.web.maintenance import Upkeep, open_records
from cds_hooks.web.server import BASE_URL, MAIN
from cds_hooks.web.worker import Watch
from services.hooks.catalog import knowledge_of, services
from services.hooks.self_test import differences
from services.knowledge.configuration import load_settings
from services.web.site import page_paths, pages

VERSION = version("cobalamin-cds")
THREADS = 16  # of one worker; enough for 50 calls a second that wait 200 ms for a FHIR server
ORPHAN_SECONDS = 0.5  # between two looks whether that is there
STOP_SECONDS = 10  # for calls under way


def application() -> Flask:
    """The application by the configuration that the environment names, or by the defaults."""
    app, watch = _application(_settings())
    atexit.register(watch.end)
    return app


def gateway() -> Gateway:
    """The same for the server of `cobalamin serve`."""
    # What a forked worker has from its main process would swallow the order to stop until the
    # server's own is there.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    settings = _settings()
    if MAIN in os.environ:
        main = int(os.environ[MAIN])
        threading.Thread(target=_end_with, args=(main,), name="orphan", daemon=True).start()
    app, watch = _application(settings)
    return Gateway(
        app,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
        threads=THREADS,
        too_slow=watch.too_slow,
        ended=watch.end,
    )


def _end_with(main: int) -> None:
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


def _settings() -> Settings:
    settings = load_settings(configuration_file(None))
    return replace(settings, base_url=os.environ.get(BASE_URL, settings.base_url))


def _application(settings: Settings) -> tuple[Flask, Watch]:
    if DIRECTORY in os.environ:
        keep_in_files()
    log = configure(settings.log_level)
    known = knowledge_of(settings.tenants)
    records = open_records(settings, patient=True)  # the first start was not
    app = create_app(
        {
            tenant.id: services(
                known[tenant.id],
                settings.base_url,
                tenant.clinical.get("attention"),
                app=tenant.smart is not None,
            )
            for tenant in settings.tenants
        },
        settings,
        records,
        log,
        version=VERSION,
        pages=pages(settings, known, VERSION),
        page_paths=page_paths(settings, known),
        metrics=Metrics(),
        tracing=tracing_of(settings, VERSION),
        unfit=differences(settings.tenants, known),
    )
    watch = Watch(context_of(app), {name: one.labels for name, one in known.items()})
    watch.begin()
    Upkeep(records, log, VERSION, watch.look).start()
    # What start-up made lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return app, watch
