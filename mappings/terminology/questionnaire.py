"""SARC-F as a FHIR Questionnaire: its questions, the score of each answer, and its code systems."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from mappings.fhir_validation import InvalidResourceError, validate_resource
from mappings.knowledge_file import CANONICAL, KnowledgeError, replace_base

FILE = Path(__file__).parents[1] / "questionnaires" / "sarc_f.json"
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """One questionnaire; each item's linkId is the code of what it measures."""

    url: str
    version: str
    body: bytes  # the FHIR R4 resource, as it is served
    items: Mapping[str, tuple[str, str]]  # linkId -> (system, code) of the measure
    scores: Mapping[tuple[str, str, str], float]  # (linkId, system, code of the answer) -> score
    max_scores: Mapping[str, float]  # linkId -> the highest score an answer has

    @property
    def relative_url(self) -> str:
        """ "Questionnaire/sarc-f", as references end."""
        return "/".join(self.url.split("/")[-2:])


@cache
def read_questionnaire(base: str = CANONICAL) -> Questionnaire:
    """SARC-F, validated as FHIR R4; answers under the default base count with any other.

    Raises KnowledgeError.
    """
    try:
        resource = json.loads(replace_base(FILE.read_text(encoding="utf-8"), base))
    except (OSError, json.JSONDecodeError) as fault:
        raise KnowledgeError(FILE.name, "file", str(fault)) from fault
    try:
        validate_resource(resource, "Questionnaire")
    except InvalidResourceError as error:
        raise KnowledgeError(FILE.name, error.element, error.reason) from error
    scores = {
        (item, url, code): score
        for item, system, code, score in _read_answers(resource)
        for url in (system, system.replace(base, CANONICAL))
    }
    items = {
        item["linkId"]: (item["code"][0]["system"], item["code"][0]["code"])
        for item in resource["item"]
    }
    for link_id in items:
        if not any(key[0] == link_id for key in scores):
            raise KnowledgeError(FILE.name, link_id, "no answer has a score")
    return Questionnaire(
        url=resource["url"],
        version=resource["version"],
        body=orjson.dumps(resource),
        items=items,
        scores=scores,
        max_scores={name: max(s for k, s in scores.items() if k[0] == name) for name in items},
    )


def _read_answers(resource: Mapping[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    for item in resource["item"]:
        for option in item["answerOption"]:
            coding = option["valueCoding"]
            ordinal = (e["valueDecimal"] for e in coding["extension"] if e["url"] == ORDINAL)
            yield item["linkId"], coding["system"], coding["code"], next(ordinal)
