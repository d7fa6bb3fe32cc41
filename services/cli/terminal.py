"""Show cards and the configuration on a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cds_hooks.config.settings import Settings
from cds_hooks.config.smart import SmartAccess
from cds_hooks.config.tenants import Tenant
from cds_hooks.net.urls import build_local_url
from cds_hooks.protocol.dialects import Dialect
from mappings.knowledge_file import CLINICAL, read_toml
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from mappings.terminology.site_codes import describe_origin
from services.hooks.catalog import find_unmapped_orders, read_attention_rules
from services.hooks.offered_hooks import OFFERED_HOOKS, build_service_id
from services.knowledge.language import Language, find_untranslated
from services.knowledge.messages import list_messages
from services.knowledge.site import SiteKnowledge

COLOURS = {"info": "blue", "warning": "yellow", "critical": "red"}


def show_cards(console: Console, sample: str, result: dict[str, Any]) -> None:
    """The cards of `result` as panels."""
    console.print(f"\nSample patient [bold]{sample}[/] on {result['asOf']}\n")
    for card in result["cards"]:
        colour = COLOURS[card["indicator"]]
        parts: list[Any] = [
            Text(f"{card['summary']}\n", style=f"bold {colour}"),
            Markdown(card["detail"]),
        ]
        for suggestion in card.get("suggestions", ()):
            mark = "★" if suggestion.get("isRecommended") else "○"
            parts.append(Padding(Text(f"{mark} {suggestion['label']}", style="bold"), (1, 0, 0, 0)))
            parts += [Text(f"   {a['description']}") for a in suggestion["actions"]]
        parts.append(Padding(Text(card["source"]["label"], style="dim"), (1, 0, 0, 0)))
        console.print(
            Panel(Group(*parts), title=card["indicator"], title_align="left", border_style=colour)
        )
    if not result["cards"]:
        console.print("No card: there is nothing to say.")


def show_configuration(
    console: Console, settings: Settings, knowledge: Mapping[str, SiteKnowledge]
) -> None:
    """Show the configuration in force, of the process and of each tenant."""
    limit = settings.requests_per_minute_and_address
    rows = {
        "listens on": f"{settings.host}:{settings.port}, {settings.workers} workers",
        "reached at": settings.base_url,
        "services": ", ".join(map(build_service_id, OFFERED_HOOKS)),
        "browser origins": ", ".join(settings.cors_origins)
        or ("this machine only" if settings.allow_loopback_origins else "none"),
        "trusted proxies": ", ".join(settings.trusted_proxies) or "none",
        "an address may send": "any number of requests"
        if settings.is_open
        else f"{limit} requests a minute to each worker",
        "records": hide_password(settings.records_url),
        "records cannot be kept": f"they wait in {settings.spool}"
        if settings.spool
        else "calls are refused",
        "log": f"{settings.log_level}; {settings.log_sample:.0%} of decisions without a card",
        "metrics": build_local_url(settings.metrics.host, settings.metrics.port) + "/metrics"
        if settings.metrics
        else "not shown",
        "traces": settings.traces_url or "not sent",
        **_describe_pages(settings),
    }
    if settings.bulk_export is not None:
        rows["bulk export"] = f"from {settings.bulk_export.server}"
    _show_rows(console, f"In force: {settings.file or 'the defaults'}", rows)
    for tenant in settings.tenants:
        _show_tenant(console, tenant, knowledge[tenant.id])


def _describe_pages(settings: Settings) -> dict[str, str]:
    """Who sees the pages for people."""
    pages, openid = settings.pages, settings.pages.openid
    if settings.is_open:
        return {"pages": "all of them, for callers on this machine"}
    rows = {"pages for everybody": ", ".join(sorted(pages.public)) or "none"}
    if openid is None:
        return {**rows, "other pages": "not shown: there is no [pages.openid] to sign in with"}
    limits = f"{pages.session_hours} hours, {pages.idle_minutes} minutes without a request"
    opened = (
        f"{id_}: {', '.join(openid.tenants.get(id_, ())) or 'nobody'}"
        for id_ in (tenant.id for tenant in settings.tenants)
    )
    return {
        **rows,
        "other pages": f"for who signs in at {openid.issuer} as {openid.client_id}, "
        + ("with its secret" if openid.client_secret_file else "a public client"),
        "sign-in returns to": f"{settings.base_url}/sign-in/callback",
        f"by the claim {openid.tenants_claim}": "\n".join(opened)
        if openid.tenants
        else "the tenants that it lists",
        "a session lasts": limits,
    }


def _show_rows(console: Console, title: str, rows: Mapping[str, str]) -> None:
    table = Table(title=title, show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def _show_tenant(console: Console, tenant: Tenant, knowledge: SiteKnowledge) -> None:
    guideline, definition = knowledge.b12.guideline, knowledge.muscle.definition
    fhir = tenant.fhir
    rows = {
        **_describe_callers(tenant),
        "B12 guideline": f"{guideline.label}: {guideline.title}",
        "reviewed": f"{guideline.reviewed}, {guideline.reviewer}",
        "sarcopenia": f"{definition.label}: {definition.title}",
        "sarcopenia from": f"{definition.minimum_age} years",
        "orders": f"{knowledge.templates.locale}, {len(knowledge.templates.by_id)} templates",
        "codes": f"{len(knowledge.index.exact)} in {len(knowledge.index.sets)} value sets",
        **_describe_own_files(knowledge),
        "own FHIR artefacts": knowledge.index.base,
        "FHIR server": ", ".join(fhir.servers)
        or ("this machine only" if fhir.allow_loopback else "none: prefetch alone"),
        "deadline for FHIR": f"{fhir.deadline_ms} ms in all",
        "SMART app": _describe_app(tenant.smart),
        "records": f"kept {tenant.retention_days} days; comments: {tenant.comments}",
    }
    _show_rows(console, f"Tenant {tenant.id}", rows)
    _show_dialect(console, tenant.dialect, knowledge)
    _show_language(console, knowledge.language)
    _show_attention(console, tenant, knowledge)
    policy = Table(title="Choices of this service (set in \\[policy])")
    for column in ("choice", "value", "why"):
        policy.add_column(column)
    whys = read_toml(CLINICAL / "policy.toml")
    for name, chosen in knowledge.b12.policy.items():
        policy.add_row(name, f"{chosen:g}", whys[name]["why"])
    console.print(policy)


def _describe_app(access: SmartAccess | None) -> str:
    """Describe the app's SMART registration at the EHR's authorisation server."""
    if access is None:
        return "none: cards link to no app"
    proof = "by its key" if access.key_file else "by its secret" if access.secret_file else "public"
    frames = f"; in frames of {', '.join(access.frame_ancestors)}" if access.frame_ancestors else ""
    return f"client {access.client_id}, {proof}{frames}"


def _describe_own_files(knowledge: SiteKnowledge) -> dict[str, str]:
    """Describe the site's own files: codes, guidelines and definitions."""
    codes = [
        f"{file.file}: {len(file.rows)} for {file.value_set}, from "
        + ", ".join(f"{describe_origin(s)} by {s['imported_by']}" for s in file.sources)
        for file in knowledge.index.site_codes
    ]
    read: dict[str, Guideline | Definition] = {
        **knowledge.read_guidelines(),
        **knowledge.read_definitions(),
    }
    guidelines = [
        f"{path.name}: {read[id_].label}, reviewed {read[id_].reviewed} by {read[id_].reviewer}"
        for id_, path in knowledge.own_files.items()
    ]
    rows = {"own codes": "\n".join(codes), "own guidelines": "\n".join(guidelines)}
    return {name: text for name, text in rows.items() if text}


