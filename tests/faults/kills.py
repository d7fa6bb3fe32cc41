"""Workers and whole services killed with -9 under load, again and again."""

import os
import signal
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from served_process import Running
from waiting import PATIENCE, wait_until

from faults.load import Load, Tally
from faults.recorded import Figures, figures

# What is killed before the service is started again: a worker by its place, or "main" alone, whose
# workers then end by themselves. A worker that is killed twice within six seconds of its start is
# taken for one that cannot start; the server then ends, which is not what is tested here.
ROUNDS = (("all",), (0, "all"), (1, 0, "all"), ("main",), (0, 1, "all"), (1, "main"))
STILL = 0.1  # seconds between two kills at least: under load, more than ten calls


def kill(service: Running, whom: int | str) -> None:
    if whom == "all":
        with suppress(ProcessLookupError):
            service.kill()
        return
    if isinstance(whom, int):
        with suppress(IndexError, ProcessLookupError):
            os.kill(sorted(service.workers())[whom], signal.SIGKILL)
        return
    workers = service.workers()
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait(PATIENCE)
    wait_until(
        lambda: not any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers),
        otherwise=lambda: "workers outlive their main process",
    )


def killed(folder: Path, configuration: str, url: str, kills: int) -> tuple[Figures, Tally]:
    """What is on record after so many kills, beside what the clients were told."""
    service = Running(folder, configuration, workers=2)
    rounds = cycle(ROUNDS)
    try:
        service.start()
        with Load(service.port, clients=6) as load:
            while kills > 0:
                for whom in next(rounds):
                    answered = len(load.tally.answered)
                    wait_until(  # without its workers, the service ends itself
                        lambda answered=answered: (
                            len(load.tally.answered) >= answered + 15
                            or service.process.poll() is not None
                        )
                    )
                    time.sleep(STILL)
                    kill(service, whom)
                    kills -= 1
                service.start()
            load.wait_for(20)
        return figures(url, load.tally), load.tally
    finally:
        service.end()
