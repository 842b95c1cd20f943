"""A binding: a graph made ready to walk, each step composed once with its function, its policies and its routes."""

from __future__ import annotations

from agentflow_kernel.errors import UsageError
from agentflow_kernel.flow.fork import Parallel
from agentflow_kernel.flow.graph import Graph, next_of
from agentflow_kernel.flow.node import DEFAULT, END, JOINED, Node
from agentflow_kernel.flow.sketch import reach
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.runtime import Frame
from agentflow_kernel.run.threads import call_in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from types import CodeType
    from typing import Any

    from agentflow_kernel.contracts.policy import Call, Policy, Request
    from agentflow_kernel.contracts.tool import Effect
    from agentflow_kernel.flow.graph import Step
    from agentflow_kernel.run.runtime import Context

    Invoke = Callable[[Context, Any], Awaitable[object]]

_ANY_ARGUMENTS, _COROUTINE = 0x04, 0x80
"""Flags of a code object: it has ``*args``; calling it gives a coroutine."""
VISIT, AWAIT, CALL = 0, 1, 2
"""How a quiet run does a node: the long way, by awaiting its function, or by calling it."""
PAUSES = ("ask", "wait")
"""Kinds of nodes that only wait for something."""
LEAVES = ("call", "tool")
"""Kinds of nodes that act by themselves; the others are made of such."""


class BoundNode:
    """One step, ready to run. ``quick`` and ``mode`` say what a quiet run does; ``next`` is where ``default`` leads."""

    __slots__ = (
        "name", "step", "graph", "mode", "quick", "invoke", "call", "next", "bound", "kind", "phased", "effect",
        "branches", "guarded", "when", "forks", "framed", "own", "plain",
        "direct", "careful", "place", "undo", "inner", "ways",
    )  # fmt: skip

    def __init__(self, step: Step, graph: Graph) -> None:
        self.name = step.name
        self.step = step
        self.graph = graph
        self.mode = VISIT
        self.quick: Callable[[Any], Any] | None = None
        self.invoke: Invoke = _not_bound
        self.call: Call | None = None
        self.next: BoundNode | None = None
        self.bound: dict[str, BoundNode | None] = {}
        self.kind: Any = "call"
        self.phased: Node | None = None
        self.branches: Sequence[BoundNode] = ()
        """What a fork forks into."""
        self.when = step.when
        self.forks = bool(step.fan_out)
        """Whether a visit may be made of branches."""
        self.framed = False
        """Whether what it does needs the frame together with the value."""
        self.own = step.name
        """The name of the node in its flow, under which it keeps what is private to it."""
        self.guarded = False
        """Whether a node of its graph has a limit of visits: each visit is noted then."""
        self.plain = True
        """Whether nothing stands between a visit and its call: no intent, no approval."""
        self.direct = False
        """Whether a visit is nothing but awaiting its function: it takes no context and nothing stands round it."""
        self.careful = False
        """Whether a visit needs an approval, has a time limit, or leaves something to compensate."""
        self.place = step.name
        """The names of the nodes and branches that lead to it: ``check/inner``."""
        self.undo: BoundNode | None = None
        """What compensates it."""
        self.ways: dict[str, BoundNode | None] = {}
        """The starts of the ways that it may choose together, ``None`` where one leads to the join at once."""
        self.inner: BoundNode | None = None
        """The start of the flow that it is."""
        self.effect: Effect = step.effect or getattr(step.target, "effect", None) or "idempotent"

    def follow(self, action: Any) -> BoundNode | None:
        """The node that ``action`` leads to, ``None`` for the end; raises for an action that is not routed."""
        if action is JOINED:
            return self.bound[str(self.step.join)]
        if not isinstance(action, str):
            raise UsageError(f"Node {self.name!r} chose several actions {action!r}; its 'join' must say where.")
        if action not in self.step.routes and self.graph.on_unknown_action == "end":
            return None
        target = next_of(self.step.routes, action, flow=self.graph.name, node=self.name)
        return None if target is None else self.bound[target]

    def choose(self, frame: Frame, value: object) -> BoundNode | None:
        """The node to which the first condition of ``when`` that holds leads, ``None`` for the end."""
        for case in self.step.when:
            try:
                holds = case.condition is None or case.condition.holds(frame.roots, value)
            except Exception as error:
                frame.run.blame(error, frame.prefix + self.name)
                raise
            if holds:
                return None if case.target == END else self.bound[case.target]
        raise UsageError(f"Node {self.name!r}: no condition of 'when' holds.")


