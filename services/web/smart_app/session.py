"""What the app's pages are given: a launch that somebody is inside of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol.prefetch import PrefetchAnswer


@dataclass(frozen=True, slots=True)
class LaunchSession:
    """A launch that a user is inside of: one patient of one tenant."""

    tenant: Tenant
    patient_id: str
    answers: Mapping[str, PrefetchAnswer]  # by prefetch key; other patients' resources still in
    app_context: Mapping[str, Any]  # from our card; empty where the launch had none
    user: str | None  # the fhirUser or None
