"""JSON at its edges: what is read, what is refused, and as what."""

import json

import pytest
from answer_schemas import CHECKED
from conformance.serving import sample

CALL = json.dumps(sample("neuropathy")).encode()
VIEW = "/cds-services/b12-muscle-patient-view"
ITEM = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T10:05:31Z"}


def with_member(value: bytes, name: bytes = b"x") -> bytes:
    return b'{"%b":%b,%b' % (name, value, CALL[1:])


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def within(**members) -> bytes:
    call = json.loads(CALL)
    call["context"] |= members
    return json.dumps(call).encode()


BODIES = {
    "as it is": (CALL, 200),
    "253 levels under the call": (with_member(nested(253)), 200),
    "254 levels under the call": (with_member(nested(254)), 400),
    "a thousand levels": (with_member(nested(1_000)), 400),
    "a million levels": (nested(1_000_000), 400),
    "a million levels that never end": (b'{"a":' * 1_000_000, 400),
    "levels beside an escaped mark": (with_member(b'["\\u0022",' + nested(252) + b"]"), 200),
    "a number of 5,000 digits": (with_member(b"1" * 5_000), 400),
    "a number of 300 digits": (with_member(b"1" * 300), 200),
    "300 digits beside an escaped mark": (with_member(b'["\\u0022",' + b"1" * 300 + b"]"), 200),
    "5,000 digits after the point": (with_member(b"0." + b"1" * 5_000), 200),
    "1e999": (with_member(b"1e999"), 400),
    "1e-999": (with_member(b"1e-999"), 200),
    "2 to the 64th": (with_member(b"18446744073709551616"), 200),
    "NaN": (with_member(b"NaN"), 400),
    "Infinity": (with_member(b"-Infinity"), 400),
    "01": (with_member(b"01"), 400),
    "a key twice": (with_member(b'"patient-view"', b"hook"), 400),
    "a key twice, once escaped": (with_member(b'"patient-view"', b"h\\u006fok"), 400),
    "a key twice beside an escaped mark": (with_member(b'"\\u0022\\u0022"', b"hook"), 400),
    "a key twice, deep down": (with_member(b'[{"a":{"b":1,"b":1}}]'), 400),
    "a lone surrogate": (with_member(b'"\\ud800"'), 400),
    "a lone low surrogate": (with_member(b'"\\udc00"'), 400),
    "a surrogate as bytes": (with_member(b'"\xed\xa0\x80"'), 400),
    "a pair of surrogates": (with_member(b'"\\ud83e\\uddec"'), 200),
    "a NUL": (with_member(b'"\\u0000"'), 200),
    "a byte that is no UTF-8": (with_member(b'"\xff"'), 400),
    "an overlong slash": (with_member(b'"\xc0\xaf"'), 400),
    "a byte order mark": (b"\xef\xbb\xbf" + CALL, 400),
    "UTF-16": (CALL.decode().encode("utf-16"), 400),
    "a trailing comma": (CALL[:-1] + b",}", 400),
    "a comment": (b"/* */" + CALL, 400),
    "two documents": (CALL + CALL, 400),
    "nothing": (b"", 400),
    "a patient of 255 characters": (within(patientId="1" * 255), 412),  # another one's record
    "a patient of 256 characters": (within(patientId="1" * 256), 422),
    "a patient of a million characters": (within(patientId="1" * 1_000_000), 422),
    "a text of a million characters": (with_member(b'"%b"' % (b"a" * 1_000_000)), 200),
    "a key of a million characters": (with_member(b"1", b"a" * 1_000_000), 200),
    "a hundred thousand keys": (
        with_member(b"{%b}" % b",".join(b'"%d":0' % n for n in range(100_000))),
        200,
    ),
    "8 MiB and a byte": (with_member(b'"%b"' % (b"a" * (8 * 1024 * 1024 + 1 - len(CALL) - 7))), 413),
}  # fmt: skip


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
def test_json_at_its_edges(opened, body, status):
    answer = opened.send(VIEW, body)
    assert answer.status_code == status, answer.text[:300]
    CHECKED["Cards" if status == 200 else "OperationOutcome"].validate(answer.json())
    assert len(answer.content) < 20_000
    assert answer.elapsed.total_seconds() < 5


MESSAGES = {
    "a thousand items": ([ITEM] * 1000, 200),
    "a thousand and one": ([ITEM] * 1001, 422),
    "a card of 255 characters": ([{**ITEM, "card": "\u00e9" * 255}], 200),
    "a card of 256 characters": ([{**ITEM, "card": "a" * 256}], 422),
    "the first year": ([{**ITEM, "outcomeTimestamp": "0001-01-01T00:00:00+23:59"}], 422),
    "the last year": ([{**ITEM, "outcomeTimestamp": "9999-12-31T23:59:59-23:59"}], 422),
    "the year 10000": ([{**ITEM, "outcomeTimestamp": "10000-01-01T00:00:00Z"}], 422),
    "a comment of a million characters": (
        [{**ITEM, "overrideReason": {"userComment": "a" * 1_000_000}}],
        200,
    ),
}


@pytest.mark.parametrize(("items", "status"), MESSAGES.values(), ids=MESSAGES.keys())
def test_feedback_at_its_edges(opened, items, status):
    answer = opened.post(f"{VIEW}/feedback", {"feedback": items})
    assert answer.status_code == status, answer.text[:300]
    CHECKED["Received" if status == 200 else "OperationOutcome"].validate(answer.json())
