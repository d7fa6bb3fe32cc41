"""`cobalamin check-config` and `cobalamin export-knowledge`: what is in force."""

from pathlib import Path

import orjson
import rich_click as click
from rich.console import Console

from mappings.export import artefacts, validate
from services.build_sheet import as_html, build_sheet, criteria_codes
from services.commands.configured import (
    ERRORS,
    config_option,
    load_all,
    load_tenant,
    tenant_option,
)
from services.show import show_configuration


@click.command("check-config")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def check_config(file: Path | None) -> None:
    """Read everything that a start would read, and say what is in force.

    Exit status 1 with every fault found: file, key and reason.
    """
    settings, known = load_all(file)
    show_configuration(Console(soft_wrap=True), settings, known)


@click.command("export-knowledge")
@config_option
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def export_knowledge(config: Path | None, folder: Path) -> None:
    """Write the project's own FHIR R4 artefacts to a folder: SARC-F and the code systems."""
    _settings, _tenant, known = load_tenant(config, None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, resource in artefacts(known.index, known.readable.questionnaire).items():
            validate(resource)
            file = folder / f"{name.replace('/', '-')}.json"
            file.write_bytes(orjson.dumps(resource, option=orjson.OPT_INDENT_2) + b"\n")
            click.echo(file)
    except OSError as fault:
        ERRORS.print(f"{folder}: {fault.strerror}", style="red", markup=False)
        raise SystemExit(1) from None


@click.command("build-sheet")
@config_option
@tenant_option
@click.option("--html", "as_page", is_flag=True, help="As a page to read or print.")
@click.option("--codes", is_flag=True, help="The codes of the criteria, as CSV.")
def build_sheet_(
    config: Path | None, tenant_name: str | None, *, as_page: bool, codes: bool
) -> None:
    """Write what an EHR's analysts enter: endpoints, criteria, prefetch, scopes, reasons."""
    settings, tenant, known = load_tenant(config, tenant_name)
    if codes:
        click.echo(criteria_codes(known), nl=False)
        return
    sheet = build_sheet(settings, tenant, known)
    click.echo(as_html(sheet) if as_page else sheet, nl=False)
