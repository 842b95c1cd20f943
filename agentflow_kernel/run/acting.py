"""An act: what a planner has done besides calls of its model and tools: parts of its run, waits, questions, events."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.errors import InputInvalid, PlanError, UnknownName
from agentflow_kernel.flow.asking import Ask, Wait
from agentflow_kernel.run.bind import bind, check_inner
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.pauses import wait_for
from agentflow_kernel.run.questions import ask_person
from agentflow_kernel.run.runtime import Context, Frame
from agentflow_kernel.run.settle import Settled
from agentflow_kernel.run.walk import run_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Protocol

    from agentflow_kernel.contracts.planner import Action
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.flow.graph import Graph
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.history import Line

    class Performs(Protocol):
        """An agent or a plan."""

        name: str

        def perform(self, context: Context, value: JSON) -> Any:
            """Run it as one action of a run."""
            ...


_WAITS = {
    "timer": ("seconds",),
    "signal": ("name", "schema", "timeout_s"),
    "event": ("event", "schema", "if", "timeout_s"),
}
"""The types of waits and what each of them has."""
_OPTION_OF = {"name": "signal", "if": "only_if"}
"""What these are called in a :class:`Wait`; the others are called the same."""
MAX_DEPTH = 32
"""How deep plans, agents and flows may be nested in each other."""


class Parts:
    """What a planner's actions may name besides tools: agents, flows and plans, each by the name it is known under.

    ``described`` says what they are for, by ``agent/<name>`` and so on; planners that choose among them are told.
    """

    __slots__ = ("agents", "flows", "plans", "described", "_bound")

    def __init__(
        self,
        *,
        agents: Mapping[str, Performs] | None = None,
        flows: Mapping[str, Graph] | None = None,
        plans: Mapping[str, Performs] | None = None,
        described: Mapping[str, str] | None = None,
    ) -> None:
        self.agents = agents or {}
        self.flows = flows or {}
        self.plans = plans or {}
        self.described = described or {}
        self._bound: dict[str, BoundNode] = {}

    def start_of(self, flow: str) -> BoundNode:
        """The start of a flow, bound when it is first needed; raises :class:`UnknownName`."""
        if flow not in self._bound:
            if flow not in self.flows:
                raise UnknownName("flow of this plan", flow, self.flows)
            self._bound[flow] = bind(self.flows[flow], loopless=False, place=f"flow/{flow}/")
        return self._bound[flow]

    def starts(self) -> Iterator[BoundNode]:
        """The starts of all flows, also of those within its agents and plans."""
        for name in self.flows:
            yield self.start_of(name)
        for part in (*self.agents.values(), *self.plans.values()):
            inner: Parts | None = getattr(part, "parts", None)
            if inner is not None:
                yield from inner.starts()


async def act(context: Context, action: Action, path: str, parts: Parts) -> object:
    """Do the action at ``path``; the result is JSON, or settled with lines that belong to its record.

    Raises :class:`UnknownName` for a part that is not there, :class:`InputInvalid` for arguments that do not fit the
    kind of the action, :class:`PlanError` for what is nested too deep, and whatever the part itself raises.
    """
    inner = Context(context.run, path, action.id)
    arguments, kind = action.arguments, action.kind
    if kind in ("agent", "plan", "flow"):
        if path.count("/") >= MAX_DEPTH:
            raise PlanError(path, f"plans, agents and flows are nested deeper than {MAX_DEPTH}.")
        if kind == "flow":
            return await _walk(inner, parts.start_of(action.name), arguments.get("input"))
        known = parts.agents if kind == "agent" else parts.plans
        if action.name not in known:
            raise UnknownName(f"{kind} of this plan", action.name, known)
        return await known[action.name].perform(inner, arguments.get("input"))
    if kind == "emit":
        return _emitted(action, path)
    if kind == "wait":
        return await wait_for(inner, _wait_of(action), None)
    if kind == "ask":
        ask, about = _ask_of(action)
        return await ask_person(inner, inner.occurrence("ask"), ask, about)
    raise InputInvalid(f"Action {action.id!r}", f"a planner has no actions of kind {kind!r}")


async def _walk(context: Context, start: BoundNode, value: JSON) -> object:
    """Walk a flow as one action, within its time."""
    graph, run = start.graph, context.run
    if graph.input_schema is not None:
        check_inner(graph, context, value)
    frame = Frame(run, graph, value, prefix=f"{context.path}/")
    if graph.timeout_s is None:
        return await run_frame(frame, start, value)
    from agentflow_kernel.run.limits import flow_time, limited  # only flows with a limit pay

    left_s = await flow_time(run, context.path, graph.timeout_s)
    limit = (f"Flow {graph.name!r}", graph.timeout_s, left_s)
    return await limited(run, context.path, limit, lambda: run_frame(frame, start, value))


def _emitted(action: Action, path: str) -> Settled:
    if not action.name:
        raise InputInvalid(f"Action {action.id!r}", "an emit action is named by the type of its event")
    payload: dict[str, JSON] = {"type": action.name, "data": action.arguments.get("data")}
    if action.arguments.get("subject") is not None:
        payload["subject"] = str(action.arguments["subject"])
    checked, text = to_json(payload, path)
    line: Line = ("event.emitted", path, checked, "", len(text))
    return Settled(None, (line,))


def _wait_of(action: Action) -> Wait:
    given = dict(action.arguments)
    kind = given.pop("type", None)
    if kind not in _WAITS or set(given) - set(_WAITS[str(kind)]):
        known = "; ".join(f"{each} with {', '.join(fields)}" for each, fields in _WAITS.items())
        raise _misfit(action, f"a wait has one of these types: {known}")
    renamed: dict[str, Any] = {_OPTION_OF.get(key, key): value for key, value in given.items()}
    wait = Wait(**renamed)
    for problem in wait.problems():
        raise _misfit(action, problem)
    return wait


def _ask_of(action: Action) -> tuple[Ask, JSON]:
    given: dict[str, Any] = dict(action.arguments)
    about = given.pop("about", None)
    if "question" not in given or set(given) - {"question", *Ask.OPTIONS}:
        raise _misfit(action, f"a question has 'question', and may have {', '.join(Ask.OPTIONS)} and about")
    by = cast("list[str]", given.pop("by", ()))
    ask = Ask(given.pop("question"), by=by, **given)
    for problem in ask.problems():
        raise _misfit(action, problem)
    return ask, about


def _misfit(action: Action, problem: str) -> InputInvalid:
    return InputInvalid(f"The arguments of action {action.id!r}", problem)
