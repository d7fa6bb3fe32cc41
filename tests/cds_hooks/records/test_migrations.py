"""Schema versions go up and down, and never past what this version of the service knows."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from old_records import FINDINGS, OLD, fill_old
from sqlalchemy import inspect, select, text

from cds_hooks.records.database import RecordsUnavailableError, make_engine
from cds_hooks.records.migrations import migrate
from cds_hooks.records.store import Records
from cds_hooks.records.tables import decision, finding, metadata


@pytest.fixture
def engine(database_url):
    made = make_engine(database_url)
    yield made
    made.dispose()


def test_the_migrations_make_the_tables_that_the_records_use(engine):
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_go_down_and_up_again(engine):
    migrate(engine)
    migrate(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert set(metadata.tables) <= set(inspect(engine).get_table_names())


def ids(rows):
    return [row["id"] for row in rows]


def findings(engine):
    with engine.connect() as connection:
        rows = connection.execute(select(finding)).all()
    return {(row.decision, row.topic): row.category for row in rows}


def columns(engine):
    """What stands in the columns that were there before 0004."""
    names = "id, b12_category, sarcopenia_category"
    with engine.connect() as connection:
        return set(connection.execute(text(f"SELECT {names} FROM decision")).all())


def test_findings_get_a_table_of_their_own_and_go_back_into_their_columns(engine):
    fill_old(engine)
    before = columns(engine)
    migrate(engine)
    moved = findings(engine)
    assert moved == {
        (id_, topic): category
        for id_, found in zip(ids(OLD["tables"]["decision"]), FINDINGS, strict=True)
        for topic, category in found.items()
    }
    with engine.connect() as connection:
        kept = connection.execute(select(decision.c.id).order_by(decision.c.id)).scalars().all()
    assert kept == ids(OLD["tables"]["decision"])
    migrate(engine, "0003")
    assert columns(engine) == before
    assert "finding" not in inspect(engine).get_table_names()
    migrate(engine)
    assert findings(engine) == moved


def test_a_topic_that_has_no_column_is_lost_on_the_way_down(engine):
    fill_old(engine)
    before = columns(engine)
    migrate(engine)
    with engine.begin() as connection:
        new = {"decision": ids(OLD["tables"]["decision"])[0], "topic": "iron", "category": "low"}
        connection.execute(finding.insert().values(new))
    migrate(engine, "0003")
    assert columns(engine) == before


def test_a_migration_that_fails_leaves_nothing_behind(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE feedback (id INTEGER)"))  # in the third one's way
    with pytest.raises(Exception, match="feedback"):
        migrate(engine)
    assert inspect(engine).get_table_names() == ["feedback"]


def test_a_newer_schema_is_refused(engine, database_url, key_file):
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RecordsUnavailableError, match="9999 is newer"):
        Records.open(database_url, key_file)
