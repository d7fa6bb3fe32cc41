"""Calls of a given size: a sample patient with more results, read and unread ones."""

import itertools
import json
from typing import Any

import orjson
from conformance.serving import sample

PATIENT = b"sample-1"
SERVICE = "b12-muscle-patient-view"
PATH = f"/cds-services/{SERVICE}"
FURTHER = ("718-7", "2160-0", "2823-3", "4548-4", "2345-7", "1742-6")
NUMBERS = itertools.count()


def body_of(size: int) -> bytes:
    """A call that weighs at least `size` bytes."""
    return orjson.dumps(_call(size))


def body_without(key: str, size: int, fhir: str) -> bytes:
    """The same with one key left out, for the service to fetch, and all others there."""
    call = _call(size)
    del call["prefetch"][key]
    return orjson.dumps({**call, "fhirServer": fhir})


def about_another(body: bytes) -> bytes:
    """The same about a patient whom nobody has asked about before."""
    return body.replace(PATIENT, b"p%07d" % next(NUMBERS))


def _call(size: int) -> dict[str, Any]:
    call = sample("neuropathy")
    entries = call["prefetch"]["observations"]["entry"]
    template = json.dumps(entries[1])
    if size < len(orjson.dumps(call)):
        del entries[1:], call["prefetch"]["conditions"]["entry"]
        call["prefetch"]["medications"] = None
    weight, number = len(orjson.dumps(call)), 0
    while weight < size:
        entry = json.loads(template)
        entry["resource"]["id"] = f"more-{number}"
        entry["resource"]["code"]["coding"][0]["code"] = FURTHER[number % len(FURTHER)]
        entry["resource"]["effectiveDateTime"] = f"2026-0{number % 9 + 1}-11T08:40:00+00:00"
        entries.append(entry)
        weight += len(orjson.dumps(entry)) + 1
        number += 1
    return call
