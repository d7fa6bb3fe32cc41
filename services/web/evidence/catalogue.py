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

B12_AND_MUSCLE, ORDERS, RULES = "b12-and-muscle", "orders", "rules"
CHOICES, SIDE_BY_SIDE, CODES = "choices", "side-by-side", "codes"
PAGES = (B12_AND_MUSCLE, ORDERS, RULES, CHOICES, SIDE_BY_SIDE)


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
    def ids_in_force(self) -> tuple[str, str]:
        """The guideline and the definition in force."""
        return self.knowledge.b12.guideline.id, self.knowledge.muscle.definition.id


def build_catalogue(knowledge: SiteKnowledge, tenant: Tenant) -> EvidenceCatalogue:
    """Build the catalogue of `tenant`, which is answered by `knowledge`. Raises KnowledgeError."""
    guidelines, definitions = knowledge.read_guidelines(), knowledge.read_definitions()
    choices = policy.build_choices(
        knowledge, read_attention_rules(tenant.service_tables.get("attention"), knowledge)
    )
    sections = glossary_sections.build_sections(knowledge)
    own = build_own_artefacts(knowledge.index, knowledge.chart_knowledge.questionnaire)
    plain: dict[str, Any] = {
        id_: build_guideline_document(publication) for id_, publication in guidelines.items()
    }
    plain |= {
        id_: build_definition_document(publication) for id_, publication in definitions.items()
    }
    plain |= {
        "": _build_index(knowledge, guidelines, definitions),
        B12_AND_MUSCLE: build_b12_and_muscle_document(knowledge),
        ORDERS: build_orders_document(knowledge),
        RULES: glossary.as_json(sections, knowledge.language.code),
        CHOICES: policy.as_json(choices, knowledge),
        SIDE_BY_SIDE: {
            "guidelines": comparison.as_json([*guidelines.values()]),
            "definitions": comparison.as_json([*definitions.values()]),
        },
    }
    return EvidenceCatalogue(
        knowledge,
        guidelines,
        definitions,
        read_source_attributes(),
        sections,
        codes.build_code_lists(knowledge, [*guidelines.values(), *definitions.values()]),
        choices,
        comparison.build_plot([*guidelines.values()], knowledge),
        documents={id_: orjson.dumps(document) for id_, document in plain.items()},
        fhir={name: orjson.dumps(resource) for name, resource in own.items()},
    )


def _build_index(
    knowledge: SiteKnowledge,
    guidelines: Mapping[str, Guideline],
    definitions: Mapping[str, Definition],
) -> dict[str, Any]:
    """What there is to read, and what is in force."""
    in_force = {knowledge.b12.guideline.id, knowledge.muscle.definition.id}

    def list_publications(
        publications: Mapping[str, Guideline] | Mapping[str, Definition],
    ) -> list[dict[str, Any]]:
        return [
            {
                "id": publication.id,
                "title": publication.title,
                "publisher": publication.publisher,
                "version": publication.version,
                "reviewed": publication.reviewed.isoformat(),
                "inForce": publication.id in in_force,
            }
            for publication in publications.values()
        ]

    return {
        "guidelines": list_publications(guidelines),
        "definitions": list_publications(definitions),
        "pages": [*PAGES, CODES],
    }
