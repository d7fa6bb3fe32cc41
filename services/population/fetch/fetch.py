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
from cds_hooks.fhir.bulk_download import Download, LinkExpired
from cds_hooks.fhir.bulk_manifest import Manifest
from cds_hooks.fhir.bulk_server import BulkServer, ExportRequest
from cds_hooks.fhir.issues import ExportFailed, ExportUnfinished, issues_in
from services.chart.reader import READERS, REFERRED
from services.population.fetch.job import (
    Job,
    ending_of,
    finished_file,
    forget_job,
    forget_parts,
    holds_other_data,
    names_of,
    own_folder,
    read_job,
    write_job,
)

# Names that resources have in other versions of FHIR: an R4 server knows none of them.
OF_OTHER_VERSIONS = {"MedicationOrder", "MedicationUsage", "ProcedureRequest", "DiagnosticOrder"}
VISITS = "Encounter"  # for a replay: each is a moment at which the service would be called
TYPES = tuple(sorted({*READERS, *REFERRED, VISITS} - OF_OTHER_VERSIONS))
RENEWALS = 3  # of links in a row, without a file that they brought


@dataclass(slots=True)
class Progress:
    """How far a fetch has come."""

    stage: str = "asking"  # then "waiting", "downloading", "complete"
    says: str = ""  # the server's own words while it prepares the export
    files: int = 0
    of_files: int = 0
    before: int = 0  # files that were there when downloading last began
    bytes: int = 0  # that arrived since this call began


Told = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete export."""

    folder: Path
    files: int
    bytes: int
    transaction_time: str  # the server's; what changed later is not in it
    resources: int | None = None  # by the server's count; None where it gives none
    deleted: int = 0  # files that list what was deleted since the time that was asked for
    issues: Counter[str] = field(default_factory=Counter)  # "error/processing" -> number


def fetch(
    access: BulkAccess,
    request: ExportRequest,
    folder: Path,
    told: Told = lambda _progress: None,
    *,
    restart: bool = False,
) -> Fetched:
    """The export of `access.server` in `folder`, which is made, or holds the same export's start.

    Raises ConfigurationFault before anything is asked; ExportUnfinished where calling again goes
    on; ExportFailed where it would not; OSError for the folder.
    """
    with own_folder(folder), closing(BulkServer(access)) as server:
        if restart:
            _abandon(server, folder)
        job = read_job(folder)
        if job is None:
            if holds_other_data(folder):
                raise ExportFailed(f"{folder}: holds files of something else")
            job = Job(access.server, request)
        elif (job.server, job.request) != (access.server, request):
            raise ExportFailed(f"{folder}: holds another export; name another folder, or restart")
        progress = Progress()
        try:
            return _run(server, job, folder, progress, told)
        finally:
            server.end()


def cancel(access: BulkAccess, folder: Path) -> bool:
    """Tells the server that the export of `folder` is no longer wanted; whether there is any.

    What was fetched of an incomplete one is removed; a complete one stays, and the server may
    remove its own copy. Raises ExportFailed, ExportUnfinished, OSError.
    """
    with own_folder(folder), closing(BulkServer(access)) as server:
        job = read_job(folder)
        if job is None:
            return False
        if job.server != access.server:
            raise ExportFailed(f"{folder}: holds an export of another server")
        if job.status_url is not None:
            server.cancel(job.status_url)
        if not job.complete:
            forget_job(folder)
        return True


def _abandon(server: BulkServer, folder: Path) -> None:
    """Starting again must not fail because the server does not answer for the last time."""
    job = read_job(folder)
    if job is not None and job.status_url is not None and job.server == server.access.server:
        with suppress(ExportFailed, ExportUnfinished):
            server.cancel(job.status_url)
    forget_job(folder)


def _run(server: BulkServer, job: Job, folder: Path, progress: Progress, told: Told) -> Fetched:
    if job.status_url is None:
        told(progress)
        job = replace(job, status_url=server.kick_off(job.request))
        write_job(folder, job)
    status_url = job.status_url or ""
    progress.stage = "waiting"

    def said(words: str) -> None:
        progress.says = words
        told(progress)

    said("")
    manifest = job.manifest or server.ready(status_url, said)
    job = replace(job, manifest=manifest)
    write_job(folder, job)
    progress.stage = "downloading"
    renewals = 0
    while not _download(server, manifest, folder, progress, told):
        renewals = renewals + 1 if progress.files == progress.before else 0
        if renewals > RENEWALS:
            raise ExportFailed("the server's links to the files do not work; start again")
        manifest = server.ready(status_url, said)
        job = job.with_links_of(manifest)
        write_job(folder, job)
    write_job(folder, replace(job, complete=True))
    forget_parts(folder)
    progress.stage = "complete"
    told(progress)
    return _fetched(folder, manifest)


def _download(
    server: BulkServer, manifest: Manifest, folder: Path, progress: Progress, told: Told
) -> bool:
    """What is not there yet; whether all of it is there now, else links have expired."""
    names = names_of(manifest)
    missing = [n for n, name in enumerate(names) if finished_file(folder, name) is None]
    progress.of_files = len(names)
    progress.files = progress.before = len(names) - len(missing)
    told(progress)
    turn = Lock()

    def arrived(size: int) -> None:
        with turn:
            progress.bytes += size
            told(progress)

    def one(number: int) -> bool:
        name = names[number]
        part = folder / f".{name.removeprefix('.')}.part"
        download = Download(server, part, arrived)
        try:
            download.fetch(manifest.files[number].url, with_token=manifest.needs_token)
        except LinkExpired:
            return False
        download.keep(folder / f"{name}{ending_of(part)}")
        with turn:
            progress.files += 1
            told(progress)
        return True

    with ThreadPoolExecutor(server.access.parallel, thread_name_prefix="export") as threads:
        running = [threads.submit(one, number) for number in missing]
        try:
            return all(_results(running))
        finally:
            if not all(future.done() for future in running):
                server.end()
                threads.shutdown(wait=False, cancel_futures=True)


def _results(running: Sequence[Future[bool]]) -> Iterable[bool]:
    """Raises what the first that failed raises, without waiting for the others."""
    done, _running = wait(running, return_when=FIRST_EXCEPTION)
    for future in done:
        if future.exception() is not None:
            future.result()
    return [future.result() for future in running]


def _fetched(folder: Path, manifest: Manifest) -> Fetched:
    found = [finished_file(folder, name) for name in names_of(manifest)]
    issues: Counter[str] = Counter()
    size = count = deleted = 0
    for listed, file in zip(manifest.files, found, strict=True):
        if file is None:
            continue
        if listed.section == "output":
            size += file.stat().st_size
            count += 1
        elif listed.section == "error":
            issues += _issues_of_file(file)
        else:
            deleted += 1
    counts = [listed.count for listed in manifest.files if listed.section == "output"]
    resources = sum(filter(None, counts)) if None not in counts else None
    return Fetched(folder, count, size, manifest.transaction_time, resources, deleted, issues)


def _issues_of_file(file: Path) -> Counter[str]:
    issues: Counter[str] = Counter()
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            for line in stream:
                if line.strip():
                    issues += issues_in(orjson.loads(line)) or Counter({"unknown/unknown": 1})
    except (ValueError, EOFError, gzip.BadGzipFile):
        issues["unreadable/unknown"] += 1
    return issues
