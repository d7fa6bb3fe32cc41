"""Common options of the commands, loading the configuration, and reporting its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import rich_click as click
from rich.console import Console

from cds_hooks.config.loader import FILE_VARIABLE, find_configuration_file
from cds_hooks.config.secrets import read_client_secret
from cds_hooks.config.settings import ConfigurationError, Settings
from cds_hooks.config.tenants import Tenant
from cds_hooks.security.key_sets import make_key_set
from cds_hooks.smart.client import SmartClient
from cds_hooks.telemetry.tracing import import_opentelemetry
from mappings.knowledge_file import KnowledgeError
from services.hooks.catalog import load_tenant_knowledge
from services.knowledge.configuration import choose_publication, load_settings
from services.knowledge.site import SiteKnowledge

ERRORS = Console(stderr=True)

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Configuration file (TOML); by default the one that {FILE_VARIABLE} names, else none.",
)


tenant_option = click.option(
    "--tenant", "tenant_name", help="By whose settings (default: the first tenant's)."
)


@contextmanager
def exit_on_errors() -> Iterator[None]:
    """Every fault of configuration and knowledge on standard error, and exit 1."""
    try:
        yield
    except (ConfigurationError, KnowledgeError) as fault:
        for line in str(fault).splitlines():
            ERRORS.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


def load_all(config: Path | None) -> tuple[Settings, dict[str, SiteKnowledge]]:
    """Settings, and the knowledge of each tenant."""
    with exit_on_errors():
        settings = load_settings(find_configuration_file(config))
        import_opentelemetry(settings)
        for tenant in settings.tenants:
            if tenant.trust is not None:
                make_key_set(tenant, tenant.trust, lambda _reason: None)
            if tenant.smart is not None:
                SmartClient(tenant)
        if settings.pages.openid is not None:
            read_client_secret(settings.pages.openid)
        return settings, load_tenant_knowledge(settings.tenants)


def load_tenant(
    config: Path | None,
    tenant_name: str | None,
    guideline: str | None = None,
    definition: str | None = None,
) -> tuple[Settings, Tenant, SiteKnowledge]:
    """Settings, one tenant of them, and its knowledge."""
    with exit_on_errors():
        settings = load_settings(find_configuration_file(config))
        tenant = settings.find_tenant(tenant_name)
        clinical = tenant.service_tables
        for topic, id_ in (("b12", guideline), ("sarcopenia", definition)):
            if id_:
                clinical = choose_publication(clinical, topic, id_)
        tenant = replace(tenant, service_tables=clinical)
        return settings, tenant, load_tenant_knowledge([tenant])[tenant.id]
