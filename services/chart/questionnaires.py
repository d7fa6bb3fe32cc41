"""Answers to SARC-F. A question that was not answered is not there; it is never zero."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from services.chart.builder import Readable
from services.chart.fhir_values import Resource, as_list, number, status_code, tail_of
from services.chart.model import Measurement, Unusable
from services.chart.observations import moment

USABLE = frozenset({"completed", "amended"})
ORDINALS = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/ordinalValue",
        "http://hl7.org/fhir/StructureDefinition/itemWeight",
        "http://hl7.org/fhir/StructureDefinition/iso21090-CO-value",
    }
)


def scored_answers(
    resource: Resource, reference: str, readable: Readable, last: date
) -> list[Measurement | Unusable] | str:
    """The score of each question answered, or the reason to leave the response."""
    if not _is_ours(resource, readable):
        return []
    if status_code(resource.get("status")) not in USABLE:
        return "not-final"
    authored = resource.get("authored")
    when = moment(authored) if isinstance(authored, str) else None
    if when is None:
        return "undated"
    if when[0] > last:
        return "in-the-future"
    found: list[Measurement | Unusable] = []
    for item in _items(resource):
        coded = readable.questionnaire.items.get(str(item.get("linkId")))
        answers = [a for a in as_list(item.get("answer")) if isinstance(a, dict)]
        if coded is None or not answers:
            continue
        name = readable.index.lookup(*coded)[0].value_set.name
        score = _score(answers[0], str(item["linkId"]), readable) if len(answers) == 1 else None
        if score is None:
            found.append(Unusable(name, "no-value", reference, when[0]))
        else:
            found.append(Measurement(name, score, "{score}", when[0], reference, instant=when[1]))
    return found


def _is_ours(resource: Resource, readable: Readable) -> bool:
    """By the questionnaire's address, whatever its version and base; by its questions without."""
    named = resource.get("questionnaire")
    text = named.get("reference") if isinstance(named, dict) else named
    if isinstance(text, str):
        return tail_of(text.partition("|")[0]) == readable.questionnaire.tail
    return any(str(item.get("linkId")) in readable.questionnaire.items for item in _items(resource))


def _items(node: Resource) -> Iterator[dict[str, Any]]:
    for item in as_list(node.get("item")):
        if isinstance(item, dict):
            yield item
            yield from _items(item)


def _score(answer: Resource, link_id: str, readable: Readable) -> float | None:
    score: float | None = None
    match answer:
        case {"valueCoding": dict() as coding}:
            key = (link_id, str(coding.get("system")), str(coding.get("code")))
            score = readable.questionnaire.scores.get(key)
            if score is None:
                weights = (
                    number(e.get("valueDecimal"))
                    for e in as_list(coding.get("extension"))
                    if isinstance(e, dict) and str(e.get("url")) in ORDINALS
                )
                score = next(weights, None)
        case {"valueInteger": value} | {"valueDecimal": value}:
            score = number(value)
    if score is None or score not in range(int(readable.questionnaire.highest[link_id]) + 1):
        return None
    return score