def _describe_callers(tenant: Tenant) -> dict[str, str]:
    """Describe how callers of the tenant authenticate."""
    rows: dict[str, str] = {}
    trust = tenant.trust
    if trust is not None:
        rows = {
            "issuer": trust.issuer + (f", tenant {trust.claim}" if trust.claim else ""),
            "keys": str(trust.jwks_file or trust.jwks_url),
            "algorithms": ", ".join(trust.algorithms),
            "audience": f"{trust.audience}/cds-services...",
        }
    if tenant.certificate is not None:
        rows["client certificate"] = tenant.certificate
    if tenant.is_open:
        return {"callers": "anybody on this machine"}
    return {**rows, "may send": f"{tenant.calls_per_minute} calls a minute to each worker"}


def _show_dialect(console: Console, dialect: Dialect, knowledge: SiteKnowledge) -> None:
    """Show the EHR's dialect and the orders missing from its catalogue."""
    console.print(f"EHR dialect: [bold]{dialect.name}[/], details as {dialect.detail}")
    if dialect.catalogue or dialect.needs_catalogue:
        missing = find_unmapped_orders(dialect, knowledge)
        names = ", ".join(missing) or "none"
        lost = ": Epic is not offered these unless they carry a code it knows" if missing else ""
        console.print(f"orders not in the site's catalogue{lost}: {names}\n", markup=False)


def _show_language(console: Console, language: Language) -> None:
    """In which language cards speak, and what they would still say in English."""
    missing = find_untranslated(language)
    console.print(
        f"language: {language.code}; {len(missing)} of {len(list_messages())} untranslated"
    )
    for text in missing:
        console.print(f"  {text}", style="yellow", markup=False, highlight=False)


def _show_attention(console: Console, tenant: Tenant, knowledge: SiteKnowledge) -> None:
    """Show the attention rules of each service."""
    table = Table(title="Attention (set in \\[attention])")
    rules = read_attention_rules(tenant.service_tables.get("attention"), knowledge)
    table.add_column("setting")
    for hook in OFFERED_HOOKS:
        table.add_column(hook)
    names = ("mode", "cards", "at_least", "snooze_days", "urgent_snooze_days", "repeat_guard")
    by_hook = [rules[build_service_id(hook)] for hook in OFFERED_HOOKS]
    for name in names:
        table.add_row(name, *(str(getattr(hook_rules, name)) for hook_rules in by_hook))
    for name in ("off", "silent"):
        table.add_row(
            name, *(", ".join(sorted(getattr(hook_rules, name))) for hook_rules in by_hook)
        )
    console.print(table)


def hide_password(url: str) -> str:
    """A database URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}{at}{place}"
