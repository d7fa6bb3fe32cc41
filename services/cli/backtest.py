"""`cobalamin backtest`: the rules tried on the records of many patients."""

import os
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import rich_click as click
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cds_hooks.config.secrets import make_key, read_key
from cds_hooks.config.settings import Settings
from cds_hooks.records.keyring import KEY_NAME, SETTING, hash_patient
from services.cli.common import ERRORS, config_option, exit_on_errors, load_tenant, tenant_option
from services.cli.fetch_export import fetch_into

if TYPE_CHECKING:
    from services.population.run.plan import RunPlan
    from services.population.run.run import KnowledgeLabels

DAY = click.DateTime(["%Y-%m-%d"])
NOBODY_ASSESSED = 2
EXPORT_FOLDER = "export"  # folder below OUT that an export is fetched into


@click.command()
@config_option
@tenant_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the results; a run that was broken off in it is gone on with.",
)  # fmt: skip
@click.option("--as-of", type=DAY, help="Assess as known on this day (default: today).")
@click.option("--replay-from", type=DAY, help="Replay every would-be call from this day on.")
@click.option("--replay-to", type=DAY, help="Last day of the replay (default: today).")
@click.option(
    "--answers", type=click.Choice(["none", "overridden"]), default="none",
    help="In a replay: nobody ever answers a card, or each is set aside at once.",
)  # fmt: skip
@click.option("--b12-guideline", help="Guideline to assess B12 by (default: the tenant's).")
@click.option("--sarcopenia-definition", help="Definition to judge muscle by.")
@click.option("--compare", multiple=True, metavar="ID", help="A further guideline or definition.")
@click.option("--survey", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="CSV: patient id, then weight, stratum, unit and columns to break results down by.",
)  # fmt: skip
@click.option("--from-server", metavar="URL", help="Fetch a bulk export from this FHIR server.")
@click.option("--engine", type=click.Choice(["embedded", "spark"]), default="embedded")
@click.option("--master", default="local[*]", help="Of Spark, e.g. spark://host:7077.")
@click.option("--workers", type=click.IntRange(1), help="Processes (default: all cores).")
@click.option("--longest-line", type=click.IntRange(1, 1024), default=64, metavar="MB",
    help="Lines and documents beyond this are complained of and left out (default 64).",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Take away what an earlier run left in the folder.")
@click.option("--no-report", is_flag=True, help="Write the tables alone.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
def backtest(
    *,
    config: Path | None,
    tenant_name: str | None,
    out: Path,
    b12_guideline: str | None,
    sarcopenia_definition: str | None,
    survey: Path | None,
    from_server: str | None,
    engine: str,
    master: str,
    workers: int | None,
    fresh: bool,
    no_report: bool,
    paths: tuple[Path, ...],
    **options: Any,
) -> None:
    """Assess the patients of an export, and say what the service would have shown.

    A PATH is a file or a folder: NDJSON of a FHIR bulk export (gzip and zstd too), or Bundles. In
    the folder of --out stand the tables as Parquet, run.json, complaints.csv and, in report/, a
    page for a committee. Patients stand there by keyed hash alone.

    Exit status 0 where the run is finished, whatever it complained of; 2 where nobody could be
    assessed; 1 where it could not be carried out. The same command goes on after a kill.
    """
    from services.population.run.plan import MEBIBYTE, RunPlan  # noqa: PLC0415  # the engine is large
    from services.population.run.sources import NoInputError, find_files  # noqa: PLC0415

    settings, tenant, knowledge = load_tenant(
        config, tenant_name, b12_guideline, sarcopenia_definition
    )
    since, as_of = _read_days(
        **{name: options[name] for name in ("as_of", "replay_from", "replay_to")}
    )
    muscle = knowledge.read_definitions()
    with _exit_on_failure(out):
        out.mkdir(parents=True, exist_ok=True)
        if from_server is not None:
            paths = (*paths, fetch_into(settings, from_server, out / EXPORT_FOLDER))
        if not paths:
            raise click.UsageError("Name a file or a folder to read, or --from-server.")
        try:
            sources = find_files(paths)
        except NoInputError as fault:
            _exit_with(str(fault))
        plan = RunPlan(
            out=out.resolve(),
            sources=sources,
            clinical=tenant.service_tables,
            guidelines=tuple(id_ for id_ in options["compare"] if id_ not in muscle),
            definitions=tuple(id_ for id_ in options["compare"] if id_ in muscle),
            as_of=as_of,
            since=since,
            answers=options["answers"],
            tenant=tenant.id,
            key=_read_run_key(settings, out),
            base_url=settings.base_url,
            max_line_bytes=options["longest_line"] * MEBIBYTE,
        )
        with exit_on_errors():
            labels = plan.load_evaluators(knowledge).labels
        _write_survey(survey, plan)
        result = _run_plan(plan, labels, engine, master, workers, fresh=fresh)
    _print_result(result, out)
    if not no_report:
        _write_report(out)
    if not result["counts"]["assessed"]:
        raise SystemExit(NOBODY_ASSESSED)


def _read_days(
    *, as_of: datetime | None, replay_from: datetime | None, replay_to: datetime | None
) -> tuple[date | None, date]:
    """The first day of a replay, None where there is none, and the day of the assessments."""
    today = datetime.now(UTC).date()
    if replay_from is None:
        if replay_to is not None:
            raise click.UsageError("--replay-to needs --replay-from.")
        return None, as_of.date() if as_of else today
    if as_of is not None:
        raise click.UsageError("--as-of and --replay-from are two ways to look; name one.")
    last = replay_to.date() if replay_to else today
    if last < replay_from.date():
        raise click.UsageError("--replay-to is before --replay-from.")
    return replay_from.date(), last


def _read_run_key(settings: Settings, out: Path) -> bytes:
    """The key of the service's own records where the configuration names its file, else one of
    this run's own: the same patient has the same hash in both."""
    with exit_on_errors():
        if settings.records_key_file is not None:
            return read_key(settings.records_key_file, SETTING)
        own = out / KEY_NAME
        if not own.exists():
            make_key(own, SETTING)
        return read_key(own, SETTING)


def _write_survey(file: Path | None, plan: "RunPlan") -> None:
    from services.population.run.survey import SURVEY_FILE, SurveyError, write_survey  # noqa: PLC0415

    if file is None:
        (plan.out / SURVEY_FILE).unlink(missing_ok=True)
        return
    try:
        write_survey(file, plan.out, lambda id_: hash_patient(plan.key, plan.tenant, id_))
    except SurveyError as fault:
        _exit_with(str(fault))


def _run_plan(
    plan: "RunPlan",
    labels: "KnowledgeLabels",
    engine: str,
    master: str,
    workers: int | None,
    *,
    fresh: bool,
) -> dict[str, Any]:
    if engine == "embedded":
        from services.population.run.run import run_backtest  # noqa: PLC0415  # as above

        with _open_progress() as bar:
            return run_backtest(plan, labels, workers or os.cpu_count() or 1, bar, fresh=fresh)
    if find_spec("pyspark") is None:
        _exit_with("pyspark is not installed: install cobalamin-cds[spark]")
    from services.population.run.spark import run_on_spark  # noqa: PLC0415  # an extra

    with _open_progress() as bar:
        return run_on_spark(plan, labels, master, bar, fresh=fresh)


class _ProgressBar:
    """A progress bar of the run: share done, speed and time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._megabytes = False

    def begin(self, stage: str, total: int, unit: str) -> None:
        self._megabytes = unit == "bytes"
        shown = "MB" if self._megabytes else unit
        self._task = self._progress.add_task(stage, total=total or None, shown=shown, rate="")
        if not ERRORS.is_terminal:
            ERRORS.print(f"{stage} ...", markup=False, highlight=False)

    def advance(self, by: int) -> None:
        if self._task is None:
            return
        self._progress.advance(self._task, by)
        speed = self._progress.tasks[self._task].speed
        if speed:
            speed = speed / 1e6 if self._megabytes else speed
            self._progress.update(self._task, rate=f"{speed:,.0f}")


@contextmanager
def _open_progress() -> Iterator[_ProgressBar]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rate]} {task.fields[shown]}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERRORS, transient=True, disable=not ERRORS.is_terminal) as bar:
        yield _ProgressBar(bar)


@contextmanager
def _exit_on_failure(out: Path) -> Iterator[None]:
    """Report an error that ends the run in one line."""
    from services.population.run.run import RunError  # noqa: PLC0415  # as above

    try:
        yield
    except RunError as fault:
        _exit_with(str(fault))
    except BrokenProcessPool:
        _exit_with(f"{out}: a process was killed. The same command goes on from here.")
    except KeyboardInterrupt:
        ERRORS.print("stopped. The same command goes on from here.", style="yellow", markup=False)
        raise SystemExit(130) from None
    except OSError as fault:
        _exit_with(f"{fault.filename or out}: {fault.strerror or fault}")


def _print_result(result: dict[str, Any], out: Path) -> None:
    counts = result["counts"]
    click.echo(
        f"{out}: {counts['assessed']:,} of {counts['patients']:,} patients assessed, "
        f"{sum(counts['resources'].values()):,} resources read, {counts['rows']['cards']:,} cards"
    )
    complaints = ", ".join(f"{n:,} {reason}" for reason, n in counts["complaints"].items())
    if complaints:
        ERRORS.print(
            f"complaints: {complaints} (see complaints.csv)", style="yellow", markup=False,
            highlight=False, soft_wrap=True,
        )  # fmt: skip


def _write_report(out: Path) -> None:
    from services.population.report.build import make_report  # noqa: PLC0415  # as above
    from services.population.report.dataset import ReportError  # noqa: PLC0415

    try:
        make_report(out)
    except ReportError as fault:
        _exit_with(f"no report: {fault}")
    click.echo(out / "report" / "index.html")


def _exit_with(fault: str) -> NoReturn:
    ERRORS.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(1)
