"""What a lock file names: packages of one exact version each, with the hashes of their files."""

from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version
from pip_requirements_parser import InstallRequirement, RequirementsFile


class LockFault(ValueError):
    """The lock would let in a file that nobody has named."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One package."""

    name: NormalizedName
    version: Version
    hashes: tuple[str, ...]  # SHA-256 of each of its files, in hexadecimal
    marker: Marker | None  # where it is installed; None: everywhere


def read_lock(path: Path) -> dict[NormalizedName, Locked]:
    """The packages in the lock at `path` by name.

    Raises LockFault with every line that is not pinned, has no SHA-256, is there twice, or is an
    option: an index or a folder of links is the business of who installs.
    """
    file = RequirementsFile.from_file(str(path))
    faults = [f"line {line.line_number}: cannot be read" for line in file.invalid_lines]
    faults += [f"line {line.line_number}: is an option" for line in file.options]
    found: dict[NormalizedName, Locked] = {}
    for entry in file.requirements:
        reason = _fault_of(entry)
        if reason is None and canonicalize_name(entry.name) in found:
            reason = "is named twice"
        if reason is not None:
            faults.append(f"{entry.name or 'an address'}: {reason}")
            continue
        one = _locked(entry)
        found[one.name] = one
    if faults or not found:
        raise LockFault("\n".join(f"{path}: {fault}" for fault in faults or ["names no package"]))
    return found


def _fault_of(entry: InstallRequirement) -> str | None:
    if entry.name is None or entry.link is not None:
        return "is not a package of an index"
    if not entry.is_pinned or entry.get_pinned_version.endswith("*"):
        return "is not pinned to one version"
    if not entry.hash_options:
        return "has no hash"
    if not all(given.startswith("sha256:") for given in entry.hash_options):
        return "has a hash that is not SHA-256"
    return None


def _locked(entry: InstallRequirement) -> Locked:
    return Locked(
        canonicalize_name(entry.name),
        Version(entry.get_pinned_version),
        tuple(given.removeprefix("sha256:") for given in entry.hash_options),
        Marker(str(entry.marker)) if entry.marker else None,
    )
