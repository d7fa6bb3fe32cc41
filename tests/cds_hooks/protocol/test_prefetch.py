"""Each thing a client may send for a key means one thing."""

import pytest
from tables import cases

from cds_hooks.protocol.hook_request import read_request
from cds_hooks.protocol.prefetch import (
    PrefetchState,
    TemplateError,
    check_templates,
    expand_template,
    read_prefetch,
)

TEMPLATES = {
    "patient": "Patient/{{context.patientId}}",
    "observations": "Observation?patient={{context.patientId}}",
}
OBSERVATION = {"resourceType": "Observation", "id": "1"}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}
NOTHING = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning"}]}
NEXT = [{"relation": "next", "url": "https://e.example/fhir?page=2"}]


def bundle(*resources, **members):
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **members}


def answer(prefetch, key="observations"):
    call = {"hook": "patient-view", "hookInstance": "i", "context": {"patientId": "1"}}
    return read_prefetch(read_request({**call, "prefetch": prefetch}, "patient-view"), TEMPLATES)[
        key
    ]


MEANINGS = {
    "left out": ({}, PrefetchState.LEFT_OUT, 0, True),
    "null": ({"observations": None}, PrefetchState.NONE, 0, True),
    "empty Bundle": ({"observations": bundle()}, PrefetchState.NONE, 0, True),
    "Bundle without entry": (
        {"observations": {"resourceType": "Bundle"}},
        PrefetchState.NONE,
        0,
        True,
    ),
    "Bundle with a result": ({"observations": bundle(OBSERVATION)}, PrefetchState.FOUND, 1, True),
    "Bundle without type": (
        {"observations": {"resourceType": "Bundle", "entry": [{"resource": OBSERVATION}]}},
        PrefetchState.FOUND,
        1,
        True,
    ),
    "entry as an object": (
        {"observations": {"resourceType": "Bundle", "entry": {"resource": OBSERVATION}}},
        PrefetchState.FOUND,
        1,
        True,
    ),
    "one resource instead of a Bundle": (
        {"observations": OBSERVATION},
        PrefetchState.FOUND,
        1,
        True,
    ),
    "next page": ({"observations": bundle(OBSERVATION, link=NEXT)}, PrefetchState.FOUND, 1, False),
    "only a next page": ({"observations": bundle(link=NEXT)}, PrefetchState.FOUND, 0, False),
    "OperationOutcome": ({"observations": OUTCOME}, PrefetchState.FAILED, 0, True),
    "only an error entry": ({"observations": bundle(OUTCOME)}, PrefetchState.FAILED, 0, True),
    "result and error entry": (
        {"observations": bundle(OBSERVATION, OUTCOME)},
        PrefetchState.FOUND,
        1,
        False,
    ),
    "nothing found, as Epic says it": (
        {"observations": bundle(NOTHING, total=0)},
        PrefetchState.NONE,
        0,
        True,
    ),
    "another type": (
        {"observations": {"resourceType": "Patient"}},
        PrefetchState.LEFT_OUT,
        0,
        True,
    ),
    "Bundle of another type": (
        {"observations": bundle({"resourceType": "Patient"})},
        PrefetchState.LEFT_OUT,
        0,
        True,
    ),
    "text": ({"observations": "<html>"}, PrefetchState.LEFT_OUT, 0, True),
    "list": ({"observations": [OBSERVATION]}, PrefetchState.LEFT_OUT, 0, True),
    "old wrapper": (
        {"observations": {"response": {"status": "200"}, "resource": bundle(OBSERVATION)}},
        PrefetchState.FOUND,
        1,
        True,
    ),
    "junk entries": (
        {"observations": {"resourceType": "Bundle", "entry": [5, None, {"resource": 7}, {}]}},
        PrefetchState.NONE,
        0,
        True,
    ),
    "keys nobody asked for": ({"other": OBSERVATION}, PrefetchState.LEFT_OUT, 0, True),
}


@pytest.mark.parametrize(
    ("prefetch", "state", "count", "complete"), MEANINGS.values(), ids=MEANINGS.keys()
)
def test_meaning(prefetch, state, count, complete):
    found = answer(prefetch)
    assert (found.state, len(found.resources), found.is_complete) == (state, count, complete)


@cases("""
    id sent | state
    --------+---------
    1       | found
    2       | left out
            | left out
""")
def test_a_read_that_brought_somebody_else_is_no_answer(case):
    sent = {"resourceType": "Patient", **({"id": case["id sent"]} if case["id sent"] else {})}
    assert answer({"patient": sent}, "patient").state.value == case["state"]


def test_no_prefetch_at_all_leaves_every_key_out():
    assert answer(None).state is PrefetchState.LEFT_OUT


def test_values_are_percent_encoded_in_queries():
    assert expand_template(TEMPLATES["patient"], {"patientId": "a/../b?c&d\u2011"}) == (
        "Patient/a%2F..%2Fb%3Fc%26d%E2%80%91"
    )


@cases("""
    template                                                        | fault
    ----------------------------------------------------------------+-----------
    Patient/{{context.patientId}}                                   |
    Observation?patient={{context.patientId}}&code=a,b&_sort=-date&_count=5 |
    Observation?patient={{context.patientId}}&code:in=http://v      |
    Observation?patient={{context.patientId}}&date=ge2024-01-01     |
    Observation?patient={{context.draftOrders}}                     | no token
    Observation?patient={{Patient.id}}                              | other than
    Observation?patient={{context.patientId}}&date=ge2024&date=lt2025 | repeated
    Observation?patient={{context.patientId}}&code:not=x            | modifier
    Observation?patient={{context.patientId}}&_include=x            | parameter
    Observation?patient={{context.patientId}}&subject.name=x        | parameter
    Observation?patient={{context.patientId}}&date=sa2024-01-01     | date prefix
    Observation?patient=                                            | no value
    observation                                                     | neither
""")
def test_the_linter_knows_what_clients_support(case):
    if not case["fault"]:
        check_templates({"key": case["template"]}, "patient-view")
        return
    with pytest.raises(TemplateError, match=case["fault"]):
        check_templates({"key": case["template"]}, "patient-view")
