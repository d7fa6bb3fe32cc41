"""`cobalamin fetch-export`: a bulk export from a FHIR server, into a folder."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import rich_click as click
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from cds_hooks.config.bulk_export import SECONDS_PER_HOUR, BackendClient, BulkAccess
from cds_hooks.config.loader import find_configuration_file
from cds_hooks.config.settings import Settings
from cds_hooks.fhir.issues import ExportError, ExportInterruptedError, format_issues
from cds_hooks.net.urls import is_fhir_base_url, parse_origin
from services.cli.common import ERRORS, config_option, exit_on_errors
from services.knowledge.configuration import load_settings

if TYPE_CHECKING:
    from services.population.fetch.fetch import FetchProgress, FetchResult

# What the command line may say of a server besides its address.
ACCESS_OPTIONS = ("file_servers", "client_id", "key_file", "key_id", "token_url", "deadline_hours")
WITH_ERRORS, UNFINISHED = 3, 75  # 75: a temporary failure, as mail systems have it
GROUP = re.compile(r"[A-Za-z0-9.-]{1,64}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
FILTER = re.compile(r"[A-Za-z]+\?\S+")


@click.command("fetch-export")
@config_option
@click.argument("url", required=False)
@click.option(
    "--into",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files; one that a fetch was broken off in is gone on with.",
)
@click.option("--group", help="Only the patients of this Group.")
@click.option("--system", "whole_system", is_flag=True, help="System level, not all patients.")
@click.option("--type", "types", multiple=True, help="Resource type; by default what is read.")
@click.option("--since", help="Only what changed after this time (2026-01-01T00:00:00Z).")
@click.option("--type-filter", "filters", multiple=True, help="Such as Observation?status=final.")
@click.option("--token-variable", help="Environment variable that holds an access token.")
@click.option("--client-id", help="Our id at the server (SMART Backend Services).")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Our private key, PEM or JWK, mode 0600.",
)
@click.option("--key-id", help="The kid of its public half.")
@click.option("--token-url", help="Where tokens are given; by default as the server says.")
@click.option("--file-server", "file_servers", multiple=True, help="Origin files may lie at too.")
@click.option("--private-addresses", is_flag=True, help="The server is in our own network.")
@click.option("--parallel", type=click.IntRange(1, 32), help="Files at a time (default 4).")
@click.option("--deadline-hours", type=click.IntRange(1, 720), help="For the server (default 24).")
@click.option("--restart", is_flag=True, help="Forget what the folder holds of an export.")
@click.option("--cancel", "giving_up", is_flag=True, help="Tell the server to drop the export.")
def fetch_export(
    *,
    config: Path | None,
    url: str | None,
    into: Path,
    group: str | None,
    whole_system: bool,
    types: tuple[str, ...],
    since: str | None,
    filters: tuple[str, ...],
    restart: bool,
    giving_up: bool,
    **terms: object,
) -> None:
    """Fetch a bulk export ($export) from the FHIR server at URL.

    The server, key and limits may stand in the table [bulk_export] of the configuration. Without
    a client id, the token in COBALAMIN_BULK_TOKEN is sent, if there is one. Whatever ends the
    command, the same command goes on from there.

    Exit status 0 where all is there; 3 where it is, and the server reports errors; 1 where it
    cannot be had; 75 where it broke off and the same command goes on.
    """
    from cds_hooks.fhir.bulk_server import ExportRequest  # noqa: PLC0415  # requests takes a while
    from services.population.fetch.fetch import TYPES, cancel_export, fetch_export  # noqa: PLC0415

    _check_options(group=group, whole_system=whole_system, since=since, filters=filters)
    with exit_on_errors():
        access = _build_access(
            load_settings(find_configuration_file(config)).bulk_export, url, terms
        )
        with _exit_on_failure(into), _handle_sigterm():
            if giving_up:
                is_cancelled = cancel_export(access, into)
                _print_line(f"{into}: {'given up' if is_cancelled else 'holds no export'}")
                return
            level = "group" if group else "system" if whole_system else "patient"
            request = ExportRequest(level, group, types or TYPES, since, filters)
            with _open_progress() as show:
                fetched = fetch_export(access, request, into, show, restart=restart)
    _print_result(fetched)
    if _has_errors(fetched):
        raise SystemExit(WITH_ERRORS)


def fetch_into(settings: Settings, url: str, folder: Path) -> Path:
    """Fetches all patients of the server at `url` by the configuration's terms; the folder.

    Ends the command, with the reason told, where it cannot be had.
    """
    from cds_hooks.fhir.bulk_server import ExportRequest  # noqa: PLC0415  # as above
    from services.population.fetch.fetch import TYPES, fetch_export  # noqa: PLC0415

    terms: dict[str, object] = dict.fromkeys(ACCESS_OPTIONS)
    with exit_on_errors():
        access = _build_access(settings.bulk_export, url, terms)
        request = ExportRequest("patient", None, TYPES, None, ())
        with _exit_on_failure(folder), _handle_sigterm(), _open_progress() as show:
            fetched = fetch_export(access, request, folder, show)
    _print_result(fetched)
    return fetched.folder


def _check_options(
    *, group: str | None, whole_system: bool, since: str | None, filters: tuple[str, ...]
) -> None:
    if group is not None and whole_system:
        raise click.UsageError("--group and --system are two levels; name one.")
    if group is not None and not GROUP.fullmatch(group):
        raise click.BadParameter("is no FHIR id", param_hint="--group")
    if since is not None and not INSTANT.fullmatch(since):
        raise click.BadParameter(
            "give a time with its zone, such as 2026-01-01T00:00:00Z", param_hint="--since"
        )
    if not all(map(FILTER.fullmatch, filters)):
        raise click.BadParameter(
            "give a type and a query, such as Observation?status=final", param_hint="--type-filter"
        )


def _build_access(
    configured: BulkAccess | None, url: str | None, terms: dict[str, object]
) -> BulkAccess:
    """The configuration's terms where it is for this server, with what the command line gave.

    A key or file server that is configured for one server is of no account for another.
    """
    if url is None and configured is None:
        raise click.UsageError("Name the URL of a FHIR server, or set bulk_export.server.")
    if url is not None and not is_fhir_base_url(url):
        raise click.BadParameter(
            "give an https FHIR base URL (http on this machine only)", param_hint="URL"
        )
    access = configured
    if access is None or (url is not None and access.server != url.rstrip("/")):
        access = BulkAccess((url or "").rstrip("/"))
    origins = terms.pop("file_servers")
    if isinstance(origins, tuple) and origins:
        if not all(map(parse_origin, origins)):
            raise click.BadParameter("give an https origin", param_hint="--file-server")
        access = replace(access, file_servers=origins)
    access = replace(access, client=_build_client(access.client, terms))
    hours = terms.pop("deadline_hours")
    if isinstance(hours, int):
        access = replace(access, deadline_s=hours * SECONDS_PER_HOUR)
    return replace(access, **{name: value for name, value in terms.items() if value})  # type: ignore[arg-type]  # of click's own types


def _build_client(
    configured: BackendClient | None, terms: dict[str, object]
) -> BackendClient | None:
    options = {
        name: terms.pop(option)
        for option, name in (
            ("client_id", "id"),
            ("key_file", "key_file"),
            ("key_id", "key_id"),
            ("token_url", "token_url"),
        )
    }
    options = {name: value for name, value in options.items() if value is not None}
    if configured is not None:
        return replace(configured, **options)  # type: ignore[arg-type]  # of click's own types
    if not options:
        return None
    if not options.keys() >= {"id", "key_file"}:
        raise click.UsageError("--client-id and --key-file belong together.")
    return BackendClient(**options)  # type: ignore[arg-type]  # of click's own types


@contextmanager
def _exit_on_failure(into: Path) -> Iterator[None]:
    """Report an error that ends the fetch in one line, with its exit status."""
    try:
        yield
    except ExportError as fault:
        _print_line(str(fault), style="red")
        raise SystemExit(1) from None
    except ExportInterruptedError as fault:
        _print_line(f"{fault}. The same command goes on from here.", style="yellow")
        raise SystemExit(UNFINISHED) from None
    except KeyboardInterrupt:
        _print_line(
            "stopped. The same command goes on from here; --cancel gives it up.", style="yellow"
        )
        raise SystemExit(130) from None
    except OSError as fault:
        _print_line(f"{fault.filename or into}: {fault.strerror}", style="red")
        raise SystemExit(1) from None


@contextmanager
def _handle_sigterm() -> Iterator[None]:
    """A service manager's SIGTERM ends a fetch as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _ProgressDisplay:
    """A bar on a terminal, else a line for each stage."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._stage = ""
        self._task = progress.add_task("asking", total=None, received="") if progress else None

    def __call__(self, progress: "FetchProgress") -> None:
        if self._progress is None or self._task is None:
            if progress.stage != self._stage:
                self._stage = progress.stage
                _print_line(progress.stage)
            return
        description = (
            f"{progress.stage}: {progress.server_text}"
            if progress.stage == "waiting" and progress.server_text
            else progress.stage
        )
        self._progress.update(
            self._task,
            description=description,
            completed=progress.files,
            total=progress.total_files or None,
            received=decimal(progress.bytes),
        )


@contextmanager
def _open_progress() -> Iterator[_ProgressDisplay]:
    if not ERRORS.is_terminal:
        yield _ProgressDisplay(None)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TextColumn("{task.fields[received]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=ERRORS, transient=True) as progress:
        yield _ProgressDisplay(progress)


def _print_result(fetched: "FetchResult") -> None:
    click.echo(
        f"{fetched.folder}: {fetched.files:,} files, {fetched.bytes / 1e6:,.1f} MB"
        + (f", {fetched.resources:,} resources" if fetched.resources is not None else "")
        + (f", as of {fetched.transaction_time}" if fetched.transaction_time else "")
    )
    if fetched.deleted:
        _print_line(
            f"{fetched.deleted} files list what was deleted since; they are kept beside, hidden"
        )
    if fetched.issues:
        _print_line(f"the server reports: {format_issues(fetched.issues)}", style="yellow")


def _has_errors(fetched: "FetchResult") -> bool:
    return any(not issue.startswith(("warning/", "information/")) for issue in fetched.issues)


def _print_line(text: str, style: str | None = None) -> None:
    ERRORS.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
