"""The build sheet: what an EHR's analysts enter to connect the service."""

import csv
import io
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from cds_hooks.config.settings import Settings
from cds_hooks.config.smart import build_app_scopes
from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol.dialects import Dialect
from cds_hooks.protocol.prefetch import find_resource_type
from cds_hooks.protocol.service import Service
from mappings.knowledge_file import CLINICAL, read_toml
from services.cards.composer import build_suffix, combine_topics
from services.cards.order_cards import build_order_topic
from services.evaluation.topic import list_labels
from services.hooks.catalog import ROLE, build_services
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.hooks.topics import TOPICS
from services.knowledge.site import SiteKnowledge

TEMPLATES = files("services.exports") / "templates"
KINDS = {
    "observation": "a result on file",
    "condition": "a problem or finding on record",
    "medication": "a medicine on the list",
    "procedure": "a procedure on record",
}


def build_sheet(settings: Settings, tenant: Tenant, knowledge: SiteKnowledge) -> str:
    """The sheet as Markdown. Raises KnowledgeError."""
    offered = build_services(
        knowledge,
        settings.base_url,
        tenant.service_tables.get("attention"),
        app=tenant.smart is not None,
    )
    answering = [hook for hook in offered if tenant.dialect.supports_hook(hook.hook)]
    overrides = read_toml(CLINICAL / "override_reasons.toml")
    template = _get_environment().get_template("build_sheet.md")
    return template.render(
        tenant=tenant,
        trust=tenant.trust,
        base=tenant.trust.audience if tenant.trust else settings.base_url,
        fhir=tenant.fhir,
        labels=list_labels(knowledge, TOPICS),
        guideline=knowledge.b12.guideline,
        definition=knowledge.muscle.definition,
        services=answering,
        criteria=[(hook.hook, OFFERED_HOOKS[hook.hook].criterion) for hook in answering],
        reasons=list(_summarise_criteria(knowledge)),
        prefetch=_list_prefetch(answering[0]),
        scopes=_list_scopes(answering[0]),
        app=settings.base_url,
        app_scopes=build_app_scopes(_list_scopes(answering[0])),
        dialect=tenant.dialect,
        orders=list(_list_orders(knowledge, tenant.dialect)),
        system=overrides["system"],
        overrides=overrides["reasons"],
        topics=list(list_topics(knowledge)),
    )


def as_html(sheet: str) -> str:
    """The sheet as a page of its own, to read or print."""
    body = Markup(MarkdownIt().enable("table").render(sheet))  # noqa: S704  # escaped by the renderer
    return _get_environment().get_template("build_sheet.html").render(body=body)


def list_criteria_codes(knowledge: SiteKnowledge) -> str:
    """Every code of the criteria as CSV."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("criterion", "kind", "system", "code", "display"))
    for name in _list_criteria(knowledge):
        value_set = knowledge.index.sets[name]
        for row in knowledge.index.rows[name]:
            rows.writerow((name, value_set.kind, row.system, row.code, str(row.display)))
    return out.getvalue()


def _get_environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("services.exports"),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )


def _list_criteria(knowledge: SiteKnowledge) -> list[str]:
    """Value sets that are reason enough to ask when a chart is opened.

    Tiredness or low mood alone are none: with nothing else, the guideline asks for no test.
    """
    groups, testing = knowledge.b12.groups, knowledge.b12.guideline.testing
    risks = (*testing.risk_factors, *testing.further_risk_factors)
    names = (*groups["result_to_call_at"], *risks, *groups["neurological"])
    members = [member for name in names for member in groups.get(name, (name,))]
    return [name for name in dict.fromkeys(members) if name in knowledge.index.sets]


def _summarise_criteria(knowledge: SiteKnowledge) -> Iterator[Mapping[str, Any]]:
    """One row for each kind of criterion."""
    sets = [knowledge.index.sets[name] for name in _list_criteria(knowledge)]
    for kind, called in KINDS.items():
        of_kind = [value_set for value_set in sets if value_set.kind == kind]
        if of_kind:
            yield {
                "kind": called,
                "titles": ", ".join(sorted(str(value_set.title) for value_set in of_kind)),
                "codes": sum(len(knowledge.index.rows[value_set.name]) for value_set in of_kind),
            }


def _list_prefetch(service: Service) -> list[Mapping[str, Any]]:
    return [
        {"key": key, "needed": key in service.required, "query": query}
        for key, query in service.prefetch.items()
    ]


def _list_scopes(service: Service) -> list[str]:
    types = [find_resource_type(query) for key, query in service.prefetch.items() if key != ROLE]
    return list(dict.fromkeys(types))


def _list_orders(knowledge: SiteKnowledge, dialect: Dialect) -> Iterator[Mapping[str, Any]]:
    for name, template in knowledge.templates.by_id.items():
        codes = dialect.catalogue.get(name, ())
        yield {
            "id": name,
            "label": template.label,
            "kind": template.resource["resourceType"],
            "mapped": ", ".join(f"{coding.system} {coding.code}" for coding in codes),
        }


def list_topics(knowledge: SiteKnowledge) -> Iterator[tuple[str, str]]:
    for place, topic in enumerate(TOPICS, start=1):
        for code, title in topic.list_codes():
            yield code, title
            for others in combine_topics(TOPICS[place:]):
                names = " and ".join(other.title.lower() for other in others)
                yield f"{code}{build_suffix(others)}", f"{title}, and {names}"
    for rule in knowledge.order_rules.values():
        yield build_order_topic(rule.id), rule.title
