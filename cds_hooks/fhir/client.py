"""Fetching what a client left out: in parallel, under one deadline, from allowed servers only.

An access token goes to its tenant's server and nowhere else: no redirect is followed, a next page
must lie under the same base URL, and what the token's scopes don't cover is not asked for. A server
that fails call after call is left alone for a while.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import orjson
import requests
from circuitbreaker import CircuitBreaker
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3.exceptions import HTTPError

from cds_hooks.config.tenants import FhirAccess
from cds_hooks.net.session import Attempt, session
from cds_hooks.net.urls import is_loopback, is_loopback_url
from cds_hooks.protocol.hook_request import HookRequest
from cds_hooks.protocol.prefetch import Answer, Fetch, State, expand, interpret, wanted_type
from cds_hooks.security.scopes import Covered, covered, grants
from cds_hooks.telemetry.tracing import UNTRACED, Traced

CONNECTIONS = 64
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
CHUNK = 64 * 1024
FAILED_CALLS = 5  # in a row; then the server is not asked
PAUSE_SECONDS = 10  # before it is asked again
# Ends of a query that say nothing good of the server, and not of the query.
UNFIT = ("deadline", "connection", "status-500", "status-502", "status-503", "status-504")


class FhirClient:
    """One for each tenant of a process: its threads, connections and breaker are its own."""

    def __init__(self, access: FhirAccess) -> None:
        self._access = access
        on_this_machine = any(map(is_loopback_url, access.servers))
        self._session = session(
            connections=CONNECTIONS,
            loopback=access.allow_loopback or on_this_machine,
            private_addresses=access.private_addresses,
        )
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="fhir")
        self._breakers: dict[str, CircuitBreaker] = {}

    @property
    def is_paused(self) -> bool:
        """Whether a server is left alone at present."""
        return any(breaker.opened for breaker in list(self._breakers.values()))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def complete(
        self,
        request: HookRequest,
        answers: Mapping[str, Answer],
        templates: Mapping[str, str],
        traced: Traced = UNTRACED,
    ) -> tuple[dict[str, Answer], tuple[Fetch, ...]]:
        """`answers` with what was left out fetched, and next pages followed.

        Returns within the deadline; what is not there by then stays as it was, or failed.
        """
        done = dict(answers)
        base = allowed_base(self._access, request)
        if base is None:
            return done, ()
        wanted = [a for a in answers.values() if a.state is State.LEFT_OUT or a.next_url]
        breaker = self._breaker(base)
        fetches: list[Fetch] = []
        queries: list[_Query] = []
        for answer in wanted:
            allowed = query_allowed(request, templates[answer.key])
            if breaker.opened or not allowed.tried:
                given_up = _gave_up(answer)
                done[answer.key] = given_up
                reason = allowed.reason if not allowed.tried else "server-unfit"
                fetches.append(Fetch(answer.key, given_up.state, reason, 0.0))
            else:
                queries.append(_Query(answer, templates[answer.key], allowed.wholly, traced))
        if not queries:
            return done, tuple(fetches)
        ended = self._together(queries, request, base)
        done |= {answer.key: answer for answer, _fetch in ended}
        fetches += (fetch for _answer, fetch in ended)
        with suppress(_ServerUnfit), breaker:
            if all(fetch.reason in UNFIT for _answer, fetch in ended):
                raise _ServerUnfit
        return done, tuple(fetches)

    def _breaker(self, base: str) -> CircuitBreaker:
        """Tells how the server at `base` has been of late."""
        if base not in self._breakers:
            if len(self._breakers) >= CONNECTIONS:  # many only where any local server is allowed
                self._breakers.clear()
            self._breakers[base] = CircuitBreaker(FAILED_CALLS, PAUSE_SECONDS, _ServerUnfit)
        return self._breakers[base]

    def _together(
        self, queries: "Sequence[_Query]", request: HookRequest, base: str
    ) -> list[tuple[Answer, Fetch]]:
        """What became of each query by the deadline, or until the token ends if that is sooner."""
        began = time.monotonic()
        deadline = began + self._access.deadline_ms / 1000
        authorization = request.authorization
        if authorization is not None and authorization.expires_in is not None:
            deadline = min(deadline, began + authorization.expires_in)
        running: dict[Future[tuple[Answer, str]], _Query] = {
            self._threads.submit(self._one, query, request, base, deadline): query
            for query in queries
        }
        finished, late = wait(running, timeout=max(deadline - time.monotonic(), 0))
        ended = []
        for future in finished:
            answer, reason = future.result()
            ended.append((answer, _fetch(answer, reason, began)))
        for future in late:
            future.cancel()
            running[future].attempt.end()
            answer = _gave_up(running[future].answer)
            ended.append((answer, _fetch(answer, "deadline", began)))
        return ended

    def _one(
        self, query: "_Query", request: HookRequest, base: str, deadline: float
    ) -> tuple[Answer, str]:
        """The answer for one key, and why it ended: "ok" or a reason."""
        with query.attempt, query.traced.part("fetch") as span:
            headers = span.headers(query.traced.trace)
            answer, reason = self._pages(query, request, base, deadline, headers)
            span.says({"cobalamin.key": answer.key, "cobalamin.reason": reason})
            return answer, reason

    def _pages(
        self,
        query: "_Query",
        request: HookRequest,
        base: str,
        deadline: float,
        headers: Mapping[str, str],
    ) -> tuple[Answer, str]:
        answer, template = query.answer, query.template
        url = answer.next_url or f"{base}/{expand(template, request.context)}"
        gathered = list(answer.resources)
        pages = 0
        try:
            while True:
                if not _under(base, url):
                    return _partial(answer, gathered), "other-origin"
                document = self._get(url, request, deadline, headers)
                page = interpret(answer.key, wanted_type(template), document)
                if not page.known:
                    return _partial(answer, gathered), page.state.value
                gathered += page.resources
                pages += 1
                if page.next_url is None:
                    state = State.FOUND if gathered else State.NONE
                    return replace(
                        answer,
                        state=state,
                        resources=tuple(gathered),
                        complete=page.complete and query.wholly,
                        fetched=True,
                        next_url=None,
                    ), "ok"
                if pages >= self._access.max_pages:
                    return _partial(answer, gathered), "too-many-pages"
                url = _following(url, page.next_url)
        except _Unreadable as fault:
            return _partial(answer, gathered), fault.reason
        except requests.Timeout:
            return _partial(answer, gathered), "deadline"
        except InvalidIPAddress:
            return _partial(answer, gathered), "private-address"
        except (requests.RequestException, HTTPError, OSError):
            return _partial(answer, gathered), "connection"

    def _get(self, url: str, request: HookRequest, deadline: float, more: Mapping[str, str]) -> Any:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise requests.Timeout
        headers = {"Accept": "application/fhir+json, application/json;q=0.9", **more}
        if request.authorization is not None:
            headers["Authorization"] = f"Bearer {request.authorization.access_token}"
        with self._session.get(
            url,
            headers=headers,
            timeout=(min(remaining, 1.0), remaining),
            allow_redirects=False,
            stream=True,
        ) as response:
            if response.status_code != 200:
                raise _Unreadable(f"status-{response.status_code}")
            return _json(self._body(response, deadline))

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        """The body, given up when it is too large or drips past the deadline."""
        body = bytearray()
        for chunk in response.iter_content(CHUNK):
            body += chunk
            if len(body) > self._access.max_bytes:
                raise _Unreadable("too-large")
            if time.monotonic() > deadline:
                raise requests.Timeout
        return bytes(body)


@dataclass(frozen=True, slots=True)
class _Query:
    """One search that is to be tried."""

    answer: Answer
    template: str
    wholly: bool  # whether the token's scopes cover all that it asks for
    traced: Traced
    attempt: Attempt = field(default_factory=Attempt)


class _ServerUnfit(Exception):
    """None of a call's queries was answered."""


