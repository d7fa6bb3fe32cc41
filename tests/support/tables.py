"""Tests as tables that a clinician can read."""

import pytest


def cases(table: str) -> pytest.MarkDecorator:
    """Run a test once for each row of a pipe table; `case` maps column names to cells."""
    header, _rule, *lines = (line for line in table.strip().splitlines() if line.strip())
    names = [name.strip() for name in header.split("|")]
    rows = [
        dict(zip(names, (cell.strip() for cell in line.split("|")), strict=True)) for line in lines
    ]
    ids = [" ".join(cell for cell in row.values() if cell) for row in rows]
    return pytest.mark.parametrize("case", rows, ids=ids)
