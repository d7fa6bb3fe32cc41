"""A small service in this process, its log and its metrics kept: a card for whoever is called for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import structlog
from conformance.serving import log_faults

from cds_hooks.config.settings import Settings
from cds_hooks.protocol.cards import Card, Coding, Indicator, Source
from cds_hooks.protocol.service import Call, Decision, Service
from cds_hooks.records.store import Records
from cds_hooks.telemetry.logs import stamp_event
from cds_hooks.telemetry.metrics import Metrics
from cds_hooks.telemetry.tracing import NO_TRACING, Tracing
from cds_hooks.web.app import create_app, get_context
from cds_hooks.web.context import Telemetry, make_context

SERVICE = "rule-patient-view"
PATH = f"/cds-services/{SERVICE}"
RECORD = {
    "findings": {"iron": "low"},
    "suppressed": ["snoozed:b12Low"],
    "rules": ["first-line-band"],
    "tier": "T3",
}


def decide(call: Call) -> Decision:
    """One card, or none for a patient whose id begins with `quiet`; `broken` breaks the rule."""
    patient = call.request.patient_id
    if patient.startswith("broken"):
        raise KeyError(patient)
    if patient.startswith("quiet"):
        return Decision((), RECORD)
    source = Source("Guideline", topic=Coding("b12Deficient", "https://cobalamin.example/topics"))
    return Decision((Card("Summary", Indicator.WARNING, source),), RECORD)


class Watched:
    """The service, asked through its routes."""

    def __init__(
        self,
        folder: Any,
        settings: Settings | None = None,
        tracing: Tracing = NO_TRACING,
        failed_calls: Sequence[str] = (),
    ) -> None:
        self.lines: list[dict[str, Any]] = []
        settings = replace(
            settings or Settings(), records_url=f"sqlite:///{folder / 'records.sqlite3'}"
        )
        self.records = Records.open(settings.records_url)
        prefetch = {"patient": "Patient/{{context.patientId}}"}
        required = frozenset({"patient"})
        says = ("Title", "Description", "Requirements")
        service = Service(
            SERVICE,
            "patient-view",
            "1.0",
            *says,
            prefetch=prefetch,
            required=required,
            decide=decide,
        )
        log = structlog.wrap_logger(None, processors=[stamp_event, self._keep])
        context = make_context(
            {tenant.id: [service] for tenant in settings.tenants},
            settings,
            self.records,
            Telemetry(log, "1.2.3", tracing=tracing),
            failed_calls=failed_calls,
        )
        self.app = create_app(context)
        self.context = get_context(self.app)
        self.client = self.app.test_client()

    def _keep(self, _logger: Any, _name: str, event: dict[str, Any]) -> Any:
        self.lines.append(orjson.loads(orjson.dumps(event)))
        assert log_faults(self.lines[-1:]) == []
        raise structlog.DropEvent

    def call(self, patient: str = "1", path: str = PATH, **members: Any) -> Any:
        document = {
            "hook": "patient-view",
            "hookInstance": "b7a3f7c0-62f1-4f3a-9d1e-2f4c0a9f8f10",
            "context": {"userId": "Practitioner/1", "patientId": patient},
            "prefetch": {"patient": {"resourceType": "Patient", "id": patient}},
            **members,
        }
        headers = document.pop("headers", {})
        return self.client.post(path, json=document, headers=headers)

    @property
    def metrics(self) -> Metrics:
        return self.context.telemetry.metrics

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"cobalamin_{name}", labels)

    def names(self) -> set[str]:
        """Every label's value that there is."""
        samples = (s for family in self.metrics.registry.collect() for s in family.samples)
        return {value for sample in samples for value in sample.labels.values()}