async def _not_bound(context: Context, value: object) -> object:
    raise UsageError("This node was never bound.")


def bind(graph: Graph, *, loopless: bool, place: str = "") -> BoundNode:
    """The start node of the graph, ready to walk; checks the graph first (:class:`FlowInvalid`).

    ``loopless`` binds for a run without an event loop: functions are then called on the spot. ``place`` is where the
    flow stands in the one that is run, ``""`` for that one itself.
    """
    graph.check()
    return _bind_steps(graph, str(graph.start), graph.steps, loopless=loopless, place=place)


def _bind_steps(
    graph: Graph, start: str, steps: Mapping[str, Step], *, loopless: bool, place: str, join: str | None = None
) -> BoundNode:
    """The start of these steps of a flow, which end where the routes lead to ``join``."""
    nodes = {name: BoundNode(step, graph) for name, step in steps.items()}
    bound: dict[str, BoundNode | None] = {**nodes}
    if join is not None:
        bound[join] = None
    guarded = any(step.max_visits is not None for step in steps.values())
    for node in nodes.values():
        node.bound = bound
        node.place = place + node.name
        _compose(node, loopless=loopless)
        routes = node.step.routes
        if guarded:
            node.guarded, node.mode = True, VISIT
        if node.step.join is not None:
            _bind_ways(node, loopless=loopless, place=place)
        if DEFAULT in routes or not routes or graph.on_unknown_action == "end":
            node.next = node.follow(DEFAULT)
        else:
            node.next = _trap(node)
    return nodes[start]


def _bind_ways(node: BoundNode, *, loopless: bool, place: str) -> None:
    """Bind each way that the node may choose beside others: the steps from its route up to the join."""
    graph, join = node.graph, str(node.step.join)
    node.forks, node.mode, node.direct = True, VISIT, False
    part = Graph.__new__(Graph)
    part.__dict__.update(graph.__dict__)
    part.output = None
    for action, target in node.step.routes.items():
        if target == join:
            node.ways[action] = None
            continue
        way = reach(graph.steps, target, join)
        steps = {name: step for name, step in graph.steps.items() if name in way}
        node.ways[action] = _bind_steps(part, target, steps, loopless=loopless, place=place, join=join)


def _trap(node: BoundNode) -> BoundNode:
    """What stands behind a node whose routes leave out the default action."""
    trap = BoundNode(node.step, node.graph)

    async def invoke(context: Context, value: object) -> object:
        return node.follow(DEFAULT)

    trap.invoke = invoke
    trap.kind = "trap"
    return trap


def _compose(node: BoundNode, *, loopless: bool) -> None:
    step = node.step
    target: Any = step.target
    if step.emits:
        node.kind = "emit"
        node.invoke = _pass_on
        _add_care(node, loopless=loopless)
        return
    if isinstance(target, type) and issubclass(target, Node):
        target = target()
    if isinstance(target, Node):
        _check_phases(target, node.name)
        node.phased = target
        node.invoke = lambda context, value: target.exec(value)
    elif isinstance(target, Parallel):
        node.kind, node.forks, node.framed = "parallel", True, True
        node.branches = [_bind_branch(step, node, loopless=loopless) for step in target.steps.values()]
        node.invoke = _fork_at(node)
    elif isinstance(target, Graph):
        node.kind = "flow"
        start = node.inner = bind(target, loopless=loopless, place=f"{node.place}/")
        shared = target.run_keys()
        if shared or target.scope == "shared":
            from agentflow_kernel.run.sharing import walk_sharing  # only flows that share keys pay

            node.invoke, node.framed = (
                walk_sharing(node, start, None if target.scope == "shared" else frozenset(shared)),
                True,
            )
        else:
            node.invoke = _walk_from(start)
    elif getattr(target, "kind", "") in PAUSES:
        node.kind = target.kind
        node.invoke = _pause_at(node)
    elif hasattr(target, "perform"):
        node.kind = target.kind
        node.invoke = target.perform
        if node.kind == "plan":
            target.ready()
    elif callable(target):
        _compose_function(node, target, loopless=loopless)
    else:
        raise UsageError(f"Node {step.name!r}: {target!r} is no function, Node, flow or agent.")
    policies = [*node.graph.policies, *step.policies] if node.kind in LEAVES else list(step.policies)
    if policies:
        node.mode = VISIT
        node.call = wrap(policies, _innermost(node, afresh=may_repeat(policies)))
    if step.input is not None or step.each is not None or step.when or step.fan_out:
        node.mode = VISIT
    _add_care(node, loopless=loopless)


