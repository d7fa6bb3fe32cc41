"""What an operator does with the records: migrate, purge, verify, hand on."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from tables import cases

from cds_hooks.protocol.feedback import Feedback
from cds_hooks.records.store import Records, StoredCard, StoredDecision

CONFIGURATION = """
[records]
url = "sqlite:///records.sqlite3"
retention_days = 30
[[tenant]]
id = "north"
certificate = "CN=north"
comments = "encrypt"
[[tenant]]
id = "south"
certificate = "CN=south"
retention_days = 300
[server]
trusted_proxies = ["127.0.0.1"]
certificate_header = "X-Client-Subject"
"""
NOW = datetime.now(UTC)


def stored(tenant, days_ago):
    return StoredDecision(
        id=str(uuid4()),
        at=NOW - timedelta(days=days_ago),
        tenant=tenant,
        service="b12-muscle-patient-view",
        hook="patient-view",
        hook_instance=str(uuid4()),
        patient_id="patient-8841",
        encounter_id=None,
        version="1.2.3",
        duration_ms=1.5,
        record={"rules": ["first-line-band"], "knowledge": {"b12": "uk-ng239@1.0.0"}},
        cards=(StoredCard(str(uuid4()), "b12Deficient", "warning", ("u",)),),
    )


@pytest.fixture
def kept(tmp_path):
    """Five decisions of north, one each fifty days; one of south; one answer with a comment."""
    (tmp_path / "cobalamin.toml").write_text(CONFIGURATION)
    records = Records.open(f"sqlite:///{tmp_path / 'records.sqlite3'}")
    made = [stored("north", days) for days in (200, 150, 100, 50, 0)]
    for one in [*made, stored("south", 100)]:
        records.store_decision(one)
    item = Feedback(
        made[4].cards[0].uuid, "overridden", (), "s", "patient-refuses", NOW, "Ann 8841 says no"
    )
    records.store_feedback("north", made[4].service, [item], NOW, comments=True)
    records.close()
    return made


@pytest.fixture
def run(cobalamin, kept):
    return lambda *arguments: cobalamin(*arguments, "--config", "cobalamin.toml")


def test_what_is_whole_verifies(run):
    found = run("audit", "verify")
    assert found.exit_code == 0, found.output
    assert "north: 6 rows, head 6:" in found.output
    assert "south: 1 rows, head 1:" in found.output
    assert found.output.endswith("whole\n")


def test_what_was_changed_does_not(run, tmp_path):
    with sqlite3.connect(tmp_path / "records.sqlite3") as database:
        database.execute("UPDATE card SET indicator = 'info' WHERE rowid = 2")
    found = run("audit", "verify")
    assert found.exit_code == 1
    assert "was changed" in found.output
    assert found.output.endswith("NOT whole\n")


def test_an_end_that_was_cut_off_is_seen_with_the_head(run, tmp_path):
    head = run("audit", "verify", "--tenant", "north").output.split("head ")[1].split()[0]
    with sqlite3.connect(tmp_path / "records.sqlite3") as database:
        database.execute("DELETE FROM audit WHERE tenant = 'north' AND seq = 6")
        database.execute("DELETE FROM feedback")
    assert run("audit", "verify", "--tenant", "north").exit_code == 0
    found = run("audit", "verify", "--tenant", "north", "--head", head)
    assert (found.exit_code, "its end is missing" in found.output) == (1, True)
    assert run("audit", "verify", "--head", head).exit_code == 2  # whose head?


@cases("""
    arguments                       | north             | south
    --------------------------------+-------------------+------------------
                                    | removed 4         | removed 0
    --dry-run                       | would remove 4    | would remove 0
    --older-than 120                | removed 2         | removed 0
    --older-than 1                  | removed 4         | removed 1
    --tenant south --older-than 1   |                   | removed 1
""")
def test_a_purge_goes_by_each_tenants_retention(run, case):
    found = run("purge", *case["arguments"].split())
    assert found.exit_code == 0, found.output
    said = dict(line.split(": ", 1) for line in found.output.splitlines())
    assert said.get("north", "").startswith(case["north"])
    assert said["south"].startswith(case["south"])
    again = run("purge", *case["arguments"].split()).output
    assert ("removed 0" in again) or "--dry-run" in case["arguments"]
    assert run("audit", "verify").exit_code == 0


def exported(run, *arguments):
    found = run("audit", *arguments)
    assert found.exit_code == 0, found.output
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_what_was_kept_is_exported_as_audit_events(run, kept):
    run("purge", "--older-than", "180")
    events = exported(run, "export", "--tenant", "north")
    for event in events:
        AuditEvent.model_validate(event)
    assert [event["action"] for event in events] == ["R"] * 4 + ["C", "D"]
    assert events[0]["id"] == f"decision-{kept[1].id}"
    assert events[0]["entity"][1]["what"]["identifier"]["value"] == kept[1].id
    details = {one["type"]: one["valueString"] for one in events[0]["entity"][1]["detail"]}
    assert details["hookInstance"] == kept[1].hook_instance
    assert details["knowledge b12"] == "uk-ng239@1.0.0"
    assert details["cards"] == "1"
    assert len({event["entity"][0]["what"]["identifier"]["value"] for event in events[:4]}) == 1
    assert len({event["id"] for event in events}) == len(events)
    assert "patient-8841" not in json.dumps(events)


def test_events_of_some_days_alone(run):
    day = (NOW - timedelta(days=100)).date()
    events = exported(run, "export", "--since", day, "--until", day + timedelta(days=1))
    assert [event["agent"][0]["who"]["identifier"]["value"] for event in events] == [
        "north",
        "south",
    ]


def test_comments_are_read_by_whoever_has_the_key(run, kept, tmp_path):
    [comment] = exported(run, "comments")
    assert comment["comment"] == "Ann 8841 says no"
    assert (comment["topic"], comment["reason"]) == ("b12Deficient", "patient-refuses")
    assert b"Ann 8841" not in (tmp_path / "records.sqlite3").read_bytes()


def test_a_schema_goes_down_and_up(run):
    assert run("migrate", "--to", "0002").output == "schema 0004 -> 0002\n"
    assert run("migrate").output == "schema 0002 -> 0004\n"
    assert run("migrate").output == "schema 0004 -> 0004\n"
    assert run("migrate", "--to", "0042").exit_code == 2


def test_a_new_database_is_for_its_owner_alone(cobalamin, tmp_path):
    assert cobalamin("migrate").output == "schema base -> 0004\n"
    made = tmp_path / ".local" / "state" / "cobalamin"
    assert {file.name: oct(file.stat().st_mode & 0o077) for file in made.iterdir()} == {
        "patient-hash.key": "0o0",
        "records.sqlite3": "0o0",
    }
    assert cobalamin("audit", "verify").exit_code == 0


@pytest.mark.parametrize(
    "command", [("migrate",), ("purge",), ("audit", "verify"), ("audit", "export")]
)
def test_a_database_that_cannot_be_had_is_named(cobalamin, tmp_path, command):
    (tmp_path / "a file").touch()
    (tmp_path / "cobalamin.toml").write_text('[records]\nurl = "sqlite:///a file/r.sqlite3"')
    found = cobalamin(*command, "--config", "cobalamin.toml")
    assert found.exit_code == 1
    assert "Traceback" not in found.output
    assert "a file" in found.output
