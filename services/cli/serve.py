"""`cobalamin serve`: the service under its production server."""

import os
from pathlib import Path

import rich_click as click

from cds_hooks.config.loader import FILE_VARIABLE, find_configuration_file
from cds_hooks.config.settings import ConfigurationError, explain_exposure
from cds_hooks.records.store import RecordsUnavailableError
from cds_hooks.web.maintenance import open_records
from services.cli.common import ERRORS, config_option, exit_on_errors, load_all
from services.cli.terminal import hide_password
from services.evaluation.topic import list_labels
from services.hooks.topics import TOPICS


@click.command()
@config_option
@click.option("--host", help="Address to listen on (default: this machine only).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port (default 8000).")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes (default 2).")
def serve(config: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Run the service under its production server, until interrupted."""
    from cds_hooks.web.server import run  # noqa: PLC0415  # the server is not needed by the others
    from services.hooks.self_test import find_failed_calls  # noqa: PLC0415

    file = find_configuration_file(config)
    settings, knowledge = load_all(file)
    settings = settings.override_address(host, port, workers)
    refused = explain_exposure(settings)
    if refused:
        ERRORS.print(refused, style="red", markup=False)
        raise SystemExit(1)
    if file is not None:
        os.environ[FILE_VARIABLE] = str(file.resolve())
    ERRORS.print(f"Cobalamin on http://{settings.host}:{settings.port}/cds-services", markup=False)
    for tenant in settings.tenants:
        labels = list_labels(knowledge[tenant.id], TOPICS).values()
        who = "callers on this machine" if tenant.is_open else tenant.id
        ERRORS.print(f"{who}: {' and '.join(labels)}", markup=False)
    if settings.is_open:
        ERRORS.print("No tenant is configured: open to callers on this machine, and to them only")
    ERRORS.print(f"Records: {hide_password(settings.records_url)}", soft_wrap=True)
    try:
        open_records(settings, may_be_down=settings.spool is not None).close()
    except (RecordsUnavailableError, ConfigurationError) as fault:
        ERRORS.print(f"records: {fault}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None
    differing = find_failed_calls(settings.tenants, knowledge)
    for name in differing:
        ERRORS.print(f"golden call {name}: not answered as it should be", style="red", markup=False)
    if differing:
        raise SystemExit(1)
    with exit_on_errors():
        run(settings, lambda line: ERRORS.print(line, markup=False, soft_wrap=True))
