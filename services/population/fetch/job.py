"""An export under way, as it is kept in the folder that it is fetched into.

All of it has hidden names, which no reader of the folder takes for data. The file holds URLs that a
server may have signed: it is for its owner's eyes alone, like the data.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from cds_hooks.fhir.bulk_manifest import Manifest, RemoteFile
from cds_hooks.fhir.bulk_server import ExportRequest
from cds_hooks.fhir.issues import ExportError
from services.population.run.parquet import lock_folder
from services.reports.duckdb_tools import detect_compression

JOB_FILE = ".export.json"
LOCK_FILE = ".export.lock"
PART_PATTERN = ".*.part*"
SUFFIXES = {None: ".ndjson", "gzip": ".ndjson.gz", "zstd": ".ndjson.zst"}


@dataclass(frozen=True, slots=True)
class ExportJob:
    """What was asked of which server, and how far it got."""

    server: str
    request: ExportRequest
    status_url: str | None = None  # None: not asked for yet
    manifest: Manifest | None = None  # None: not ready yet
    complete: bool = False

    def replace_links(self, manifest: Manifest) -> "ExportJob":
        """The same files under the links that the server gives now. Raises ExportError."""
        before = self.manifest.files if self.manifest else ()
        if [(f.section, f.type) for f in before] != [(f.section, f.type) for f in manifest.files]:
            raise ExportError("the server lists other files than before; start again")
        return replace(self, manifest=manifest)


def list_file_names(manifest: Manifest) -> list[str]:
    """A name for each file, without its ending; what is no data is hidden."""
    names = []
    for number, file in enumerate(manifest.files):
        name = f"{file.type or 'Resource'}.{number:05}"
        names.append(name if file.section == "output" else f".{file.section}.{name}")
    return names


def find_finished_file(folder: Path, name: str) -> Path | None:
    """The whole file of that name; None while there is none."""
    candidates = (folder / f"{name}{ending}" for ending in SUFFIXES.values())
    return next((file for file in candidates if file.exists()), None)


def detect_suffix(file: Path) -> str:
    """What the first bytes say of how the lines are packed."""
    return SUFFIXES[detect_compression(file)]


@contextmanager
def lock_export_folder(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps a second command out of it. Raises ExportError, OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_folder(
        folder, LOCK_FILE, ExportError(f"{folder}: another command is fetching into it")
    ):
        yield


def read_job(folder: Path) -> ExportJob | None:
    """The export of this folder; None where there is none. Raises ExportError, OSError."""
    try:
        text = (folder / JOB_FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _parse_job(orjson.loads(text))
    except (ValueError, TypeError, KeyError):
        raise ExportError(f"{folder / JOB_FILE}: is not of this program; start again") from None


def write_job(folder: Path, job: ExportJob) -> None:
    """Raises OSError."""
    draft = folder / f"{JOB_FILE}.part"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps(asdict(job)))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / JOB_FILE)


def remove_job(folder: Path) -> None:
    """Removes the job with all that was fetched for it. Raises ExportError, OSError."""
    job = read_job(folder)
    for name in list_file_names(job.manifest) if job and job.manifest else ():
        if (file := find_finished_file(folder, name)) is not None:
            file.unlink()
    remove_parts(folder)
    (folder / JOB_FILE).unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    for part in folder.glob(PART_PATTERN):
        part.unlink()


def has_other_data(folder: Path) -> bool:
    """Whether there are files that are not ours to mix with."""
    return any(not file.name.startswith(".") for file in folder.iterdir())


def _parse_job(document: dict[str, Any]) -> ExportJob:
    request_members, manifest_members = document["request"], document["manifest"]
    tuples = {key: tuple(request_members[key]) for key in ("types", "type_filters")}
    manifest = manifest_members and Manifest(
        **{
            **manifest_members,
            "files": tuple(RemoteFile(**file) for file in manifest_members["files"]),
        }
    )
    request = ExportRequest(**{**request_members, **tuples})
    return ExportJob(**{**document, "request": request, "manifest": manifest})
