"""A bulk export fetched into a folder, of what our reader reads.

`fetch` may be called again after whatever ended it: it goes on waiting for the same export, and
downloads what is not there yet.
"""

import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import orjson

from cds_hooks.config.bulk_export import BulkAccess
from cds_hooks.fhir.bulk_download import Download, LinkExpiredError
from cds_hooks.fhir.bulk_manifest import Manifest
from cds_hooks.fhir.bulk_server import BulkServer, ExportRequest
from cds_hooks.fhir.issues import ExportError, ExportInterruptedError, count_issues
from services.chart.reader import READERS, REFERENCED_TYPES
from services.population.fetch.job import (
    ExportJob,
    detect_suffix,
    find_finished_file,
    has_other_data,
    list_file_names,
    lock_export_folder,
    read_job,
    remove_job,
    remove_parts,
    write_job,
)

# Names that resources have in other versions of FHIR: an R4 server knows none of them.
OTHER_VERSION_TYPES = {"MedicationOrder", "MedicationUsage", "ProcedureRequest", "DiagnosticOrder"}
VISIT_TYPE = "Encounter"  # for a replay: each is a moment at which the service would be called
TYPES = tuple(sorted({*READERS, *REFERENCED_TYPES, VISIT_TYPE} - OTHER_VERSION_TYPES))
MAX_RENEWALS = 3  # of links in a row, without a file that they brought


@dataclass(slots=True)
class FetchProgress:
    """How far a fetch has come."""

    stage: str = "asking"  # then "waiting", "downloading", "complete"
    server_text: str = ""  # the server's own words while it prepares the export
    files: int = 0
    total_files: int = 0
    files_before: int = 0  # files that were there when downloading last began
    bytes: int = 0  # that arrived since this call began


FetchListener = Callable[[FetchProgress], None]


@dataclass(frozen=True, slots=True)
class FetchResult:
    """A complete export."""

    folder: Path
    files: int
    bytes: int
    transaction_time: str  # the server's; what changed later is not in it
    resources: int | None = None  # by the server's count; None where it gives none
    deleted: int = 0  # files that list what was deleted since the time that was asked for
    issues: Counter[str] = field(default_factory=Counter)  # "error/processing" -> number


def fetch_export(
    access: BulkAccess,
    request: ExportRequest,
    folder: Path,
    listener: FetchListener = lambda _progress: None,
    *,
    restart: bool = False,
) -> FetchResult:
    """Fetch an export of `access.server` into `folder`, or resume the one begun there.

    Raises ConfigurationError before anything is asked, ExportInterruptedError where calling again
    resumes, ExportError where it would not, OSError for the folder.
    """
    with lock_export_folder(folder), closing(BulkServer(access)) as server:
        if restart:
            _cancel_previous(server, folder)
        job = read_job(folder)
        if job is None:
            if has_other_data(folder):
                raise ExportError(f"{folder}: holds files of something else")
            job = ExportJob(access.server, request)
        elif (job.server, job.request) != (access.server, request):
            raise ExportError(f"{folder}: holds another export; name another folder, or restart")
        progress = FetchProgress()
        try:
            return _run_export(server, job, folder, progress, listener)
        finally:
            server.cancel_requests()


def cancel_export(access: BulkAccess, folder: Path) -> bool:
    """Cancel the export of `folder` at the server; False where there is none.

    What was fetched of an incomplete one is removed; a complete one stays, and the server may
    remove its own copy. Raises ExportError, ExportInterruptedError, OSError.
    """
    with lock_export_folder(folder), closing(BulkServer(access)) as server:
        job = read_job(folder)
        if job is None:
            return False
        if job.server != access.server:
            raise ExportError(f"{folder}: holds an export of another server")
        if job.status_url is not None:
            server.cancel(job.status_url)
        if not job.complete:
            remove_job(folder)
        return True


def _cancel_previous(server: BulkServer, folder: Path) -> None:
    """Cancel an earlier export; a server that does not answer is no reason to fail."""
    job = read_job(folder)
    if job is not None and job.status_url is not None and job.server == server.access.server:
        with suppress(ExportError, ExportInterruptedError):
            server.cancel(job.status_url)
    remove_job(folder)


