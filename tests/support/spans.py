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
    def attempts(self) -> List[ReadableSpan]:
        """Our spans of HTTP requests, in the order in which they ended."""
        return [span for span in self._finished if "http.request.method" in (span.attributes or {})]

    @property
    def operations(self) -> List[ReadableSpan]:
        """Our spans of operations, in the order in which they ended."""
        return [span for span in self._finished if "gen_ai.operation.name" in (span.attributes or {})]

    @property
    def finished(self) -> List[ReadableSpan]:
        """All of ours."""
        return self._finished

    @property
    def attributes(self) -> List[Dict[str, Any]]:
        """What the spans of HTTP requests say."""
        return [dict(span.attributes or {}) for span in self.attempts]

    @property
    def names(self) -> List[str]:
        """The names of all spans of operations."""
        return [span.name for span in self.operations]

    def children(self, parent: ReadableSpan) -> List[ReadableSpan]:
        """Our spans whose parent is another one."""
        return [span for span in self._finished if span.parent == parent.get_span_context()]

    @property
    def _finished(self) -> List[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if _scope(span) == "sekha"]


def _scope(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope else ""
