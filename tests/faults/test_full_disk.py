"""A disk without room, for the database, the spool and the log; then there is room again."""

import pytest
from served_process import running
from waiting import wait_until

from faults.conftest import OPEN, SPOOL, locked, small_disk
from faults.load import Tally, once
from faults.recorded import drained, figures


def until_full(service, disk, tally, status):
    """Calls until the answer is what a full disk makes of it."""
    for _ in range(50):
        disk.fill()
        answered = once(service.port, tally=tally)
        if answered == status:
            return
    raise AssertionError(f"never {status}: {tally}")


def until_well(service, tally):
    wait_until(
        lambda: once(service.port, tally=tally) == 200,
        otherwise=lambda: service.errors.read_text()[-2000:],
    )


@pytest.fixture
def disk(folder):
    with small_disk(folder / "disk", 6000) as made:
        yield made


def test_a_database_without_room_refuses_until_there_is_some(folder, disk):
    url = f"sqlite:///{disk.folder}/records.sqlite3"
    configuration = OPEN.replace("sqlite:///", f"sqlite:///{disk.folder}/")
    tally = Tally()
    with running(folder, configuration, workers=2) as service:
        for _ in range(5):
            assert once(service.port, tally=tally) == 200
        until_full(service, disk, tally, 503)
        for _ in range(10):
            assert once(service.port, tally=tally) in (200, 503)
        assert service.process.poll() is None
        disk.make_room()
        until_well(service, tally)
        assert [once(service.port, tally=tally) for _ in range(5)] == [200] * 5
        found = figures(url, tally)
    assert set(tally.refused) == {503}
    assert not tally.unanswered
    assert found.is_sound, found
    assert "Unexpected exit" not in service.errors.read_text()


def test_a_database_without_room_has_records_spooled_elsewhere(folder, disk):
    url = f"sqlite:///{disk.folder}/records.sqlite3"
    configuration = OPEN.replace("sqlite:///", f"sqlite:///{disk.folder}/") + SPOOL
    tally = Tally()
    with running(folder, configuration) as service:
        for _ in range(50):
            disk.fill()
            assert once(service.port, tally=tally) == 200
            if list((folder / "spool").glob("*.json")):
                break
        assert [once(service.port, tally=tally) for _ in range(5)] == [200] * 5
        assert list((folder / "spool").glob("*.json"))
        disk.make_room()
        drained(folder / "spool")
        found = figures(url, tally)
    assert not tally.refused
    assert found.is_sound, found
    assert found.recorded == found.answered


def test_a_spool_without_room_refuses_until_there_is_some(folder, disk):
    configuration = OPEN + f'when_down = "spool"\nspool = "{disk.folder}/spool"\n'
    tally = Tally()
    with running(folder, configuration) as service:
        with locked(folder / "records.sqlite3"):
            assert once(service.port, tally=tally) == 200
            until_full(service, disk, tally, 503)
            disk.make_room()
            until_well(service, tally)
        drained(disk.folder / "spool")
        assert not list((disk.folder / "spool").glob(".*.draft"))
        found = figures(f"sqlite:///{folder}/records.sqlite3", tally)
    assert set(tally.refused) == {503}
    assert found.is_sound, found
    assert found.recorded == found.answered


def test_a_log_without_room_costs_no_answer(folder):
    tally = Tally()
    with (
        small_disk(folder / "disk", 64) as disk,
        running(folder, OPEN, workers=1, log=disk.folder / "log") as service,
    ):
        disk.fill()
        assert [once(service.port, tally=tally) for _ in range(40)] == [200] * 40
        assert disk.free == 0
        disk.make_room()
        assert once(service.port, tally=tally) == 200
        lines = service.log.read_bytes().splitlines()
        missing = [line for line in lines if b'"log lines lost"' in line]
        decisions = [line for line in lines if b'"event":"decision"' in line]
        found = figures(f"sqlite:///{folder}/records.sqlite3", tally)
    assert len(missing) == 1
    assert len(decisions) < 41
    assert found.is_sound, found
    assert found.recorded == 41