class _Unreadable(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def allowed_base(access: FhirAccess, request: HookRequest) -> str | None:
    """The base URL that this call's server may be asked under; None where it may not."""
    if request.fhir_server is None:
        return None
    base = request.fhir_server.rstrip("/")
    parts = _parts(base)
    if parts is None:
        return None
    if base in access.servers:
        return base
    return base if access.allow_loopback and is_loopback(parts) else None


def query_allowed(request: HookRequest, template: str) -> Covered:
    """Whether the token lets the query be tried; without a token the server decides."""
    given = request.authorization
    if given is None:
        return Covered(True, wholly=True)
    if given.expires_in is not None and given.expires_in <= 0:
        return Covered(False, reason="expired")
    return covered(
        grants(given.scope),
        wanted_type(template),
        search="?" in template,
        same_patient=given.patient in (None, request.patient_id),
    )


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _Unreadable("not-json") from None


def _partial(answer: Answer, gathered: Iterable[dict[str, Any]]) -> Answer:
    """What there is of an answer that broke off: incomplete, or failed where there is nothing."""
    resources = tuple(gathered)
    state = State.FOUND if resources else State.FAILED
    return replace(
        answer, state=state, resources=resources, complete=False, fetched=True, next_url=None
    )


def _gave_up(answer: Answer) -> Answer:
    return _partial(answer, answer.resources)


def _fetch(answer: Answer, reason: str, began: float) -> Fetch:
    return Fetch(answer.key, answer.state, reason, round((time.monotonic() - began) * 1000, 1))


def _parts(url: str) -> str | None:
    """The host of a URL that may be called at all: https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _port = parts.port
    except ValueError:
        return None
    if not host or parts.username or parts.password or parts.query or parts.fragment:
        return None
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return host
    return None


def _following(url: str, link: str) -> str:
    """Where a server says that the next page is; nothing where that is no URL."""
    try:
        return urljoin(url, link)
    except ValueError:
        return ""


def _under(base: str, url: str) -> bool:
    """Whether `url` is the base itself or lies under it, at the same origin."""
    # urlsplit drops controls, and whoever sends it may not: then the two speak of different URLs.
    if CONTROL.search(url):
        return False
    try:
        one, other = urlsplit(base), urlsplit(url)
    except ValueError:
        return False
    same = (one.scheme, one.netloc) == (other.scheme, other.netloc)
    path = unquote(other.path)  # as whoever sends it will read it
    inside = path == one.path or path.startswith(one.path.rstrip("/") + "/")
    return same and inside and ".." not in path.split("/") and "\\" not in path
