"""The application in a process of its own, answering without a server when it is told to.

`python -m benchmarks.in_process` answers each line of standard input, `{"size": N, "tokens": [...]}`,
with the CPU that these calls took.
"""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bodies import PATH, about_another, body_of

Application = Callable[..., Iterable[bytes]]


def ours() -> Application:
    from services.wsgi import application

    return application()


def environ(body: bytes, token: str | None = None) -> dict[str, Any]:
    said = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(body),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **said,
    }


def answer(app: Application, body: bytes, tokens: Iterable[str | None]) -> None:
    """A call for each token, each about another patient."""
    for token in tokens:
        statuses: list[str] = []
        sent = environ(about_another(body), token)
        b"".join(app(sent, lambda status, *_, to=statuses: to.append(status)))
        assert statuses[0].startswith("200"), statuses


class Answering:
    """Such a process, with the configuration in `folder`."""

    def __init__(self, folder: Path) -> None:
        configured = {"COBALAMIN_CONFIG": "cobalamin.toml", "XDG_STATE_HOME": str(folder / "state")}
        tests = str(Path(__file__).parents[1])
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.in_process"],
            cwd=folder,
            env={**os.environ, **configured, "PYTHONPATH": tests},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.start_seconds = float(self._read()["start"])

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_fault: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    @property
    def mb(self) -> float:
        return psutil.Process(self._process.pid).memory_info().rss / 1e6

    def microseconds(self, size: int, tokens: Sequence[str]) -> float:
        """Of CPU for each call."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"size": size, "tokens": tokens}) + "\n")
        self._process.stdin.flush()
        return float(self._read()["cpu"]) / len(tokens) * 1e6

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("\t"):  # all else is the application's log
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError(Path(self._log.name).read_text())


def main() -> None:
    began = time.perf_counter()
    app = ours()
    print("\t" + json.dumps({"start": time.perf_counter() - began}), flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        body = body_of(told["size"])
        began = time.process_time()
        answer(app, body, told["tokens"])
        print("\t" + json.dumps({"cpu": time.process_time() - began}), flush=True)


if __name__ == "__main__":
    main()
