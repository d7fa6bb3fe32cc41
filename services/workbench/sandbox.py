"""The public CDS Hooks Sandbox: another host, opened only when somebody asks for it."""

from collections.abc import Mapping
from urllib.parse import urlencode

ORIGIN = "https://sandbox.cds-hooks.org"
# The view that calls each hook. Both are always named: by one alone the sandbox calls a service
# with another's hook.
SCREENS = {"patient-view": "patient-view", "order-select": "rx-view", "order-sign": "rx-sign"}


def parameters(hook: str, base_url: str) -> Mapping[str, str]:
    """What the sandbox has to be told to call our service of this hook."""
    return {
        "serviceDiscoveryURL": f"{base_url}/cds-services",  # joined with "/": none at its end
        "hook": hook,
        "screen": SCREENS[hook],
    }


def url(hook: str, base_url: str) -> str:
    """The sandbox with our services, at the view that calls this hook."""
    return f"{ORIGIN}/?{urlencode(parameters(hook, base_url))}"
