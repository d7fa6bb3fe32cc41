"""`cobalamin report` and `backtest-report`: reports from logs, records and population runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import rich_click as click
from rich.console import Console
from rich.progress import Progress

from services.cli.common import ERRORS, config_option

if TYPE_CHECKING:
    import duckdb

    from services.reports.log_reader import ReportWindow

DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--from-logs", is_flag=True, help="Read the log files that are named.")
@click.option("--from-records", is_flag=True, help="Read the records that the service keeps.")
@config_option
@click.option("--tenant", help="Only this tenant.")
@click.option("--since", type=DAY, help="First day (YYYY-MM-DD, UTC).")
@click.option("--until", type=DAY, help="Last day (YYYY-MM-DD, UTC), itself included.")
@click.option("--service", help="Only this service (its id, as discovery has it).")
@click.option("--topic", help="Of cards and answers, only those of this topic.")
@click.option(
    "--csv", type=click.Path(path_type=Path, file_okay=False), help="Write each table to a folder."
)
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with charts."
)
@click.option("--json", "json_", is_flag=True, help="Write everything as one JSON object here.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
def report(
    *,
    from_logs: bool,
    from_records: bool,
    config: Path | None,
    tenant: str | None,
    since: datetime | None,
    until: datetime | None,
    service: str | None,
    topic: str | None,
    csv: Path | None,
    html: Path | None,
    json_: bool,
    files: tuple[str, ...],
) -> None:
    """Report on calls, latency, cards, answers, errors and knowledge.

    A FILE holds log lines, plain or compressed by gzip or zstd; `-` is standard input. Without
    --csv, --html and --json, tables are shown here. Exit status 1 where nothing could be read.
    """
    _check_options(from_logs=from_logs, from_records=from_records, files=files, html=html)
    from services.reports.figures import compute_figures  # noqa: PLC0415  # the embedded engine is large
    from services.reports.highlight_rules import find_highlights  # noqa: PLC0415
    from services.reports.log_reader import ReportWindow  # noqa: PLC0415
    from services.reports.output import as_document, show_report, write_csv  # noqa: PLC0415

    window = ReportWindow(_get_date(since), _get_date(until), tenant, service, topic)
    source = _load_records(config, window) if from_records else _load_logs(files, window)
    with source as connection:
        figures = compute_figures(connection)
        highlights = find_highlights(figures, connection)
    if csv is not None:
        with _exit_on_file_errors():
            write_csv(csv, figures, highlights)
        ERRORS.print(f"{csv}: {len(figures) + 1} tables", markup=False, soft_wrap=True)
    if html is not None:
        from services.reports.page import render_page  # noqa: PLC0415

        origin = "the records of this service" if from_records else _describe_files(files)
        text = render_page(figures, highlights, window, origin)
        with _exit_on_file_errors():
            html.write_text(text, encoding="utf-8")
        ERRORS.print(str(html), markup=False, soft_wrap=True)
    if json_:
        click.echo(as_document(figures, highlights))
    elif csv is None and html is None:
        show_report(Console(), figures, highlights)


def _check_options(
    *, from_logs: bool, from_records: bool, files: tuple[str, ...], html: Path | None
) -> None:
    if from_logs == from_records:
        raise click.UsageError("Name one source: --from-logs FILE... or --from-records.")
    if from_logs != bool(files):
        raise click.UsageError(
            "--from-logs needs a FILE, or - for standard input."
            if from_logs
            else "--from-records reads no FILE."
        )
    if html is not None and find_spec("vl_convert") is None:
        raise click.UsageError(
            "--html draws its charts with the extra `charts`: install cobalamin-cds[charts]. "
            "Tables here and --csv need nothing more."
        )


def _describe_files(files: tuple[str, ...]) -> str:
    return "one log file" if len(files) == 1 else f"{len(files)} log files"


def _get_date(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


@contextmanager
def _load_logs(
    files: tuple[str, ...], window: "ReportWindow"
) -> "Iterator[duckdb.DuckDBPyConnection]":
    from services.reports.log_reader import UnreadableLogError, open_events  # noqa: PLC0415

    try:
        with (
            _open_progress("reading") as progress,
            open_events(files, window, None, progress) as connection,
        ):
            yield connection
    except UnreadableLogError as fault:
        ERRORS.print(str(fault), style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None


@contextmanager
def _load_records(
    config: Path | None, window: "ReportWindow"
) -> "Iterator[duckdb.DuckDBPyConnection]":
    from cds_hooks.records.store import RecordsUnavailableError  # noqa: PLC0415
    from services.cli.common import load_all  # noqa: PLC0415
    from services.hooks.catalog import list_override_reasons, read_attention_rules  # noqa: PLC0415
    from services.reports.log_reader import open_events  # noqa: PLC0415
    from services.reports.records_reader import write_lines  # noqa: PLC0415

    settings, knowledge = load_all(config)
    reasons: set[str] = set()
    for tenant in settings.tenants:
        rules = read_attention_rules(tenant.service_tables.get("attention"), knowledge[tenant.id])
        reasons.update(*map(list_override_reasons, rules.values()))
    with (
        TemporaryDirectory(prefix="cobalamin-report-") as folder,
        _open_progress("reading") as progress,
    ):
        file = Path(folder) / "lines"
        try:
            write_lines(settings.records_url, window, file, progress)
        except RecordsUnavailableError as fault:
            ERRORS.print(f"records: {fault}", style="red", markup=False, soft_wrap=True)
            raise SystemExit(1) from None
        with open_events([str(file)], window, reasons) as connection:
            yield connection


@contextmanager
def _exit_on_file_errors() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        text = f"{fault.filename}: {fault.strerror}"
        ERRORS.print(text, style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from None


@contextmanager
def _open_progress(what: str) -> Iterator[Callable[[float], None]]:
    with Progress(console=ERRORS, transient=True, disable=not ERRORS.is_terminal) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda part: progress.update(task, completed=part)


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
    from services.population.report.build import make_report  # noqa: PLC0415  # large
    from services.population.report.dataset import ReportError  # noqa: PLC0415

    try:
        make_report(out, where=where, into=into, mask_below=mask_below)
    except ReportError as fault:
        _exit_with(str(fault))
    except OSError as fault:
        _exit_with(f"{fault.filename}: {fault.strerror}")
    if find_spec("vl_convert") is None:
        ERRORS.print(
            "Without drawings: install cobalamin-cds[charts] for them.",
            markup=False,
            soft_wrap=True,
        )
    page = (into or out / "report") / "index.html"
    ERRORS.print(str(page), markup=False, highlight=False, soft_wrap=True)


def _exit_with(fault: str) -> None:
    ERRORS.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(1)


if __name__ == "__main__":  # as services/web/report_process.py starts it
    report()
