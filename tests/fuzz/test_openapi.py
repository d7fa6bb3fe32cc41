"""The OpenAPI document: valid, complete, and made of what the service itself checks by."""

import json

import pytest
from answer_schemas import CHECKED
from conformance.serving import sample
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from cds_hooks.protocol.errors import ISSUE_TYPES, InvalidRequestError, build_operation_outcome
from cds_hooks.protocol.feedback import read_feedback
from cds_hooks.protocol.hook_request import SCHEMA
from cds_hooks.web.openapi import COMMON_STATUSES, SCHEMAS, WRITE_STATUSES
from fuzz.schemas import application
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.wsgi import VERSION

ITEM = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T10:05:31Z"}


@pytest.fixture(scope="module")
def described(opened):
    answer = opened.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def test_the_document_is_valid_openapi(described):
    validate(described, cls=OpenAPIV31SpecValidator)
    assert described["info"]["version"] == VERSION


def test_every_path_and_method_that_is_served_is_described(described, tmp_path):
    """Except pages, their styles and their scripts: people read them."""
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in application(tmp_path).url_map.iter_rules()
        for method in rule.methods
        if method in ("GET", "POST") and rule.endpoint.startswith("cds.")
    } - {("/openapi.json", "get")}
    for path in ("/cds-services/{service_id}", "/cds-services/{service_id}/feedback"):
        served.remove((path, "post"))
        for hook in OFFERED_HOOKS:
            served.add((path.format(service_id=f"b12-muscle-{hook}"), "post"))
    named = {
        (path, method)
        for path, operations in described["paths"].items()
        for method in operations
        if method in ("get", "post")
    }
    assert named == served


def test_every_refusal_is_an_operation_outcome(described):
    for path, operations in described["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status[0] in "45" and (path, status) != ("/health/ready", "503"):
                    [content] = answer["content"].values()
                    assert content["schema"]["$ref"].endswith("/OperationOutcome")
    call = described["paths"]["/cds-services/b12-muscle-patient-view"]["post"]["responses"]
    assert {int(status) for status in call} == {200, 412, *WRITE_STATUSES} - {401}
    assert set(ISSUE_TYPES) | {500} == {412, *WRITE_STATUSES, *COMMON_STATUSES}


def test_outcomes_are_what_their_schema_says():
    for status in (*ISSUE_TYPES, 500, 418, 599):
        CHECKED["OperationOutcome"].validate(build_operation_outcome(status, "", "where", ["a.b"]))
        CHECKED["OperationOutcome"].validate(build_operation_outcome(status))


def test_the_schema_of_a_call_is_the_one_that_is_checked_by(described):
    schemas = described["components"]["schemas"]
    assert schemas["HookRequest"] == json.loads(SCHEMA.read_text())
    operation = described["paths"]["/cds-services/b12-muscle-order-select"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    checked = Draft202012Validator({**schema, "components": described["components"]})
    call = sample("folic-acid")
    checked.validate(call)
    assert not checked.is_valid({**call, "hook": "order-sign"})
    assert not checked.is_valid({**call, "context": {"patientId": "1"}})


ITEMS = {
    "a reason": ({"overrideReason": {"reason": {"code": "a", "system": "s"}}}, True),
    "a comment": ({"overrideReason": {"userComment": "no"}}, True),
    "neither": ({"overrideReason": {}}, False),
    "overridden without a word": ({}, True),
    "accepted": ({"outcome": "accepted", "acceptedSuggestions": [{"id": "s"}]}, True),
    "accepted without what": ({"outcome": "accepted"}, False),
    "accepted nothing": ({"outcome": "accepted", "acceptedSuggestions": []}, False),
    "another outcome": ({"outcome": "seen"}, False),
    "a suggestion without an id": ({"acceptedSuggestions": [{}]}, False),
    "a long card": ({"card": "c" * 256}, False),
    "a card with a control": ({"card": "c\0"}, False),
    "an empty code": ({"overrideReason": {"reason": {"code": ""}}}, False),
    "no card": ({"card": None}, False),
}


@pytest.mark.parametrize(("members", "good"), ITEMS.values(), ids=ITEMS.keys())
def test_the_schema_of_feedback_says_what_is_read(members, good):
    schema = json.loads((SCHEMAS / "feedback.schema.json").read_text())
    message = {"feedback": [{**ITEM, **members}]}
    assert Draft202012Validator(schema).is_valid(message) == good
    if good:
        assert read_feedback(message)
    else:
        with pytest.raises(InvalidRequestError):
            read_feedback(message)


def test_discovery_and_feedback_are_what_their_schemas_say(opened):
    CHECKED["Discovery"].validate(opened.get("/cds-services").json())
    answer = opened.post(
        "/cds-services/b12-muscle-patient-view/feedback",
        {"feedback": [{**ITEM, "overrideReason": {"userComment": "no"}}]},
    )
    CHECKED["Received"].validate(answer.json())


def test_a_tenants_document_names_the_token(guarded):
    document = guarded.get("/openapi.json").json()
    validate(document, cls=OpenAPIV31SpecValidator)
    call = document["paths"]["/cds-services/b12-muscle-patient-view"]["post"]
    assert call["security"] == [{"token": []}]
    assert "401" in call["responses"]
    assert "security" not in document["paths"]["/health/live"]["get"]
