"""Variants of a site's configuration: guideline, definition, locale, language, dialect."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol.dialects import DIALECTS
from mappings.actions.attention import AttentionRules
from services.cards.composer import CardComposer
from services.hooks.catalog import read_attention_rules
from services.hooks.topics import TOPICS
from services.knowledge.configuration import choose_publication
from services.knowledge.site import (
    DEFAULT_DEFINITION,
    DEFAULT_GUIDELINE,
    SiteKnowledge,
    load_knowledge,
)

EVERYTHING, CONFIGURED = "everything", "configured"
ATTENTION = (EVERYTHING, CONFIGURED)


@dataclass(frozen=True, slots=True)
class VariantOptions:
    """`attention`: "everything", or "configured" for what the site lets interrupt."""

    guideline: str
    definition: str
    locale: str
    language: str
    dialect: str
    attention: str = EVERYTHING

    @classmethod
    def from_site(cls, tenant: Tenant, knowledge: SiteKnowledge) -> "VariantOptions":
        """The options of the site's configuration; but every card is shown."""
        clinical = tenant.service_tables
        return cls(
            guideline=clinical.get("b12", {}).get("guideline", DEFAULT_GUIDELINE),
            definition=clinical.get("sarcopenia", {}).get("definition", DEFAULT_DEFINITION),
            locale=knowledge.templates.locale,
            language=knowledge.language.code,
            dialect=tenant.dialect.name,
        )

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Variant:
    """The options of a variant, with the knowledge and settings that follow from them."""

    choices: VariantOptions
    tenant: Tenant
    knowledge: SiteKnowledge
    maker: CardComposer
    attention: Mapping[str, AttentionRules]  # by service


def build_variant(tenant: Tenant, choices: VariantOptions, base_url: str) -> Variant:
    """Build the knowledge and settings that `tenant` would have. Raises KnowledgeError."""
    clinical = choose_publication(tenant.service_tables, "b12", choices.guideline)
    clinical = choose_publication(clinical, "sarcopenia", choices.definition)
    clinical["b12"]["locale"] = choices.locale
    clinical["language"] = {"code": choices.language}
    if choices.attention == EVERYTHING:
        clinical["attention"] = {"mode": EVERYTHING}
    same = choices.dialect == tenant.dialect.name
    dialect = tenant.dialect if same else DIALECTS[choices.dialect]()
    knowledge = load_knowledge(clinical)
    return Variant(
        choices,
        replace(tenant, service_tables=clinical, dialect=dialect),
        knowledge,
        CardComposer.from_site(knowledge, TOPICS, base_url),
        read_attention_rules(clinical.get("attention"), knowledge),
    )
