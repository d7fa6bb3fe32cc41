"""`cobalamin schema`: the JSON Schemas of what the service reads and writes."""

import json
from importlib.resources import files

import rich_click as click

from cds_hooks.logs import log_line_schema
from cds_hooks.settings import configuration_schema
from services.cases import case_schema
from services.configuration import clinical_tables

# Those that name hooks or dialects are made from the tables of them; the others are files.
MADE = {
    "log-line": log_line_schema,
    "configuration": lambda: configuration_schema(clinical_tables()),
    "case": case_schema,
}
WRITTEN = {
    "hook-request": ("cds_hooks", "hook_request"),
    "assessment": ("services", "assessment"),
}


@click.command("schema")
@click.argument("name", type=click.Choice([*MADE, *WRITTEN]))
def schema(name: str) -> None:
    """Print the JSON Schema of a log line, a configuration, a request, an assessment or a case."""
    if name in MADE:
        click.echo(json.dumps(MADE[name](), indent=2, ensure_ascii=False))
    else:
        package, file = WRITTEN[name]
        path = files(package) / "schemas" / f"{file}.schema.json"
        click.echo(path.read_text("utf-8"), nl=False)
