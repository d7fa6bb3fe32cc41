"""All the knowledge in force as FHIR R4 resources by "Type/id"."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from mappings.fhir import guidelines, terminology
from mappings.fhir.own_codes import artefacts
from mappings.fhir.package import implementation_guide
from mappings.guideline import Guideline
from mappings.guideline_file import GUIDELINES, read_toml
from mappings.order_template import FILES, read_order_templates
from mappings.sarcopenia_definition import Definition
from mappings.value_set import SOURCES
from services.knowledge import Known

Resource = dict[str, Any]


def knowledge_in_fhir(known: Known) -> dict[str, Resource]:
    """Every guideline and definition there is to choose, as this site has it, and what they name.

    Raises KnowledgeFault.
    """
    index, base = known.index, known.index.base
    release = version("cobalamin-cds")
    licences = {s: entry["licence"] for s, entry in read_toml(SOURCES)["systems"].items()}
    found = list(artefacts(index, known.readable.questionnaire).values())
    found += terminology.value_sets(index, release, licences)
    orders = {locale: read_order_templates(locale, index) for locale in FILES}
    for locale, templates in orders.items():
        made = (guidelines.activity(one, locale, base, release) for one in templates.by_id.values())
        found += [one for one in made if one is not None]
    everything = [one for templates in orders.values() for one in templates.by_id.values()]
    related = terminology.order_map(everything, base, release)
    found += [related] if related else []
    printed: list[Guideline | Definition] = [*known.guidelines().values()]
    for one in [*printed, *known.definitions().values()]:
        locale = getattr(one, "locale", known.templates.locale)
        found.append(guidelines.library(one, index, _file_of(one.id, known)))
        found.append(guidelines.plan(one, index, orders[locale].by_id.values(), locale))
    found.append(guidelines.rules_plan(known.order_rules, base, release))
    by_key = {f"{one['resourceType']}/{one['id']}": one for one in found}
    guide = implementation_guide(by_key, base, release)
    return {**by_key, f"ImplementationGuide/{guide['id']}": guide}


def _file_of(id_: str, known: Known) -> bytes:
    """The guideline as it is written; a laboratory's own limits stand in a file of their own."""
    name = id_.partition("+")[0]
    own = known.own.get(name)
    path = Path(own) if own else GUIDELINES / f"{name.replace('-', '_')}.toml"
    return path.read_bytes()
