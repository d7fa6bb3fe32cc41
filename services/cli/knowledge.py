"""`cobalamin check-config`, `export-knowledge`, `build-sheet` and `schema`."""

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import rich_click as click
from rich.console import Console

from cds_hooks.config.validation import build_configuration_schema
from cds_hooks.telemetry.logs import read_log_line_schema
from mappings.export.package import as_text, build_file_name, build_package, build_package_id
from mappings.fhir_validation import validate_resource
from services.assessment.schema import build_assessment_schema
from services.cli.common import ERRORS, config_option, load_all, load_tenant, tenant_option
from services.cli.terminal import show_configuration
from services.exports.build_sheet import as_html, build_sheet, list_criteria_codes
from services.exports.fhir_package import build_knowledge_resources
from services.hooks.regression_cases import build_case_schema
from services.knowledge.configuration import get_clinical_tables


@click.command("check-config")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def check_config(file: Path | None) -> None:
    """Read everything that a start would read, and say what is in force.

    Exit status 1 with every fault found: file, key and reason.
    """
    settings, knowledge = load_all(file)
    show_configuration(Console(soft_wrap=True), settings, knowledge)


@click.command("export-knowledge")
@config_option
@tenant_option
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def export_knowledge(config: Path | None, tenant_name: str | None, folder: Path) -> None:
    """Write the knowledge as FHIR R4 to a folder: every resource, and all as package.tgz.

    Value sets, code systems, concept maps, SARC-F, guidelines and orders as the site has them.
    """
    _settings, tenant, knowledge = load_tenant(config, tenant_name)
    publication, resources = build_knowledge_resources(knowledge, tenant)
    for resource in resources.values():
        validate_resource(resource)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for resource in resources.values():
            (folder / build_file_name(resource)).write_bytes(as_text(resource))
        (folder / "package.tgz").write_bytes(build_package(publication, resources.values()))
    except OSError as fault:
        ERRORS.print(f"{folder}: {fault.strerror}", style="red", markup=False)
        raise SystemExit(1) from None
    counted = Counter(str(resource["resourceType"]) for resource in resources.values())
    for kind, number in sorted(counted.items()):
        click.echo(f"{number:4} {kind}")
    click.echo(
        f"{folder / 'package.tgz'}: {build_package_id(publication.base)} {publication.version}"
    )


@click.command("build-sheet")
@config_option
@tenant_option
@click.option("--html", "as_page", is_flag=True, help="As a page to read or print.")
@click.option("--codes", is_flag=True, help="The codes of the criteria, as CSV.")
def build_sheet_(
    config: Path | None, tenant_name: str | None, *, as_page: bool, codes: bool
) -> None:
    """Write what an EHR's analysts enter: endpoints, criteria, prefetch, scopes, reasons."""
    settings, tenant, knowledge = load_tenant(config, tenant_name)
    if codes:
        click.echo(list_criteria_codes(knowledge), nl=False)
        return
    sheet = build_sheet(settings, tenant, knowledge)
    click.echo(as_html(sheet) if as_page else sheet, nl=False)


# Those that name hooks, dialects or codes are made from the tables of them; the other is a file.
GENERATED_SCHEMAS = {
    "log-line": read_log_line_schema,
    "configuration": lambda: build_configuration_schema(get_clinical_tables()),
    "case": build_case_schema,
    "assessment": build_assessment_schema,
}
SHIPPED_SCHEMAS = {
    "hook-request": ("cds_hooks.protocol", "hook_request"),
}


@click.command("schema")
@click.argument("name", type=click.Choice([*GENERATED_SCHEMAS, *SHIPPED_SCHEMAS]))
def schema(name: str) -> None:
    """Print the JSON Schema of a log line, a configuration, a request, an assessment or a case."""
    if name in GENERATED_SCHEMAS:
        click.echo(json.dumps(GENERATED_SCHEMAS[name](), indent=2, ensure_ascii=False))
    else:
        package, file = SHIPPED_SCHEMAS[name]
        path = files(package) / "schemas" / f"{file}.schema.json"
        click.echo(path.read_text("utf-8"), nl=False)
