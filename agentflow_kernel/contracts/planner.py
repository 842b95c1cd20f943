"""A planner: decides which actions come next; synchronous, without I/O, clock or randomness of its own."""

from __future__ import annotations

from typing import Literal, Protocol, cast

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_kernel.contracts.policy import ActionKind
    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.drawing import Picture

ObservationKind = Literal["started", "result", "error", "signal", "timer", "cancelled", "piece"]


class Action(Value):
    """Something to do, in the one vocabulary of all planners.

    ``id`` is chosen by the planner, unique in its run, and the same when the planner is restored: the engine makes
    the action's identity from it; it holds none of ``/ ! @``. ``name`` is what is meant (``files.read`` for a tool,
    ``""`` for the agent's model), ``arguments`` is JSON and depends on the kind:

    - ``tool``: the tool's arguments. ``model``: ``{"messages", "tools", "output_schema", "stream"?}``, the tools by
      full name; with ``stream: true`` its text is observed piece by piece as well, where the provider can do that.
    - ``agent``, ``flow``, ``plan``: ``{"input"}``; the result is its output.
    - ``emit``, named by the event's type: ``{"data", "subject"?}``; no result.
    - ``wait``: ``{"type": "timer", "seconds"}``, or ``{"type": "signal", "name", "schema"?, "timeout_s"?}`` with the
      signal's value as result. ``ask``: ``{"question", "choices"?, "schema"?, "timeout_s"?}`` with the answer.
    """

    __slots__ = ("id", "kind", "name", "arguments")

    def __init__(self, id: str, kind: ActionKind, name: str = "", arguments: Mapping[str, JSON] | None = None) -> None:
        self.id = id
        self.kind = kind
        self.name = name
        self.arguments = arguments if arguments is not None else {}

    def to_json(self) -> dict[str, JSON]:
        """The action as a JSON object."""
        return {"id": self.id, "kind": self.kind, "name": self.name, "arguments": self.arguments}

    @classmethod
    def from_json(cls, document: Mapping[str, JSON]) -> Action:
        """The action that :meth:`to_json` wrote."""
        return cls(
            str(document["id"]),
            cast("ActionKind", document["kind"]),
            str(document["name"]),
            cast("Mapping[str, JSON]", document["arguments"]),
        )


class End(Value):
    """How a planner ends: with an output, or with an error text and code. ``stop_reason`` says why it stopped."""

    __slots__ = ("output", "error", "code", "stop_reason")

    def __init__(
        self, output: JSON = None, *, error: str | None = None, code: str = "AF-PLAN-FAILED", stop_reason: str = "end"
    ) -> None:
        self.output = output
        self.error = error
        self.code = code
        self.stop_reason = stop_reason


class Decision(Value):
    """What to do after one observation: actions to begin, ids to cancel, what may wake the planner, how it ends.

    The engine finishes all of ``cancel`` before it begins ``start``; an action that was quicker is observed with its
    result. ``waits`` may hold ``{"type": "timer", "after_s": 30}``: it stays until it fires or another one takes its
    place (``"after_s": None`` for none at all), and a resumed run waits only for what is left of it; and
    ``{"type": "signal", "name": "order.paid"}``, ``"*"`` for any name: from then on the run's signals of that name are
    observed in the order of their arrival. A decision with ``end`` starts nothing. ``events`` are progress events to
    publish, each ``(name, fields)``.
    """

    __slots__ = ("start", "cancel", "waits", "end", "events")

    def __init__(
        self,
        start: Sequence[Action] = (),
        *,
        cancel: Sequence[str] = (),
        waits: Sequence[Mapping[str, JSON]] = (),
        end: End | None = None,
        events: Sequence[tuple[str, Mapping[str, JSON]]] = (),
    ) -> None:
        self.start = tuple(start)
        self.cancel = tuple(cancel)
        self.waits = tuple(waits)
        self.end = end
        self.events = tuple(events)


class Observation(Value):
    """Something that happened, given to the planner one at a time.

    ``started`` comes once a run and never on resume, its ``value`` is the task's input. ``result`` and ``error`` and
    ``cancelled`` carry the ``action_id`` they answer; an error's ``value`` is ``{"code", "message", "executed"}``.
    A model's result is a :class:`~agentflow_kernel.contracts.provider.ModelReply` as JSON. A ``signal`` has its name
    as ``action_id`` and its payload as ``value``. ``at`` is the wall time in seconds since 1970 at which the engine saw
    it, the only time that a planner knows; ``traced`` says whether anyone listens to the decision's ``events``.

    A ``piece`` is text of an answer that is not whole yet, ``{"text", "offset"}``: what stands before it has ``offset``
    characters. With the offset 0 the answer begins anew, as after a retry or a resumption: what was heard of it before
    counts no more.

    ``used`` comes with the end of an ``agent``, ``flow`` or ``plan``, however it ended: what the models below it have
    used, as far as it is known. It has ``model_calls``, ``input_tokens``, ``output_tokens``, ``cached_tokens``,
    ``cost_usd`` and ``unpriced_calls``, the calls whose price is not known; what is 0 is left out.
    """

    __slots__ = ("kind", "action_id", "value", "at", "traced", "used")

    def __init__(
        self,
        kind: ObservationKind,
        action_id: str = "",
        value: JSON = None,
        *,
        at: float = 0.0,
        traced: bool = False,
        used: Mapping[str, JSON] | None = None,
    ) -> None:
        self.kind = kind
        self.action_id = action_id
        self.value = value
        self.at = at
        self.traced = traced
        self.used = used


