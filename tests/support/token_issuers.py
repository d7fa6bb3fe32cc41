"""EHRs that sign tokens, and the places where they publish their keys."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from waiting import PATIENCE

CURVES = {"ES384": ec.SECP384R1, "ES256": ec.SECP256R1}


def part(value: Any) -> str:
    """A part of a token: JSON, or bytes as they are, in base64url."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A key pair of an EHR."""

    def __init__(self, algorithm: str = "ES384", kid: str | None = None, bits: int = 2048) -> None:
        self.algorithm = algorithm
        self.kid = kid or f"key-{uuid4()}"
        self.private: Any = (
            ec.generate_private_key(CURVES[algorithm]())
            if algorithm in CURVES
            else rsa.generate_private_key(65537, bits)
        )

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half."""
        made: dict[str, Any] = jwt.get_algorithm_by_name(self.algorithm).to_jwk(
            self.private.public_key(), as_dict=True
        )
        made.pop("key_ops", None)
        return {**made, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def signature(self, message: bytes, algorithm: str | None = None) -> bytes:
        signer = jwt.get_algorithm_by_name(algorithm or self.algorithm)
        signed: bytes = signer.sign(message, self.private)
        return signed


class Issuer:
    """An EHR: an address, keys, and tokens that are in order unless a test says otherwise."""

    def __init__(self, iss: str, *keys: Key, jku: str | None = None, **claims: Any) -> None:
        self.iss = iss
        self.keys = keys or (Key(),)
        self.jku = jku
        self.claims = claims

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.jwk for key in self.keys]}

    def token(
        self,
        aud: Any,
        *,
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        claims: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        now: float | None = None,
    ) -> str:
        """A signed token; `without` names members of header and claims to leave out."""
        used = key or self.keys[0]
        moment = int(time.time() if now is None else now)
        head = {"alg": used.algorithm, "typ": "JWT", "kid": used.kid}
        if self.jku is not None:
            head["jku"] = self.jku
        said = {
            "iss": self.iss,
            "aud": aud,
            "iat": moment,
            "exp": moment + 300,
            "jti": str(uuid4()),
            **self.claims,
        }
        return signed(
            used,
            {n: v for n, v in {**head, **(header or {})}.items() if n not in without},
            {n: v for n, v in {**said, **(claims or {})}.items() if n not in without},
        )


def signed(key: Key, header: Any, claims: Any, algorithm: str | None = None) -> str:
    """A token of just these parts, rightly signed."""
    message = f"{part(header)}.{part(claims)}"
    return f"{message}.{part(key.signature(message.encode(), algorithm))}"


class Place(ThreadingHTTPServer):
    """Answers every GET with `answer`, and remembers who asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Any = {}
        self.status = 200
        self.answering = threading.Event()  # cleared, questions wait
        self.answering.set()
        self.headers: dict[str, str] = {}
        self.paths: list[str] = []
        self.base = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: Place
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.answering.wait(PATIENCE)
        given = self.server.answer
        body = given if isinstance(given, bytes) else json.dumps(given).encode()
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Silent."""


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Lets a server answer, and ends it."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def place() -> Iterator[Place]:
    """A web server of somebody else's."""
    server = Place()
    with serving(server):
        yield server
