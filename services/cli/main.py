"""The command `cobalamin`."""

from importlib import import_module

import click as plain
import rich_click as click

# Each command by the module that has it and its name there: nothing is loaded for a command but
# its own.
COMMANDS = {
    "serve": "serve:serve",
    "try": "assess:try_",
    "assess": "assess:assess",
    "check-cases": "assess:check_cases",
    "check-config": "knowledge:check_config",
    "export-knowledge": "knowledge:export_knowledge",
    "migrate": "records:migrate_",
    "purge": "records:purge_",
    "audit": "records:audit_",
    "doctor": "doctor:doctor",
    "build-sheet": "knowledge:build_sheet_",
    "report": "report:report",
    "fetch-export": "fetch_export:fetch_export",
    "backtest": "backtest:backtest",
    "backtest-report": "report:backtest_report",
    "import-valueset": "import_value_set:import_value_set",
    "new-guideline": "guidelines:new_guideline",
    "diff-guidelines": "guidelines:diff_guidelines",
    "schema": "knowledge:schema",
}


class Commands(click.RichGroup):
    """Loads a command when it is asked for. What its methods do not use, click hands over."""

    def list_commands(self, ctx: plain.Context) -> list[str]:  # noqa: ARG002
        return [*COMMANDS]

    def get_command(self, ctx: plain.Context, cmd_name: str) -> plain.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: plain.Command = getattr(import_module(f"services.cli.{module}"), name)
        return command


@click.group(cls=Commands)
@click.version_option(package_name="cobalamin-cds")
def main() -> None:
    """Decision support for vitamin B12 deficiency and muscle loss over CDS Hooks."""
