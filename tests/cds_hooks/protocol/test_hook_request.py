"""What is wrong with a call is said by its path, and no value is repeated."""

import fastjsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hooks.protocol import hook_request
from cds_hooks.protocol.errors import InvalidJsonError, InvalidRequestError
from cds_hooks.protocol.feedback import read_feedback
from cds_hooks.protocol.hook_request import read_json, read_request, read_resources

CALL = {
    "hook": "order-select",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {
        "userId": "Practitioner/1",
        "patientId": "1",
        "selections": ["MedicationRequest/1"],
        "draftOrders": {"resourceType": "Bundle", "entry": []},
    },
}


def changed(path, value):
    call = {**CALL, "context": dict(CALL["context"])}
    *outer, last = path.split(".")
    place = call["context"] if outer == ["context"] else call
    if value is ...:
        place.pop(last)
    else:
        place[last] = value
    return call


FAULTS = {
    "no hook": ("hook", ..., "hook"),
    "another hook": ("hook", "order-sign", "hook"),
    "hook is a number": ("hook", 5, "hook"),
    "no hookInstance": ("hookInstance", ..., "hookInstance"),
    "empty hookInstance": ("hookInstance", "", "hookInstance"),
    "a line break after hookInstance": ("hookInstance", "1\n", "hookInstance"),
    "a line break after the patient": ("context.patientId", "1\n", "context.patientId"),
    "a line break after the server": ("fhirServer", "https://fhir.example\n", "fhirServer"),
    "null hookInstance": ("hookInstance", None, "hookInstance"),
    "no context": ("context", ..., "context"),
    "context is a list": ("context", [], "context"),
    "no patient": ("context.patientId", ..., "context.patientId"),
    "null patient": ("context.patientId", None, "context.patientId"),
    "patient is a number": ("context.patientId", 5, "context.patientId"),
    "patient is a path": ("context.patientId", "Secret/Smith", "context.patientId"),
    "no selections": ("context.selections", ..., "context.selections"),
    "no draftOrders": ("context.draftOrders", ..., "context.draftOrders"),
    "draftOrders is a list": ("context.draftOrders", [], "context.draftOrders"),
    "prefetch is a text": ("prefetch", "Smith", "prefetch"),
    "token without server": ("fhirAuthorization", {"access_token": "Smith"}, "fhirServer"),
    "authorization without token": ("fhirAuthorization", {}, "fhirAuthorization.access_token"),
}


