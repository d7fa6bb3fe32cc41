"""What waits while the database is down comes in once, in order, and nothing stands in its way."""

import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest
from old_records import OLD
from sqlalchemy import select

from cds_hooks.protocol.feedback import Feedback
from cds_hooks.records import database
from cds_hooks.records import transactions as sessions_module
from cds_hooks.records.audit_verification import verify_chain
from cds_hooks.records.database import DatabaseDownError, make_engine
from cds_hooks.records.spool import Spool
from cds_hooks.records.store import Records, RecordsUnavailableError, StoredCard, StoredDecision
from cds_hooks.records.tables import card, decision, feedback, finding

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)


def stored(**members):
    given = {
        "id": str(uuid4()),
        "at": NOW,
        "tenant": "north",
        "service": "s",
        "hook": "patient-view",
        "hook_instance": "h",
        "patient_id": "p",
        "encounter_id": None,
        "version": "1",
        "duration_ms": 1.5,
        "record": {"findings": {"x": "low"}, "tier": "T1"},
        "cards": (StoredCard(str(uuid4()), "t", "warning", ("u",)),),
    }
    return StoredDecision(**{**given, **members})


class Site:
    """Records with a spool, and a database that can be taken away."""

    def __init__(self, url, key_file, folder, monkeypatch):
        self.url = url
        self.key_file = key_file
        self.spool = folder
        self._monkeypatch = monkeypatch
        self.records = self.another()

    def another(self, spool=None, **options):
        """Another worker or, with a spool of its own, another replica."""
        return Records.open(self.url, self.key_file, spool=spool or self.spool, **options)

    def down(self, *records):
        def fails(*_args):
            raise DatabaseDownError("OperationalError")

        for one in records or (self.records,):
            self._monkeypatch.setattr(one.engine, "raw_connection", fails)
            self._monkeypatch.setattr(one, "open_chained_transaction", fails)

    def up(self):
        self._monkeypatch.undo()

    @property
    def waiting(self):
        return sorted(self.spool.glob("*.json"))

    def rows(self, table):
        engine = make_engine(self.url)
        with engine.connect() as connection:
            found = connection.execute(select(table)).all()
        engine.dispose()
        return found


@pytest.fixture
def site(database_url, key_file, tmp_path, monkeypatch):
    made = Site(database_url, key_file, tmp_path / "spool", monkeypatch)
    yield made
    made.up()
    made.records.close()


def test_what_waited_comes_in_whole_and_once(site):
    site.down()
    given = stored()
    site.records.store_decision(given)
    [file] = site.waiting
    kept = file.read_bytes()
    site.up()
    assert site.records.run_maintenance(NOW) == (1, 0)
    assert site.waiting == []
    file.write_bytes(kept)  # as if the process had died before it removed the file
    assert site.records.run_maintenance(NOW) == (0, 0)
    assert [row.id for row in site.rows(decision)] == [given.id]
    assert [row.uuid for row in site.rows(card)] == [given.cards[0].uuid]
    assert site.rows(finding) == [(given.id, "x", "low")]
    assert verify_chain(site.records, "north").faults == ()


def test_what_an_older_version_left_waiting_comes_in(site):
    """Its files have a category for each topic in the row, as its table had."""
    for number, record in enumerate(OLD["spool"]):
        (site.spool / f"{number}.json").write_bytes(orjson.dumps(record))
    assert site.records.run_maintenance(NOW) == (len(OLD["spool"]), 0)
    first, second = (record["row"]["id"] for record in OLD["spool"])
    assert set(site.rows(finding)) == {
        (first, "b12", "deficient"),
        (first, "sarcopenia", "probable"),
        (second, "b12", "unlikely"),
        (second, "sarcopenia", None),
    }
    assert [row.decision for row in site.rows(card)] == [first]
    assert verify_chain(site.records, "north").faults == ()


