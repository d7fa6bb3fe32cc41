"""Calls of a given size: a sample patient with more results, read and unread ones."""

import json

import orjson
from conformance.conftest import sample

PATIENT = b"sample-1"
PATH = "/cds-services/b12-muscle-patient-view"
FURTHER = ("718-7", "2160-0", "2823-3", "4548-4", "2345-7", "1742-6")


def body_of(size: int) -> bytes:
    """A call that weighs at least `size` bytes."""
    call = sample("neuropathy")
    entries = call["prefetch"]["observations"]["entry"]
    template = json.dumps(entries[1])
    number = 0
    while len(json.dumps(call)) < size:
        entry = json.loads(template)
        entry["resource"]["id"] = f"more-{number}"
        entry["resource"]["code"]["coding"][0]["code"] = FURTHER[number % len(FURTHER)]
        entry["resource"]["effectiveDateTime"] = f"2026-0{number % 9 + 1}-11T08:40:00+00:00"
        entries.append(entry)
        number += 1
    return orjson.dumps(call)
