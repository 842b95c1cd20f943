"""What the tests of traces share: a listener in place of the global providers, and the spans that it got as a tree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agentflow_kernel.run.observing
import agentflow_kernel.run.propagation  # noqa: F401 -- on the event loop its import would count as blocking

if TYPE_CHECKING:
    import pytest
    from opentelemetry.sdk.trace import ReadableSpan


class Listening:
    """Takes the place of what an application installs; the real providers can be set once a process only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.tracer = tracers.get_tracer("tests")
        self.asked = 0
        """How often a run or event has asked whether anybody listens for spans."""

        def get_tracer_provider() -> TracerProvider:
            self.asked += 1
            return tracers

        monkeypatch.setattr(trace, "get_tracer_provider", get_tracer_provider)
        monkeypatch.setattr(metrics, "get_meter_provider", lambda: meters)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All ended spans in the order in which they were started."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: (span.start_time, -span.end_time))

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (span,) = self.named(name)
        return span

    def tree(self) -> list[Any]:
        """Every root as its name, or as ``(name, [children])``."""
        known = {span.context.span_id for span in self.spans}
        roots = [span for span in self.spans if span.parent is None or span.parent.span_id not in known]
        return [self._branch(root) for root in roots]

    def _branch(self, span: ReadableSpan) -> Any:
        below = [
            self._branch(child)
            for child in self.spans
            if child.parent is not None and child.parent.span_id == span.context.span_id
        ]
        return (span.name, below) if below else span.name

    def text(self) -> str:
        """Everything that is on the spans."""
        return json.dumps([json.loads(span.to_json()) for span in self.spans])

    def points(self, name: str) -> list[Any]:
        """The data points of one metric."""
        found = self.reader.get_metrics_data()
        scopes = [scope for resource in found.resource_metrics for scope in resource.scope_metrics] if found else []
        return [
            point
            for scope in scopes
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def labels(self, name: str) -> list[dict[str, Any]]:
        """The attributes of each data point."""
        return [dict(point.attributes) for point in self.points(name)]
