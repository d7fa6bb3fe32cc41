"""Two thousand bodies broken at random: never a 5xx, a hang, or an answer that is not one."""

import copy
import json
import random
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

BODIES = 2000
SEED = 20261122
JUNK = [
    None, True, False, 0, -1, 1e308, 12345678901234567890, "", " ", "x", "\x00", "<b>", "\ud7ff",
    "2026-13-45", "0000-00-00", "9999-12-31T23:59:60Z", [], {}, [[]], [None], {"a": None},
    {"reference": "Patient/1"}, {"coding": [{}]}, {"coding": 5}, {"value": "5", "unit": []},
    {"resourceType": "Bundle"}, {"resourceType": "OperationOutcome"}, {"resourceType": ["x"]},
    "http://127.0.0.1:1/fhir", "Patient/sample-1", "<=", "mg/dL", "a" * 5000,
]  # fmt: skip


def places(node, path=()):
    """Every place in a document."""
    if path:
        yield path
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node if isinstance(node, list) else ())
    )
    for key, value in items:
        yield from places(value, (*path, key))


def put(document, path, value):
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


def get(document, path):
    for key in path:
        document = document[key]
    return document


def mutated(body, chance):
    """`body` with one to four places deleted, replaced, doubled or swapped."""
    document = copy.deepcopy(body)
    for _ in range(chance.randint(1, 4)):
        path = chance.choice(list(places(document)))
        match chance.randrange(5):
            case 0:
                parent = get(document, path[:-1])
                parent.pop(path[-1])
            case 1 | 2:
                put(document, path, copy.deepcopy(chance.choice(JUNK)))
            case 3:
                put(document, path, [get(document, path)] * 2)
            case 4:
                other = chance.choice(list(places(document)))
                put(document, path, copy.deepcopy(get(document, other)))
        if not document:
            return {}
    return document


def test_broken_bodies_get_clear_answers(service, call):
    chance = random.Random(SEED)
    samples = [
        call(name) for name in ("neuropathy", "functional", "untested", "folic-acid", "muscle-loss")
    ]
    seen = {}
    for number in range(BODIES):
        body = chance.choice(samples)
        data = json.dumps(mutated(body, chance)).encode()
        if number % 10 == 0:
            place = chance.randrange(len(data))
            data = data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
        answer = service.post(
            f"/cds-services/b12-muscle-{body['hook']}",
            data=data,
            headers={"Content-Type": "application/json"},
        )
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        assert answer.status_code in (200, 400, 412, 422), (number, answer.text, data[:3000])
        assert answer.elapsed.total_seconds() < 10
        document = answer.json()
        if answer.status_code == 200:
            for card in document["cards"]:
                assert 0 < len(card["summary"]) < 140
                assert not re.search(r"<[a-zA-Z/!]", card["detail"])
        else:
            assert document["resourceType"] == "OperationOutcome"
    assert {200, 412, 422} <= set(seen), seen
