"""Records survive, on SQLite and on PostgreSQL, and name nobody."""

import multiprocessing
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import select
from waiting import wait_until

from cds_hooks.config.settings import ConfigurationError
from cds_hooks.protocol.feedback import Feedback
from cds_hooks.records import database
from cds_hooks.records import store as records_module
from cds_hooks.records import transactions as sessions_module
from cds_hooks.records.database import make_engine
from cds_hooks.records.store import Records, RecordsUnavailableError, StoredCard, StoredDecision
from cds_hooks.records.tables import card, decision, feedback, finding

PAST = str(uuid4())
NOW = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)


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
        "record": {"findings": {"x": "low", "y": "none"}, "tier": "T1", "rules": ["r"]},
        "cards": (StoredCard(str(uuid4()), "t", "warning", ("u", "v"), "https://topics.example"),),
        "prefetch": {"supplied": 7, "fetched": 1, "failed": 0},
    }
    return StoredDecision(**{**given, **members})


@pytest.fixture
def records(database_url, key_file):
    opened = Records.open(database_url, key_file)
    yield opened
    opened.close()


@pytest.fixture
def rows(database_url):
    """What stands in a table."""
    engine = make_engine(database_url)

    def rows(table):
        with engine.connect() as connection:
            return connection.execute(select(table)).all()

    yield rows
    engine.dispose()


def test_a_decision_and_its_cards_are_kept_together(records, rows):
    given = stored()
    records.store_decision(given)
    [kept], [shown] = rows(decision), rows(card)
    assert (kept.id, kept.at, kept.status) == (given.id, NOW, 200)
    assert set(rows(finding)) == {(given.id, "x", "low"), (given.id, "y", "none")}
    assert kept.tier == "T1"
    assert kept.record == {"rules": ["r"]}
    assert kept.prefetch == {"supplied": 7, "fetched": 1, "failed": 0}
    assert (shown.uuid, shown.decision) == (given.cards[0].uuid, given.id)
    assert (shown.topic_system, shown.topic) == ("https://topics.example", "t")
    assert shown.suggestions == ["u", "v"]


def test_a_decision_without_cards_is_kept(records, rows):
    records.store_decision(stored(cards=(), encounter_id=None))
    [kept] = rows(decision)
    assert kept.encounter_hash is None
    assert rows(card) == []


def test_no_patient_is_named(records, rows):
    records.store_decision(stored())
    [kept] = rows(decision)
    assert "secret" not in str(kept)
    assert kept.patient_hash == records.hash_patient("local", "secret-patient")
    assert kept.encounter_hash == records.hash_patient("local", "secret-encounter")


def test_a_time_with_an_offset_is_kept_as_the_same_moment(records, rows):
    records.store_decision(stored(at=NOW.astimezone(timezone(timedelta(hours=5)))))
    assert rows(decision)[0].at == NOW


def test_all_or_nothing(records, rows):
    twice = StoredCard("same", "t", "info", ())
    with pytest.raises(RecordsUnavailableError):
        records.store_decision(stored(cards=(twice, twice)))
    assert (rows(decision), rows(card), rows(finding)) == ([], [], [])
    records.store_decision(stored())
    assert len(rows(decision)) == 1


def test_no_message_quotes_what_was_being_written(records):
    twice = StoredCard("secret-card", "t", "info", ())
    with pytest.raises(RecordsUnavailableError) as caught:
        records.store_decision(stored(cards=(twice, twice)))
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_repeated_feedback_changes_nothing(records, rows):
    known = stored()
    records.store_decision(known)
    item = Feedback(known.cards[0].uuid, "accepted", ("u",), None, None, NOW)
    nobodys = str(uuid4())
    unknown = Feedback(nobodys, "overridden", (), "s", "c", NOW)
    assert records.store_feedback("local", "s", [item, unknown, item]) == 2
    assert records.store_feedback("local", "s", [item]) == 0
    assert {(row.card, row.known_card) for row in rows(feedback)} == {
        (known.cards[0].uuid, True),
        (nobodys, False),
    }


def test_a_card_is_the_same_however_a_client_writes_its_id(records, rows):
    known = stored()
    records.store_decision(known)
    for written in (known.cards[0].uuid.upper(), f"urn:uuid:{known.cards[0].uuid}"):
        item = Feedback(written, "accepted", (written,), None, None, NOW)
        records.store_feedback("local", "s", [item])
    [row] = rows(feedback)  # the second says nothing new
    assert (row.card, row.known_card) == (known.cards[0].uuid, True)
    assert row.accepted == [known.cards[0].uuid]


def test_an_id_that_is_not_ours_is_kept_as_a_keyed_hash(records, rows):
    item = Feedback("Ann Smith, born 1931", "accepted", ("Ann",), None, None, NOW)
    assert records.store_feedback("local", "s", [item, item]) == 1
    [row] = rows(feedback)
    assert "Ann" not in f"{row}"


