"""Read an HTTP response within a time and size limit.

Time-outs of sockets begin anew with each byte; the whole response has a time limit here.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import requests

from cds_hooks.net.session import limit_time

CHUNK_BYTES = 64 * 1024


class ResponseLimitError(ValueError):
    """A response that is "too-large" or "too-slow"."""


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """What one response may take."""

    seconds: float  # for all of it
    bytes: int
    timeout: tuple[float, float]  # seconds to connect, and between two pieces


@dataclass(frozen=True, slots=True)
class BoundedResponse:
    """A response that has been read whole."""

    status: int
    body: bytes = field(repr=False)


def read_body(response: requests.Response, max_bytes: int, deadline: float | None = None) -> bytes:
    """The whole body of a response that is being streamed.

    `deadline` is a time of `time.monotonic`. Raises ResponseLimitError beyond `max_bytes`,
    requests.Timeout past the deadline, and what requests raises.
    """
    body = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            raise ResponseLimitError("too-large")
        if deadline is not None and time.monotonic() > deadline:
            raise requests.Timeout
    return bytes(body)


def fetch_response(
    session: requests.Session,
    method: str,
    url: str,
    limits: ResponseLimits,
    *,
    headers: Mapping[str, str],
    data: str | None = None,
) -> BoundedResponse:
    """Ask `url` and read the whole response; no redirect is followed.

    Raises ResponseLimitError, and what requests raises.
    """
    with limit_time(limits.seconds) as is_over:
        try:
            with session.request(
                method,
                url,
                headers=dict(headers),
                data=data,
                timeout=limits.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                answer = BoundedResponse(response.status_code, read_body(response, limits.bytes))
        except (ResponseLimitError, requests.RequestException, OSError):
            if is_over.is_set():
                raise ResponseLimitError("too-slow") from None
            raise
    if is_over.is_set():  # what had come by then may look like a short answer
        raise ResponseLimitError("too-slow")
    return answer
