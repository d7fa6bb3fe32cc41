"""Fetching what a client left out: in parallel, under one deadline, from allowed servers only.

The only user of requests. An access token goes to the server of its own call and nowhere else: no
redirect is followed, a next page must lie under the same base URL.
"""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter

from cds_hooks.addresses import is_loopback
from cds_hooks.hook_request import HookRequest
from cds_hooks.prefetch import Answer, State, expand, interpret, wanted_type
from cds_hooks.settings import Settings

CONNECTIONS = 64
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fetch:
    """One query that was tried, for the log: no URL, since it holds the patient's id."""

    key: str
    state: State
    reason: str
    milliseconds: float


class FhirClient:
    """One for each process; made before the first call, its threads started with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, netrc or certificate bundle by accident
        adapter = HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="fhir")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def allowed_base(self, request: HookRequest) -> str | None:
        """The base URL that this call's server may be asked under; None where it may not."""
        if request.fhir_server is None:
            return None
        base = request.fhir_server.rstrip("/")
        parts = _parts(base)
        if parts is None:
            return None
        if base in self._settings.fhir_servers:
            return base
        return base if self._settings.allow_loopback_fhir and is_loopback(parts) else None

    def complete(
        self, request: HookRequest, answers: Mapping[str, Answer], templates: Mapping[str, str]
    ) -> tuple[dict[str, Answer], tuple[Fetch, ...]]:
        """`answers` with what was left out fetched, and next pages followed.

        Returns within the deadline; what is not there by then stays as it was, or failed.
        """
        done = dict(answers)
        base = self.allowed_base(request)
        if base is None:
            return done, ()
        wanted = [a for a in answers.values() if a.state is State.LEFT_OUT or a.next_url]
        deadline = time.monotonic() + self._settings.fhir_deadline_ms / 1000
        began = time.monotonic()
        running: dict[Future[tuple[Answer, str]], Answer] = {
            self._threads.submit(
                self._one, answer, templates[answer.key], request, base, deadline
            ): answer
            for answer in wanted
        }
        finished, late = wait(running, timeout=max(deadline - time.monotonic(), 0))
        fetches = []
        for future in finished:
            answer, reason = future.result()
            done[answer.key] = answer
            fetches.append(_fetch(answer, reason, began))
        for future in late:
            future.cancel()
            answer = _gave_up(running[future])
            done[answer.key] = answer
            fetches.append(_fetch(answer, "deadline", began))
        return done, tuple(fetches)

    def _one(
        self, answer: Answer, template: str, request: HookRequest, base: str, deadline: float
    ) -> tuple[Answer, str]:
        """The answer for one key, and why it ended: "ok" or a reason."""
        url = answer.next_url or f"{base}/{expand(template, request.context)}"
        gathered = list(answer.resources)
        pages = 0
        try:
            while True:
                if not _under(base, url):
                    return _partial(answer, gathered), "other-origin"
                document = self._get(url, request, deadline)
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
                        complete=page.complete,
                        fetched=True,
                        next_url=None,
                    ), "ok"
                if pages >= self._settings.fhir_max_pages:
                    return _partial(answer, gathered), "too-many-pages"
                url = urljoin(url, page.next_url)
        except _Unreadable as fault:
            return _partial(answer, gathered), fault.reason
        except requests.Timeout:
            return _partial(answer, gathered), "deadline"
        except (requests.RequestException, OSError):
            return _partial(answer, gathered), "connection"

    def _get(self, url: str, request: HookRequest, deadline: float) -> Any:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise requests.Timeout
        headers = {"Accept": "application/fhir+json, application/json;q=0.9"}
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
            if len(body) > self._settings.fhir_max_bytes:
                raise _Unreadable("too-large")
            if time.monotonic() > deadline:
                raise requests.Timeout
        return bytes(body)


class _Unreadable(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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


def _under(base: str, url: str) -> bool:
    """Whether `url` is the base itself or lies under it, at the same origin."""
    one, other = urlsplit(base), urlsplit(url)
    same = (one.scheme, one.netloc) == (other.scheme, other.netloc)
    inside = other.path == one.path or other.path.startswith(one.path.rstrip("/") + "/")
    return same and inside and ".." not in other.path.split("/")
