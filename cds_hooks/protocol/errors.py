"""Why a call is not answered with cards, and what the client is told.

* Refusal            an HTTP status and an OperationOutcome
  x NotJson          400  the body is no JSON
  x NotACall         422  JSON, but not this call; names the path, never the value
  x DataUnobtainable 412  required FHIR data could not be had [PF-06, RESP-05]
  x TooManyCalls     429  from this tenant or address
  x NotRecorded      503  the records are down: no answer without its record
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

# HTTP status -> FHIR issue type
ISSUE_TYPES = {
    400: "structure",
    401: "login",
    404: "not-found",
    405: "not-supported",
    408: "timeout",
    412: "incomplete",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    503: "transient",
}


class CallError(Exception):
    """Ends a call. `text` is constant for its kind; `expressions` are paths or keys, not values."""

    status = 400
    code = "Refusal"  # its reason in log lines; sites search for it, so it stays as it is
    text = "The request cannot be answered."

    def __init__(self, diagnostics: str = "", expressions: Sequence[str] = ()) -> None:
        super().__init__(diagnostics)
        self.diagnostics = diagnostics
        self.expressions = tuple(expressions)


class InvalidJsonError(CallError):
    status = 400
    code = "NotJson"
    text = "The body is not JSON."


class InvalidRequestError(CallError):
    status = 422
    code = "NotACall"
    text = "The body is JSON but not a valid request for this endpoint."


class MissingDataError(CallError):
    status = 412
    code = "DataUnobtainable"
    text = "FHIR data that this service needs could not be obtained."


class TooManyCallsError(CallError):
    status = 429
    code = "TooManyCalls"
    text = "Too many calls; try again in a minute."


class RecordsDownError(CallError):
    status = 503
    code = "NotRecorded"
    text = "The service cannot keep its records at the moment, so it gives no answer."


def build_operation_outcome(
    status: int, text: str | None = None, diagnostics: str = "", expressions: Sequence[str] = ()
) -> dict[str, Any]:
    """The body of every answer that is not 2xx. [RESP-07]"""
    issue: dict[str, Any] = {
        "severity": "error",
        "code": ISSUE_TYPES.get(status, "exception" if status >= 500 else "processing"),
        "details": {"text": text or _find_phrase(status)},
    }
    if diagnostics:
        issue["diagnostics"] = diagnostics
    if expressions:
        issue["expression"] = list(expressions)
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _find_phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
