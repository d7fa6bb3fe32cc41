"""All that the evidence pages show of one site's knowledge, made once at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from cds_hooks.config.tenants import Tenant
from mappings.export import own_artefacts
from mappings.knowledge_file import SourceAttributes, read_source_attributes
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from services.hooks.catalog import attention_of
from services.knowledge.site import Known
from services.web.chart_data import Plot
from services.web.evidence import codes, comparison, glossary, glossary_sections, policy
from services.web.evidence.guideline_json import (
    as_document,
    definition_as_document,
    orders_as_document,
    together_as_document,
)

TOGETHER, ORDERS, RULES = "b12-and-muscle", "orders", "rules"
CHOICES, SIDE_BY_SIDE, CODES = "choices", "side-by-side", "codes"
PAGES = (TOGETHER, ORDERS, RULES, CHOICES, SIDE_BY_SIDE)


@dataclass(frozen=True, slots=True)
class Shelf:
    """`documents` and `fhir` are JSON: by the last part of the path, and by "Type/id"."""

    known: Known
    guidelines: Mapping[str, Guideline]
    definitions: Mapping[str, Definition]
    attributes: SourceAttributes
    sections: tuple[glossary.Section, ...]
    lists: Mapping[str, codes.CodeList]
    choices: policy.Choices
    chart: Plot
    documents: Mapping[str, bytes]
    fhir: Mapping[str, bytes]

    @property
    def used(self) -> tuple[str, str]:
        """The guideline and the definition in force."""
        return self.known.b12.guideline.id, self.known.muscle.definition.id


def shelf(known: Known, tenant: Tenant) -> Shelf:
    """The shelf of `tenant`, which is answered by `known`. Raises KnowledgeFault."""
    guidelines, definitions = known.guidelines(), known.definitions()
    found = policy.choices(known, attention_of(tenant.clinical.get("attention"), known))
    sections = glossary_sections.sections(known)
    own = own_artefacts(known.index, known.readable.questionnaire)
    plain: dict[str, Any] = {id_: as_document(one) for id_, one in guidelines.items()}
    plain |= {id_: definition_as_document(one) for id_, one in definitions.items()}
    plain |= {
        "": _index(known, guidelines, definitions),
        TOGETHER: together_as_document(known),
        ORDERS: orders_as_document(known),
        RULES: glossary.as_json(sections, known.language.code),
        CHOICES: policy.as_json(found, known),
        SIDE_BY_SIDE: {
            "guidelines": comparison.as_json([*guidelines.values()]),
            "definitions": comparison.as_json([*definitions.values()]),
        },
    }
    return Shelf(
        known,
        guidelines,
        definitions,
        read_source_attributes(),
        sections,
        codes.code_lists(known, [*guidelines.values(), *definitions.values()]),
        found,
        comparison.chart([*guidelines.values()], known),
        documents={id_: orjson.dumps(document) for id_, document in plain.items()},
        fhir={name: orjson.dumps(resource) for name, resource in own.items()},
    )


def _index(
    known: Known, guidelines: Mapping[str, Guideline], definitions: Mapping[str, Definition]
) -> dict[str, Any]:
    """What there is to read, and what is in force."""
    in_force = {known.b12.guideline.id, known.muscle.definition.id}

    def listed(read: Mapping[str, Guideline] | Mapping[str, Definition]) -> list[dict[str, Any]]:
        return [
            {
                "id": one.id,
                "title": one.title,
                "publisher": one.publisher,
                "version": one.version,
                "reviewed": one.reviewed.isoformat(),
                "inForce": one.id in in_force,
            }
            for one in read.values()
        ]

    return {
        "guidelines": listed(guidelines),
        "definitions": listed(definitions),
        "pages": [*PAGES, CODES],
    }
