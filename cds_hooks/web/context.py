"""What the routes of one worker share: its tenants, records, callers' limits and telemetry."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import g, request
from werkzeug.exceptions import NotFound

from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import Tenant
from cds_hooks.fhir.client import FhirClient
from cds_hooks.protocol.service import Service
from cds_hooks.records.store import Records
from cds_hooks.security.authentication import Authentication
from cds_hooks.security.key_sets import KeySet, make_key_set
from cds_hooks.security.rate_limit import RateLimit
from cds_hooks.telemetry.metrics import Metrics
from cds_hooks.telemetry.tracing import NO_TRACING, Tracing
from cds_hooks.web.readiness import Readiness


def get_utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where a worker writes what it does: log lines, metrics and spans."""

    log: Any  # of structlog
    version: str  # of the service; each log line has it
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = NO_TRACING


@dataclass(frozen=True, slots=True)
class Site:
    """One tenant and all that is made for it alone."""

    tenant: Tenant
    services: Mapping[str, Service]
    discovery: bytes
    fhir: FhirClient

    @classmethod
    def from_tenant(cls, tenant: Tenant, services: Iterable[Service]) -> "Site":
        offered = {
            service.id: service
            for service in services
            if tenant.dialect.supports_hook(service.hook)
        }
        entries = [service.as_json() for service in offered.values()]
        return cls(tenant, offered, orjson.dumps({"services": entries}), FhirClient(tenant.fhir))

    def find_service(self, service_id: str) -> Service:
        """The service that this tenant calls by `service_id`. Raises NotFound."""
        service = self.services.get(service_id)
        if service is None:
            raise NotFound
        g.service = service.id
        return service


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes work with; made once for each process."""

    sites: Mapping[str, Site]  # by tenant
    settings: Settings
    authentication: Authentication
    rate_limit: RateLimit | None  # None where callers are on this machine alone
    keys: Mapping[str, KeySet]  # by tenant
    records: Records
    readiness: Readiness
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def identify_site(self, *paths: str) -> Site:
        """The tenant that calls the endpoint at `paths`, by its token or certificate.

        Raises AuthenticationError and TooManyCallsError.
        """
        trusted = self.authentication.is_trusted(request.remote_addr)
        header = self.settings.certificate_header
        certificate = request.headers.get(header) if trusted and header else None
        authorization = request.headers.get("Authorization")
        tenant = self.authentication.authenticate(authorization, paths, self.clock(), certificate)
        g.tenant = tenant.id
        if self.rate_limit is not None:
            self.rate_limit.check_tenant(tenant.id, tenant.calls_per_minute)
        return self.sites[tenant.id]


def make_context(
    services: Mapping[str, Iterable[Service]],
    settings: Settings,
    records: Records,
    telemetry: Telemetry,
    *,
    clock: Callable[[], datetime] = get_utc_now,
    failed_calls: Sequence[str] = (),
) -> Context:
    """Put together what one worker process needs to answer calls.

    `services`: those of each tenant, by its id; `failed_calls`: golden calls that the self-test at
    start found answered wrongly. Raises ConfigurationError for pinned keys.
    """
    keys = make_key_sets(settings.tenants, telemetry)
    records.transactions.on_use = telemetry.metrics.count_record_work
    return Context(
        sites={t.id: Site.from_tenant(t, services[t.id]) for t in settings.tenants},
        settings=settings,
        authentication=Authentication(
            settings.tenants, keys, records.tokens.use, settings.trusted_proxies
        ),
        rate_limit=(
            None if settings.is_open else RateLimit(settings.requests_per_minute_and_address)
        ),
        keys=keys,
        records=records,
        readiness=Readiness(records, keys, len(settings.tenants), failed_calls),
        telemetry=telemetry,
        clock=clock,
    )


def make_key_sets(tenants: Iterable[Tenant], telemetry: Telemetry) -> dict[str, KeySet]:
    """The public keys of each tenant that is known by tokens, by its id.

    Raises ConfigurationError.
    """
    return {
        tenant.id: make_key_set(tenant, tenant.trust, _make_reporter(tenant, telemetry))
        for tenant in tenants
        if tenant.trust is not None
    }


def _make_reporter(tenant: Tenant, telemetry: Telemetry) -> Callable[[str], None]:
    """Counts and logs each fetch of a tenant's key set by how it ended: "ok" or a reason."""

    def report(reason: str) -> None:
        is_ok = reason == "ok"
        telemetry.metrics.key_set_fetches[tenant.id, "ok" if is_ok else "failed"].inc()
        write = telemetry.log.info if is_ok else telemetry.log.warning
        write("fetch", version=telemetry.version, tenant=tenant.id, key="jwks", reason=reason)

    return report
