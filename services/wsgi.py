"""Puts the parts together for one worker process."""

import os
from dataclasses import replace
from importlib.metadata import version

from flask import Flask

from cds_hooks.app import create_app
from cds_hooks.logs import configure
from cds_hooks.records import Records
from cds_hooks.settings import configuration_file, load_settings
from services.catalog import services, unmapped
from services.evidence import evidence_pages
from services.knowledge import load_knowledge

VERSION = version("cobalamin-cds")
BASE_URL = "COBALAMIN_BASE_URL"  # set by `cobalamin serve` for its workers


def application() -> Flask:
    """The application by the configuration that the environment names, or by the defaults."""
    settings = load_settings(configuration_file(None))
    settings = replace(settings, base_url=os.environ.get(BASE_URL, settings.base_url))
    known = load_knowledge(settings.clinical)
    unmapped(settings.dialect, known)
    log = configure(settings.log_level)
    records = Records.open(settings.records_url, settings.records_key_file)
    app = create_app(
        services(known, settings.base_url, settings.clinical.get("attention")),
        settings,
        records,
        log,
        version=VERSION,
        pages=[evidence_pages(known)],
    )
    log.info(
        "start",
        version=VERSION,
        knowledge={"b12": known.b12.guideline.label, "sarcopenia": known.muscle.definition.label},
    )
    return app
