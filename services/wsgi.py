"""Puts the parts together for one worker process."""

import os
from dataclasses import replace
from importlib.metadata import version

from flask import Flask

from cds_hooks.app import create_app
from cds_hooks.logs import configure
from cds_hooks.settings import configuration_file, load_settings
from cds_hooks.upkeep import Upkeep, open_records
from services.catalog import knowledge_of, services
from services.evidence import evidence_pages

VERSION = version("cobalamin-cds")
BASE_URL = "COBALAMIN_BASE_URL"  # set by `cobalamin serve` for its workers


def application() -> Flask:
    """The application by the configuration that the environment names, or by the defaults."""
    settings = load_settings(configuration_file(None))
    settings = replace(settings, base_url=os.environ.get(BASE_URL, settings.base_url))
    known = knowledge_of(settings.tenants)
    log = configure(settings.log_level)
    records = open_records(settings)
    app = create_app(
        {
            tenant.id: services(
                known[tenant.id], settings.base_url, tenant.clinical.get("attention")
            )
            for tenant in settings.tenants
        },
        settings,
        records,
        log,
        version=VERSION,
        pages=[evidence_pages(known[settings.tenant().id])],
    )
    for tenant in settings.tenants:
        log.info("start", version=VERSION, tenant=tenant.id, knowledge=known[tenant.id].labels)
    Upkeep(records, log, VERSION).start()
    return app