def _run_export(
    server: BulkServer,
    job: ExportJob,
    folder: Path,
    progress: FetchProgress,
    listener: FetchListener,
) -> FetchResult:
    if job.status_url is None:
        listener(progress)
        job = replace(job, status_url=server.start_export(job.request))
        write_job(folder, job)
    status_url = job.status_url or ""
    progress.stage = "waiting"

    def report_wait(text: str) -> None:
        progress.server_text = text
        listener(progress)

    report_wait("")
    manifest = job.manifest or server.wait_for_manifest(status_url, report_wait)
    job = replace(job, manifest=manifest)
    write_job(folder, job)
    progress.stage = "downloading"
    renewals = 0
    while not _download_missing(server, manifest, folder, progress, listener):
        renewals = renewals + 1 if progress.files == progress.files_before else 0
        if renewals > MAX_RENEWALS:
            raise ExportError("the server's links to the files do not work; start again")
        manifest = server.wait_for_manifest(status_url, report_wait)
        job = job.replace_links(manifest)
        write_job(folder, job)
    write_job(folder, replace(job, complete=True))
    remove_parts(folder)
    progress.stage = "complete"
    listener(progress)
    return _build_result(folder, manifest)


def _download_missing(
    server: BulkServer,
    manifest: Manifest,
    folder: Path,
    progress: FetchProgress,
    listener: FetchListener,
) -> bool:
    """What is not there yet; whether all of it is there now, else links have expired."""
    names = list_file_names(manifest)
    missing = [n for n, name in enumerate(names) if find_finished_file(folder, name) is None]
    progress.total_files = len(names)
    progress.files = progress.files_before = len(names) - len(missing)
    listener(progress)
    lock = Lock()

    def count_bytes(size: int) -> None:
        with lock:
            progress.bytes += size
            listener(progress)

    def download_file(number: int) -> bool:
        name = names[number]
        part = folder / f".{name.removeprefix('.')}.part"
        download = Download(server, part, count_bytes)
        try:
            download.fetch(manifest.files[number].url, with_token=manifest.needs_token)
        except LinkExpiredError:
            return False
        download.finish(folder / f"{name}{detect_suffix(part)}")
        with lock:
            progress.files += 1
            listener(progress)
        return True

    with ThreadPoolExecutor(server.access.parallel, thread_name_prefix="export") as threads:
        running = [threads.submit(download_file, number) for number in missing]
        try:
            return all(_collect_results(running))
        finally:
            if not all(future.done() for future in running):
                server.cancel_requests()
                threads.shutdown(wait=False, cancel_futures=True)


def _collect_results(running: Sequence[Future[bool]]) -> Iterable[bool]:
    """Raises what the first that failed raises, without waiting for the others."""
    done, _running = wait(running, return_when=FIRST_EXCEPTION)
    for future in done:
        if future.exception() is not None:
            future.result()
    return [future.result() for future in running]


def _build_result(folder: Path, manifest: Manifest) -> FetchResult:
    files = [find_finished_file(folder, name) for name in list_file_names(manifest)]
    issues: Counter[str] = Counter()
    size = count = deleted = 0
    for entry, file in zip(manifest.files, files, strict=True):
        if file is None:
            continue
        if entry.section == "output":
            size += file.stat().st_size
            count += 1
        elif entry.section == "error":
            issues += _count_issues(file)
        else:
            deleted += 1
    counts = [entry.count for entry in manifest.files if entry.section == "output"]
    resources = sum(filter(None, counts)) if None not in counts else None
    return FetchResult(folder, count, size, manifest.transaction_time, resources, deleted, issues)


def _count_issues(file: Path) -> Counter[str]:
    issues: Counter[str] = Counter()
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            for line in stream:
                if line.strip():
                    issues += count_issues(orjson.loads(line)) or Counter({"unknown/unknown": 1})
    except (ValueError, EOFError, gzip.BadGzipFile):
        issues["unreadable/unknown"] += 1
    return issues
