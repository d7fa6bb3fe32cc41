"""What the commands have in common: the configuration, and faults told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import rich_click as click
from rich.console import Console

from cds_hooks.config.secrets import client_secret
from cds_hooks.config.settings import VARIABLE, ConfigurationFault, Settings, configuration_file
from cds_hooks.config.tenants import Tenant
from cds_hooks.security.key_sets import key_set_of
from cds_hooks.smart.client import Client
from cds_hooks.telemetry.tracing import require_otel
from mappings.knowledge_file import KnowledgeFault
from services.hooks.catalog import knowledge_of
from services.knowledge.configuration import load_settings
from services.knowledge.site import Known

ERRORS = Console(stderr=True)

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Configuration file (TOML); by default the one that {VARIABLE} names, else none.",
)


tenant_option = click.option(
    "--tenant", "tenant_name", help="By whose settings (default: the first tenant's)."
)


@contextmanager
def faults_told() -> Iterator[None]:
    """Every fault of configuration and knowledge on standard error, and exit 1."""
    try:
        yield
    except (ConfigurationFault, KnowledgeFault) as fault:
        for line in str(fault).splitlines():
            ERRORS.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


def load_all(config: Path | None) -> tuple[Settings, dict[str, Known]]:
    """Settings, and the knowledge of each tenant."""
    with faults_told():
        settings = load_settings(configuration_file(config))
        require_otel(settings)
        for tenant in settings.tenants:
            if tenant.trust is not None:
                key_set_of(tenant, tenant.trust, lambda _reason: None)
            if tenant.smart is not None:
                Client(tenant)
        if settings.pages.openid is not None:
            client_secret(settings.pages.openid)
        return settings, knowledge_of(settings.tenants)


def load_tenant(
    config: Path | None,
    tenant_name: str | None,
    guideline: str | None = None,
    definition: str | None = None,
) -> tuple[Settings, Tenant, Known]:
    """Settings, one tenant of them, and its knowledge."""
    with faults_told():
        settings = load_settings(configuration_file(config))
        tenant = settings.tenant(tenant_name)
        clinical = dict(tenant.clinical)
        if guideline:
            clinical["b12"] = {**clinical.get("b12", {}), "guideline": guideline}
        if definition:
            chosen = clinical.get("sarcopenia", {})
            clinical["sarcopenia"] = {**chosen, "definition": definition}
        tenant = replace(tenant, clinical=clinical)
        return settings, tenant, knowledge_of([tenant])[tenant.id]
