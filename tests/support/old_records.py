"""Records as a service wrote them that had the schema 0003: a column for each topic.

The file was written by that service, with the key of 32 bytes from 0 to 31. So its chain is no work
of the code under test.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Engine, MetaData, Table

from cds_hooks.records.migrations import migrate

FILE = Path(__file__).with_name("records_of_version_0003.json")
OLD: dict[str, Any] = json.loads(FILE.read_text())
# Tenant north, but for the fifth decision, which is south's. None: a null in the column.
FINDINGS = [
    {"b12": "deficient", "sarcopenia": "probable"},
    {"b12": "no-action", "sarcopenia": "not_assessed"},
    {"b12": "unlikely", "sarcopenia": None},
    {"b12": None, "sarcopenia": None},
    {"b12": "deficient", "sarcopenia": "probable"},
]


def fill_old(engine: Engine) -> None:
    """The tables of 0003, and these records in them."""
    migrate(engine, "0003")
    with engine.begin() as connection:
        for name, rows in OLD["tables"].items():
            table = Table(name, MetaData(), autoload_with=connection)
            times = [c.name for c in table.columns if isinstance(c.type, DateTime)]
            connection.execute(
                table.insert(),
                [row | {time: datetime.fromisoformat(row[time]) for time in times} for row in rows],
            )
