"""Fetching what a client left out: in parallel, under one deadline, from allowed servers only.

An access token goes to its tenant's server and nowhere else: no redirect is followed, a next page
must lie under the same base URL, and what the token's scopes don't cover is not asked for. A server
that fails call after call is left alone for a while.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import requests
from circuitbreaker import CircuitBreaker
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3.exceptions import HTTPError

from cds_hooks.config.tenants import FhirAccess
from cds_hooks.fhir.access_rules import check_query, find_allowed_base, is_under, resolve_link
from cds_hooks.net.bounded_response import ResponseLimitError, read_body
from cds_hooks.net.session import CancellableRequest, make_session
from cds_hooks.net.urls import is_loopback_url
from cds_hooks.protocol.hook_request import HookRequest
from cds_hooks.protocol.prefetch import (
    FetchResult,
    PrefetchAnswer,
    PrefetchState,
    expand_template,
    find_resource_type,
    interpret_value,
)
from cds_hooks.telemetry.tracing import NO_CALL_SPAN, CallSpan

MAX_CONNECTIONS = 64
MAX_FAILED_CALLS = 5  # in a row; then the server is not asked
PAUSE_SECONDS = 10  # before it is asked again
# Ends of a query that say nothing good of the server, and not of the query.
SERVER_FAILURES = ("deadline", "connection", "status-500", "status-502", "status-503", "status-504")


class FhirClient:
    """One for each tenant of a process: its threads, connections and breaker are its own."""

    def __init__(self, access: FhirAccess) -> None:
        self._access = access
        on_this_machine = any(map(is_loopback_url, access.servers))
        self._session = make_session(
            connections=MAX_CONNECTIONS,
            loopback=access.allow_loopback or on_this_machine,
            private_addresses=access.private_addresses,
        )
        self._threads = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="fhir")
        self._breakers: dict[str, CircuitBreaker] = {}

    @property
    def is_paused(self) -> bool:
        """Whether a server is left alone at present."""
        return any(breaker.opened for breaker in list(self._breakers.values()))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def complete_answers(
        self,
        request: HookRequest,
        answers: Mapping[str, PrefetchAnswer],
        templates: Mapping[str, str],
        traced: CallSpan = NO_CALL_SPAN,
    ) -> tuple[dict[str, PrefetchAnswer], tuple[FetchResult, ...]]:
        """`answers` with what was left out fetched, and next pages followed.

        Returns within the deadline; what is not there by then stays as it was, or failed.
        """
        done = dict(answers)
        base = find_allowed_base(self._access, request)
        if base is None:
            return done, ()
        unanswered = [
            a for a in answers.values() if a.state is PrefetchState.LEFT_OUT or a.next_url
        ]
        breaker = self._get_breaker(base)
        fetches: list[FetchResult] = []
        queries: list[_Query] = []
        for answer in unanswered:
            allowed = check_query(request, templates[answer.key])
            if breaker.opened or not allowed.is_allowed:
                given_up = _abandon_answer(answer)
                done[answer.key] = given_up
                reason = allowed.reason if not allowed.is_allowed else "server-unfit"
                fetches.append(FetchResult(answer.key, given_up.state, reason, 0.0))
            else:
                queries.append(_Query(answer, templates[answer.key], allowed.is_complete, traced))
        if not queries:
            return done, tuple(fetches)
        ended = self._run_queries(queries, request, base)
        done |= {answer.key: answer for answer, _fetch in ended}
        fetches += (fetch for _answer, fetch in ended)
        with suppress(_ServerFailedError), breaker:
            if all(fetch.reason in SERVER_FAILURES for _answer, fetch in ended):
                raise _ServerFailedError
        return done, tuple(fetches)

    def _get_breaker(self, base: str) -> CircuitBreaker:
        """Tells how the server at `base` has been of late."""
        if base not in self._breakers:
            if (
                len(self._breakers) >= MAX_CONNECTIONS
            ):  # many only where any local server is allowed
                self._breakers.clear()
            self._breakers[base] = CircuitBreaker(
                MAX_FAILED_CALLS, PAUSE_SECONDS, _ServerFailedError
            )
        return self._breakers[base]

    def _run_queries(
        self, queries: "Sequence[_Query]", request: HookRequest, base: str
    ) -> list[tuple[PrefetchAnswer, FetchResult]]:
        """What became of each query by the deadline, or until the token ends if that is sooner."""
        began = time.monotonic()
        deadline = began + self._access.deadline_ms / 1000
        authorization = request.authorization
        if authorization is not None and authorization.expires_in is not None:
            deadline = min(deadline, began + authorization.expires_in)
        running: dict[Future[tuple[PrefetchAnswer, str]], _Query] = {
            self._threads.submit(self._run_query, query, request, base, deadline): query
            for query in queries
        }
        finished, late = wait(running, timeout=max(deadline - time.monotonic(), 0))
        ended = []
        for future in finished:
            answer, reason = future.result()
            ended.append((answer, _make_fetch(answer, reason, began)))
        for future in late:
            future.cancel()
            running[future].attempt.cancel()
            answer = _abandon_answer(running[future].answer)
            ended.append((answer, _make_fetch(answer, "deadline", began)))
        return ended

    def _run_query(
        self, query: "_Query", request: HookRequest, base: str, deadline: float
    ) -> tuple[PrefetchAnswer, str]:
        """The answer for one key, and why it ended: "ok" or a reason."""
        with query.attempt, query.traced.start_part("fetch") as span:
            headers = span.build_headers(query.traced.trace)
            answer, reason = self._fetch_pages(query, request, base, deadline, headers)
            span.set_attributes({"cobalamin.key": answer.key, "cobalamin.reason": reason})
            return answer, reason

    def _fetch_pages(
        self,
        query: "_Query",
        request: HookRequest,
        base: str,
        deadline: float,
        headers: Mapping[str, str],
    ) -> tuple[PrefetchAnswer, str]:
        answer, template = query.answer, query.template
        url = answer.next_url or f"{base}/{expand_template(template, request.context)}"
        resources = list(answer.resources)
        pages = 0
        try:
            while True:
                if not is_under(base, url):
                    return _make_partial_answer(answer, resources), "other-origin"
                document = self._fetch_document(url, request, deadline, headers)
                page = interpret_value(answer.key, find_resource_type(template), document)
                if not page.is_known:
                    return _make_partial_answer(answer, resources), page.state.value
                resources += page.resources
                pages += 1
                if page.next_url is None:
                    state = PrefetchState.FOUND if resources else PrefetchState.NONE
                    return replace(
                        answer,
                        state=state,
                        resources=tuple(resources),
                        is_complete=page.is_complete and query.is_fully_covered,
                        is_fetched=True,
                        next_url=None,
                    ), "ok"
                if pages >= self._access.max_pages:
                    return _make_partial_answer(answer, resources), "too-many-pages"
                url = resolve_link(url, page.next_url)
        except (_ResponseError, ResponseLimitError) as error:
            return _make_partial_answer(answer, resources), str(error)
        except requests.Timeout:
            return _make_partial_answer(answer, resources), "deadline"
        except InvalidIPAddress:
            return _make_partial_answer(answer, resources), "private-address"
        except (requests.RequestException, HTTPError, OSError):
            return _make_partial_answer(answer, resources), "connection"

    def _fetch_document(
        self, url: str, request: HookRequest, deadline: float, more: Mapping[str, str]
    ) -> Any:
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
                raise _ResponseError(f"status-{response.status_code}")
            return _parse_json(read_body(response, self._access.max_bytes, deadline))


@dataclass(frozen=True, slots=True)
class _Query:
    """One search that is to be tried."""

    answer: PrefetchAnswer
    template: str
    is_fully_covered: bool  # whether the token's scopes cover all that it asks for
    traced: CallSpan
    attempt: CancellableRequest = field(default_factory=CancellableRequest)


class _ServerFailedError(Exception):
    """None of a call's queries was answered."""


class _ResponseError(Exception):
    """A response that holds no resource; says why in a word for the log."""


def _parse_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _ResponseError("not-json") from None


def _make_partial_answer(
    answer: PrefetchAnswer, resources: Iterable[dict[str, Any]]
) -> PrefetchAnswer:
    """What there is of an answer that broke off: incomplete, or failed where there is nothing."""
    resources = tuple(resources)
    state = PrefetchState.FOUND if resources else PrefetchState.FAILED
    return replace(
        answer, state=state, resources=resources, is_complete=False, is_fetched=True, next_url=None
    )


def _abandon_answer(answer: PrefetchAnswer) -> PrefetchAnswer:
    return _make_partial_answer(answer, answer.resources)


def _make_fetch(answer: PrefetchAnswer, reason: str, began: float) -> FetchResult:
    return FetchResult(
        answer.key, answer.state, reason, round((time.monotonic() - began) * 1000, 1)
    )
