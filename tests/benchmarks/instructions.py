"""Instructions of one call, counted by valgrind: a figure that a busy machine does not move.

    cd tests; python -m benchmarks.instructions [--sizes 2000 20000 200000] [--json FILE]

The application answers in this process, without a server: decoding, checks, evaluation, cards,
record and log line. Two runs of different length are counted, so that the start drops out. For
scale, the same is counted of a bare Flask application that decodes the body and returns fixed JSON.
"""

import argparse
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
from benchmarks.bodies import PATH, PATIENT, body_of

FEW, MANY = 10, 40
Application = Callable[..., Iterable[bytes]]


def ours() -> Application:
    from services.wsgi import application

    return application()


def bare() -> Application:
    from flask import Flask, Response, request

    app = Flask("bare")
    fixed = orjson.dumps({"cards": [{"summary": "x", "indicator": "info", "detail": "z" * 1500}]})

    @app.post("/cds-services/<id_>")
    def call(id_: str) -> Response:
        orjson.loads(request.get_data(cache=False))
        return Response(fixed, mimetype="application/json")

    return app


APPLICATIONS = {"cobalamin": ours, "bare": bare}


def environ(body: bytes) -> dict[str, Any]:
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
    }


def answer(name: str, size: int, calls: int) -> None:
    """Answers `calls` calls, each about another patient."""
    app, body = APPLICATIONS[name](), body_of(size)
    patients = (b"p%07d" % number for number in itertools.count())
    for _ in range(calls):
        statuses: list[str] = []
        sent = body.replace(PATIENT, next(patients))
        b"".join(app(environ(sent), lambda status, *_, to=statuses: to.append(status)))
        assert statuses[0].startswith("200"), statuses


def counted(name: str, size: int, calls: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        answering = [sys.executable, "-m", "benchmarks.instructions", "--answer", name]
        run = subprocess.run(
            [*valgrind, *answering, "--sizes", str(size), "--calls", str(calls)],
            env={**os.environ, "PYTHONHASHSEED": "0", "XDG_STATE_HOME": folder},
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"Collected : (\d+)", run.stderr)
    assert found, run.stderr
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--answer", choices=APPLICATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(options.answer, options.sizes[0], options.calls)
        return
    rows = []
    for size in options.sizes:
        per_call = {
            name: (counted(name, size, MANY) - counted(name, size, FEW)) // (MANY - FEW)
            for name in APPLICATIONS
        }
        ratio = round(per_call["cobalamin"] / per_call["bare"], 2)
        rows.append({"size": size, **per_call, "ratio": ratio})
        print(f"{size:>7} bytes: {per_call['cobalamin']:>11,} instructions, "
              f"bare {per_call['bare']:>10,}, ratio {ratio}", flush=True)  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
