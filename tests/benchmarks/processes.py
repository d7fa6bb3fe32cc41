"""What a server takes: CPU time, memory, files and threads of all its processes."""

from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Held:
    """What the processes hold at one moment."""

    main_mb: float  # resident
    workers_mb: tuple[float, ...]  # resident, of each; the largest first
    files: int  # open, of all
    threads: int

    @property
    def mb(self) -> float:
        """Pages that processes share are counted for each of them."""
        return self.main_mb + sum(self.workers_mb)


class Tree:
    """A server's main process and those it started."""

    def __init__(self, pid: int) -> None:
        self._main = psutil.Process(pid)

    def all(self) -> list[psutil.Process]:
        return [self._main, *self._main.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds since they started, in the program and in the kernel for it."""
        times = [process.cpu_times() for process in self.all()]
        return sum(one.user + one.system for one in times)

    def held(self) -> Held:
        main, *others = self.all()
        sizes = sorted((one.memory_info().rss / 1e6 for one in others), reverse=True)
        return Held(
            main.memory_info().rss / 1e6,
            tuple(sizes),
            sum(one.num_fds() for one in (main, *others)),
            sum(one.num_threads() for one in (main, *others)),
        )


def load_average() -> str:
    return " ".join(f"{one:.1f}" for one in psutil.getloadavg())
