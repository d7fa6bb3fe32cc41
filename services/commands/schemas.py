"""`cobalamin schema`: the JSON Schemas of what the service reads and writes."""

from importlib.resources import files

import rich_click as click

SCHEMAS = {
    "log-line": ("cds_hooks", "log_line"),
    "configuration": ("cds_hooks", "configuration"),
    "hook-request": ("cds_hooks", "hook_request"),
    "assessment": ("services", "assessment"),
    "case": ("services", "case"),
}


@click.command("schema")
@click.argument("name", type=click.Choice(list(SCHEMAS)))
def schema(name: str) -> None:
    """Print the JSON Schema of a log line, a configuration, a request, an assessment or a case."""
    package, file = SCHEMAS[name]
    path = files(package) / "schemas" / f"{file}.schema.json"
    click.echo(path.read_text("utf-8"), nl=False)
