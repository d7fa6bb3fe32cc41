"""What each parser may do with a text: its own documented exception, and nothing else.

Where there is a second opinion, it must agree.
"""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import requests
from conformance.serving import sample, today
from patients import known
from token_issuers import Issuer, Key

from cds_hooks.config.tenants import TokenTrust
from cds_hooks.fhir.access_rules import _find_host, is_under, resolve_link
from cds_hooks.net.urls import is_fhir_base_url, is_origin, is_web_url
from cds_hooks.protocol import prefetch
from cds_hooks.protocol.errors import CallError
from cds_hooks.protocol.feedback import read_feedback
from cds_hooks.protocol.hook_request import read_json, read_request
from cds_hooks.protocol.strict_json import UnreadableJsonError, parse_json
from cds_hooks.security.key_sets import read_usable_keys
from cds_hooks.security.scopes import check_scope, read_grants
from cds_hooks.security.token_checks import (
    AuthenticationError,
    TokenExpectation,
    check_token,
    compute_token_digest,
    read_token,
)
from fuzz.cases import SAMPLES, feedback_message, odd_mutation, spoilt
from fuzz.oddities import SERVERS
from services.cards.composer import CardComposer
from services.chart.reader import read_chart
from services.hooks.catalog import build_prefetch_templates, read_attention_rules
from services.hooks.documents import UnusableDocumentError, assess_document
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.hooks.topics import TOPICS

KNOWN = known()
TEMPLATES = build_prefetch_templates(KNOWN.index)
BASE = "https://fhir.example/r4"
URL = "https://cds.example/cds-services"
ISSUER = Issuer("https://ehr.example/", Key("ES384"))
TODAY = today()


def strict_json(data: bytes) -> None:
    """Whatever is read is what Python's own reader makes of it, and no key stands twice."""
    try:
        found = parse_json(data)
    except UnreadableJsonError:
        return
    twice = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            twice.append(pairs)
        return dict(pairs)

    other = json.loads(data, object_pairs_hook=unique, parse_int=_number, parse_float=float)
    assert not twice, "a key stands twice"
    assert orjson.dumps(found) == orjson.dumps(other)


def _number(text: str) -> int | float:
    return (
        int(text)
        if -(2**63) <= float(text) < 2**64 and len(text) < 22 and _fits(text)
        else float(text)
    )


def _fits(text: str) -> bool:
    return -(2**63) <= int(text) < 2**64


def hook_request(data: bytes) -> None:
    for hook in OFFERED_HOOKS:
        try:
            called = read_request(read_json(data), hook)
        except CallError:
            continue
        assert called.patient_id
        str((called.epic, called.encounter_id, called.selections, called.draft_orders))
        called.find_selected()
        prefetch.read_prefetch(called, TEMPLATES)


def feedback(data: bytes) -> None:
    try:
        items = read_feedback(read_json(data))
    except CallError:
        return
    for item in items:
        assert not any(
            "\0" in text for text in (item.card, item.reason_code or "", item.reason_system or "")
        )
        assert item.at.tzinfo is UTC


def token(data: bytes) -> None:
    try:
        found = read_token(data.decode("latin-1"))
        expected = TokenExpectation(
            TokenTrust(ISSUER.iss, URL), [URL], datetime.now(UTC).timestamp()
        )
        check_token(found, expected)
        if isinstance(found.claims.get("iss"), str):
            compute_token_digest(found)
    except AuthenticationError:
        return


def key_set(data: bytes) -> None:
    try:
        keys = read_usable_keys(parse_json(data))
    except UnreadableJsonError:
        return
    assert all(algorithm in ("ES384", "RS384", "ES256", "RS256") for _, algorithm in keys)


def answers(data: bytes) -> None:
    try:
        document = parse_json(data)
    except UnreadableJsonError:
        return
    for key, template in TEMPLATES.items():
        found = prefetch.interpret_value(key, prefetch.find_resource_type(template), document)
        assert found.state is not prefetch.PrefetchState.FOUND or found.resources or found.next_url


def chart(data: bytes) -> None:
    try:
        document = parse_json(data)
    except UnreadableJsonError:
        return
    listed = document if isinstance(document, list) else [document]
    resources = [
        r for r in listed if isinstance(r, dict) and isinstance(r.get("resourceType"), str)
    ]
    for drafts in ([], resources):
        read_chart(resources, "sample-1", KNOWN.chart_knowledge, today=TODAY, drafts=drafts)


def assessment(data: bytes) -> None:
    """The whole way from a document to cards."""
    try:
        assess_document(parse_json(data), MAKER, TODAY, ATTENTION)
    except (UnreadableJsonError, UnusableDocumentError):
        return


def url(data: bytes) -> None:
    """What is said to lie under a base URL is sent to that host and no other."""
    text = data.decode("utf-8", "replace")
    _find_host(text)
    is_web_url(text), is_origin(text), is_fhir_base_url(text)
    for one in (text, resolve_link(f"{BASE}/Observation?page=1", text)):
        if is_under(BASE, one):
            try:
                sent = requests.Request("GET", one).prepare().url or ""
            except requests.RequestException:
                continue
            assert sent.startswith((f"{BASE}/", f"{BASE}?", BASE)), sent
            assert sent.split("/")[2] == "fhir.example", sent
            assert "/../" not in sent.partition("?")[0], sent


def scope(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    given = read_grants(text)
    for search in (True, False):
        if check_scope(given, "Observation", search=search, same_patient=True).is_allowed:
            assert "read" in text or "*" in text or "r" in text or "s" in text


class Target(NamedTuple):
    run: Callable[[bytes], None]
    seeds: list[bytes]
    is_json: bool = True


def _dumped(*documents: Any) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


CALLS = [sample(name) for name in SAMPLES]
MAKER = CardComposer.from_site(KNOWN, TOPICS, "https://cds.example")
ATTENTION = read_attention_rules(None, KNOWN)
RESOURCES = [
    [e["resource"] for value in call["prefetch"].values() if value for e in value.get("entry", [{"resource": value}])]
    for call in CALLS
]  # fmt: skip
TARGETS = {
    "strict_json": Target(strict_json, [b'{"a":[1,2.5e3,"\\u0022",null]}', b'{"a":1,"a":2}', *_dumped(CALLS[3])]),
    "hook_request": Target(hook_request, _dumped(*CALLS)),
    "feedback": Target(feedback, _dumped(feedback_message(random.Random(1)))),
    "token": Target(token, [ISSUER.token(URL).encode()], is_json=False),
    "key_set": Target(key_set, _dumped(ISSUER.jwks, {"keys": [Key("RS384").jwk]})),
    "answers": Target(answers, _dumped(*(v for c in CALLS for v in c["prefetch"].values()))),
    "chart": Target(chart, _dumped(*RESOURCES)),
    "assessment": Target(assessment, _dumped(*CALLS)),
    "url": Target(url, [s.encode() for s in (BASE, f"{BASE}/x?y=1", "/r4/../x", "//h/x", *SERVERS)], is_json=False),
    "scope": Target(scope, [b"patient/*.rs user/Observation.read system/*.cruds?x=y"], is_json=False),
}  # fmt: skip


def broken(target: Target, data: bytes, chance: random.Random) -> bytes:
    """JSON broken as JSON more than half of the time, and as bytes else."""
    if target.is_json and chance.random() < 0.6:
        try:
            return json.dumps(odd_mutation(json.loads(data), chance)).encode()
        except (ValueError, RecursionError, IndexError, TypeError):
            return chance.choice(target.seeds)
    return spoilt(data, chance)
