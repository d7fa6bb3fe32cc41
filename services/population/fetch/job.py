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
from cds_hooks.fhir.issues import ExportFailed
from services.population.run.parquet import alone_in
from services.reports.duckdb_tools import compression_of

NAME = ".export.json"
LOCK = ".export.lock"
PARTS = ".*.part*"
ENDINGS = {None: ".ndjson", "gzip": ".ndjson.gz", "zstd": ".ndjson.zst"}


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked of which server, and how far it got."""

    server: str
    request: ExportRequest
    status_url: str | None = None  # None: not asked for yet
    manifest: Manifest | None = None  # None: not ready yet
    complete: bool = False

    def with_links_of(self, manifest: Manifest) -> "Job":
        """The same files under the links that the server gives now. Raises ExportFailed."""
        before = self.manifest.files if self.manifest else ()
        if [(f.section, f.type) for f in before] != [(f.section, f.type) for f in manifest.files]:
            raise ExportFailed("the server lists other files than before; start again")
        return replace(self, manifest=manifest)


def names_of(manifest: Manifest) -> list[str]:
    """A name for each file, without its ending; what is no data is hidden."""
    found = []
    for number, file in enumerate(manifest.files):
        name = f"{file.type or 'Resource'}.{number:05}"
        found.append(name if file.section == "output" else f".{file.section}.{name}")
    return found


def finished_file(folder: Path, name: str) -> Path | None:
    """The whole file of that name; None while there is none."""
    candidates = (folder / f"{name}{ending}" for ending in ENDINGS.values())
    return next((file for file in candidates if file.exists()), None)


def ending_of(file: Path) -> str:
    """What the first bytes say of how the lines are packed."""
    return ENDINGS[compression_of(file)]


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps a second command out of it. Raises ExportFailed, OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone_in(folder, LOCK, ExportFailed(f"{folder}: another command is fetching into it")):
        yield


def read_job(folder: Path) -> Job | None:
    """The export of this folder; None where there is none. Raises ExportFailed, OSError."""
    try:
        text = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _job(orjson.loads(text))
    except (ValueError, TypeError, KeyError):
        raise ExportFailed(f"{folder / NAME}: is not of this program; start again") from None


def write_job(folder: Path, job: Job) -> None:
    """Raises OSError."""
    draft = folder / f"{NAME}.part"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps(asdict(job)))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / NAME)


def forget_job(folder: Path) -> None:
    """Removes the job with all that was fetched for it. Raises ExportFailed, OSError."""
    job = read_job(folder)
    for name in names_of(job.manifest) if job and job.manifest else ():
        if (file := finished_file(folder, name)) is not None:
            file.unlink()
    forget_parts(folder)
    (folder / NAME).unlink(missing_ok=True)


def forget_parts(folder: Path) -> None:
    for part in folder.glob(PARTS):
        part.unlink()


def holds_other_data(folder: Path) -> bool:
    """Whether there are files that are not ours to mix with."""
    return any(not file.name.startswith(".") for file in folder.iterdir())


def _job(document: dict[str, Any]) -> Job:
    asked, listed = document["request"], document["manifest"]
    many = {key: tuple(asked[key]) for key in ("types", "type_filters")}
    manifest = listed and Manifest(
        **{**listed, "files": tuple(RemoteFile(**file) for file in listed["files"])}
    )
    request = ExportRequest(**{**asked, **many})
    return Job(**{**document, "request": request, "manifest": manifest})
