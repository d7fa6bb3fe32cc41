"""Spans for OpenTelemetry, sent in batches over OTLP/HTTP, by what the extra `otel` installs.

The classes have the shape of `Span` and `Tracing` in tracing.py, which imports this module late.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind

from cds_hooks.telemetry.trace_context import Trace, build_headers

EXPORT_SECONDS = 5  # for one batch to be sent


class OtelSpan:
    def __init__(self, span: otel.Span) -> None:
        self.span = span

    def set_attributes(self, attributes: Mapping[str, str | int]) -> None:
        self.span.set_attributes(dict(attributes))

    def build_headers(self, trace: Trace | None) -> dict[str, str]:
        own = self.span.get_span_context()
        state = trace.state if trace is not None else ""
        return build_headers(f"{own.trace_id:032x}", f"{own.span_id:016x}", own.trace_flags, state)


class OtelTracing:
    """Where a caller's trace was sampled, so are its spans here; of others `share` is."""

    def __init__(self, endpoint: str, version: str, share: float = 1.0) -> None:
        self._provider = TracerProvider(
            resource=Resource({"service.name": "cobalamin", "service.version": version}),
            sampler=ParentBasedTraceIdRatio(share),
            shutdown_on_exit=False,  # `close` does, while the worker still runs
        )
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("cobalamin", version)

    @contextmanager
    def start_call(
        self, trace: Trace | None, attributes: Mapping[str, str | int]
    ) -> Iterator[OtelSpan]:
        with self._start_span("call", _make_parent_context(trace), SpanKind.SERVER) as span:
            span.set_attributes(attributes)
            yield span

    @contextmanager
    def start_part(self, name: str, of: object) -> Iterator[OtelSpan]:
        context = otel.set_span_in_context(of.span) if isinstance(of, OtelSpan) else Context()
        kind = SpanKind.CLIENT if name == "fetch" else SpanKind.INTERNAL
        with self._start_span(name, context, kind) as span:
            yield span

    @contextmanager
    def _start_span(self, name: str, context: Context, kind: SpanKind) -> Iterator[OtelSpan]:
        span = self._tracer.start_span(name, context, kind)
        try:
            yield OtelSpan(span)
        finally:
            # The type and nothing else: the text of a fault may quote what was being read.
            fault = sys.exc_info()[0]
            if fault is not None:
                span.set_attribute("error.type", fault.__name__)
            span.end()

    def close(self) -> None:
        self._provider.shutdown()


def _make_parent_context(trace: Trace | None) -> Context:
    """Under the caller's span; at the root of a new trace where there is none."""
    if trace is None:
        return Context()
    flags = otel.TraceFlags(trace.flags)
    caller: Any = otel.SpanContext(int(trace.id, 16), int(trace.parent, 16), True, flags)
    return otel.set_span_in_context(otel.NonRecordingSpan(caller), Context())
