"""An SQLite database that somebody else holds: refused or spooled, never answered unrecorded."""

import os
import signal
import time

from served_process import running
from waiting import wait_until

from faults.callers import connected_to_each_worker
from faults.conftest import OPEN, SPOOL, TENANT, Hospital, locked
from faults.load import Load, Tally, once
from faults.recorded import drained, figures


def url(folder):
    return f"sqlite:///{folder}/records.sqlite3"


def test_refused_while_it_is_locked(folder):
    with running(folder, OPEN, workers=2) as service, Load(service.port) as load:
        load.wait_for(20)
        with locked(folder / "records.sqlite3"):
            load.wait_for_each()  # whatever was sent before the lock has been answered by now
            before = load.tally
            load.wait_for_each()
            after = load.tally
        load.wait_for(20)
    assert len(after.answered) == len(before.answered)
    assert after.refused[503] > before.refused[503]
    assert set(load.tally.refused) == {503}
    assert not load.tally.unanswered
    found = figures(url(folder), load.tally)
    assert found.is_sound, found
    assert found.recorded == found.answered
    assert {line["reason"] for line in service.lines("error") if "status" in line} <= {
        "OperationalError",
        "locked",
    }


def test_spooled_while_it_is_locked(folder):
    """With tokens, which are used once whatever is down; a worker is killed and comes back."""
    hospital = Hospital(folder)
    with (
        running(folder, TENANT + SPOOL, workers=2) as service,
        Load(service.port, token=hospital.token) as load,
    ):
        load.wait_for(20)
        with locked(folder / "records.sqlite3"):
            used = hospital.token()
            assert once(service.port, used) == 200
            load.wait_for(50)  # far more than a call every two seconds for each client
            assert list((folder / "spool").glob("*.json"))
            killed = service.workers()[0]
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: len(set(service.workers()) - {killed}) == 2)
            time.sleep(3)
            assert service.process.poll() is None, service.errors.read_text()[-2000:]
            assert once(service.port, used) == 401
        load.wait_for(20)
        load.stop()
        drained(folder / "spool")
        assert once(service.port, used) == 401
        with connected_to_each_worker(service, 10, Tally(), lambda: used, status=401):
            pass  # refused by both workers
    assert not load.tally.refused
    found = figures(url(folder), load.tally, tenant="north")
    assert found.is_sound, found
    assert any(line.get("spooled") for line in service.lines("start"))


def test_a_service_starts_while_its_database_is_locked(folder):
    """With a spool: a restart in the wrong moment must not end the service."""
    with running(folder, OPEN + SPOOL):
        pass
    with locked(folder / "records.sqlite3"), running(folder, OPEN + SPOOL) as service:
        tally = Tally()
        assert [once(service.port, tally=tally) for _ in range(5)] == [200] * 5
    with running(folder, OPEN + SPOOL):
        drained(folder / "spool")
    found = figures(url(folder), tally)
    assert found.is_sound, found
    assert found.recorded == 5


def test_one_broken_file_holds_up_no_record(folder):
    with running(folder, OPEN + SPOOL) as service:
        (folder / "spool" / "0-broken.json").write_bytes(b'{"kind": "decision", "row"')
        tally = Tally()
        with locked(folder / "records.sqlite3"):
            assert [once(service.port, tally=tally) for _ in range(5)] == [200] * 5
        drained(folder / "spool")
        # The line comes after the file was set aside, from a thread that ends with the service.
        wait_until(lambda: service.lines("error"))
    assert [file.name for file in (folder / "spool").glob("*.broken")] == ["0-broken.broken"]
    found = figures(url(folder), tally)
    assert found.is_sound, found
    assert found.recorded == 5
    reasons = [line["reason"] for line in service.lines("error")]
    assert reasons.count("spooled records set aside") == 1
