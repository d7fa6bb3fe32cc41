"""The FHIR Bulk Data protocol: kick-off, status polling, manifest and cancelling of an export.

Tokens go to the server's own origin and to file servers that are named, nowhere else; no redirect
is followed. What can pass (429, 502 to 504, a lost connection) is tried again under `Backoff`.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urljoin

import requests
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from cds_hooks.config.bulk_export import BulkAccess
from cds_hooks.fhir.backend_token import make_token_source
from cds_hooks.fhir.bulk_manifest import Manifest, build_manifest, find_next_page, read_page
from cds_hooks.fhir.issues import ExportError, ExportInterruptedError, format_issues, read_issues
from cds_hooks.fhir.retry import Backoff
from cds_hooks.net.bounded_response import ResponseLimitError, read_body
from cds_hooks.net.session import CancellableRequest, make_session
from cds_hooks.net.urls import is_loopback_url, parse_origin

TIMEOUT = (10, 60)  # to connect, and between two pieces
MAX_BODY_BYTES = 64 << 20  # of a manifest or an outcome
MAX_PAGES = 10_000  # of one manifest
TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})
# Connections that are not made or end, and their like.
CONNECTION_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    HTTPError,
    ConnectionError,
    TimeoutError,
)
INVALID_URL_ERRORS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
# Asking again is for Backoff: it waits as the server says.
NO_RETRY = Retry(total=0, redirect=0, raise_on_status=False, respect_retry_after_header=False)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The parameters of an export at kick-off."""

    level: str = "patient"  # "system", "patient" (all of them) or "group"
    group: str | None = None
    types: tuple[str, ...] = ()
    since: str | None = None  # FHIR instant
    type_filters: tuple[str, ...] = ()  # "Observation?category=laboratory"

    def build_url(self, server: str) -> str:
        paths = {"system": "", "patient": "/Patient"}
        path = (
            paths[self.level]
            if self.level in paths
            else f"/Group/{quote(self.group or '', safe='')}"
        )
        query = [("_type", ",".join(self.types))] if self.types else []
        query += [("_since", self.since)] if self.since else []
        query += [("_typeFilter", type_filter) for type_filter in self.type_filters]
        return f"{server}{path}/$export" + (f"?{urlencode(query)}" if query else "")


