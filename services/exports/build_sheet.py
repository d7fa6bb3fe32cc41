"""What an EHR's analysts enter to connect it, made from what is in force."""

import csv
import io
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from cds_hooks.config.settings import Settings
from cds_hooks.config.smart import app_scopes
from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol.dialects import Dialect
from cds_hooks.protocol.prefetch import wanted_type
from cds_hooks.protocol.service import Service
from mappings.knowledge_file import CLINICAL, read_toml
from services.cards import b12 as b12_card
from services.cards import muscle as muscle_card
from services.cards.attention import AND_MUSCLE
from services.cards.composer import order_topic
from services.hooks.catalog import ROLE, services
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.knowledge.site import Known
from services.sarcopenia.labels import CATEGORIES
from services.vitamin_b12.labels import TITLES

TEMPLATES = files("services.exports") / "templates"
KINDS = {
    "observation": "a result on file",
    "condition": "a problem or finding on record",
    "medication": "a medicine on the list",
    "procedure": "a procedure on record",
}


def build_sheet(settings: Settings, tenant: Tenant, known: Known) -> str:
    """The sheet as Markdown. Raises KnowledgeFault."""
    offered = services(
        known, settings.base_url, tenant.clinical.get("attention"), app=tenant.smart is not None
    )
    answering = [one for one in offered if tenant.dialect.answers(one.hook)]
    overrides = read_toml(CLINICAL / "override_reasons.toml")
    template = _environment().get_template("build_sheet.md")
    return template.render(
        tenant=tenant,
        trust=tenant.trust,
        base=tenant.trust.audience if tenant.trust else settings.base_url,
        fhir=tenant.fhir,
        labels=known.labels,
        guideline=known.b12.guideline,
        definition=known.muscle.definition,
        services=answering,
        criteria=[(one.hook, OFFERED_HOOKS[one.hook].criterion) for one in answering],
        reasons=list(_reasons(known)),
        prefetch=_prefetch(answering[0]),
        scopes=_scopes(answering[0]),
        app=settings.base_url,
        app_scopes=app_scopes(_scopes(answering[0])),
        dialect=tenant.dialect,
        orders=list(_orders(known, tenant.dialect)),
        system=overrides["system"],
        overrides=overrides["reasons"],
        topics=list(topics(known)),
    )


def as_html(sheet: str) -> str:
    """The sheet as a page of its own, to read or print."""
    body = Markup(MarkdownIt().enable("table").render(sheet))  # noqa: S704  # escaped by the renderer
    return _environment().get_template("build_sheet.html").render(body=body)


def criteria_codes(known: Known) -> str:
    """Every code of the criteria as CSV."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("criterion", "kind", "system", "code", "display"))
    for name in _criteria(known):
        value_set = known.index.sets[name]
        for row in known.index.rows[name]:
            rows.writerow((name, value_set.kind, row.system, row.code, str(row.display)))
    return out.getvalue()


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("services.exports"),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )


def _criteria(known: Known) -> list[str]:
    """Value sets that are reason enough to ask when a chart is opened.

    Tiredness or low mood alone are none: with nothing else, the guideline asks for no test.
    """
    groups, testing = known.b12.groups, known.b12.guideline.testing
    risks = (*testing.risk_factors, *testing.further_risk_factors)
    named = (*groups["result_to_call_at"], *risks, *groups["neurological"])
    members = [member for name in named for member in groups.get(name, (name,))]
    return [name for name in dict.fromkeys(members) if name in known.index.sets]


def _reasons(known: Known) -> Iterator[Mapping[str, Any]]:
    """One row for each kind of criterion."""
    sets = [known.index.sets[name] for name in _criteria(known)]
    for kind, called in KINDS.items():
        of_kind = [one for one in sets if one.kind == kind]
        if of_kind:
            yield {
                "kind": called,
                "titles": ", ".join(sorted(str(one.title) for one in of_kind)),
                "codes": sum(len(known.index.rows[one.name]) for one in of_kind),
            }


def _prefetch(service: Service) -> list[Mapping[str, Any]]:
    return [
        {"key": key, "needed": key in service.required, "query": query}
        for key, query in service.prefetch.items()
    ]


def _scopes(service: Service) -> list[str]:
    types = [wanted_type(query) for key, query in service.prefetch.items() if key != ROLE]
    return list(dict.fromkeys(types))


def _orders(known: Known, dialect: Dialect) -> Iterator[Mapping[str, Any]]:
    for name, template in known.templates.by_id.items():
        codes = dialect.catalogue.get(name, ())
        yield {
            "id": name,
            "label": template.label,
            "kind": template.resource["resourceType"],
            "mapped": ", ".join(f"{coding.system} {coding.code}" for coding in codes),
        }


def topics(known: Known) -> Iterator[tuple[str, str]]:
    for category, title in TITLES.items():
        yield b12_card.topic(category), title
        yield f"{b12_card.topic(category)}{AND_MUSCLE}", f"{title}, and muscle"
    for category, title in CATEGORIES.items():
        yield muscle_card.topic(category), f"Muscle: {title}"
    for rule in known.order_rules.values():
        yield order_topic(rule.id), rule.title