def _check_phases(target: Node, node: str) -> None:
    for phase in ("prep", "exec", "exec_fallback", "post"):
        method = getattr(target, phase)
        if hasattr(method, "__func__") and not is_coroutine_function(method):
            raise UsageError(f"Node {node!r}: {type(target).__qualname__}.{phase} must be an `async def` method.")


def _add_care(node: BoundNode, *, loopless: bool) -> None:
    """Bind what stands between a visit and its call."""
    step = node.step
    if step.compensate is not None:
        undo = node.undo = BoundNode(step.compensate, node.graph)
        undo.place = f"{node.place}!compensate"
        _compose(undo, loopless=loopless)
    timed = step.timeout_s is not None or (node.inner is not None and node.inner.graph.timeout_s is not None)
    if step.approve is not None or node.undo is not None or timed:
        node.careful, node.mode = True, VISIT
    node.plain = not node.careful and not (node.effect == "effect" and node.kind in LEAVES)
    node.direct = node.direct and node.plain and node.call is None and not node.forks


def _bind_branch(step: Step, fork: BoundNode, *, loopless: bool) -> BoundNode:
    branch = BoundNode(step, fork.graph)
    branch.bound = fork.bound
    branch.own = f"{fork.own}/{step.name}"
    branch.place = f"{fork.place}/{step.name}"
    _compose(branch, loopless=loopless)
    return branch


def _fork_at(node: BoundNode) -> Invoke:
    """A call that runs the branches; the visit gives it the frame together with the value."""

    async def fork(context: Context, value: Any) -> object:
        from agentflow_kernel.run.branches import run_fork  # lazy: only flows with branches pay

        frame, taken = value
        return await run_fork(frame, node, context.path, taken)

    return fork


def _pause_at(node: BoundNode) -> Invoke:
    """A call that asks or waits."""

    async def stop(context: Context, value: Any) -> object:
        from agentflow_kernel.run.pauses import pause  # lazy: only flows that ask or wait pay

        return await pause(node, context, value)

    return stop


async def _pass_on(context: Context, value: object) -> object:
    return value


def _walk_from(start: BoundNode) -> Invoke:
    """A call that walks a nested flow; results and state are its own, and its paths begin with the node's."""

    async def walk(context: Context, value: object) -> object:
        from agentflow_kernel.run.walk import run_frame  # here, because the walk needs bound nodes

        if start.graph.input_schema is not None:
            check_inner(start.graph, context, value)
        return await run_frame(Frame(context.run, start.graph, value, prefix=f"{context.path}/"), start, value)

    return walk


def check_inner(graph: Graph, context: Context, value: object) -> None:
    """Raise :class:`InputInvalid` where the input of a flow that is a node does not fit its schema."""
    graph.check_input(value, at=f"{context.run.name}/{context.path}")


def wrap(policies: list[Any], call: Call) -> Call:
    """The call with all policies round it, the first one outermost; raises :class:`UsageError` for what is none."""
    for policy in reversed(policies):
        if not hasattr(policy, "wrap"):
            raise UsageError(f"{policy!r} is no policy: expected an object with wrap(call), as plugins make them.")
        call = policy.wrap(call)
    return call


def may_repeat(policies: Iterable[Policy]) -> bool:
    """Whether a call within these policies may be made more than once; only one that says so does not repeat."""
    return any(getattr(policy, "repeats", True) for policy in policies)


