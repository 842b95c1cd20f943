"""An observer: makes the trace and the metrics of one run; a run has one only where somebody listens.

What is observed is decided when the run is made. Each run has one root span and is part of one trace: that of the
caller or of the event that started it, else a new one. A resumed run begins anew, with a link to its first start.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, cast

from opentelemetry.context import attach, detach
from opentelemetry.trace import INVALID_SPAN, Link, SpanKind, get_current_span, set_span_in_context

from agentflow_kernel.run import genai
from agentflow_kernel.run.fault import is_raised
from agentflow_kernel.run.metrics import FLOW_NAME, NODE_NAME, instruments_of
from agentflow_kernel.run.propagation import TRACEPARENT, context_at, traceparent_of
from agentflow_kernel.run.spans import Work, error_type, fail, open_span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from typing import TypeVar

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from agentflow_kernel.contracts.policy import Call, Request
    from agentflow_kernel.contracts.provider import ModelReply, ModelRequest, ToolCall
    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.spans import OnEnd

    T = TypeVar("T")

PATH = "agentflow.path"
PLAN_NAME = "agentflow.plan.name"


class RunObserver:
    """Opens a span round whatever it is given to await, and measures it; the work itself it leaves alone."""

    __slots__ = (
        "run_id", "name", "flow", "begun", "_tracer", "_metrics", "_root", "_began", "_recorded", "_content", "_calls",
        "_cost_usd",
    )  # fmt: skip

    def __init__(self, run_id: str, name: str, tracer: Tracer | None, meter: Meter | None) -> None:
        self.run_id = run_id
        self.name = name
        self.flow = name.rpartition("/")[2]
        self.begun = False
        self._tracer = tracer
        self._metrics = None if meter is None else instruments_of(meter)
        self._root: Span = INVALID_SPAN
        self._began = 0.0
        self._recorded: list[BaseException] = []
        self._content = genai.captures_content()
        self._calls: dict[str, list[ToolCall]] = {}
        """Tool calls that the models of agents have asked for, by the path of the agent; a call takes its id away."""
        self._cost_usd: float | None = None

    def begin(self, first: object = "", *, resumed: bool = False) -> str:
        """Open the root span below the current one, and return its ``traceparent``, ``""`` where there are no spans.

        ``first`` is what this returned when the run was started; a resumed run has a link there.
        """
        self.begun = True
        self._began = perf_counter()
        attributes: dict[str, AttributeValue] = {FLOW_NAME: self.flow, "agentflow.run.resumed": resumed}
        if self.run_id:
            attributes["agentflow.run.id"] = self.run_id
        if self._tracer is not None:
            before = get_current_span(context_at({TRACEPARENT: first})).get_span_context()
            links = [Link(before)] if before.is_valid else None
            self._root = self._tracer.start_span(f"run {self.flow}", attributes=attributes, links=links)
        return traceparent_of(self._root)

    async def work(self, work: Awaitable[T]) -> T:
        """Do the work of the run below its root span; whoever settles the run says with :meth:`end` how it ended."""
        token = None if self._root is INVALID_SPAN else attach(set_span_in_context(self._root))
        if self._metrics is not None:
            self._metrics.active.add(1, {FLOW_NAME: self.flow})
        try:
            return await work
        finally:
            if self._metrics is not None:
                self._metrics.active.add(-1, {FLOW_NAME: self.flow})
            if token is not None:
                detach(token)

    async def alone(self, work: Awaitable[T]) -> T:
        """Do the whole of a run that nobody else begins and ends."""
        self.begin()
        status, error = "cancelled", None
        try:
            result = await self.work(work)
            status = "completed"
        except BaseException as raised:
            if is_raised(raised):
                status, error = "failed", raised
            raise
        finally:
            self.end(status, error)
        return result

    def end(self, status: str, error: BaseException | None = None, *, cause: str = "", reason: str = "") -> None:
        """Close the root span. ``cause`` and ``reason`` are those of a run that stops without an end."""
        span = self._root
        span.set_attribute("agentflow.run.status", status)
        if self._cost_usd is not None:
            span.set_attribute(genai.COST, self._cost_usd)
        if cause:
            span.add_event(f"run.{status}", {"agentflow.cause": cause, "agentflow.reason": reason})
        if status == "failed" and error is not None:
            fail(span, error_type(error), str(error))
        elif status == "stuck":
            fail(span, cause, reason)
        span.end()
        if self._metrics is not None:
            self._metrics.run_stopped(self.flow, status, perf_counter() - self._began)

    async def visit(self, node: BoundNode, path: str, work: Awaitable[T]) -> T:
        """One visit of a node, or one item of a batch."""
        attributes: dict[str, AttributeValue] = {NODE_NAME: node.name, "agentflow.node.kind": node.kind, PATH: path}
        if path.endswith("]"):
            with self._open(f"item {node.name}", attributes):
                return await work
        with self._open(f"node {node.name}", attributes, on_end=self._timer_of(node)):
            return await work

    async def batch(self, node: BoundNode, path: str, work: Awaitable[T]) -> T:
        """A visit that works through many items; they lie below it."""
        attributes: dict[str, AttributeValue] = {NODE_NAME: node.name, "agentflow.node.kind": "batch", PATH: path}
        with self._open(f"node {node.name}", attributes, on_end=self._timer_of(node)):
            return await work

    async def agent(self, agent: genai.Speaker, path: str, work: Awaitable[T]) -> T:
        """An agent from its question to its answer, or a plan from its input to its output."""
        is_plan = agent.kind == "plan"
        attributes = {PLAN_NAME: agent.name} if is_plan else genai.describe_agent(agent)
        attributes[PATH] = path
        with self._open(f"{'plan' if is_plan else 'invoke_agent'} {agent.name}", attributes):
            try:
                return await work
            finally:
                self._calls.pop(path, None)

    async def chat(self, agent: genai.Speaker, path: str, request: Request, call: Call) -> object:
        """One call of a model, with all its attempts: they are events of its span."""
        asked = cast("ModelRequest", request.payload)
        labels = {genai.OPERATION: "chat", genai.PROVIDER: genai.provider_name(agent.provider)}
        if asked.model:
            labels[genai.REQUEST_MODEL] = asked.model
        attributes = genai.describe_request(asked, labels)
        attributes[genai.AGENT_NAME] = agent.name
        attributes[PATH] = request.path
        if self._content:
            attributes[genai.INPUT_MESSAGES] = genai.spell_messages(asked.messages)

        def time(seconds: float, ended_as: str) -> None:
            if self._metrics is not None:
                self._metrics.model_called(labels, seconds, ended_as)

        name = f"chat {asked.model}".rstrip()
        with self._open(name, attributes, kind=SpanKind.CLIENT, on_end=time) as open_work:
            try:
                reply = cast("ModelReply", await call(request))
            finally:
                _tell_attempts(open_work.span, request)
            if reply.model:
                labels[genai.RESPONSE_MODEL] = reply.model
            self._calls[path] = list(reply.message.calls)
            self._tell_reply(open_work.span, labels, reply, agent.model.cost_of(reply.usage))
        return reply

    def _tell_reply(self, span: Span, labels: Mapping[str, str], reply: ModelReply, cost_usd: float | None) -> None:
        span.set_attributes(genai.describe_reply(reply, cost_usd))
        if self._content:
            finish_reason = genai.FINISH_REASONS[reply.stop_reason]
            span.set_attribute(genai.OUTPUT_MESSAGES, genai.spell_messages([reply.message], finish_reason))
        if cost_usd is not None:
            self._cost_usd = (self._cost_usd or 0.0) + cost_usd
        if self._metrics is not None:
            self._metrics.tokens_used(labels, reply.usage)

    async def use(self, tool: Tool, path: str, request: Request, call: Call) -> object:
        """One call of a tool by an agent (``path``: the agent's), with all its attempts."""
        arguments = cast("Mapping[str, object]", request.payload)
        attributes: dict[str, AttributeValue] = {
            genai.OPERATION: "execute_tool",
            genai.TOOL_NAME: request.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.description": tool.description,
            PATH: request.path,
        }
        asked = self._calls.get(path, [])
        for known in asked:
            if known.name == request.name and known.arguments == arguments:
                asked.remove(known)
                attributes[genai.TOOL_CALL_ID] = known.id
                break
        if self._content:
            attributes[genai.TOOL_ARGUMENTS] = genai.spell(arguments)

        def count(seconds: float, ended_as: str) -> None:
            if self._metrics is not None:
                self._metrics.tool_called(request.name, ended_as)

        with self._open(f"execute_tool {request.name}", attributes, on_end=count) as open_work:
            try:
                result = await call(request)
            finally:
                _tell_attempts(open_work.span, request)
            if self._content:
                open_work.span.set_attribute(genai.TOOL_RESULT, genai.spell(result))
        return result

    def _open(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        on_end: OnEnd | None = None,
    ) -> Work:
        return Work(open_span(self._tracer, name, attributes, kind), self._recorded, on_end)

    def _timer_of(self, node: BoundNode) -> OnEnd | None:
        metrics = self._metrics
        if metrics is None:
            return None
        return lambda seconds, ended_as: metrics.node_visited(self.flow, node.name, seconds, ended_as)


def note(tracer: Tracer | None, meter: Meter | None, name: str, fields: Mapping[str, object]) -> None:
    """Put what a policy tells on the span of the call that it stands round, and count what is tried again."""
    span = get_current_span()
    if tracer is not None and span.is_recording():
        told = {key: value for key, value in fields.items() if key not in _ON_SPAN_ALREADY}
        plain = {f"agentflow.{key}": value for key, value in told.items() if isinstance(value, str | int | float)}
        span.add_event(name, plain)
    if meter is not None and name == "retry.scheduled":
        code = fields.get("code") or fields.get("error")
        instruments_of(meter).retried(str(fields.get("kind")), str(fields.get("name")), str(code))


_ON_SPAN_ALREADY = frozenset(("run_id", "path", "kind", "name"))


def _tell_attempts(span: Span, request: Request) -> None:
    if request.attempt > 1:
        span.set_attribute("agentflow.attempts", request.attempt)
