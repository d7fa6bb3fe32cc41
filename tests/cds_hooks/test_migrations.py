"""Schema versions go up and down, and never past what this version of the service knows."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from cds_hooks.database import RecordsUnavailable, connect
from cds_hooks.migrations import migrate
from cds_hooks.records import Records
from cds_hooks.tables import metadata


@pytest.fixture
def engine(database_url):
    made = connect(database_url)
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
    with pytest.raises(RecordsUnavailable, match="9999 is newer"):
        Records.open(database_url, key_file)
