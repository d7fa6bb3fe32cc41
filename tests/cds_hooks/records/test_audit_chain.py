"""The chain of the audit: whoever changes a record, or takes one away, is found out."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from old_records import OLD, fill_old
from sqlalchemy import func, select, text

from cds_hooks.config.settings import ConfigurationError
from cds_hooks.protocol.feedback import Feedback
from cds_hooks.records.audit_verification import verify_chain
from cds_hooks.records.database import make_engine
from cds_hooks.records.retention import PurgeCounts, plan_purge, purge_records
from cds_hooks.records.store import Records, StoredCard, StoredDecision
from cds_hooks.records.tables import audit, card, decision, feedback, finding, key_used

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def stored(number=0, tenant="north", at=NOW):
    return StoredDecision(
        id=str(uuid4()),
        at=at + timedelta(seconds=number),
        tenant=tenant,
        service="s",
        hook="patient-view",
        hook_instance="h",
        patient_id=f"p{number}",
        encounter_id="e",
        version="1",
        duration_ms=1.1 + number / 7,
        record={"findings": {"x": "low", "y": "none"}, "rules": ["r"], "suppressed": ["limit:x"]},
        cards=(StoredCard(str(uuid4()), "t", "info", ("u",), rests_on=frozenset({"a", "b"})),),
        prefetch={"supplied": 1, "fetched": 0, "failed": 0},
    )


def answered(records, one, at=NOW, tenant="north", **members):
    given = {"reason_system": "s", "reason_code": "c", "comment": None, **members}
    item = Feedback(one.cards[0].uuid, "overridden", (), at=at, **given)
    return records.store_feedback(tenant, "s", [item], at)


@pytest.fixture
def records(database_url, key_file):
    opened = Records.open(database_url, key_file)
    yield opened
    opened.close()


@pytest.fixture
def sql(database_url):
    """Somebody with the password of the database and without the key."""
    engine = make_engine(database_url)

    def run(statement, **values):
        with engine.begin() as connection:
            return connection.execute(text(statement), values)

    yield run
    engine.dispose()


@pytest.fixture
def kept(records):
    """Six decisions of one tenant and one of another, two of them answered."""
    made = [stored(number) for number in range(6)]
    for one in made:
        records.store_decision(one)
    records.store_decision(stored(tenant="south"))
    answered(records, made[1])
    answered(records, made[2], comment="she says no")
    return made


def test_what_was_kept_is_what_is_there(records, kept):
    found = verify_chain(records, "north")
    assert (found.entries, found.faults) == (8, ())
    assert verify_chain(records, "south").entries == 1
    assert verify_chain(records, "nobody").entries == 0
    assert verify_chain(records, "north", found.head).faults == ()


COPY = """
    INSERT INTO decision (id, at, tenant, service, hook, hook_instance, patient_hash, version,
        status, duration_ms, prefetch, record)
    SELECT {id}, {at}, tenant, service, hook, hook_instance, patient_hash, version, status,
        duration_ms, prefetch, record
    FROM decision WHERE id = :id
"""
TAMPERED = {
    "a category": ("UPDATE finding SET category = 'z' WHERE decision = :id", "was changed"),
    "a topic": (
        "UPDATE finding SET topic = 'z' WHERE decision = :id AND topic = 'x'",
        "was changed",
    ),
    "a finding taken away": ("DELETE FROM finding WHERE decision = :id", "was changed"),
    "a patient": ("UPDATE decision SET patient_hash = 'x' WHERE id = :id", "was changed"),
    "a time": ("UPDATE decision SET duration_ms = 1 WHERE id = :id", "was changed"),
    "a card": ("UPDATE card SET indicator = 'critical' WHERE decision = :id", "was changed"),
    "a card taken away": ("DELETE FROM card WHERE decision = :id", "was changed"),
    "an answer": ("UPDATE feedback SET reason_code = 'x'", "was changed"),
    "a comment": ("UPDATE feedback SET comment = 'x'", "was changed"),
    "an answer taken away": ("DELETE FROM feedback", "is missing"),
    "a row of the chain": ("UPDATE audit SET subject = 'x' WHERE seq = 3", "row 3 was changed"),
    "a row moved": (
        "UPDATE audit SET tenant = 'south' WHERE seq = 3 AND tenant = 'north'",
        "missing",
    ),
    "the first rows taken away": ("DELETE FROM audit WHERE seq < 3", "rows 1 to 2 are missing"),
    "a row in the middle taken away": (
        "DELETE FROM audit WHERE seq = 3",
        "rows 3 to 3 are missing",
    ),
    "a link": ("UPDATE audit SET link = 'x' WHERE seq = 3", "row 3 was changed"),
    "a purge invented": (
        "UPDATE audit SET kind = 'purge', subject = '2099-01-01T00:00:00+00:00 6 x' WHERE seq = 7",
        "row 7 was changed",
    ),
    "a decision taken away": (
        "DELETE FROM decision WHERE id = (SELECT subject FROM audit WHERE seq = 6 AND tenant = 'north')",
        "is missing",
    ),
    "a decision put in": (
        COPY.format(id="'new'", at="at"),
        "1 decisions are not bound",
    ),
}


@pytest.mark.parametrize(("statement", "fault"), TAMPERED.values(), ids=TAMPERED.keys())
def test_whoever_changes_the_records_is_found_out(records, kept, sql, statement, fault):
    if "DELETE FROM decision" in statement:
        for table in ("card", "finding"):
            sql(
                f"DELETE FROM {table} WHERE decision = (SELECT subject FROM audit WHERE seq = 6 AND tenant = 'north')"
            )
    sql(statement, **({"id": kept[4].id} if ":id" in statement else {}))
    found = verify_chain(records, "north")
    assert any(fault in one for one in found.faults), found.faults
    assert verify_chain(records, "south").faults == () or "south" in statement


def test_an_end_cut_off_is_seen_by_whoever_noted_the_head(records, kept, sql):
    head = verify_chain(records, "north").head
    sql("DELETE FROM audit WHERE tenant = 'north' AND seq > 6")
    sql("DELETE FROM feedback")
    assert verify_chain(records, "north").faults == ()
    [fault] = verify_chain(records, "north", head).faults
    assert "its end is missing" in fault


def test_records_from_before_the_chain_are_not_counted_against_it(records, kept, sql):
    sql(COPY.format(id="'old'", at="'2026-11-19 10:00:00.000000'"), id=kept[0].id)
    assert verify_chain(records, "north").faults == ()


def aged(records):
    """Three old decisions and two new ones of one tenant; an old answer; another tenant's."""
    old = [stored(number, at=NOW - 400 * DAY) for number in range(3)]
    new = [stored(number) for number in range(2)]
    other = stored(tenant="south", at=NOW - 400 * DAY)
    for one in (*old, other):
        records.store_decision(one)
    answered(records, old[0], NOW - 399 * DAY)
    for one in new:
        records.store_decision(one)
    answered(records, old[1], NOW)
    return old, new