def test_a_record_that_was_kept_before_the_connection_broke_is_not_kept_twice(site, monkeypatch):
    given = stored()
    whole = site.records._insert_decision

    def breaks_off(row, cards):
        whole(row, cards)
        raise RecordsUnavailableError("OperationalError")

    monkeypatch.setattr(site.records, "_insert_decision", breaks_off)
    site.records.store_decision(given)
    assert len(site.waiting) == 1
    site.up()
    assert site.records.run_maintenance(NOW) == (0, 0)
    assert [row.id for row in site.rows(decision)] == [given.id]
    assert verify_chain(site.records, "north").entries == 1


def test_feedback_that_waited_comes_in_once_and_after_its_card(site):
    """In the order in which they came, so that an answer finds the card that it is about."""
    site.down()
    for _ in range(20):
        given = stored()
        site.records.store_decision(given)
        answer = Feedback(given.cards[0].uuid, "overridden", (), "s", "not-now", SOON)
        assert site.records.store_feedback("north", "s", [answer], NOW) == 1
    copies = {file: file.read_bytes() for file in site.waiting}
    site.up()
    assert site.records.run_maintenance(NOW) == (40, 0)
    for file, content in copies.items():
        file.write_bytes(content)
    assert site.records.run_maintenance(NOW) == (0, 0)
    answers = site.rows(feedback)
    assert len(answers) == 20
    assert all(row.known_card for row in answers)
    assert verify_chain(site.records, "north").faults == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"kind": "decision"}', b'{"kind": "token", "row": {}}', b"\xff"],
    ids=["empty", "cut off", "a list", "nothing", "no row", "no token", "noise"],
)
def test_a_broken_file_is_set_aside_and_holds_up_nobody(site, content):
    site.down()
    (site.spool / f"{0:020}-first.json").write_bytes(content)
    site.records.store_decision(stored())
    site.up()
    assert site.records.run_maintenance(NOW) == (1, 1)
    assert len(site.rows(decision)) == 1
    [aside] = site.spool.glob("*.broken")
    assert aside.read_bytes() == content
    assert site.records.run_maintenance(NOW) == (0, 0)


def test_a_record_that_the_database_does_not_take_is_set_aside(site):
    first, second = stored(), stored()
    site.records.store_decision(first)
    site.down()
    site.records.store_decision(stored(cards=first.cards))  # a card that there is already
    site.records.store_decision(second)
    site.up()
    assert site.records.run_maintenance(NOW) == (1, 1)
    assert {row.id for row in site.rows(decision)} == {first.id, second.id}
    assert verify_chain(site.records, "north").faults == ()


def test_a_record_that_the_database_does_not_take_is_no_matter_of_waiting(site):
    first = stored()
    site.records.store_decision(first)
    with pytest.raises(RecordsUnavailableError):
        site.records.store_decision(stored(cards=first.cards))
    assert site.waiting == []
    site.records.store_decision(stored())  # and the database is not given a rest for it
    assert len(site.rows(decision)) == 2


def test_calls_do_not_wait_for_a_database_that_was_just_found_down(site, monkeypatch):
    asked = []

    def fails():
        asked.append(1)
        raise DatabaseDownError("OperationalError")

    monkeypatch.setattr(site.records.engine, "raw_connection", fails)
    for _ in range(5):
        site.records.store_decision(stored())
    assert len(asked) == 1
    site.up()
    assert site.records.run_maintenance(NOW) == (5, 0)
    site.records.store_decision(stored())
    assert site.waiting == []


def test_a_draft_that_nobody_finishes_goes_after_a_while(site):
    old, new = site.spool / ".old.draft", site.spool / ".new.draft"
    for draft in (old, new):
        draft.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    site.records.run_maintenance(NOW)
    assert not old.exists()
    assert new.exists()


def test_two_processes_do_not_drain_at_once(tmp_path):
    spool = Spool(tmp_path)
    spool.prepare()
    spool.write_record({"kind": "decision"})
    within = []

    def take_in(_record):
        within.append(Spool(tmp_path).drain(lambda _record: True))
        return True

    assert spool.drain(take_in) == (1, 0)
    assert within == [(0, 0)]


