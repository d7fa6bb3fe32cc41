"""What somebody who tries the rules may choose otherwise than the site has it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol.dialects import DIALECTS
from mappings.actions.attention import AttentionRules
from services.cards.composer import CardMaker
from services.hooks.catalog import attention_of
from services.knowledge.site import DEFAULT_DEFINITION, DEFAULT_GUIDELINE, Known, load_knowledge

EVERYTHING, CONFIGURED = "everything", "configured"
ATTENTION = (EVERYTHING, CONFIGURED)


@dataclass(frozen=True, slots=True)
class Choices:
    """`attention`: "everything", or "configured" for what the site lets interrupt."""

    guideline: str
    definition: str
    locale: str
    language: str
    dialect: str
    attention: str = EVERYTHING

    @classmethod
    def of_site(cls, tenant: Tenant, known: Known) -> "Choices":
        """As the site has it; but everything is said."""
        clinical = tenant.clinical
        return cls(
            guideline=clinical.get("b12", {}).get("guideline", DEFAULT_GUIDELINE),
            definition=clinical.get("sarcopenia", {}).get("definition", DEFAULT_DEFINITION),
            locale=known.templates.locale,
            language=known.language.code,
            dialect=tenant.dialect.name,
        )

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The choices, and all that is evaluated and shown by them."""

    choices: Choices
    tenant: Tenant
    known: Known
    maker: CardMaker
    attention: Mapping[str, AttentionRules]  # by service


def choose(tenant: Tenant, choices: Choices, base_url: str) -> Chosen:
    """The knowledge and settings that `tenant` would have. Raises KnowledgeFault."""
    clinical: dict[str, Any] = dict(tenant.clinical)
    clinical["b12"] = {
        **clinical.get("b12", {}),
        "guideline": choices.guideline,
        "locale": choices.locale,
    }
    muscle = clinical.get("sarcopenia", {})
    clinical["sarcopenia"] = {**muscle, "definition": choices.definition}
    clinical["language"] = {"code": choices.language}
    if choices.attention == EVERYTHING:
        clinical["attention"] = {"mode": EVERYTHING}
    same = choices.dialect == tenant.dialect.name
    dialect = tenant.dialect if same else DIALECTS[choices.dialect]()
    known = load_knowledge(clinical)
    return Chosen(
        choices,
        replace(tenant, clinical=clinical, dialect=dialect),
        known,
        CardMaker.at_start(known, base_url),
        attention_of(clinical.get("attention"), known),
    )
