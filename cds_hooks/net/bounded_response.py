"""Small answers of other machines: all of it within some seconds and some bytes, or nothing.

Time-outs of sockets begin anew with each byte; the whole answer has a time limit here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import requests

from cds_hooks.net.session import within
from cds_hooks.protocol.strict_json import Unreadable

CHUNK = 16 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take."""

    seconds: float  # for all of it
    bytes: int
    timeout: tuple[float, float]  # seconds to connect, and between two pieces


@dataclass(frozen=True, slots=True)
class SmallAnswer:
    status: int
    body: bytes = field(repr=False)


def small_answer(
    session: requests.Session,
    method: str,
    url: str,
    limits: Limits,
    *,
    headers: Mapping[str, str],
    data: str | None = None,
) -> SmallAnswer:
    """What `url` answers; no redirect is followed.

    Raises Unreadable ("too-large", "too-slow"), and what requests raises.
    """
    with within(limits.seconds) as rung:
        try:
            answer = _answer(session, method, url, limits, headers, data)
        except (Unreadable, requests.RequestException, OSError):
            if rung.is_set():  # what had come by then may look like a short answer
                raise Unreadable("too-slow") from None
            raise
    if rung.is_set():
        raise Unreadable("too-slow")
    return answer


def _answer(
    session: requests.Session,
    method: str,
    url: str,
    limits: Limits,
    headers: Mapping[str, str],
    data: str | None,
) -> SmallAnswer:
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
        for chunk in response.iter_content(CHUNK):
            body += chunk
            if len(body) > limits.bytes:
                raise Unreadable("too-large")
        return SmallAnswer(response.status_code, bytes(body))
