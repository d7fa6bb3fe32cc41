"""The project's own FHIR artefacts: its code systems and the SARC-F questionnaire, as R4."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mappings.questionnaire import Questionnaire
from mappings.value_set import ValueSetIndex

NAMES = {
    "muscle-measure": "Measures of muscle that have no LOINC code",
    "muscle-measure-result": "Results of a measure of muscle other than a value",
    "sarc-f-answer": "Answers to SARC-F",
}


def artefacts(index: ValueSetIndex, questionnaire: Questionnaire) -> Mapping[str, dict[str, Any]]:
    """FHIR R4 resources by "Type/id": everything that is the project's own."""
    base = questionnaire.url.rpartition("/Questionnaire/")[0]
    resource: dict[str, Any] = json.loads(questionnaire.body)
    answers = {
        (o["valueCoding"]["code"], o["valueCoding"]["display"])
        for item in resource["item"]
        for o in item["answerOption"]
    }
    found = {f"Questionnaire/{resource['id']}": resource}
    for id_ in NAMES:
        system = f"{base}/CodeSystem/{id_}"
        own = {
            (row.code, row.display)
            for rows in index.rows.values()
            for row in rows
            if row.system == system
        }
        concepts = answers if id_ == "sarc-f-answer" else own
        found[f"CodeSystem/{id_}"] = _code_system(system, id_, sorted(concepts), questionnaire)
    return found


def _code_system(
    url: str, id_: str, concepts: Iterable[tuple[str, str]], questionnaire: Questionnaire
) -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "id": id_,
        "url": url,
        "version": questionnaire.version,
        "name": "".join(part.capitalize() for part in id_.split("-")),
        "title": NAMES[id_],
        "status": "active",
        "experimental": False,
        "publisher": "Cobalamin developers",
        "caseSensitive": True,
        "content": "complete",
        "concept": [{"code": code, "display": display} for code, display in concepts],
    }


def validate(resource: Mapping[str, Any]) -> None:
    """Raises pydantic's ValidationError for what is no FHIR R4."""
    # Imported here: the models cost a tenth of a second and 25 MB that only some commands pay.
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415  # see above

    get_fhir_model_class(str(resource["resourceType"])).model_validate(resource)
