"""All that the evidence pages show of one site's knowledge, made once at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from cds_hooks.config.tenants import Tenant
from mappings.export.terminology import build_own_artefacts
from mappings.knowledge_file import SourceAttributes, read_source_attributes
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from services.hooks.catalog import read_attention_rules
from services.knowledge.site import SiteKnowledge
from services.web.chart_data import Plot
from services.web.evidence import codes, comparison, glossary, glossary_sections, policy
from services.web.evidence.guideline_json import (
    build_b12_and_muscle_document,
    build_definition_document,
    build_guideline_document,
    build_orders_document,
)

TOGETHER, ORDERS, RULES = "b12-and-muscle", "orders", "rules"
CHOICES, SIDE_BY_SIDE, CODES = "choices", "side-by-side", "codes"
PAGES = (TOGETHER, ORDERS, RULES, CHOICES, SIDE_BY_SIDE)


@dataclass(frozen=True, slots=True)
class EvidenceCatalogue:
    """`documents` and `fhir` are JSON: by the last part of the path, and by "Type/id"."""

    knowledge: SiteKnowledge
    guidelines: Mapping[str, Guideline]
    definitions: Mapping[str, Definition]
    attributes: SourceAttributes
    sections: tuple[glossary.GlossarySection, ...]
    lists: Mapping[str, codes.CodeList]
    choices: policy.Choices
    chart: Plot
    documents: Mapping[str, bytes]
    fhir: Mapping[str, bytes]

    @property
    def used(self) -> tuple[str, str]:
        """The guideline and the definition in force."""
        return self.knowledge.b12.guideline.id, self.knowledge.muscle.definition.id


def build_catalogue(known: SiteKnowledge, tenant: Tenant) -> EvidenceCatalogue:
    """The shelf of `tenant`, which is answered by `known`. Raises KnowledgeFault."""
    guidelines, definitions = known.read_guidelines(), known.read_definitions()
    found = policy.build_choices(
        known, read_attention_rules(tenant.service_tables.get("attention"), known)
    )
    sections = glossary_sections.build_sections(known)
    own = build_own_artefacts(known.index, known.chart_knowledge.questionnaire)
    plain: dict[str, Any] = {id_: build_guideline_document(one) for id_, one in guidelines.items()}
    plain |= {id_: build_definition_document(one) for id_, one in definitions.items()}
    plain |= {
        "": _build_index(known, guidelines, definitions),
        TOGETHER: build_b12_and_muscle_document(known),
        ORDERS: build_orders_document(known),
        RULES: glossary.as_json(sections, known.language.code),
        CHOICES: policy.as_json(found, known),
        SIDE_BY_SIDE: {
            "guidelines": comparison.as_json([*guidelines.values()]),
            "definitions": comparison.as_json([*definitions.values()]),
        },
    }
    return EvidenceCatalogue(
        known,
        guidelines,
        definitions,
        read_source_attributes(),
        sections,
        codes.build_code_lists(known, [*guidelines.values(), *definitions.values()]),
        found,
        comparison.build_plot([*guidelines.values()], known),
        documents={id_: orjson.dumps(document) for id_, document in plain.items()},
        fhir={name: orjson.dumps(resource) for name, resource in own.items()},
    )


def _build_index(
    known: SiteKnowledge, guidelines: Mapping[str, Guideline], definitions: Mapping[str, Definition]
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
