"""Compares a lock with advisories on this disk: nothing is asked of anybody.

    python deploy/audit_dependencies.py ADVISORIES [--lock FILE]

ADVISORIES is a folder of OSV advisories, or the ZIP file of them that OSV exports for this
ecosystem. Exit status 1 where one concerns a locked version, 2 where nothing could be compared.
"""

from dataclasses import dataclass
from pathlib import Path

import click
from advisories import Advisory, AdvisoryFault, Affected, read_advisories
from locked import Locked, LockFault, read_lock
from packaging.utils import NormalizedName

LOCK = Path(__file__).with_name("requirements.txt")


@dataclass(frozen=True, slots=True)
class Hit:
    """An advisory that concerns a locked package."""

    locked: Locked
    advisory: Advisory
    affected: Affected

    def __str__(self) -> str:
        names = " ".join((self.advisory.id, *self.advisory.aliases))
        fixed = ", ".join(self.affected.fixed) or "no version yet"
        return (
            f"{self.locked.name} {self.locked.version}: {names}: {self.advisory.summary} "
            f"(mended in: {fixed})"
        )


def hits(lock: dict[NormalizedName, Locked], advisories: list[Advisory]) -> list[Hit]:
    """Each locked version that an advisory includes, in the order of the lock."""
    found = [
        Hit(lock[affected.package], advisory, affected)
        for advisory in advisories
        for affected in advisory.affected
        if affected.package in lock and affected.includes(lock[affected.package].version)
    ]
    return sorted(found, key=lambda hit: (hit.locked.name, hit.advisory.id))


@click.command()
@click.argument("advisories", type=click.Path(path_type=Path, exists=True))
@click.option("--lock", type=click.Path(path_type=Path, dir_okay=False), default=LOCK)
def audit(advisories: Path, lock: Path) -> None:
    """Say which locked versions an advisory concerns."""
    try:
        locked = read_lock(lock)
        known = read_advisories(advisories)
    except (LockFault, AdvisoryFault, OSError) as fault:
        click.echo(str(fault), err=True)
        raise SystemExit(2) from None
    found = hits(locked, known)
    for hit in found:
        click.echo(hit)
    newest = max(one.modified for one in known)
    click.echo(
        f"{len(locked)} packages, {len(known)} advisories, the newest of {newest}: "
        f"{len(found)} to act on",
        err=True,
    )
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    audit()
