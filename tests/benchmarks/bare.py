"""For scale: applications that decode a call and answer fixed JSON, and do nothing else.

    cd tests; python -m benchmarks.bare (flask|plain) PORT [--workers 2]

`flask` is a Flask application as one would begin to write one; `plain` is as little as the server
lets one write. The answer has the size that the environment's BARE_BYTES says.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any

import orjson

BYTES = "BARE_BYTES"
THREADS = 16  # of one worker, as the service has


def fixed() -> bytes:
    """A card of the size of ours."""
    card = {"summary": "x", "indicator": "info", "source": {"label": "y"}, "detail": ""}
    size = int(os.environ.get(BYTES, "2000")) - len(orjson.dumps({"cards": [card]}))
    return orjson.dumps({"cards": [{**card, "detail": "z" * max(size, 0)}]})


def flask() -> Any:
    from flask import Flask, Response, request

    app, answer = Flask("bare"), fixed()

    @app.post("/cds-services/<id_>")
    def call(id_: str) -> Response:
        orjson.loads(request.get_data(cache=False))
        return Response(answer, mimetype="application/json")

    return app


def plain() -> Callable[..., Any]:
    answer, headers = fixed(), [("content-type", "application/json")]

    async def call(_scope: Any, exchange: Any) -> None:
        orjson.loads(await exchange())
        exchange.response_bytes(200, headers, answer)

    return call


def main() -> None:
    from granian import Granian
    from granian.constants import Interfaces

    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=["flask", "plain"])
    parser.add_argument("port", type=int)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    threads = {"blocking_threads": THREADS} if options.name == "flask" else {}
    Granian(
        f"benchmarks.bare:{options.name}",
        factory=True,
        address="127.0.0.1",
        port=options.port,
        interface=Interfaces.WSGI if options.name == "flask" else Interfaces.RSGI,
        workers=options.workers,
        backpressure=2048,
        websockets=False,
        log_enabled=False,
        **threads,
    ).serve()


if __name__ == "__main__":
    main()
