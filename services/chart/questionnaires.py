"""Read answers to SARC-F. A question that was not answered is not there; it is never zero."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from services.chart.builder import ChartKnowledge
from services.chart.fhir_values import (
    Resource,
    as_list,
    make_relative_reference,
    read_number,
    read_status_code,
)
from services.chart.model import DroppedReason, Measurement, UnusableReason, UnusableResult
from services.chart.observations import parse_timestamp

USABLE_STATUSES = frozenset({"completed", "amended"})
ORDINAL_EXTENSIONS = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/ordinalValue",
        "http://hl7.org/fhir/StructureDefinition/itemWeight",
        "http://hl7.org/fhir/StructureDefinition/iso21090-CO-value",
    }
)


def read_scored_answers(
    resource: Resource, reference: str, readable: ChartKnowledge, last: date
) -> list[Measurement | UnusableResult] | str:
    """The score of each question answered, or the reason to leave the response."""
    if not _is_sarc_f(resource, readable):
        return []
    if read_status_code(resource.get("status")) not in USABLE_STATUSES:
        return DroppedReason.NOT_FINAL
    authored = resource.get("authored")
    when = parse_timestamp(authored) if isinstance(authored, str) else None
    if when is None:
        return DroppedReason.UNDATED
    if when[0] > last:
        return DroppedReason.IN_THE_FUTURE
    results: list[Measurement | UnusableResult] = []
    for item in _list_items(resource):
        coded = readable.questionnaire.items.get(str(item.get("linkId")))
        answers = [a for a in as_list(item.get("answer")) if isinstance(a, dict)]
        if coded is None or not answers:
            continue
        name = readable.index.look_up(*coded)[0].value_set.name
        score = (
            _read_score(answers[0], str(item["linkId"]), readable) if len(answers) == 1 else None
        )
        if score is None:
            results.append(UnusableResult(name, UnusableReason.NO_VALUE, reference, when[0]))
        else:
            results.append(Measurement(name, score, "{score}", when[0], reference, instant=when[1]))
    return results


def _is_sarc_f(resource: Resource, readable: ChartKnowledge) -> bool:
    """Whether it is SARC-F: by its address, whatever version and base, or else by its questions."""
    questionnaire = resource.get("questionnaire")
    text = questionnaire.get("reference") if isinstance(questionnaire, dict) else questionnaire
    if isinstance(text, str):
        return (
            make_relative_reference(text.partition("|")[0]) == readable.questionnaire.relative_url
        )
    return any(
        str(item.get("linkId")) in readable.questionnaire.items for item in _list_items(resource)
    )


def _list_items(node: Resource) -> Iterator[dict[str, Any]]:
    for item in as_list(node.get("item")):
        if isinstance(item, dict):
            yield item
            yield from _list_items(item)


def _read_score(answer: Resource, link_id: str, readable: ChartKnowledge) -> float | None:
    score: float | None = None
    match answer:
        case {"valueCoding": dict() as coding}:
            key = (link_id, str(coding.get("system")), str(coding.get("code")))
            score = readable.questionnaire.scores.get(key)
            if score is None:
                weights = (
                    read_number(e.get("valueDecimal"))
                    for e in as_list(coding.get("extension"))
                    if isinstance(e, dict) and str(e.get("url")) in ORDINAL_EXTENSIONS
                )
                score = next(weights, None)
        case {"valueInteger": value} | {"valueDecimal": value}:
            score = read_number(value)
    if score is None or score not in range(int(readable.questionnaire.max_scores[link_id]) + 1):
        return None
    return score