def test_another_answer_to_the_same_card_is_kept_too(records, rows):
    first = Feedback(PAST, "overridden", (), "s", "not-now", NOW)
    later = Feedback(PAST, "accepted", (PAST,), None, None, NOW + timedelta(hours=1))
    assert (
        records.store_feedback("local", "s", [first])
        + records.store_feedback("local", "s", [later])
        == 2
    )
    assert [row.accepted for row in rows(feedback)] == [[], [PAST]]


def test_feedback_without_items_keeps_nothing(records):
    assert records.store_feedback("local", "s", []) == 0


def test_feedback_with_a_nul_is_kept(records):
    item = Feedback("a\x00b", "accepted", ("\x00",), "\x00", "\x00", NOW)
    assert records.store_feedback("local", "s", [item]) == 1
    assert records.store_feedback("local", "s", [item]) == 0


def test_a_database_that_answers_is_fit(records):
    records.check()


def _open_and_store(url, key, number):
    opened = Records.open(url, key)
    threads = [
        threading.Thread(target=lambda: [opened.store_decision(stored()) for _ in range(number)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened.close()


def test_workers_that_make_a_new_database_at_once_all_get_it(tmp_path):
    fork = multiprocessing.get_context("fork")
    for attempt in range(5):
        url, start = f"sqlite:///{tmp_path}/{attempt}/records.sqlite3", fork.Barrier(8)

        def open_at_once(url=url, start=start):
            start.wait()
            Records.open(url).close()

        workers = [fork.Process(target=open_at_once) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0] * 8


@pytest.mark.slow
def test_workers_that_start_at_once_write_side_by_side(database_url, key_file, rows):
    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=_open_and_store, args=(database_url, key_file, 50)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    kept = [row.id for row in rows(decision)]
    assert len(kept) == len(set(kept)) == 800
    assert sorted(row.decision for row in rows(card)) == sorted(kept)


def test_a_forked_process_has_connections_of_its_own(records, rows):
    records.store_decision(stored())
    child = multiprocessing.get_context("fork").Process(
        target=lambda: [records.store_decision(stored()) for _ in range(20)]
    )
    child.start()
    for _ in range(20):
        records.store_decision(stored())
    child.join(60)
    assert child.exitcode == 0
    assert len(rows(decision)) == 41


ENDLESS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from cds_hooks.records.store import Records, StoredCard, StoredDecision

records = Records.open(sys.argv[1], Path(sys.argv[2]))
while True:
    id_ = str(uuid4())
    cards = (StoredCard(str(uuid4()), "t", "info", ()),)
    records.store(StoredDecision(
        id_, datetime.now(UTC), "t", "s", "h", "i", "p", None, "1", 1.0, {}, cards))
    print(id_, flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_loses_nothing_it_had_acknowledged(database_url, key_file, rows):
    for acknowledged_before in (1, 60, 120):
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESS, database_url, key_file], stdout=subprocess.PIPE
        ) as process:
            acknowledged = [process.stdout.readline() for _ in range(acknowledged_before)]
            process.send_signal(signal.SIGKILL)
            acknowledged += process.stdout
        whole = {line.decode().strip() for line in acknowledged if line.endswith(b"\n")}
        Records.open(database_url, key_file).close()
        kept = {row.id for row in rows(decision)}
        assert whole <= kept
        assert {row.decision for row in rows(card)} == kept


def test_connections_that_the_server_has_closed_are_replaced(postgresql_url, records, database_url):
    if not database_url.startswith("postgresql"):
        return
    records.store_decision(stored())
    engine = make_engine(database_url)
    with engine.connect() as connection:
        ended = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).all()
    engine.dispose()
    assert ended
    records.store_decision(stored())


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(sessions_module, "WAIT_SECONDS", 0.2)


def test_a_locked_database_refuses_every_thread_soon_and_recovers(tmp_path, impatient):
    file = tmp_path / "records.sqlite3"
    opened = Records.open(f"sqlite:///{file}")
    blocker = sqlite3.connect(file, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    refused = []

    def try_to_store():
        with pytest.raises(RecordsUnavailableError):
            opened.store_decision(stored())
        refused.append(True)

    threads = [threading.Thread(target=try_to_store) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 8  # while it is locked
    blocker.rollback()
    blocker.close()
    opened.store_decision(stored())
    opened.close()


def test_a_database_that_is_not_there_is_unavailable(key_file):
    with pytest.raises(RecordsUnavailableError, match="OperationalError"):
        Records.open("postgresql://127.0.0.1:1/none?connect_timeout=1", key_file)


def test_a_file_that_is_no_database_is_unavailable(tmp_path, key_file):
    (tmp_path / "records.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(RecordsUnavailableError, match="DatabaseError"):
        Records.open(f"sqlite:///{tmp_path / 'records.sqlite3'}", key_file)


@pytest.fixture
def folder():
    """A folder that an unprivileged user can reach, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="records-"))
    yield made
    made.chmod(0o700)
    shutil.rmtree(made)


def unprivileged(action):
    """The name of the exception that `action` raises for somebody who is not root."""

    def act(queue):
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(pwd.getpwnam("nobody").pw_gid)
            os.setuid(pwd.getpwnam("nobody").pw_uid)
        try:
            action()
        except (ConfigurationError, RecordsUnavailableError) as fault:
            queue.put((type(fault).__name__, str(fault)))
        else:
            queue.put(("nothing", ""))

    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    child = fork.Process(target=act, args=(queue,))
    child.start()
    outcome = queue.get(timeout=60)
    child.join(60)
    return outcome


def test_new_records_in_a_folder_that_cannot_be_written_stop_the_start(folder):
    folder.chmod(0o555)
    raised, reason = unprivileged(lambda: Records.open(f"sqlite:///{folder}/records.sqlite3"))
    assert raised == "ConfigurationError"
    assert "Permission denied" in reason


def test_records_that_became_read_only_are_unavailable(folder):
    records = Records.open(f"sqlite:///{folder}/records.sqlite3")
    if os.geteuid() == 0:
        for file in folder.iterdir():
            os.chown(file, pwd.getpwnam("nobody").pw_uid, -1)
    (folder / "records.sqlite3").chmod(0o444)
    folder.chmod(0o555)
    # Opened before privileges are dropped: whoever has none may not enter the checkout either.
    raised, reason = unprivileged(lambda: records.store_decision(stored()))
    records.close()
    assert (raised, reason) == ("RecordsUnavailableError", "OperationalError")


def test_a_key_that_is_not_ours_to_read_stops_the_start(folder):
    url = f"sqlite:///{folder}/records.sqlite3"
    Records.open(url).close()
    folder.chmod(0o755)
    (folder / "patient-hash.key").chmod(0o000)
    raised, reason = unprivileged(lambda: Records.open(url))
    assert raised == "ConfigurationError"
    assert "Permission denied" in reason


def test_the_past_of_a_patient_with_what_became_of_it(records):
    """On either database: topics asked for alone, this tenant's and this patient's alone."""
    now = datetime(2026, 11, 20, 9, tzinfo=UTC)
    shown = StoredCard(PAST, "b12Deficient", "warning", (), rests_on=frozenset({"a", "b"}))
    other = StoredCard("u-other", "orderLeber", "critical", ())
    told = stored(at=now, patient_id="77", encounter_id="e1", cards=(shown, other))
    records.store_decision(told)
    answer = Feedback(PAST, "overridden", (), "s", "not-now", now + timedelta(minutes=5))
    records.store_feedback(told.tenant, told.service, [answer], now + timedelta(minutes=1))
    memory = records.open_card_history(told.tenant, "77", "e1", now + timedelta(hours=1))
    [past] = memory.find_cards(30, ("b12Deficient", "b12DeficientAndMuscle"))
    assert (past.topic, past.indicator, past.same_encounter) == ("b12Deficient", "warning", True)
    assert (past.outcome, past.reason) == ("overridden", "not-now")
    assert past.shown_at == now
    assert past.answered_at == now + timedelta(minutes=1)  # when it came, not what the client says
    assert past.rests_on == memory.make_seals("a") | memory.make_seals("b")
    elsewhere = records.open_card_history(told.tenant, "78", "e1", now)
    assert elsewhere.find_cards(30, ("b12Deficient", "")) == ()
    later = records.open_card_history(told.tenant, "77", "e2", now + timedelta(days=31))
    assert later.find_cards(30, ("b12Deficient", "")) == ()
    [unseen] = records.open_card_history(told.tenant, "77", "e2", now).find_cards(
        30, ("orderLeber", "")
    )
    assert not unseen.same_encounter
    assert unseen.outcome is None
    assert (
        records.open_card_history("another", "77", "e1", now).find_cards(30, ("orderLeber", ""))
        == ()
    )


def idle_transactions(url):
    """How many clients of a PostgreSQL have begun something and do nothing."""
    with psycopg.connect(url) as connection:
        [[count]] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        )
    return count


def test_a_replica_that_freezes_while_it_holds_a_chain_lets_go_of_it(
    postgresql_url, key_file, monkeypatch
):
    """PostgreSQL ends its transaction; the others go on."""
    monkeypatch.setattr(records_module, "IDLE_TRANSACTION_TIMEOUT", "300ms")
    frozen, other = Records.open(postgresql_url, key_file), Records.open(postgresql_url, key_file)
    transaction = frozen.transactions.begin()
    frozen._write_chain_entries(transaction.__enter__(), "local", ())
    wait_until(lambda: not idle_transactions(postgresql_url))  # as a machine that is suspended
    other.store_decision(stored())
    with pytest.raises(RecordsUnavailableError):
        transaction.__exit__(None, None, None)
    frozen.store_decision(stored())
    for one in (frozen, other):
        one.close()
