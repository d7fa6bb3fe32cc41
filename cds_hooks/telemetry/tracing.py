"""Spans of calls, for a site that has a collector (opentelemetry.py); otherwise none is made.

Attributes of a span are names: of the tenant, the service, a key, a reason; nothing of a patient.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from cds_hooks.config.settings import ConfigurationError, ConfigurationProblem, Settings
from cds_hooks.telemetry.trace_context import Trace

Attributes = Mapping[str, str | int]


class Span(Protocol):
    """A piece of work under way."""

    def set_attributes(self, attributes: Attributes) -> None: ...

    def build_headers(self, trace: Trace | None) -> dict[str, str]:
        """What goes with a request to another machine; `trace` is the call's own."""


class NoSpan:
    """The trace is passed on, and that is all."""

    def set_attributes(self, attributes: Attributes) -> None: ...

    def build_headers(self, trace: Trace | None) -> dict[str, str]:
        return trace.headers if trace is not None else {}


NO_SPAN = NoSpan()
_NO_SPAN_CONTEXT: AbstractContextManager[Span] = nullcontext(NO_SPAN)


class Tracing(Protocol):
    """Makes spans; one for each process."""

    def start_call(
        self, trace: Trace | None, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """The span of a whole call, under the caller's."""

    def start_part(self, name: str, of: Span) -> AbstractContextManager[Span]:
        """A span under another, in whatever thread."""

    def close(self) -> None:
        """Sends what has not been sent yet."""


class NoTracing:
    """For a service without a collector."""

    def start_call(
        self,
        trace: Trace | None,  # noqa: ARG002  # as Tracing has it
        attributes: Attributes,  # noqa: ARG002  # as Tracing has it
    ) -> AbstractContextManager[Span]:
        return _NO_SPAN_CONTEXT

    def start_part(
        self,
        name: str,  # noqa: ARG002  # as Tracing has it
        of: Span,  # noqa: ARG002  # as Tracing has it
    ) -> AbstractContextManager[Span]:
        return _NO_SPAN_CONTEXT

    def close(self) -> None: ...


NO_TRACING = NoTracing()


@dataclass(frozen=True, slots=True)
class CallSpan:
    """A call, where it stands in its caller's trace and in ours."""

    trace: Trace | None = None
    span: Span = NO_SPAN
    tracing: Tracing = NO_TRACING

    def start_part(self, name: str) -> AbstractContextManager[Span]:
        return self.tracing.start_part(name, self.span)


NO_CALL_SPAN = CallSpan()


def make_tracing(settings: Settings, version: str) -> Tracing:
    """The tracing that the configuration names. Raises ConfigurationError."""
    otel = import_opentelemetry(settings)
    if otel is None:
        return NO_TRACING
    tracing: Tracing = otel.OtelTracing(settings.traces_url, version, settings.traces_sample)
    return tracing


def import_opentelemetry(settings: Settings) -> Any:
    """The module that makes spans; None where none are wanted. Raises ConfigurationError."""
    if settings.traces_url is None:
        return None
    try:
        return import_module(
            "cds_hooks.telemetry.opentelemetry"
        )  # what it needs is an extra, and slow to import
    except ModuleNotFoundError:
        reason = "needs the extra `otel`: install cobalamin-cds[otel]"
        fault = ConfigurationProblem(settings.file or "", "tracing.otlp_endpoint", reason)
        raise ConfigurationError([fault]) from None