def rows(records, table):
    with records.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_purge_removes_what_is_old_and_says_so(records):
    _old, new = aged(records)
    cutoff = NOW - 365 * DAY
    assert plan_purge(records, "north", cutoff) == PurgeCounts(3, 1, 4)
    assert rows(records, decision) == 6  # a plan removes nothing
    assert purge_records(records, "north", cutoff, NOW) == PurgeCounts(3, 1, 4)
    assert (rows(records, decision), rows(records, card), rows(records, feedback)) == (3, 3, 1)
    found = verify_chain(records, "north")
    assert (found.entries, found.faults) == (4, ())
    assert verify_chain(records, "south").entries == 1
    assert purge_records(records, "north", cutoff, NOW) == PurgeCounts(0, 0, 0)
    records.store_decision(stored(9))
    assert verify_chain(records, "north").faults == ()
    later = purge_records(records, "north", NOW + DAY, NOW + 2 * DAY)
    assert later.decisions == len(new) + 1
    assert verify_chain(records, "north").faults == ()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE tenant = 'north' AND seq = 5",
        "DELETE FROM audit WHERE tenant = 'north' AND seq <= 6",
        "UPDATE audit SET subject = replace(subject, ' 4 ', ' 5 ') WHERE kind = 'purge'",
    ],
)
def test_a_purge_is_no_cover(records, sql, statement):
    aged(records)
    purge_records(records, "north", NOW - 365 * DAY, NOW)
    sql(statement)
    assert verify_chain(records, "north").faults


