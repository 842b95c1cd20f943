"""Propagation: how a trace goes with an event from whoever publishes it to the runs that it starts.

Source: W3C Trace Context, and the distributed tracing extension of CloudEvents (``traceparent``, ``tracestate``).
"""

from __future__ import annotations

from copy import copy

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span

    from agentflow_kernel.contracts.bus import Handler, Outcome
    from agentflow_kernel.event import Event

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
_propagator = TraceContextTextMapPropagator()


def traceparent_of(span: Span) -> str:
    """The place of a span in its trace, as text; ``""`` for one that is in none."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def context_at(carrier: Mapping[str, object]) -> Context:
    """The context that a ``traceparent`` and ``tracestate`` describe; an empty one where they describe none."""
    texts = {name: str(carrier[name]) for name in (TRACEPARENT, TRACESTATE) if name in carrier}
    return _propagator.extract(texts, context=Context())


def stamped(event: Event) -> Event:
    """The event with the current span's place in its trace, unless it has one already or there is no span."""
    span = get_current_span()
    if TRACEPARENT in event.extensions or not span.get_span_context().is_valid:
        return event
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    marked = copy(event)
    marked.extensions = {**event.extensions, **carrier}
    return marked


async def deliver(handler: Handler, event: Event) -> Outcome | None:
    """Have an event handled in its own trace, not in that of whoever happened to wake the bus."""
    token = attach(context_at(event.extensions))
    try:
        return await handler(event)
    finally:
        detach(token)