class PlanScope(Value):
    """What a plan may name: tools by full name; agents, flows and plans by name, each with its description.

    ``None`` where it is not known: then nothing of that kind is found to be missing.
    """

    __slots__ = ("tools", "agents", "flows", "plans")

    def __init__(
        self,
        *,
        tools: Mapping[str, Tool] | None = None,
        agents: Mapping[str, str] | None = None,
        flows: Mapping[str, str] | None = None,
        plans: Mapping[str, str] | None = None,
    ) -> None:
        self.tools = tools
        self.agents = agents
        self.flows = flows
        self.plans = plans


class Task(Value):
    """What a planner is given once: instructions, tools it may use (full names), a seed, an optional output schema.

    ``scope`` says what else its actions may name: agents, flows and plans, each with a description. ``plan`` is what
    the planner's :meth:`ReadsPlans.read` made of the document that is followed, ``None`` without one.
    """

    __slots__ = ("name", "instructions", "tools", "output_schema", "seed", "plan", "scope")

    def __init__(
        self,
        name: str,
        *,
        instructions: str = "",
        tools: Mapping[str, Tool] | None = None,
        output_schema: Mapping[str, JSON] | None = None,
        seed: str = "",
        plan: object = None,
        scope: PlanScope | None = None,
    ) -> None:
        self.name = name
        self.instructions = instructions
        self.tools = tools if tools is not None else {}
        self.output_schema = output_schema
        self.seed = seed
        self.plan = plan
        self.scope = scope if scope is not None else PlanScope(tools=self.tools)


class Planner(Protocol):
    """Decides; the engine acts. One planner object serves many runs at once: all run state is in ``state``.

    ``state`` is any object of the planner's own; the engine keeps it, hands it back and stores ``dump(state)``.
    """

    def begin(self, task: Task) -> object:
        """The state before the first observation."""
        ...

    def step(self, state: object, observation: Observation) -> Decision:
        """Decide after one observation; may change ``state`` in place. Fast (no I/O), deterministic.

        Raises nothing on purpose: a bad model answer is part of the state, an end with ``error`` is a decision.
        """
        ...

    def dump(self, state: object) -> JSON:
        """The state as JSON, from which :meth:`load` continues with the same decisions."""
        ...

    def load(self, task: Task, document: JSON) -> object:
        """The state that :meth:`dump` wrote; raises :class:`NewerSchema` for one of a newer version."""
        ...


class ReadsPlans(Protocol):
    """Optional ability: the planner follows a document, the one of a plan."""

    def read(self, document: Mapping[str, JSON]) -> object:
        """The document made ready, once for all runs; it is given back as ``task.plan`` and never changes.

        Raises :class:`PlanInvalid` with all findings.
        """
        ...


class ChecksPlans(Protocol):
    """Optional ability: the planner finds the faults of a document before any run."""

    def check(self, document: Mapping[str, JSON], scope: PlanScope) -> Sequence[PlanFinding]:
        """All findings in the order of the document, none for a good one; raises nothing for a bad one."""
        ...


class DrawsPlans(Protocol):
    """Optional ability: the planner draws a document, and where a run is in it."""

    def graph(self, document: Mapping[str, JSON], state: JSON = None) -> Picture:
        """The picture; with ``state``, as :meth:`Planner.dump` wrote it, what is active stands out.

        Of a run that has ended, ``state`` is that after the decision to end.

        Raises :class:`PlanInvalid`.
        """
        ...


class EstimatesPlans(Protocol):
    """Optional ability: the planner works out what following a document may use at worst."""

    def estimate(self, document: Mapping[str, JSON], scope: PlanScope) -> Mapping[str, JSON]:
        """Figures by name, such as ``usd``, ``seconds``, ``steps`` and ``model_calls``.

        Over all branches, with every loop done as often as it may; ``unknown`` names, for a figure, the steps of which
        it is not known.

        Raises :class:`PlanInvalid`.
        """
        ...


class MakesPlans(Protocol):
    """Optional ability: the planner makes a document for a goal, without doing any of it."""

    def plan(self, goal: str, context: Task) -> Mapping[str, JSON]:
        """A document that a planner follows; synchronous and without a model, like :meth:`Planner.step`."""
        ...
