"""Restarts under load: what was taken is answered."""

import signal
from concurrent.futures import ThreadPoolExecutor

import requests
from served_process import Running, running
from waiting import wait_until

from faults.conftest import OPEN
from faults.fhir_faults import faulty_server
from faults.load import Load
from faults.recorded import figures
from faults.test_fhir_server import left_out

# A kept connection may end just as its client sends the next call on it, which the server then
# never takes. One for each client is the most that a swap of workers makes of it.
MOST_RACES = 6


def url(folder):
    return f"sqlite:///{folder}/records.sqlite3"


def test_stopped_under_load(folder):
    with running(folder, OPEN, workers=2) as service, Load(service.port) as load:
        load.wait_for(100)
        assert service.stop() == 0
    found = figures(url(folder), load.tally)
    assert found.is_sound, found
    assert found.unanswered <= 1
    assert found.recorded == found.answered


def test_stopped_while_calls_wait_for_a_fhir_server(folder):
    """A call that takes its time is waited for."""
    configuration = OPEN.replace("[fhir]", "[fhir]\ndeadline_ms = 5000")
    with (
        faulty_server() as fhir,
        running(folder, configuration, workers=2) as service,
        ThreadPoolExecutor(12) as threads,
    ):
        fhir.behaviours = {"Procedure": "hangs"}
        call = left_out(fhir, "waits-1")
        target = f"{service.base}/cds-services/b12-muscle-patient-view"
        waiting = [threads.submit(requests.post, target, json=call, timeout=60) for _ in range(12)]
        wait_until(lambda: fhir.asked["Procedure"] == 12)
        assert service.stop() == 0
        assert [one.result().status_code for one in waiting] == [200] * 12


def test_reloaded_under_load(folder):
    """SIGHUP: new workers take over from the old ones."""
    with running(folder, OPEN, workers=2) as service, Load(service.port) as load:
        load.wait_for(50)
        old = set(service.workers())
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not old & set(service.workers()))
        load.wait_for(50)
        assert not old & set(service.workers())
        assert service.process.poll() is None
    found = figures(url(folder), load.tally)
    assert found.is_sound, found
    assert found.refused == 0
    assert found.unanswered <= MOST_RACES


def test_old_and_new_swapped_under_load(folder):
    """Two services on one database; each in its turn is stopped and started again."""
    configuration = OPEN.replace("sqlite:///", f"sqlite:///{folder}/")
    one, other = (Running(folder / name, configuration) for name in ("old", "new"))
    try:
        one.start()
        with Load(one.port, other.port) as load:
            for _ in range(2):
                other.start()
                load.wait_for(30)
                assert one.stop() == 0
                load.wait_for(30)
                one, other = other, one
    finally:
        for service in (one, other):
            service.end()
    found = figures(url(folder), load.tally)
    assert found.is_sound, found
    assert found.refused == 0
    assert found.unanswered <= 1
