"""`cobalamin check-config` and `cobalamin export-knowledge`: what is in force."""

from importlib.metadata import version
from pathlib import Path

import orjson
import rich_click as click
from rich.console import Console

from mappings.fhir.own_codes import validate
from mappings.fhir.package import packed
from services.build_sheet import as_html, build_sheet, criteria_codes
from services.commands.configured import (
    ERRORS,
    config_option,
    faults_told,
    load_all,
    load_tenant,
    tenant_option,
)
from services.knowledge_in_fhir import knowledge_in_fhir
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
    """Write the knowledge in force to a folder as FHIR R4, and as a package.

    ValueSet, CodeSystem, ConceptMap, Questionnaire, Library, PlanDefinition, ActivityDefinition and
    ImplementationGuide, a file each, and package.tgz with all of them.
    """
    _settings, _tenant, known = load_tenant(config, None)
    with faults_told():
        resources = knowledge_in_fhir(known)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, resource in resources.items():
            validate(resource)
            file = folder / f"{name.replace('/', '-')}.json"
            file.write_bytes(orjson.dumps(resource, option=orjson.OPT_INDENT_2) + b"\n")
            click.echo(file)
        package = folder / "package.tgz"
        package.write_bytes(packed(resources, known.index.base, version("cobalamin-cds")))
        click.echo(package)
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
