"""Records survive, on SQLite and on PostgreSQL, and name nobody."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, func, inspect, select

from cds_hooks.feedback import Feedback
from cds_hooks.records import (
    Records,
    RecordsUnavailable,
    StoredCard,
    StoredDecision,
    migrate,
    read_key,
)
from cds_hooks.tables import card, decision, feedback

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def stored(**members):
    given = {
        "id": str(uuid4()),
        "at": NOW,
        "tenant": "local",
        "service": "s",
        "hook": "patient-view",
        "hook_instance": "h",
        "patient_id": "secret-patient",
        "encounter_id": "secret-encounter",
        "version": "1",
        "duration_ms": 1.5,
        "record": {"b12Category": "deficient", "rules": ["r"]},
        "cards": (StoredCard(str(uuid4()), "t", "warning", ("u",)),),
    }
    return StoredDecision(**{**given, **members})


@pytest.fixture
def records(database_url, tmp_path):
    made = Records.open(database_url, tmp_path / "key")
    yield made
    made.close()


def count(records, table):
    with records._engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar()


def test_a_decision_and_its_cards_are_kept_together(records):
    records.store(stored())
    assert (count(records, decision), count(records, card)) == (1, 1)
    with records._engine.connect() as connection:
        row = connection.execute(select(decision)).one()
    assert row.record == {"b12Category": "deficient", "rules": ["r"]}
    assert "secret" not in str(row)
    assert len(row.patient_hash) == 64


def test_all_or_nothing(records):
    twice = StoredCard("same", "t", "info", ())
    with pytest.raises(RecordsUnavailable):
        records.store(stored(cards=(twice, twice)))
    assert (count(records, decision), count(records, card)) == (0, 0)


def test_the_hash_is_the_same_for_the_same_patient_tenant_and_key(records, tmp_path):
    again = records.patient_hash("a", "1")
    assert records.patient_hash("a", "1") == again
    assert records.patient_hash("b", "1") != again
    assert records.patient_hash("a", "2") != again
    other = Records(records._engine, read_key(tmp_path / "other-key"))
    assert other.patient_hash("a", "1") != again


def test_repeated_feedback_changes_nothing(records):
    known = stored()
    records.store(known)
    item = Feedback(known.cards[0].uuid, "accepted", ("u",), None, None, False, NOW)
    unknown = Feedback("nobody's", "overridden", (), "s", "c", True, NOW)
    assert records.store_feedback("s", [item, unknown, item]) == 2
    assert records.store_feedback("s", [item]) == 0
    with records._engine.connect() as connection:
        rows = connection.execute(select(feedback.c.card, feedback.c.known_card)).all()
    assert {(row.card, row.known_card) for row in rows} == {
        (known.cards[0].uuid, True),
        ("nobody's", False),
    }


def test_the_tables_are_those_of_the_migrations(records):
    found = inspect(records._engine)
    for table in (decision, card, feedback):
        columns = {column["name"] for column in found.get_columns(table.name)}
        assert columns == set(table.columns.keys())


def test_migrations_go_down_and_up_again(database_url):
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    migrate(engine)
    migrate(engine, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    migrate(engine)
    assert "decision" in inspect(engine).get_table_names()
    engine.dispose()


def test_a_newer_schema_is_refused(database_url, tmp_path):
    Records.open(database_url, tmp_path / "key").close()
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(RecordsUnavailable, match="newer"):
        Records.open(database_url, tmp_path / "key")


def _open_and_store(url, key, number):
    records = Records.open(url, key)
    threads = [
        threading.Thread(target=lambda: [records.store(stored()) for _ in range(number)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records.close()


def test_workers_that_start_at_once_write_side_by_side(database_url, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=_open_and_store, args=(database_url, tmp_path / "key", 20))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    records = Records.open(database_url, tmp_path / "key")
    assert (count(records, decision), count(records, card)) == (240, 240)
    records.close()


def test_a_killed_process_loses_nothing_it_had_acknowledged(tmp_path):
    url = f"sqlite:///{tmp_path / 'records.sqlite3'}"
    program = (
        "import sys\nfrom pathlib import Path\nfrom datetime import datetime, UTC\n"
        "from uuid import uuid4\n"
        "from cds_hooks.records import Records, StoredDecision\n"
        f"records = Records.open({url!r}, Path({str(tmp_path / 'key')!r}))\n"
        "while True:\n"
        "    id_ = str(uuid4())\n"
        "    records.store(StoredDecision(id_, datetime.now(UTC), 't', 's', 'h', 'i', 'p', None,"
        " '1', 1.0, {}, ()))\n"
        "    print(id_, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [line.strip() for line in process.stdout if len(line.strip()) == 36]
    process.wait()
    process.stdout.close()
    with sqlite3.connect(tmp_path / "records.sqlite3") as connection:
        kept = {row[0] for row in connection.execute("SELECT id FROM decision")}
    connection.close()
    assert set(acknowledged) <= kept


def test_a_locked_database_is_said_to_be_unavailable(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'records.sqlite3'}"
    records = Records.open(url, tmp_path / "key")
    with records._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    blocker = sqlite3.connect(tmp_path / "records.sqlite3", isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(RecordsUnavailable, match="OperationalError"):
            records.store(stored())
    finally:
        blocker.rollback()
        blocker.close()
    records.store(stored())
    records.close()


def test_a_database_that_is_not_there_is_said_to_be_unavailable(tmp_path):
    with pytest.raises(RecordsUnavailable):
        Records.open("postgresql://127.0.0.1:1/none?connect_timeout=1", tmp_path / "key")


@pytest.mark.parametrize(
    ("mode", "size", "reason"), [(0o644, 32, "readable by others"), (0o600, 8, "shorter")]
)
def test_a_key_that_cannot_be_relied_on_stops_the_start(tmp_path, mode, size, reason):
    key = tmp_path / "key"
    key.write_bytes(b"x" * size)
    key.chmod(mode)
    with pytest.raises(RecordsUnavailable, match=reason):
        read_key(key)


def test_a_new_key_is_its_owners_alone(tmp_path):
    key = read_key(tmp_path / "new" / "key")
    assert len(key) == 32
    assert (tmp_path / "new" / "key").stat().st_mode & 0o777 == 0o600
    assert read_key(tmp_path / "new" / "key") == key
