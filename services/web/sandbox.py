"""The public CDS Hooks Sandbox: another host, opened only when somebody asks for it."""

from collections.abc import Mapping
from urllib.parse import urlencode

from services.hooks.offered_hooks import OFFERED_HOOKS

ORIGIN = "https://sandbox.cds-hooks.org"


def parameters(hook: str, base_url: str) -> Mapping[str, str]:
    """What the sandbox has to be told to call our service of this hook.

    Hook and screen are always named: by one alone it calls a service with another's hook.
    """
    return {
        "serviceDiscoveryURL": f"{base_url}/cds-services",  # joined with "/": none at its end
        "hook": hook,
        "screen": OFFERED_HOOKS[hook].sandbox_screen,
    }


def url(hook: str, base_url: str) -> str:
    """The sandbox with our services, at the view that calls this hook."""
    return f"{ORIGIN}/?{urlencode(parameters(hook, base_url))}"
