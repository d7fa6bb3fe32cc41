"""Two replicas on one PostgreSQL, each with a spool of its own."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from served_process import Running

from faults.conftest import TENANT, Hospital


class Replicas:
    """The two, the hospital that calls them, and where their records are."""

    def __init__(self, folder: Path, url: str, policy: str) -> None:
        self.url = url
        self.key = folder / "patient-hash.key"
        folder.mkdir(parents=True, exist_ok=True)
        self.key.write_bytes(bytes(range(32)))
        self.key.chmod(0o600)
        self.hospital = Hospital(folder)
        records = f'url = "{url}"\nkey_file = "{self.key}"\n{policy}'
        configuration = TENANT.replace('url = "sqlite:///records.sqlite3"\n', records).replace(
            '"north.json"', f'"{folder}/north.json"'
        )
        self.both = [Running(folder / name, configuration) for name in ("one", "two")]

    @property
    def ports(self) -> tuple[int, int]:
        return self.both[0].port, self.both[1].port


@contextmanager
def replicas(folder: Path, url: str, policy: str = "") -> Iterator[Replicas]:
    made = Replicas(folder, url, policy)
    with ExitStack() as ended:
        for one in made.both:
            ended.callback(lambda one=one: hasattr(one, "process") and one.end())
            one.start()
        yield made


@contextmanager
def connections_cut(url: str) -> Iterator[None]:
    """Meanwhile every connection to PostgreSQL is ended some twenty times a second."""
    over = threading.Event()

    def cut() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not over.wait(0.05):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
