"""A binding: a graph made ready to walk, each step composed once with its function, its policies and its routes."""

from __future__ import annotations

from agentflow_kernel.contracts.policy import Request
from agentflow_kernel.errors import UsageError
from agentflow_kernel.flow.graph import Graph, next_of
from agentflow_kernel.flow.node import DEFAULT, Node
from agentflow_kernel.run.threads import call_in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from agentflow_kernel.contracts.policy import Call
    from agentflow_kernel.flow.graph import Step
    from agentflow_kernel.run.runtime import Context

    Invoke = Callable[[Context, Any], Awaitable[object]]

VISIT, AWAIT, CALL = 0, 1, 2
"""How a quiet run does a node: the long way, by awaiting its function, or by calling it."""


class BoundNode:
    """One step, ready to run. ``quick`` and ``mode`` say what a quiet run does; ``next`` is where ``default`` leads."""

    __slots__ = ("name", "step", "graph", "mode", "quick", "invoke", "call", "next", "bound", "kind", "phased", "inner")

    def __init__(self, step: Step, graph: Graph) -> None:
        self.name = step.name
        self.step = step
        self.graph = graph
        self.mode = VISIT
        self.quick: Callable[[Any], Any] | None = None
        self.invoke: Invoke = _not_bound
        self.call: Call | None = None
        self.next: BoundNode | None = None
        self.bound: dict[str, BoundNode] = {}
        self.kind: Any = "call"
        self.inner: BoundNode | None = None
        """The start of a nested flow."""
        self.phased: Node | None = None

    def follow(self, action: str) -> BoundNode | None:
        """The node that ``action`` leads to, ``None`` for the end; raises for an action that is not routed."""
        target = next_of(self.step.routes, action, flow=self.graph.name, node=self.name)
        return None if target is None else self.bound[target]


async def _not_bound(context: Context, value: object) -> object:
    raise UsageError("This node was never bound.")


def bind(graph: Graph, *, loopless: bool) -> BoundNode:
    """The start node of the graph, ready to walk; checks the graph first (:class:`FlowInvalid`).

    ``loopless`` binds for a run without an event loop: functions are then called on the spot.
    """
    graph.check()
    bound = {name: BoundNode(step, graph) for name, step in graph.steps.items()}
    for name, node in bound.items():
        node.bound = bound
        _compose(node, loopless=loopless)
        routes = node.step.routes
        if DEFAULT in routes or not routes:
            node.next = node.follow(DEFAULT)
        else:
            node.mode, node.next = VISIT, _trap(node)
    return bound[str(graph.start)]


def _trap(node: BoundNode) -> BoundNode:
    """What stands behind a node whose routes leave out the default action."""
    trap = BoundNode(node.step, node.graph)

    async def invoke(context: Context, value: object) -> object:
        return node.follow(DEFAULT)

    trap.invoke = invoke
    trap.kind = "trap"
    return trap


def _compose(node: BoundNode, *, loopless: bool) -> None:
    step, target = node.step, node.step.target
    if step.emits:
        node.kind = "emit"
        node.invoke = _pass_on
        return
    if isinstance(target, type) and issubclass(target, Node):
        target = target()
    if isinstance(target, Node):
        node.phased = target
        node.invoke = lambda context, value: target.exec(value)
    elif isinstance(target, Graph):
        node.kind = "flow"
        node.inner = bind(target, loopless=loopless)
    elif hasattr(target, "perform"):
        node.kind = target.kind
        node.invoke = target.perform
    elif callable(target):
        _compose_function(node, target, loopless=loopless)
    else:
        raise UsageError(f"Node {step.name!r}: {target!r} is no function, Node, flow or agent.")
    policies = [*node.graph.policies, *step.policies] if node.kind in ("call", "tool") else list(step.policies)
    if policies:
        node.mode = VISIT
        node.call = wrap(policies, _innermost(node.invoke))
    if step.input is not None or step.each is not None:
        node.mode = VISIT


async def _pass_on(context: Context, value: object) -> object:
    return value


def wrap(policies: list[Any], call: Call) -> Call:
    """The call with all policies round it, the first one outermost."""
    for policy in reversed(policies):
        call = policy.wrap(call)
    return call


def _innermost(invoke: Invoke) -> Call:
    async def call(request: Request) -> object:
        context, value = request.payload  # type: ignore[misc]  # put there by the visit
        if request.attempt > 1:
            context.restart(request.attempt)
        return await invoke(context, value)

    return call


def _compose_function(node: BoundNode, function: Callable[..., Any], *, loopless: bool) -> None:
    """Bind a plain function: with or without input, with or without context, coroutine or not."""
    positional = _positional_parameters(function, node.name)
    if is_coroutine_function(function):
        if positional == 1:
            node.mode, node.quick = AWAIT, function
            node.invoke = lambda context, value: function(value)
        elif positional == 0:
            node.mode, node.quick = AWAIT, lambda value: function()
            node.invoke = lambda context, value: function()
        else:
            node.invoke = lambda context, value: function(value, context)
        return

    def called(context: Context, value: object) -> object:
        return function(*(value, context)[:positional])

    if loopless or node.step.blocking == "inline":

        async def on_the_spot(context: Context, value: object) -> object:
            return called(context, value)

        node.invoke = on_the_spot
        if positional < 2:
            node.mode, node.quick = CALL, function if positional else lambda value: function()
    else:

        async def in_thread(context: Context, value: object) -> object:
            return await call_in_thread(context, called, value)

        node.invoke = in_thread


def is_coroutine_function(function: object) -> bool:
    """Whether calling it gives a coroutine; as ``inspect`` decides it, without importing that."""
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:  # an object with __call__
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)
    return bool(code is not None and code.co_flags & 0x80)


def _positional_parameters(function: Callable[..., Any], node: str) -> int:
    """How many of (value, context) the function takes: those without a default, at least the first one if any."""
    bound_self = 1 if hasattr(function, "__self__") else 0
    plain = getattr(function, "__func__", function)
    code = getattr(plain, "__code__", None)
    if code is None:
        plain = getattr(type(function), "__call__", None)
        code, bound_self = getattr(plain, "__code__", None), 1
        if code is None:  # a builtin or a class: it gets the value
            return 1
    total = code.co_argcount - bound_self
    required = total - len(getattr(plain, "__defaults__", None) or ())
    if required > 2 or code.co_kwonlyargcount > len(getattr(plain, "__kwdefaults__", None) or ()):
        raise UsageError(
            f"Node {node!r}: {getattr(function, '__qualname__', function)!r} must take (), (value) or (value, context)."
        )
    return max(required, min(total, 1))


def needs_loop(graph: Graph) -> bool:
    """Whether the graph can only run on an event loop: anything in it that may wait."""
    return any(_waits(step) for step in graph.steps.values()) or any(True for _ in graph.policies)


def _waits(step: Step) -> bool:
    if step.emits:
        return False
    if isinstance(step.target, Graph):
        return needs_loop(step.target) or bool(step.policies)
    if step.policies or not callable(step.target) or hasattr(step.target, "perform"):
        return True
    return is_coroutine_function(step.target) or isinstance(step.target, type)