def test_a_purge_that_was_cut_short_is_finished_by_the_next(records, monkeypatch):
    aged(records)
    cutoff = NOW - 365 * DAY
    from cds_hooks.records import retention

    monkeypatch.setattr(retention, "_remove_rows", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        purge_records(records, "north", cutoff, NOW)
    monkeypatch.undo()
    assert verify_chain(records, "north").faults == ()
    assert purge_records(records, "north", cutoff, NOW).decisions == 3
    assert verify_chain(records, "north").faults == ()


@pytest.fixture
def new_key(tmp_path):
    path = tmp_path / "new.key"
    path.write_bytes(bytes(range(100, 132)))
    path.chmod(0o600)
    return path


def test_a_new_key_leaves_the_past_readable(records, kept, database_url, key_file, new_key):
    """Snoozed cards stay snoozed, the chain whole, comments readable."""
    before = records.open_card_history("north", "p1", "e", NOW + DAY).find_cards(30, ("t", ""))
    rotated = Records.open(database_url, new_key, [key_file])
    memory = rotated.open_card_history("north", "p1", "e", NOW + DAY)
    assert memory.find_cards(30, ("t", "")) == before
    assert before[0].same_encounter
    assert all(not memory.make_seals(mark).isdisjoint(before[0].rests_on) for mark in ("a", "b"))
    rotated.store_decision(stored(1, at=NOW + timedelta(hours=1)))
    assert (
        len(rotated.open_card_history("north", "p1", "e", NOW + DAY).find_cards(30, ("t", ""))) == 2
    )
    found = verify_chain(rotated, "north")
    assert (found.entries, found.faults) == (9, ())
    rotated.close()


def test_a_key_of_the_past_may_not_get_lost(records, kept, database_url, key_file, new_key):
    with pytest.raises(ConfigurationError, match=f"lacks the key {records.ring.current_id}"):
        Records.open(database_url, new_key)


def test_a_key_may_go_when_nothing_is_written_with_it(
    records, kept, database_url, key_file, new_key
):
    rotated = Records.open(database_url, new_key, [key_file])
    rotated.store_decision(stored(at=NOW + 10 * DAY))
    assert rows(rotated, key_used) == 2
    for tenant in ("north", "south"):
        purge_records(rotated, tenant, NOW + 5 * DAY, NOW + 10 * DAY)
    rotated.close()
    alone = Records.open(database_url, new_key)
    assert rows(alone, key_used) == 1
    assert verify_chain(alone, "north").faults == ()
    alone.close()


def test_a_chain_of_another_key_cannot_be_checked(
    records, kept, key_file, new_key, database_url, sql
):
    sql("DELETE FROM key_used")
    other = Records.open(database_url, new_key)
    assert f"row 1 needs the key {records.ring.current_id}" in verify_chain(other, "north").faults
    other.close()


@pytest.mark.parametrize("keeps", [False, True])
def test_free_text_is_encrypted_or_not_there(records, rows_of, keeps):
    one = stored()
    records.store_decision(one)
    item = Feedback(one.cards[0].uuid, "overridden", (), "s", "c", NOW, "Mrs Smith, 0791 234")
    records.store_feedback("north", "s", [item], NOW, comments=keeps)
    [row] = rows_of(feedback)
    assert row.had_comment
    assert "Smith" not in str(row)
    assert (row.comment is not None) == keeps
    if keeps:
        assert records.ring.decrypt("north", row.comment) == "Mrs Smith, 0791 234"
        assert records.ring.decrypt("south", row.comment) is None
        assert records.ring.decrypt("north", row.comment[:-4] + "AAA=") is None


@pytest.fixture
def rows_of(database_url):
    engine = make_engine(database_url)

    def read(table):
        with engine.connect() as connection:
            return connection.execute(select(table)).all()

    yield read
    engine.dispose()


def test_another_tenants_words_about_a_card_are_nothing(records, kept):
    """South knows the uuid of north's card, and says that it was accepted."""
    assert answered(records, kept[0], tenant="south") == 1
    [past] = records.open_card_history("north", "p0", "e", NOW + DAY).find_cards(30, ("t", ""))
    assert past.outcome is None
    with records.engine.connect() as connection:
        found = connection.execute(
            select(feedback.c.known_card).where(feedback.c.tenant == "south")
        )
        assert found.scalars().all() == [False]


def test_a_patient_of_two_tenants_is_two_patients(records):
    both = {records.hash_patient(tenant, "1") for tenant in ("north", "south")}
    assert len(both) == 2
    assert records.open_card_history("south", "p0", "e", NOW).find_cards(30, ("t", "")) == ()


def test_rows_of_the_chain_are_bound_one_after_the_other_by_many_workers(
    records, database_url, key_file
):
    """Threads and processes at once: no number twice, no gap."""
    import multiprocessing

    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=_store_many, args=(database_url, key_file, 40)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    found = verify_chain(records, "north")
    assert (found.entries, found.faults) == (120, ())
    with records.engine.connect() as connection:
        last = connection.execute(select(func.max(audit.c.seq))).scalar_one()
    assert last == 120


def _store_many(url, key, number):
    import threading

    opened = Records.open(url, key)
    threads = [
        threading.Thread(
            target=lambda: [opened.store_decision(stored(n)) for n in range(number // 4)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened.close()


@pytest.fixture
def old_records(database_url, key_file):
    """Records that were kept under the schema 0003, opened by this version."""
    engine = make_engine(database_url)
    fill_old(engine)
    engine.dispose()
    opened = Records.open(database_url, key_file)
    yield opened
    opened.close()


def test_what_an_older_version_kept_still_verifies_and_new_records_join_its_chain(old_records):
    for tenant in ("north", "south"):
        assert (
            verify_chain(old_records, tenant, OLD["head"] if tenant == "north" else None).faults
            == ()
        )
    old_records.store_decision(stored())
    found = verify_chain(old_records, "north", OLD["head"])
    assert (found.entries, found.faults) == (6, ())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE finding SET category = 'no-action' WHERE category = 'probable'",
        "UPDATE finding SET category = 'probable' WHERE category IS NULL",
        "DELETE FROM finding WHERE category IS NULL",
    ],
)
def test_whoever_changes_what_an_older_version_kept_is_found_out(old_records, sql, statement):
    sql(statement)
    faults = verify_chain(old_records, "north").faults
    assert faults
    assert all("was changed" in fault for fault in faults)


def test_a_purge_takes_findings_with_their_decisions(old_records):
    gone = purge_records(old_records, "north", NOW, NOW)
    assert gone.decisions == 4
    assert verify_chain(old_records, "north").faults == ()
    with old_records.engine.connect() as connection:
        left = connection.execute(select(finding.c.decision).distinct()).scalars().all()
    assert left == [OLD["tables"]["decision"][4]["id"]]