@pytest.mark.parametrize(("path", "value", "where"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_name_the_path(path, value, where):
    with pytest.raises(InvalidRequestError) as fault:
        read_request(changed(path, value), "order-select")
    assert fault.value.expressions == (where,)
    assert "Smith" not in f"{fault.value.diagnostics}{fault.value.expressions}"


@pytest.mark.parametrize("document", [[], 5, "text", None, True])
def test_what_is_no_object_is_no_call(document):
    with pytest.raises(InvalidRequestError):
        read_request(document, "order-select")


TOLERATED = {
    "null optional members": {"fhirServer": None, "fhirAuthorization": None, "prefetch": None},
    "an unknown member": {"extension": {"com.example.x": 1}, "user": "Practitioner/1"},
    "hookInstance that is no UUID": {"hookInstance": "42"},
}


@pytest.mark.parametrize("members", TOLERATED.values(), ids=TOLERATED.keys())
def test_what_is_tolerated(members):
    assert read_request({**CALL, **members}, "order-select").patient_id == "1"


def test_a_missing_user_and_a_non_ascii_patient_are_tolerated():
    assert read_request(changed("context.userId", ...), "order-select").patient_id == "1"
    assert (
        read_request(changed("context.patientId", "a\u20111"), "order-select").patient_id
        == "a\u20111"
    )


@pytest.mark.parametrize(
    "bundle",
    [
        None,
        5,
        {},
        {"entry": None},
        {"entry": 5},
        {"entry": [None, 5, {}, {"resource": None}, {"resource": {}}]},
    ],
)
def test_drafts_that_cannot_be_read_are_passed_over(bundle):
    assert list(read_resources(bundle)) == []


@pytest.mark.parametrize("body", [b"", b"{", b"{,}", b'{"a": NaN}', b"[" * 100_000, b"\xff\xfe"])
def test_broken_json(body):
    with pytest.raises(InvalidJsonError):
        read_json(body)


def test_the_token_is_not_shown():
    server = {"fhirServer": "https://e.example", "fhirAuthorization": {"access_token": "tok-123"}}
    assert "tok-123" not in repr(read_request({**CALL, **server}, "order-select"))


ITEM = {
    "card": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
    "outcome": "overridden",
    "outcomeTimestamp": "2026-11-20T10:05:31Z",
}
FEEDBACK_FAULTS = {
    "no list": ({}, "feedback"),
    "empty list": ({"feedback": []}, "feedback"),
    "a card that no database keeps": (
        {"feedback": [{**ITEM, "card": "a\0b"}]},
        "feedback[0].card",
    ),
    "a code that no database keeps": (
        {"feedback": [{**ITEM, "overrideReason": {"reason": {"code": "a\0b"}}}]},
        "feedback[0].overrideReason.reason.code",
    ),
    "a system that no database keeps": (
        {"feedback": [{**ITEM, "overrideReason": {"reason": {"code": "a", "system": "s\0"}}}]},
        "feedback[0].overrideReason.reason.system",
    ),
    "item is a text": ({"feedback": ["x"]}, "feedback[0]"),
    "no card": ({"feedback": [{**ITEM, "card": None}]}, "feedback[0].card"),
    "cds-fb-1": ({"feedback": [ITEM, {**ITEM, "outcome": "seen"}]}, "feedback[1].outcome"),
    "cds-fb-2": (
        {"feedback": [{**ITEM, "outcome": "accepted"}]},
        "feedback[0].acceptedSuggestions",
    ),
    "cds-fb-3": ({"feedback": [{**ITEM, "overrideReason": {}}]}, "feedback[0].overrideReason"),
    "no time": (
        {"feedback": [{**ITEM, "outcomeTimestamp": None}]},
        "feedback[0].outcomeTimestamp",
    ),
    "time without offset": (
        {"feedback": [{**ITEM, "outcomeTimestamp": "2026-11-20T10:05:31"}]},
        "feedback[0].outcomeTimestamp",
    ),
    "a day is no time": (
        {"feedback": [{**ITEM, "outcomeTimestamp": "2026-11-20"}]},
        "feedback[0].outcomeTimestamp",
    ),
}


@pytest.mark.parametrize(
    ("document", "where"), FEEDBACK_FAULTS.values(), ids=FEEDBACK_FAULTS.keys()
)
def test_feedback_faults_name_the_path(document, where):
    with pytest.raises(InvalidRequestError) as fault:
        read_feedback(document)
    assert fault.value.expressions == (where,)


REASONS = {
    "the specification's": {"overrideReason": {"reason": {"code": "a", "system": "s"}}},
    "without system, as the sandbox": {"overrideReason": {"reason": {"code": "a"}}},
    "Epic's plural": {"overrideReasons": [{"reason": {"code": "a", "system": "s"}}]},
    "Epic's plural of Codings": {"overrideReasons": [{"code": "a", "system": "s"}]},
    "Epic's extension": {"extension": {"com.epic.x": {"reasonCategory": {"code": "a"}}}},
}


@pytest.mark.parametrize("members", REASONS.values(), ids=REASONS.keys())
def test_reasons_in_every_shape(members):
    [item] = read_feedback({"feedback": [{**ITEM, **members}]})
    assert item.reason_code == "a"


def test_what_a_clinician_typed_is_not_shown():
    comment = {"overrideReason": {"userComment": "Mrs Smith says no"}}
    [item] = read_feedback({"feedback": [{**ITEM, **comment}]})
    assert item.comment
    assert "Smith" not in repr(item)


# Values at the edges of what the schema says, and of every type.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(alphabet=st.sampled_from("a/?# \n\x00\x1f\x7f\u2028é"), max_size=4),
    st.sampled_from(["a" * 255, "a" * 256, "a\n", "https://ehr.example/fhir", "x" * 2049]),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=2),
)
CONTEXTS = st.dictionaries(
    st.sampled_from(["patientId", "selections", "draftOrders", "userId"]), ODD, max_size=4
)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "hook": ODD,
        "hookInstance": ODD,
        "context": st.one_of(CONTEXTS, ODD),
        "prefetch": ODD,
        "fhirServer": ODD,
        "fhirAuthorization": st.one_of(st.dictionaries(st.just("access_token"), ODD), ODD),
        "extension": ODD,
    },
)


@settings(max_examples=1500, deadline=None)
@given(ENVELOPES)
def test_the_quick_check_and_the_one_that_explains_agree(envelope):
    try:
        hook_request._check_schema(envelope)
        quick = True
    except fastjsonschema.JsonSchemaValueException:
        quick = False
    assert quick == hook_request._VALIDATOR.is_valid(envelope)
