"""A FHIR server that exports in bulk, over real HTTP, and can be told to misbehave."""

import gzip
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import jwt
from token_issuers import serving
from waiting import PATIENCE

TOKEN = "s3cret-tok3n-of-the-export"  # of this test server alone
SECRET = "X-Signature=s1gned"  # in the query of its links, as object stores have it


class ReceivedRequest(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


class BulkServer(ThreadingHTTPServer):
    """Exports `files`: name -> (section, type, lines). What is set below is how it behaves."""

    daemon_threads = True

    def __init__(self, files: dict[str, tuple[str, str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self.base = f"{self.origin}/fhir"
        self.files = files
        self.polls: list[tuple[int, dict[str, str], Any]] = []  # answers before it is ready
        self.kick_offs: list[tuple[int, dict[str, str], Any]] = []  # answers before it accepts
        self.token: str | None = None  # that every request must bear
        self.tokens_for: Any = None  # public key of the client whose assertions get a token
        self.needs_token: bool = True  # what the manifest says
        self.ranges = True
        self.gzip = False
        self.etags = True
        self.cuts: dict[str, list[int]] = {}  # name -> bytes after which its connection ends
        self.statuses: dict[str, list[int]] = {}  # name -> statuses before it is served
        self.most: int | None = None  # bytes of files that are sent before `go_on` is set
        self.go_on = threading.Event()
        self.page_size: int | None = None  # files on each page of the manifest
        self.links = 1  # generation; those of earlier ones have expired
        self.location = "/fhir/jobs/1"
        self.files_at: str | None = None  # another origin
        self.asked: list[ReceivedRequest] = []
        self.sent: Counter[str] = Counter()  # bytes of each file
        self.deleted = False

    def count_requests(self, method: str, path: str) -> int:
        return sum(one.method == method and one.path == path for one in self.asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: BulkServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server, at = self.server, self._note_request("GET")
        if at.path == "/fhir/.well-known/smart-configuration":
            self._send_json(200, {"token_endpoint": f"{server.origin}/token"})
        elif at.path.startswith("/files/"):
            self._send_file(at.path.removeprefix("/files/"))
        elif not self._is_known():
            self._send_json(401, make_outcome("login"))
        elif at.path.endswith("$export"):
            self._accept()
        elif server.deleted:
            self._send_json(404, make_outcome("not-found"))
        elif server.polls:
            status, headers, document = server.polls.pop(0)
            self._send_json(status, document, headers)
        else:
            self._send_json(
                200, self._build_manifest(int(parse_qs(at.query).get("page", ["0"])[0]))
            )

    def _accept(self) -> None:
        if self.server.kick_offs:
            status, headers, document = self.server.kick_offs.pop(0)
            self._send_json(status, document, headers)
            return
        self.server.deleted = False
        self._send_json(202, None, {"Content-Location": self.server.location})

    def do_DELETE(self) -> None:
        self._note_request("DELETE")
        if not self._is_known():
            self._send_json(401, make_outcome("login"))
            return
        self.server.deleted = True
        self._send_json(202)

    def do_POST(self) -> None:
        """The token endpoint."""
        self._note_request("POST")
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        try:
            jwt.decode(
                form["client_assertion"],
                self.server.tokens_for,
                ["ES384", "RS384"],
                audience=f"{self.server.origin}/token",
                options={"require": ["exp", "iss", "sub", "jti"]},
            )
        except jwt.PyJWTError:
            self._send_json(400, {"error": "invalid_client", "error_description": "Ann Smith"})
            return
        said = {"access_token": self.server.token, "token_type": "bearer", "expires_in": 300}
        self._send_json(200, said)

    def _note_request(self, method: str) -> Any:
        at = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(ReceivedRequest(method, at.path, parse_qs(at.query), headers))
        return at

    def _is_known(self) -> bool:
        token = self.server.token
        return token is None or self.headers.get("Authorization") == f"Bearer {token}"

    def _build_manifest(self, page: int) -> dict[str, Any]:
        server = self.server
        size = server.page_size or max(len(server.files), 1)
        names = list(server.files)[page * size : (page + 1) * size]
        said: dict[str, Any] = {
            "transactionTime": "2026-11-01T00:00:00Z",
            "request": f"{server.base}/$export",
            "requiresAccessToken": server.needs_token,
            "output": [],
            "error": [],
            "deleted": [],
        }
        for name in names:
            section, kind, lines = server.files[name]
            link = f"{server.files_at or server.origin}/files/{name}"
            url = f"{link}?{SECRET}&v={server.links}"
            said[section].append({"type": kind, "url": url, "count": lines.count(b"\n")})
        if (page + 1) * size < len(server.files):
            following = f"{server.origin}{server.location}?page={page + 1}"
            said["link"] = [{"relation": "next", "url": following}]
        return said

    def _send_file(self, name: str) -> None:
        server = self.server
        if server.needs_token and not self._is_known():
            self._send_json(401)
            return
        if server.statuses.get(name):
            self._send_json(server.statuses[name].pop(0), None, {"Retry-After": "0"})
            return
        if parse_qs(urlsplit(self.path).query)["v"] != [str(server.links)]:
            self._send_json(403)
            return
        data = server.files[name][2]
        headers = {"Content-Type": "application/fhir+ndjson"}
        if server.gzip:
            data, headers["Content-Encoding"] = gzip.compress(data, mtime=0), "gzip"
        tag = f'"{hash(data):x}"'
        if server.etags:
            headers["ETag"] = tag
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        status, start = 200, 0
        if wanted and server.ranges and self.headers.get("If-Range", tag) == tag:
            status, start = 206, int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            if start >= len(data):
                self._send_json(416, None, {"Content-Range": f"bytes */{len(data)}"})
                return
        self._send(status, headers, data, start, name)

    def _send(
        self, status: int, headers: dict[str, str], data: bytes, start: int, name: str
    ) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        cuts, sent = self.server.cuts.get(name), self.server.sent
        end = start + cuts.pop(0) if cuts else len(data)
        for at in range(start, min(end, len(data)), 16_384):
            piece = data[at : min(at + 16_384, end)]
            self.wfile.write(piece)
            sent[name] += len(piece)
            if self.server.most is not None and sent.total() >= self.server.most:
                self.server.go_on.wait(PATIENCE)
        if end < len(data):
            self.close_connection = True

    def _send_json(
        self, status: int, document: Any = None, headers: dict[str, str] | None = None
    ) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Silent."""


def make_outcome(code: str, text: str = "about Ann Smith") -> dict[str, Any]:
    """An OperationOutcome whose words are about a patient."""
    issue = {"severity": "error", "code": code, "diagnostics": text, "details": {"text": text}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@contextmanager
def run_bulk_server(files: dict[str, tuple[str, str, bytes]]) -> Iterator[BulkServer]:
    server = BulkServer(files)
    with serving(server):
        yield server
