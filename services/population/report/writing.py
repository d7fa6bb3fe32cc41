"""The figures of a report as files for other programs."""

import csv
from collections.abc import Mapping
from pathlib import Path

import orjson

from services.population.report.gathered import Gathered
from services.population.report.table import Filled

FIGURES = "figures.json"


def clear(folder: Path) -> None:
    """Takes the tables of an earlier report away, and no other file."""
    try:
        earlier = orjson.loads((folder / FIGURES).read_bytes())["figures"]
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
        return
    for name in earlier:
        (folder / f"{Path(name).name}.csv").unlink(missing_ok=True)


def write_csv(folder: Path, filled: Mapping[str, Filled]) -> None:
    """A file for each table; listings are written already."""
    for name, one in filled.items():
        if not one.table.listing:
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(one.computed.columns)
                writer.writerows(one.computed.rows)


def write_json(folder: Path, run: Gathered, filled: Mapping[str, Filled], mask_below: int) -> None:
    """Everything that the page shows, by names that stay the same."""
    said = {
        "run": {key: value for key, value in run.run.items() if key != "fingerprint"},
        "where": run.where,
        "people": run.people,
        "weighted": run.weighted,
        "withoutWeight": run.left_out,
        "maskedBelow": mask_below,
        "figures": {
            name: {
                "title": one.table.figure.title,
                "says": one.table.figure.says,
                "columns": one.computed.columns,
                "rows": one.computed.rows,
                "total": one.total,
            }
            for name, one in filled.items()
        },
    }
    (folder / FIGURES).write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n")
