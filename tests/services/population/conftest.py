"""Reports over rows that a test wrote by hand, and over a hospital that never was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_rows import write_run

from services.population.report import build
from services.population.report.build import make_report


class Reported:
    """What a report says: rows of a figure as dictionaries, and what stands beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = json.loads((folder / "figures.json").read_bytes())
        self.html = (folder / "index.html").read_text(encoding="utf-8")

    def rows(self, name: str) -> list[dict[str, Any]]:
        figure = self.said["figures"][name]
        return [dict(zip(figure["columns"], row, strict=True)) for row in figure["rows"]]

    def row(self, name: str, **values: Any) -> dict[str, Any]:
        [found] = [
            row for row in self.rows(name) if all(row[key] == one for key, one in values.items())
        ]
        return found


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Reported]:
    """Writes a run and reports on it, without drawings: they take most of the time."""

    def report(
        *, where: str | None = None, mask_below: int = 0, into: Path | None = None, **rows: Any
    ) -> Reported:
        monkeypatch.setattr(build, "find_spec", lambda _name: None)
        out = tmp_path / "run [1]*"
        if rows:
            write_run(out, **rows)
        make_report(out, where=where, into=into, mask_below=mask_below)
        return Reported(into or out / "report")

    return report
