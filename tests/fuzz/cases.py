"""Requests broken in every way there is, each made of a seed and a number and nothing else."""

import base64
import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from conformance.serving import sample
from conformance.test_mutations import mutated
from token_issuers import Issuer, part, signed

from fuzz.oddities import AUTHORIZATIONS, HEADERS, METHODS, ODD, PATHS, QUERIES, SERVERS

BASE = "https://cds.example.org"
CALL = "/cds-services/b12-muscle-{}"
SAMPLES = ("neuropathy", "functional", "untested", "folic-acid", "muscle-loss")


@dataclass
class Case:
    """One thing to do to the service."""

    kind: str
    pieces: list[bytes]
    methods: list[str]  # one for each answer that has to come
    paths: list[str] = field(default_factory=list)
    pause: float = 0.0
    is_http: bool = True  # else the server may answer without the application


class Cases:
    """`of(number)` is the same for the same seed and day, whatever was made before."""

    def __init__(self, seed: int, issuer: Issuer | None = None) -> None:
        self._seed = seed
        self._issuer = issuer
        self._calls = [sample(name) for name in SAMPLES] + [_paged(), _empty(), _from_server()]
        self._kinds: list[tuple[Callable[[random.Random], Case], int]] = [
            (self.body, 40),
            (self.spoilt_bytes, 14),
            (self.feedback, 14),
            (self.header, 14),
            (self.target, 8),
            (self.spoilt_http, 4),
            (self.pipelined, 2),
            (self.left, 3),
            (self.chunked, 2),
        ]
        if issuer is not None:
            self._kinds.append((self.token, 14))

    def of(self, number: int) -> Case:
        chance = random.Random(f"{self._seed}/{number}")
        if number % 1000 == 999:
            return self.slow(chance)
        kinds, weights = zip(*self._kinds, strict=True)
        return chance.choices(kinds, weights)[0](chance)

    def good(self, seed: int) -> Case:
        """A call that is in order."""
        return self._post(random.Random(seed), self._calls[0])

    def body(self, chance: random.Random) -> Case:
        return self._post(chance, self._call(chance), kind="body")

    def spoilt_bytes(self, chance: random.Random) -> Case:
        call = self._call(chance)
        data = json.dumps(call, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
        return self._post(chance, call, spoilt(data, chance), kind="bytes")

    def feedback(self, chance: random.Random) -> Case:
        message: Any = odd_mutation(feedback_message(chance), chance)
        data = json.dumps(message).encode()
        if chance.random() < 0.2:
            data = spoilt(data, chance)
        path = CALL.format(chance.choice(("patient-view", "order-select", "order-sign")))
        return self._request(chance, "feedback", "POST", f"{path}/feedback", data)

    def header(self, chance: random.Random) -> Case:
        headers = []
        for _ in range(chance.randint(1, 4)):
            name, values = chance.choice(HEADERS)
            value = chance.choice(values)
            headers += [(name, value)] * chance.choice((1, 1, 1, 2))
        if chance.random() < 0.03:
            headers += [(f"X-{place}", "y" * 60) for place in range(chance.choice((90, 400)))]
        call, path = (
            chance.choice(self._calls),
            chance.choice(("call", "call", "/evidence", "/evidence/who")),
        )
        if path == "call":
            case = self._post(chance, call, kind="header", headers=headers)
        else:
            case = self._request(chance, "header", "GET", path, b"", headers)
        odd = {"", "Host", "Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "Connection"}
        case.is_http = not any(name in odd or not name.isascii() for name, _ in headers)
        case.is_http = case.is_http and len(headers) < 90 and not _is_long(case)
        return case

    def target(self, chance: random.Random) -> Case:
        method = chance.choice(METHODS)
        path = chance.choice(PATHS) + chance.choice(QUERIES)
        data = chance.choice((b"", b"{}", b"[]", b"x" * 9, b'{"feedback":[]}'))
        case = self._request(chance, "target", method, path, data)
        case.is_http = path.isascii() and path[0] == "/" and method != "CONNECT"
        return case

    def spoilt_http(self, chance: random.Random) -> Case:
        case = self._post(chance, chance.choice(self._calls))
        data = b"".join(case.pieces)
        end = data.index(b"\r\n\r\n") + 4
        head = spoilt(data[:end], chance)
        return Case("http", [head + data[end:]], ["POST"], case.paths, is_http=False)

    def pipelined(self, chance: random.Random) -> Case:
        several = [self._post(chance, self._call(chance)) for _ in range(chance.randint(2, 6))]
        return Case(
            "pipelined",
            [b"".join(piece for case in several for piece in case.pieces)],
            ["POST"] * len(several),
            [case.paths[0] for case in several],
        )

    def left(self, chance: random.Random) -> Case:
        data = b"".join(self._post(chance, self._call(chance)).pieces)
        return Case("left", [data[: chance.randrange(len(data))]], [])

    def chunked(self, chance: random.Random) -> Case:
        call = self._call(chance)
        data = json.dumps(call).encode()
        chunks = []
        while data:
            size = chance.choice((1, 7, 500, 5000))
            chunks.append(b"%x\r\n%b\r\n" % (len(data[:size]), data[:size]))
            data = data[size:]
            if len(chunks) > 40:
                chunks.append(b"%x\r\n%b\r\n" % (len(data), data) if data else b"")
                break
        chunks.append(chance.choice((b"0\r\n\r\n", b"0\r\nX-Trailer: y\r\n\r\n")))
        case = self._post(
            chance, call, b"", kind="chunked", headers=[("Transfer-Encoding", "chunked")]
        )
        return Case("chunked", [case.pieces[0] + b"".join(chunks)], ["POST"], case.paths)

    def slow(self, chance: random.Random) -> Case:
        data = b"".join(self._post(chance, self._call(chance)).pieces)
        cut = sorted(chance.sample(range(1, len(data)), 5))
        pieces = [data[a:b] for a, b in zip([0, *cut], [*cut, len(data)], strict=True)]
        path = data.split(b" ", 2)[1].decode()
        return Case("slow", pieces, ["POST"], [path], pause=0.2)

    def token(self, chance: random.Random) -> Case:
        """Tokens broken: their text, or what they say with a signature that holds."""
        assert self._issuer is not None
        call = chance.choice(self._calls)
        path = CALL.format(call["hook"])
        text = self._token(chance, path)
        head, said, _ = (
            json.loads(_decoded(p)) if n < 2 else p for n, p in enumerate(text.split("."))
        )
        match chance.randrange(3):
            case 0:
                text = spoilt(text.encode(), chance).decode("latin-1")
            case 1:
                text = signed(
                    self._issuer.keys[0], odd_mutation(head, chance), odd_mutation(said, chance)
                )
            case 2:
                raw = [spoilt(json.dumps(p).encode(), chance) for p in (head, said)]
                text = f"{part(raw[0])}.{part(raw[1])}.{part(chance.randbytes(96))}"
        text = "".join(c for c in text if c >= " " and c != "\x7f")  # else it is not HTTP
        return self._post(chance, call, kind="token", headers=[("Authorization", f"Bearer {text}")])

    def _call(self, chance: random.Random) -> dict[str, Any]:
        call = odd_mutation(chance.choice(self._calls), chance)
        if isinstance(call, dict) and chance.random() < 0.15:
            call["fhirServer"] = chance.choice(SERVERS)
            if chance.random() < 0.6:
                call["fhirAuthorization"] = chance.choice(AUTHORIZATIONS)
        return call

    def _post(
        self,
        chance: random.Random,
        call: Any,
        data: bytes | None = None,
        kind: str = "call",
        headers: list[tuple[str, str]] | None = None,
    ) -> Case:
        hook = call.get("hook") if isinstance(call, dict) else None
        if hook not in ("patient-view", "order-select", "order-sign"):
            hook = chance.choice(("patient-view", "order-select", "order-sign"))
        if data is None:
            data = json.dumps(call, ensure_ascii=chance.random() < 0.5).encode(
                "utf-8", "surrogatepass"
            )
        return self._request(chance, kind, "POST", CALL.format(hook), data, headers or [])

    def _request(
        self,
        chance: random.Random,
        kind: str,
        method: str,
        path: str,
        data: bytes,
        headers: list[tuple[str, str]] | None = None,
    ) -> Case:
        given = list(headers or [])
        names = {name.lower() for name, _ in given}
        lines = [("Host", "127.0.0.1")] if "host" not in names else []
        if "content-type" not in names:
            lines.append(("Content-Type", "application/json"))
        if not {"content-length", "transfer-encoding"} & names:
            lines.append(("Content-Length", str(len(data))))
        if self._issuer is not None and "authorization" not in names:
            lines.append(("Authorization", f"Bearer {self._token(chance, path)}"))
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines + given)
        return Case(kind, [head.encode("latin-1") + b"\r\n" + data], [method], [path])

    def _token(self, chance: random.Random, path: str) -> str:
        assert self._issuer is not None
        jti = str(UUID(bytes=chance.randbytes(16), version=4))
        return self._issuer.token(f"{BASE}{path.partition('?')[0]}", claims={"jti": jti})


def _is_long(case: Case) -> bool:
    return len(case.pieces[0].partition(b"\r\n\r\n")[0]) > 16_000


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def odd_mutation(document: Any, chance: random.Random) -> Any:
    """Broken structurally, some of the time with what only this test thinks of."""
    made = mutated(document, chance)
    if made and chance.random() < 0.5:
        holder, key = chance.choice(list(_holders(made)))
        holder[key] = copy.deepcopy(chance.choice(ODD))
    if made and isinstance(made, dict) and chance.random() < 0.02:
        nested: Any = 0
        for _ in range(chance.choice((100, 250, 254, 255, 300, 900))):
            nested = [nested] if chance.random() < 0.5 else {"a": nested}
        made[chance.choice(list(made))] = nested
    return made


def _holders(node: Any) -> Any:
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from _holders(value)


def spoilt(data: bytes, chance: random.Random) -> bytes:
    """One to six bytes flipped, lost, put in, doubled or cut off."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(made) + 1)
        match chance.randrange(7):
            case 0 if place < len(made):
                made[place] ^= 1 << chance.randrange(8)
            case 1:
                del made[place : place + chance.choice((1, 1, 3, 50))]
            case 2:
                made[place:place] = chance.randbytes(chance.randint(1, 4))
            case 3:
                made[place:place] = made[place : place + chance.randint(1, 200)]
            case 4:
                made[place:place] = chance.choice(
                    (b'"', b"{", b"]", b"\\u0022", b"\\ud800", b"\x00", b"1e999", b"9" * 5000, b"NaN", b"\xff",
                     b"[" * 3000, b'{"a":' * 3000, b'"a":1,"a":2,', b"\\", b"\xed\xa0\x80", b"\r\n", b"-", b"0")
                )  # fmt: skip
            case 5 if chance.random() < 0.3:
                del made[place:]
            case 6 if place < len(made):
                made[place] = chance.randrange(256)
    return bytes(made)


def feedback_message(chance: random.Random) -> dict[str, Any]:
    item: dict[str, Any] = {
        "card": str(UUID(bytes=chance.randbytes(16), version=4)),
        "outcome": chance.choice(("accepted", "overridden")),
        "acceptedSuggestions": [{"id": str(UUID(bytes=chance.randbytes(16), version=4))}],
        "overrideReason": {
            "reason": {"code": "not-now", "system": "https://ehr.example/reasons"},
            "userComment": "seen",
        },
        "outcomeTimestamp": "2026-11-20T10:00:00Z",
        "extension": {"com.epic.x": {"reasonCategory": {"code": "1"}}},
    }
    return {"feedback": [item] * chance.choice((1, 1, 2, 30))}


def _paged() -> dict[str, Any]:
    """A call as the specification prints them, its observations on several pages of a server."""
    call = sample("neuropathy")
    call["fhirServer"] = "http://127.0.0.1:1/fhir"
    call["fhirAuthorization"] = AUTHORIZATIONS[0]
    call["prefetch"]["observations"]["link"] = [
        {"relation": "self", "url": "http://127.0.0.1:1/fhir/Observation?_page=1"},
        {"relation": "next", "url": "http://127.0.0.1:1/fhir/Observation?_page=2"},
    ]
    call["extension"] = {"com.epic.cdshooks.request.trigger": "23", "com.example.x": {"y": [1]}}
    return call


def _empty() -> dict[str, Any]:
    """Every key searched in vain or failed."""
    call = sample("untested")
    for place, key in enumerate(sorted(call["prefetch"])):
        if key != "patient":
            empty: list[Any] = [None, {"resourceType": "Bundle", "type": "searchset", "total": 0}]
            call["prefetch"][key] = empty[place % 2]
    return call


def _from_server() -> dict[str, Any]:
    """Nothing sent along, and a server that is not there."""
    call = sample("folic-acid")
    call["prefetch"] = {"patient": call["prefetch"]["patient"]}
    call["fhirServer"] = "http://127.0.0.1:1/fhir"
    return call
