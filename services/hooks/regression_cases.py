"""Regression cases: a call, the day and the choices it is answered by, and what is expected.

A case is one JSON file (schemas/case.schema.json). What it does not expect is not compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from cds_hooks.protocol.cards import as_json
from cds_hooks.protocol.dialects import DIALECTS
from cds_hooks.protocol.service import Decision, adapt_decision
from services.evaluation.evaluate import as_json as evaluation_json
from services.hooks.documents import AnsweredDocument, UnusableDocumentError, answer_document
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.hooks.overrides import Variant, VariantOptions


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The assessment and cards for a document, as this EHR shows them."""

    answered: AnsweredDocument
    assessment: Mapping[str, Any]  # as services/assessment/schemas/assessment.schema.json has it
    cards: tuple[Mapping[str, Any], ...]
    withheld: tuple[str, ...]  # "snoozed:b12Indeterminate", "unsupported:refer_dietitian"


def answer_case(document: Any, chosen: Variant, day: date, hook: str) -> CaseResult:
    """Answer a request, or a call of `hook` about a Bundle. Raises UnusableDocumentError."""
    answered = answer_document(document, chosen.maker, day, chosen.attention, hook=hook)
    if not chosen.tenant.dialect.supports_hook(answered.hook):
        raise UnusableDocumentError(
            f"hook: EHRs of the dialect {chosen.choices.dialect} never call it"
        )
    answer = answered.answer
    decision = adapt_decision(Decision(answer.cards, answer.record), chosen.tenant.dialect)
    return CaseResult(
        answered,
        evaluation_json(answered.chart, answer.evaluation),
        tuple(as_json(card) for card in decision.cards),
        tuple(decision.record["suppressed"]),
    )


def build_expectation(shown: CaseResult) -> dict[str, Any]:
    """What a case expects: names and words, no ids that are made anew each time."""
    return {
        "b12Category": shown.assessment["b12"]["category"],
        "urgency": shown.assessment["b12"]["urgency"],
        "sarcopeniaCategory": shown.assessment["sarcopenia"]["category"],
        "tier": shown.assessment["tier"],
        "cards": [
            {
                "summary": card["summary"],
                "indicator": card["indicator"],
                "suggestions": [suggestion["label"] for suggestion in card.get("suggestions", ())],
            }
            for card in shown.cards
        ],
        "withheld": list(shown.withheld),
    }


def build_case(
    name: str, document: Any, chosen: Variant, day: date, shown: CaseResult
) -> dict[str, Any]:
    """Build a regression case from the answer as it is now."""
    return {
        "name": name,
        "day": day.isoformat(),
        "hook": shown.answered.hook,
        "choices": chosen.choices.as_json(),
        "document": document,
        "expected": build_expectation(shown),
    }


def build_case_schema() -> dict[str, Any]:
    """The JSON Schema of a case, with the hooks and dialects that there are."""
    path = files("services.hooks") / "schemas" / "case.schema.json"
    schema: dict[str, Any] = orjson.loads(path.read_bytes())
    properties = schema["properties"]
    says = properties["hook"]["description"]
    properties["hook"] = {"enum": [*OFFERED_HOOKS], "description": says}
    properties["choices"]["properties"]["dialect"] = {"enum": [*DIALECTS]}
    return schema


@cache
def _build_validator() -> Draft202012Validator:
    return Draft202012Validator(build_case_schema())


@dataclass(frozen=True, slots=True)
class RegressionCase:
    """A call, its day and options, and the expected answer."""

    name: str
    day: date
    hook: str
    choices: VariantOptions
    document: Any
    expected: Mapping[str, Any]


def read_case(document: Any) -> RegressionCase:
    """Read a regression case. Raises UnusableDocumentError with the path of what is wrong."""
    for fault in _build_validator().iter_errors(document):
        path = ".".join(str(part) for part in fault.absolute_path)
        raise UnusableDocumentError(f"{path or '$'}: does not meet '{fault.validator}' of a case")
    try:
        day = date.fromisoformat(document["day"])
    except ValueError:
        raise UnusableDocumentError("day: there is no such day") from None
    return RegressionCase(
        name=document["name"],
        day=day,
        hook=document["hook"],
        choices=VariantOptions(**document["choices"]),
        document=document["document"],
        expected=document["expected"],
    )


def find_case_differences(case: RegressionCase, chosen: Variant) -> Iterator[str]:
    """Compare a case's answer with what it expects. Raises UnusableDocumentError.

    Each difference in words.
    """
    actual = build_expectation(answer_case(case.document, chosen, case.day, case.hook))
    for key, expected in case.expected.items():
        if key != "cards":
            if actual[key] != expected:
                yield _describe_difference(key, expected, actual[key])
            continue
        if len(expected) != len(actual["cards"]):
            yield f"cards: expected {len(expected)}, found {len(actual['cards'])}"
        for place, (expected_card, actual_card) in enumerate(
            zip(expected, actual["cards"], strict=False)
        ):
            for part, value in expected_card.items():
                if actual_card[part] != value:
                    where = f"cards[{place}].{part}"
                    yield _describe_difference(where, value, actual_card[part])


def _describe_difference(where: str, expected: Any, actual: Any) -> str:
    return f"{where}: expected {_format_value(expected)}, found {_format_value(actual)}"


def _format_value(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(value) or "none"
    return str(value)
