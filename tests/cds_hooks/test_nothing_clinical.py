"""The protocol serves whatever services there are: it names no condition but in its own name."""

import re
from pathlib import Path

import cds_hooks

ROOT = Path(cds_hooks.__file__).parent
CLINICAL = re.compile("b12|vitamin|sarcopen|muscle", re.IGNORECASE)
# It made columns with these names; databases of sites have them.
FIRST_TABLES = "0001_first_tables.py"
KINDS = {".py", ".json", ".toml", ".html", ".css", ".js"}


def test_no_condition_is_named():
    files = [path for path in ROOT.rglob("*") if path.suffix in KINDS and path.name != FIRST_TABLES]
    assert len(files) > 50
    named = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in files
        for line in path.read_text("utf-8").splitlines()
        if CLINICAL.search(line)
    ]
    assert named == []
