"""Tenants: the EHRs that may call, each with its keys, FHIR server, knowledge and limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cds_hooks.config.smart import SmartAccess
from cds_hooks.protocol.dialects import Dialect

ALGORITHMS = ("ES384", "RS384", "ES256", "RS256")  # asymmetric ones alone [SEC-12 to SEC-15]
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TokenTrust:
    """What a tenant's tokens must contain, compared character by character. [SEC-07 to SEC-16]"""

    issuer: str
    audience: str  # base URL that the EHR calls this service by; no slash at the end
    jwks_url: str | None = None  # the only `jku` there is, and where keys are fetched
    jwks_file: Path | None = None  # pinned keys: nothing is ever fetched
    algorithms: tuple[str, ...] = ("ES384", "RS384")
    claim: str | None = None  # the `tenant` claim; None: the token must have none
    max_lifetime_s: int = 600
    leeway_s: int = 30


@dataclass(frozen=True, slots=True)
class FhirAccess:
    """FHIR servers that a tenant's access token may go to, and the limits of fetching from them."""

    servers: tuple[str, ...] = ()  # base URLs, no slash at the end
    allow_loopback: bool = False  # any server on this machine
    private_addresses: bool = False  # servers inside the hospital's own network
    deadline_ms: int = 400  # for all the searches of one call together
    max_pages: int = 5
    max_bytes: int = 16 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Tenant:
    """One EHR that the service answers, with settings of its own."""

    id: str  # in records, log and metrics
    trust: TokenTrust | None = None
    certificate: str | None = None  # subject of the client certificate that the proxy verified
    fhir: FhirAccess = field(default_factory=FhirAccess)
    smart: SmartAccess | None = None  # None: its EHR launches no app of ours
    dialect: Dialect = field(default_factory=Dialect)
    # The tables of the services; this package does not read them.
    service_tables: Mapping[str, Any] = field(default_factory=dict, hash=False)
    calls_per_minute: int = 6000  # in each worker
    retention_days: int = 365
    comments: str = "drop"  # free text of feedback: "drop" or "encrypt"

    @property
    def is_open(self) -> bool:
        """Whether callers need not prove who they are: for this machine alone."""
        return self.trust is None and self.certificate is None


# Callers on this machine, where the configuration names no tenant.
LOCAL_TENANT = Tenant("local", fhir=FhirAccess(allow_loopback=True))
