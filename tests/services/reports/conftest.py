"""A simulated week as logs and as records, and reports over lines that a test wrote by hand."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from postgresql import running_postgresql
from simulation.week import lived

from services.reports.figures import compute_figures
from services.reports.highlight_rules import find_highlights
from services.reports.log_reader import ReportWindow, open_events

DISLIKED = "orderFolicAcid"


@dataclass
class Past:
    """What a week left behind."""

    log: Path
    records_url: str


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("week")
    file = folder / "log"
    with file.open("wb") as log, lived(log, folder, disliked=DISLIKED):
        pass
    return Past(file, f"sqlite:///{folder / 'week.sqlite3'}")


@pytest.fixture(scope="session")
def week_in_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A short one."""
    folder = tmp_path_factory.mktemp("week")
    file = folder / "log"
    with running_postgresql() as url:
        with file.open("wb") as log, lived(log, folder, calls=60, records_url=url):
            pass
        yield Past(file, url)


@pytest.fixture
def reported(tmp_path: Path) -> Callable[..., Any]:
    """Figures and findings over lines: objects, or text as it would stand in the file."""

    def report(lines: list[Any], window: ReportWindow | None = None) -> Any:
        file = tmp_path / "log"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        file.write_text("\n".join(texts) + "\n", encoding="utf-8")
        with open_events([str(file)], window or ReportWindow()) as connection:
            figures = compute_figures(connection)
            return figures, find_highlights(figures, connection)

    return report
