"""Small answers of other machines: all of it within some seconds and some bytes, or nothing.

Time-outs of sockets begin anew with each byte; the whole answer has a time limit here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import requests

from cds_hooks.net.session import limit_time
from cds_hooks.protocol.strict_json import UnreadableJsonError

CHUNK_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """What one answer may take."""

    seconds: float  # for all of it
    bytes: int
    timeout: tuple[float, float]  # seconds to connect, and between two pieces


@dataclass(frozen=True, slots=True)
class BoundedResponse:
    status: int
    body: bytes = field(repr=False)


def fetch_response(
    session: requests.Session,
    method: str,
    url: str,
    limits: ResponseLimits,
    *,
    headers: Mapping[str, str],
    data: str | None = None,
) -> BoundedResponse:
    """What `url` answers; no redirect is followed.

    Raises Unreadable ("too-large", "too-slow"), and what requests raises.
    """
    with limit_time(limits.seconds) as rung:
        try:
            answer = _send_request(session, method, url, limits, headers, data)
        except (UnreadableJsonError, requests.RequestException, OSError):
            if rung.is_set():  # what had come by then may look like a short answer
                raise UnreadableJsonError("too-slow") from None
            raise
    if rung.is_set():
        raise UnreadableJsonError("too-slow")
    return answer


def _send_request(
    session: requests.Session,
    method: str,
    url: str,
    limits: ResponseLimits,
    headers: Mapping[str, str],
    data: str | None,
) -> BoundedResponse:
    with session.request(
        method,
        url,
        headers=dict(headers),
        data=data,
        timeout=limits.timeout,
        allow_redirects=False,
        stream=True,
    ) as response:
        body = bytearray()
        for chunk in response.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > limits.bytes:
                raise UnreadableJsonError("too-large")
        return BoundedResponse(response.status_code, bytes(body))
