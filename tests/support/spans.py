"""OpenTelemetry for tests: spans are kept in memory."""

from __future__ import annotations

from typing import Any, Dict, List

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Spans:
    """What was traced.

    Attributes:
        tracer: Makes spans around those of the client.
    """

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("tests")

    @property
    def finished(self) -> List[ReadableSpan]:
        """Our spans in the order in which they ended."""
        return [span for span in self._exporter.get_finished_spans() if _scope(span) == "sekha"]

    @property
    def attributes(self) -> List[Dict[str, Any]]:
        """What they say."""
        return [dict(span.attributes or {}) for span in self.finished]


def _scope(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope else ""
