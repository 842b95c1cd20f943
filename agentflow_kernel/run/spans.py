"""A span: a piece of work that is the current one while it lasts, and is concluded by how the work ended."""

from __future__ import annotations

from time import perf_counter

from opentelemetry.context import attach, detach
from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode, set_span_in_context

from agentflow_kernel.errors import AgentFlowError, StopFlow
from agentflow_kernel.run.fault import is_raised, printable, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    Attributes = Mapping[str, AttributeValue]
    OnEnd = Callable[[float, str], None]
    """Told the seconds that the work took and its ``error.type``, ``""`` where it went well."""

ERROR_TYPE = "error.type"
CANCELLED = "cancelled"
"""The ``error.type`` of work that was stopped from outside, in metrics; a span has ``agentflow.cancelled`` instead."""


class Work:
    """Enter it before the work and leave it after, in one task; what user code opens meanwhile lies below its span.

    ``recorded`` holds the error whose exception event is on a span already, so that only the innermost one has it.
    """

    __slots__ = ("span", "_token", "_began", "_recorded", "_on_end")

    def __init__(self, span: Span, recorded: list[BaseException], on_end: OnEnd | None = None) -> None:
        self.span = span
        self._recorded = recorded
        self._on_end = on_end
        self._token: Token[Context] | None = None
        self._began = 0.0

    def __enter__(self) -> Self:
        self._began = perf_counter()
        if self.span is not INVALID_SPAN:
            self._token = attach(set_span_in_context(self.span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            detach(self._token)
        ended_as = conclude(self.span, error, self._recorded)
        self.span.end()
        if self._on_end is not None:
            self._on_end(perf_counter() - self._began, ended_as)


def open_span(tracer: Tracer | None, name: str, attributes: Attributes, kind: SpanKind = SpanKind.INTERNAL) -> Span:
    """A started span below the current one; one that drops everything where nobody wants spans."""
    return INVALID_SPAN if tracer is None else tracer.start_span(name, kind=kind, attributes=attributes)


def conclude(span: Span, error: BaseException | None, recorded: list[BaseException]) -> str:
    """Say on the span how its work ended, and return the ``error.type``."""
    if error is None or isinstance(error, StopFlow):
        return ""
    if not is_raised(error):
        span.set_attribute("agentflow.cancelled", True)
        return CANCELLED
    ended_as = error_type(error)
    fail(span, ended_as, text_of(error))
    if span.is_recording() and (not recorded or recorded[0] is not error):
        recorded[:] = [error]
        span.record_exception(error)
    return ended_as


def fail(span: Span, ended_as: str, text: str) -> None:
    """Mark the span as failed."""
    span.set_attribute(ERROR_TYPE, ended_as)
    span.set_status(StatusCode.ERROR, printable(text))


def error_type(error: BaseException) -> str:
    """The code of an error of the framework, the class of any other."""
    if isinstance(error, AgentFlowError):
        return error.code
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
