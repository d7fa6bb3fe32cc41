"""The command `cobalamin`."""

import rich_click as click

from services.commands.assess import assess, try_
from services.commands.knowledge import check_config, export_knowledge
from services.commands.schemas import schema
from services.commands.serve import serve


@click.group()
@click.version_option(package_name="cobalamin-cds")
def main() -> None:
    """Decision support for vitamin B12 deficiency and muscle loss over CDS Hooks."""


for command in (serve, try_, assess, check_config, export_knowledge, schema):
    main.add_command(command)
