"""One token on many connections at the same instant: one call is let in."""

from served_process import running

from faults.callers import at_once, connected_to_each_worker
from faults.conftest import TENANT, Hospital
from faults.load import Tally
from faults.recorded import figures

CONNECTIONS = 20
TRIES = 60


def test_two_workers_of_one_service(folder):
    hospital = Hospital(folder)
    tally = Tally()
    with (
        running(folder, TENANT, workers=2) as service,
        connected_to_each_worker(service, CONNECTIONS, tally, hospital.token) as callers,
    ):
        assert len(service.workers()) == 2
        warm = len(tally.answered)
        found = at_once(callers, [hospital.token() for _ in range(TRIES)])
    assert found == [{200: 1, 401: CONNECTIONS - 1}] * TRIES
    kept = figures(f"sqlite:///{folder}/records.sqlite3", tally, tenant="north")
    assert kept.is_sound, kept
    assert kept.recorded == TRIES + warm
    assert {line["reason"] for line in service.lines("auth-refused")} == {"replayed"}