class TestTokens:
    """None is good twice, whatever of the database was down when it was used."""

    def test_used_before_presented_while_it_is_down(self, site):
        assert site.records.tokens.use("north", "a", SOON)
        site.down()
        assert not site.records.tokens.use("north", "a", SOON)

    def test_used_while_it_is_down_presented_meanwhile_and_afterwards(self, site):
        worker = site.another()
        site.down(site.records, worker)
        assert site.records.tokens.use("north", "a", SOON)
        assert not site.records.tokens.use("north", "a", SOON)
        assert not worker.tokens.use("north", "a", SOON)
        assert worker.tokens.use("south", "a", SOON)  # ids are a tenant's own
        site.up()
        assert not worker.tokens.use("north", "a", SOON)
        worker.close()

    def test_used_while_it_is_down_presented_to_another_replica_afterwards(self, site, tmp_path):
        site.down()
        assert site.records.tokens.use("north", "a", SOON)
        site.up()
        site.records.run_maintenance(NOW)
        replica = site.another(tmp_path / "another")
        assert not replica.tokens.use("north", "a", SOON)
        assert replica.tokens.use("north", "b", SOON)
        replica.close()

    def test_a_spool_that_is_full_leaves_it_to_the_database(self, site, monkeypatch):
        def full(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(site.records.spool, "use_token", full)
        assert site.records.tokens.use("north", "a", SOON)
        assert not site.records.tokens.use("north", "a", SOON)
        site.down()
        with pytest.raises(RecordsUnavailableError):
            site.records.tokens.use("north", "b", SOON)

    def test_what_is_over_is_forgotten(self, site):
        assert site.records.tokens.use("north", "a", SOON)
        site.records.run_maintenance(SOON)
        assert not site.records.tokens.use("north", "a", SOON)
        site.records.run_maintenance(SOON + timedelta(hours=2))
        assert list((site.spool / "used").iterdir()) == []


def test_a_start_without_its_database_waits_for_it(tmp_path, key_file, monkeypatch):
    """A worker that starts again while the database is locked serves by the site's policy."""
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(sessions_module, "WAIT_SECONDS", 0.1)
    file = tmp_path / "records.sqlite3"
    url = f"sqlite:///{file}"
    Records.open(url, key_file).close()
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RecordsUnavailableError):
        Records.open(url, key_file)
    refusing = Records.open(url, key_file, may_be_down=True)
    with pytest.raises(RecordsUnavailableError):
        refusing.store_decision(stored())
    spooling = Records.open(url, key_file, spool=tmp_path / "spool", may_be_down=True)
    spooling.store_decision(stored())
    holder.execute("ROLLBACK")
    holder.close()
    refusing.store_decision(stored())
    assert spooling.run_maintenance(NOW) == (1, 0)
    assert verify_chain(refusing, "north").entries == 2
    refusing.close()
    spooling.close()


def test_a_patient_start_does_not_wait_for_what_never_comes(tmp_path, key_file):
    file = tmp_path / "records.sqlite3"
    file.write_bytes(b"this is no database " * 100)
    with pytest.raises(RecordsUnavailableError):
        Records.open(f"sqlite:///{file}", key_file, may_be_down=True)


KEPT = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from cds_hooks.records.spool import Spool
spool = Spool(Path(sys.argv[1]))
number = 0
while True:
    spool.write_record({"number": number})
    print(number, flush=True)
    number += 1
"""


def test_a_process_that_is_killed_while_it_keeps_loses_nothing_it_had_acknowledged(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    process = subprocess.Popen(
        [sys.executable, "-c", KEPT, str(spool.folder)], stdout=subprocess.PIPE
    )
    told = [process.stdout.readline() for _ in range(50)]
    process.kill()
    told += process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    found = [orjson.loads(file.read_bytes())["number"] for file in spool.folder.glob("*.json")]
    assert sorted(found)[: len(told)] == list(range(len(told)))
    assert len(found) - len(told) in (0, 1)
