"""The command `cobalamin`."""

import rich_click as click

from services.commands.assess import assess, try_
from services.commands.backtest import backtest
from services.commands.backtest_report import backtest_report
from services.commands.check_cases import check_cases
from services.commands.doctor import doctor
from services.commands.fetch_export import fetch_export
from services.commands.guidelines import diff_guidelines, new_guideline
from services.commands.import_value_set import import_value_set
from services.commands.knowledge import build_sheet_, check_config, export_knowledge
from services.commands.records import audit_, migrate_, purge_
from services.commands.report import report
from services.commands.schemas import schema
from services.commands.serve import serve


@click.group()
@click.version_option(package_name="cobalamin-cds")
def main() -> None:
    """Decision support for vitamin B12 deficiency and muscle loss over CDS Hooks."""


for command in (
    serve,
    try_,
    assess,
    check_cases,
    check_config,
    export_knowledge,
    migrate_,
    purge_,
    audit_,
    doctor,
    build_sheet_,
    report,
    fetch_export,
    backtest,
    backtest_report,
    import_value_set,
    new_guideline,
    diff_guidelines,
    schema,
):
    main.add_command(command)
