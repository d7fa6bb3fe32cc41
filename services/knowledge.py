"""Everything the services know, read and checked once at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mappings.guideline_file import (
    FOLDER,
    read_group_texts,
    read_groups,
    read_guideline,
    read_laboratory_limits,
    read_policy,
    read_toml,
)
from mappings.order_template import OrderTemplates, read_order_templates
from mappings.value_set import ValueSetIndex, derived_titles, load_value_sets
from services.from_fhir import Readable
from services.vitamin_b12.knowledge import Knowledge

DEFAULT_GUIDELINE = "uk-ng239"


@dataclass(frozen=True, slots=True)
class Known:
    """What `assess`, a hook call and a population run are all evaluated by."""

    index: ValueSetIndex
    readable: Readable
    b12: Knowledge
    templates: OrderTemplates


def load_knowledge(clinical: Mapping[str, Any] | None = None) -> Known:
    """The knowledge that the clinical tables of a configuration choose.

    Raises KnowledgeFault where a table names what does not exist, or a shipped file is broken.
    """
    tables = clinical or {}
    index = load_value_sets(tables.get("local_code", ()))
    b12 = tables.get("b12", {})
    own_file = Path(b12["laboratory"]) if "laboratory" in b12 else None
    guideline = read_guideline(b12.get("guideline", DEFAULT_GUIDELINE), index, own_file)
    laboratory, plausible = read_laboratory_limits(index)
    return Known(
        index=index,
        readable=Readable(index, plausible),
        b12=Knowledge(
            guideline=guideline,
            laboratory=laboratory,
            policy=read_policy(tables.get("policy")),
            groups=read_groups(index),
            said=read_group_texts(),
            indicator=read_toml(FOLDER / "combined_indicator.toml"),
            titles={
                **derived_titles(),
                **{name: value_set.title for name, value_set in index.sets.items()},
            },
        ),
        templates=read_order_templates(b12.get("locale", guideline.locale), index),
    )
