"""A software bill of materials of an installed service: CycloneDX, with licences and hashes.

    python deploy/sbom.py PYTHON --output FILE

PYTHON is the interpreter of the environment, in a container `/opt/cobalamin/bin/python`. The
packages, their licences and what needs what are read there; the hashes are those of the lock.
The same environment gives the same bytes.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import orjson
from locked import Locked, LockFault, read_lock
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = Path(__file__).with_name("requirements.txt")
EDITION = "1.6"  # of CycloneDX


def bill_of(python: Path) -> dict[str, Any]:
    """What the environment of `python` holds. Raises CalledProcessError."""
    command: list[str | Path] = [
        Path(sys.executable).with_name("cyclonedx-py"),
        "environment",
        f"--pyproject={ROOT / 'pyproject.toml'}",
        "--output-reproducible",
        "--no-validate",  # takes longer than all the rest; a test does it
        "--output-format=JSON",
        f"--spec-version={EDITION}",
        python,
    ]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603  # our own words
    bill: dict[str, Any] = orjson.loads(made.stdout)
    return bill


def add_hashes(bill: dict[str, Any], lock: dict[NormalizedName, Locked]) -> None:
    """Gives each component that is locked the hashes of its files.

    Raises LockFault where the environment holds another version than the lock.
    """
    for component in bill["components"]:
        locked = lock.get(canonicalize_name(component["name"]))
        if locked is None:
            continue
        if component["version"] != str(locked.version):
            raise LockFault(f"{locked.name}: another version is installed than is locked")
        component.setdefault("externalReferences", []).append(
            {
                "type": "distribution",
                # What is hashed are the files of the package, one for each platform.
                "url": component["purl"],
                "hashes": [{"alg": "SHA-256", "content": one} for one in locked.hashes],
            }
        )


@click.command()
@click.argument("python", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
def sbom(python: Path, output: Path) -> None:
    """Write the bill of materials of an environment."""
    bill = bill_of(python)
    try:
        add_hashes(bill, read_lock(LOCK))
    except LockFault as fault:
        click.echo(str(fault), err=True)
        raise SystemExit(1) from None
    text = orjson.dumps(bill, option=orjson.OPT_INDENT_2).decode()
    output.write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    sbom()
