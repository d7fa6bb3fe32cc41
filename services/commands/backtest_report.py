"""`cobalamin backtest-report`: what a population run found, for a committee to read."""

from importlib.util import find_spec
from pathlib import Path

import rich_click as click

from services.commands.configured import ERRORS


@click.command("backtest-report")
@click.option(
    "--where",
    metavar="SQL",
    help="Only people who meet this condition, such as \"age >= 60 and sex = 'female'\". It may "
    "name columns of assessments and of the survey.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the report (by default OUT/report).",
)
@click.option(
    "--mask-below",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Hide numbers of people below N, in every file of the report, and list nobody.",
)
@click.argument("out", type=click.Path(path_type=Path, file_okay=False, exists=True))
def backtest_report(*, where: str | None, into: Path | None, mask_below: int, out: Path) -> None:
    """Report on the population run in OUT.

    Writes index.html, figures.json and a CSV file of each table. Exit status 1 where there is
    nothing to report on.
    """
    from services.population.report.making import make_report  # noqa: PLC0415  # large
    from services.population.report.refused import ReportRefused  # noqa: PLC0415

    try:
        make_report(out, where=where, into=into, mask_below=mask_below)
    except ReportRefused as fault:
        _end(str(fault))
    except OSError as fault:
        _end(f"{fault.filename}: {fault.strerror}")
    if find_spec("vl_convert") is None:
        ERRORS.print(
            "Without drawings: install cobalamin-cds[charts] for them.",
            markup=False,
            soft_wrap=True,
        )
    page = (into or out / "report") / "index.html"
    ERRORS.print(str(page), markup=False, highlight=False, soft_wrap=True)


def _end(fault: str) -> None:
    ERRORS.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(1)