class BulkServer:
    """Sends the requests of bulk exports to a FHIR server.

    Raises ConfigurationError for a bad key.
    """

    def __init__(self, access: BulkAccess) -> None:
        self.access = access
        self.stop = threading.Event()  # set: nothing waits any longer
        self._requests: set[CancellableRequest] = set()
        self._session = make_session(
            connections=access.parallel + 2,
            loopback=is_loopback_url(access.server),
            private_addresses=access.private_addresses,
            retry=NO_RETRY,
        )
        self._token = make_token_source(access, self._session)

    def close(self) -> None:
        self._session.close()

    @contextmanager
    def track_request(self) -> Iterator[None]:
        """Let `cancel_requests` end the requests that this thread sends inside."""
        with CancellableRequest() as attempt:
            self._requests.add(attempt)
            try:
                yield
            finally:
                self._requests.discard(attempt)

    def cancel_requests(self) -> None:
        """End every request and every wait."""
        self.stop.set()
        for attempt in list(self._requests):
            attempt.cancel()

    @contextmanager
    def send_request(
        self, method: str, url: str, headers: Mapping[str, str], *, with_token: bool = True
    ) -> Iterator[requests.Response]:
        """Send one request; a token that the server refuses is renewed once.

        Raises ExportError where the URL must not be asked, and what CONNECTION_ERRORS lists.
        """
        if not self.access.allows_url(url):
            raise ExportError(explain_forbidden_url(url))
        for attempt in range(2):
            all_headers = dict(headers)
            with _convert_permanent_errors():
                token = self._token.get_value() if with_token else None
                if token is not None:
                    all_headers["Authorization"] = f"Bearer {token}"
                answer = self._session.request(
                    method,
                    url,
                    headers=all_headers,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                    stream=True,
                )
            with answer:
                again = answer.status_code == 401 and attempt == 0 and token is not None
                if again and self._token.discard(token):
                    continue
                yield answer
                return

    def start_export(self, request: ExportRequest) -> str:
        """Ask for an export (kick-off). Returns the URL to poll for its status."""
        backoff = Backoff(self.access.deadline_s, self.stop, doing="asking for the export")
        url = request.build_url(self.access.server)
        headers = {
            "Accept": "application/fhir+json",
            "Prefer": "respond-async, handling=lenient",
        }
        while True:
            with (
                self._convert_connection_errors("asking for the export"),
                self.send_request("GET", url, headers) as answer,
            ):
                if answer.status_code == 202:
                    location = answer.headers.get("Content-Location")
                    if not location:
                        raise ExportError("the server accepted the export and told no location")
                    return self._check_url(urljoin(url, location))
                if answer.status_code not in TRANSIENT_STATUSES:
                    issues = read_issues(_read_body(answer))
                    raise ExportError(
                        describe_refusal("the server refuses the export", answer, issues)
                    )
            # Not sent again after a lost connection: the server may have begun an export.
            backoff.wait(f"status {answer.status_code}", answer)

    def wait_for_manifest(self, status_url: str, progress: Callable[[str], None]) -> Manifest:
        """Poll until the export is ready. `progress` gets the server's X-Progress text."""
        backoff = Backoff(self.access.deadline_s, self.stop, doing="waiting for the export")
        page = self._fetch_page(status_url, backoff, progress)
        pages, urls = [page], {status_url}
        while (following := find_next_page(page)) is not None:
            url = self._check_url(urljoin(status_url, following))
            if url in urls or len(pages) >= MAX_PAGES:
                raise ExportError("the manifest's pages do not end")
            urls.add(url)
            page = self._fetch_page(url, backoff, progress)
            pages.append(page)
        return build_manifest(pages)

    def cancel(self, status_url: str) -> None:
        """Ask the server to drop the export; one that it no longer knows is fine."""
        headers = {"Accept": "application/fhir+json"}
        with (
            self._convert_connection_errors("cancelling"),
            self.send_request("DELETE", status_url, headers) as answer,
        ):
            if answer.status_code not in (200, 202, 204, 404, 410):
                issues = read_issues(_read_body(answer))
                raise ExportError(describe_refusal("the server does not cancel", answer, issues))

    def _fetch_page(
        self, url: str, backoff: Backoff, progress: Callable[[str], None]
    ) -> dict[str, Any]:
        """A page of the manifest, polled for until it is there."""
        while True:
            last_answer = None
            try:
                with self.send_request("GET", url, {"Accept": "application/json"}) as answer:
                    last_answer, reason = answer, f"status {answer.status_code}"
                    if answer.status_code == 200:
                        return read_page(_read_body(answer))
                    if answer.status_code == 202:
                        progress(_remove_unprintable(answer.headers.get("X-Progress", "")))
                        reason = "the server has not finished it"
                    elif answer.status_code not in TRANSIENT_STATUSES:
                        issues = read_issues(_read_body(answer))
                        # Then asking failed, and not the export.
                        if not any(issue.endswith("/transient") for issue in issues):
                            raise ExportError(describe_refusal("the export failed", answer, issues))
            except CONNECTION_ERRORS as fault:
                reason = type(fault).__name__
                progress("no answer")
            backoff.wait(reason, last_answer)

    def _check_url(self, url: str) -> str:
        if not self.access.allows_url(url):
            raise ExportError(explain_forbidden_url(url))
        return url

    @contextmanager
    def _convert_connection_errors(self, doing: str) -> Iterator[None]:
        """Turn lost connections into ExportInterruptedError, without their text: it holds URLs."""
        try:
            yield
        except CONNECTION_ERRORS as fault:
            raise ExportInterruptedError(f"{doing}: {type(fault).__name__}") from None


def explain_forbidden_url(url: str) -> str:
    """Why `url` may not be requested, without its path and query: they may be secret."""
    origin = parse_origin(url)
    if origin is None:
        return "the server names a URL that is neither https nor on this machine"
    scheme, host, port = origin
    place = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    return f"the server refers to {place}; name it in bulk_export.file_servers to allow that"


def describe_refusal(what: str, answer: requests.Response, issues: Counter[str]) -> str:
    """`what` with the status and the codes of the answer's OperationOutcome."""
    return ", ".join(filter(None, (f"{what}: status {answer.status_code}", format_issues(issues))))


def _read_body(response: requests.Response) -> bytes:
    """The whole body. Raises ExportError where it is too large, and what CONNECTION_ERRORS has."""
    try:
        return read_body(response, MAX_BODY_BYTES)
    except ResponseLimitError:
        raise ExportError("the server's answer is too large") from None


@contextmanager
def _convert_permanent_errors() -> Iterator[None]:
    """Turn errors that a retry would not mend into ExportError."""
    try:
        yield
    except InvalidIPAddress:
        reason = "the server is at a private address; set bulk_export.private_addresses"
    except requests.exceptions.SSLError:
        reason = "the server's certificate is not accepted"
    except INVALID_URL_ERRORS:
        reason = "the server names a URL that cannot be asked"
    else:
        return
    raise ExportError(reason)


def _remove_unprintable(text: str) -> str:
    return "".join(character for character in text[:100] if character.isprintable())
