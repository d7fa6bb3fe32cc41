"""Every call that was answered is on record, whole and once, whatever was killed meanwhile."""

import os
import signal
from pathlib import Path

import requests
from served_process import running
from waiting import PATIENCE, wait_until

from faults.conftest import OPEN
from faults.kills import killed

KILLS = 10


def test_killed_mid_write(folder):
    url = f"sqlite:///{folder}/records.sqlite3"
    found, tally = killed(folder, OPEN, url, KILLS)
    assert found.is_sound, found
    assert found.answered > 10 * KILLS
    assert set(tally.unanswered) <= {
        "RemoteDisconnected",
        "ConnectionResetError",
        "BrokenPipeError",
    }
    assert not tally.refused
    # What is recorded beyond the answered: at most one call of each client for each kill.
    assert found.answered <= found.recorded <= found.answered + found.unanswered


def test_workers_end_with_their_main_process(folder):
    """Else they would answer beside the next start's, on the same port."""
    with running(folder, OPEN, workers=2) as service:
        workers = service.workers()
        assert len(workers) == 2
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait(PATIENCE)
        wait_until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}/cmdline").exists()])
        try:
            requests.get(f"{service.base}/health/live", timeout=5)
        except requests.ConnectionError:
            return
    raise AssertionError("somebody still answers")