def _innermost(node: BoundNode, *, afresh: bool) -> Call:
    """The call within all policies.

    ``afresh`` gives each attempt a copy of the value, so that one that fails leaves no trace in it for the next.
    """
    invoke = node.invoke

    async def call(request: Request) -> object:
        payload: Any = request.payload  # put there by the visit
        context, value, *taken = payload
        if request.attempt > 1:
            context = context.for_attempt(request.attempt)
        if afresh:
            context.may_repeat = True
            value = (value[0], copied(value[1])) if node.framed else copied(value)
        result = await invoke(context, value)
        if taken:
            taken[0].append(value)
        return result

    return call


def _compose_function(node: BoundNode, function: Callable[..., Any], *, loopless: bool) -> None:
    """Bind a plain function: with or without input, with or without context, coroutine or not."""
    positional = _positional_parameters(function, node.name)
    quick: Callable[[Any], Any] = function if positional else lambda value: function()

    def called(context: Context, value: object) -> Any:
        return function(value, context) if positional == 2 else quick(value)

    if is_coroutine_function(function):
        node.invoke = called
        if positional < 2:
            node.mode, node.quick, node.direct = AWAIT, quick, True
    elif loopless or node.step.blocking == "inline":

        async def on_the_spot(context: Context, value: object) -> object:
            return called(context, value)

        node.invoke = on_the_spot
        if positional < 2:
            node.mode, node.quick = CALL, quick
    else:

        async def in_thread(context: Context, value: object) -> object:
            return await call_in_thread(context, called, value)

        node.invoke = in_thread


def is_coroutine_function(function: object) -> bool:
    """Whether calling it gives a coroutine; as ``inspect`` decides it, without importing that."""
    while type(function).__module__ == "functools" and hasattr(function, "func"):  # a partial
        function = function.func
    function = getattr(function, "__func__", function)
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None:  # an object with __call__
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004 -- its code is asked
    return bool(code is not None and code.co_flags & _COROUTINE)


def _positional_parameters(function: Callable[..., Any], node: str) -> int:
    """How many of (value, context) the function takes: those without a default, at least the first one if any.

    A wrapper that passes on whatever it is given takes what the function behind it takes.
    """
    bound_self = 1 if hasattr(function, "__self__") else 0
    plain: Any = getattr(function, "__func__", function)
    if getattr(plain, "__code__", None) is None:
        plain, bound_self = getattr(type(function), "__call__", None), 1  # noqa: B004 -- its code is asked
    code: CodeType | None = getattr(plain, "__code__", None)
    while code is not None and code.co_flags & _ANY_ARGUMENTS and hasattr(plain, "__wrapped__"):
        plain = plain.__wrapped__
        code = getattr(plain, "__code__", None)
    if code is None:  # a builtin or a class: it gets the value
        return 1
    total = code.co_argcount - bound_self
    if code.co_flags & _ANY_ARGUMENTS:
        total = max(total, 1)
    required = code.co_argcount - bound_self - len(getattr(plain, "__defaults__", None) or ())
    if required > 2 or code.co_kwonlyargcount > len(getattr(plain, "__kwdefaults__", None) or ()):
        raise UsageError(
            f"Node {node!r}: {getattr(function, '__qualname__', function)!r} must take (), (value) or (value, context)."
        )
    return max(required, min(total, 1))


def needs_loop(graph: Graph, within: tuple[Graph, ...] = ()) -> bool:
    """Whether the graph can only run on an event loop: anything in it that may wait.

    ``within`` are the flows that it is part of: one that holds itself is refused later, with a reason.
    """
    if graph in within:
        return False
    within = (*within, graph)
    return (
        bool(graph.policies)
        or graph.timeout_s is not None
        or any(_waits(step, within) for step in graph.steps.values())
    )


def _waits(step: Step, within: tuple[Graph, ...]) -> bool:
    if step.approve is not None or step.compensate is not None or step.timeout_s is not None:
        return True
    if step.emits:
        return False
    if isinstance(step.target, Graph):
        return bool(step.policies) or needs_loop(step.target, within)
    if isinstance(step.target, Parallel):
        return bool(step.policies) or any(_waits(branch, within) for branch in step.target.steps.values())
    if step.policies or not callable(step.target) or hasattr(step.target, "perform"):
        return True
    if isinstance(step.target, type):
        return issubclass(step.target, Node)
    return is_coroutine_function(step.target)
