"""`cobalamin schema`: the JSON Schemas of what the service reads and writes."""

import json
from importlib.resources import files

import rich_click as click

from cds_hooks.settings import configuration_schema
from services.configuration import clinical_tables

CONFIGURATION = "configuration"  # made of the platform's schema and the services'
SCHEMAS = {
    "log-line": ("cds_hooks", "log_line"),
    "hook-request": ("cds_hooks", "hook_request"),
    "assessment": ("services", "assessment"),
    "case": ("services", "case"),
}


@click.command("schema")
@click.argument("name", type=click.Choice([CONFIGURATION, *SCHEMAS]))
def schema(name: str) -> None:
    """Print the JSON Schema of a log line, a configuration, a request, an assessment or a case."""
    if name == CONFIGURATION:
        whole = configuration_schema(clinical_tables())
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    package, file = SCHEMAS[name]
    path = files(package) / "schemas" / f"{file}.schema.json"
    click.echo(path.read_text("utf-8"), nl=False)
