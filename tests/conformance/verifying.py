"""Which test verifies which requirement of CDS Hooks."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., None])
VERIFIED: dict[str, list[str]] = {}
REQUIREMENTS = {
    row["id"]: row
    for row in csv.DictReader(
        (Path(__file__).parent / "requirements.csv").read_text(encoding="utf-8").splitlines()
    )
}


def verifies(*ids: str) -> Callable[[Test], Test]:
    """Marks a test as the proof of requirements; an id that is not listed is a fault."""

    def mark(test: Test) -> Test:
        for id_ in ids:
            assert id_ in REQUIREMENTS, id_
            VERIFIED.setdefault(id_, []).append(test.__name__)
        return test

    return mark
