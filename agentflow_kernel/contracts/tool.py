"""A tool: a named function a model or plan may call, described by a JSON Schema; a toolset offers several."""

from __future__ import annotations

from typing import Literal, Protocol

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.errors import Executed

Effect = Literal["pure", "idempotent", "effect"]
"""``pure`` changes nothing; ``idempotent`` may run again with the same key; ``effect`` may not without asking."""


class Tool(Value):
    """One tool of a toolset.

    ``name`` is local to the set (``read``); the kernel prefixes the set's name (``files.read``).
    ``parameters`` is a JSON Schema of type ``object``; whoever decides on a call (planner, flow) checks its arguments
    against it first, with :func:`agentflow_kernel.schema.find_problems`. An agent, plan or flow that takes up a tool
    whose schema is misspelt or none raises :class:`UsageError`; words of one's own begin with ``x-``.
    ``sequential`` tools never run beside another call of the same turn.
    """

    __slots__ = ("name", "description", "parameters", "effect", "sequential")

    def __init__(
        self,
        name: str,
        description: str,
        parameters: Mapping[str, JSON],
        *,
        effect: Effect = "effect",
        sequential: bool = False,
    ) -> None:
        self.name = name
        self.description = description
        self.parameters = parameters
        self.effect = effect
        self.sequential = sequential


class ToolContext(Value):
    """What a tool may know of the call: the run, the action's path in it, the idempotency key, the attempt from 1."""

    __slots__ = ("run_id", "path", "key", "attempt")

    def __init__(self, run_id: str = "", path: str = "", key: str = "", attempt: int = 1) -> None:
        self.run_id = run_id
        self.path = path
        self.key = key
        self.attempt = attempt


class ToolOutcome(Value):
    """What a receiver knows of a call: ``executed`` is ``yes``, with its ``result``, ``no``, or ``maybe``."""

    __slots__ = ("executed", "result")

    def __init__(self, executed: Executed, result: JSON = None) -> None:
        self.executed = executed
        self.result = result


class Toolset(Protocol):
    """A set of tools made from one settings object. Calls may run at the same time."""

    def tools(self) -> Sequence[Tool]:
        """The tools on offer; the same list for the life of the object, local names unique; no I/O."""
        ...

    async def call(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> JSON:
        """Run the tool with the local name ``name``; ``arguments`` fit its schema. The result is JSON.

        Raises :class:`ToolFailed` (the model is told, no retry), :class:`AskModelAgain` (the model is told and may
        correct itself), or an :class:`AgentFlowError`. Cancellation is raised on and leaves nothing running.
        """
        ...

    async def aclose(self) -> None:
        """Give back what was opened; may be called twice."""
        ...


class ChecksOutcomes(Protocol):
    """Optional ability of a toolset: to ask the receiver what became of a call with the effect ``effect``."""

    async def check(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> ToolOutcome:
        """Whether the call with the key ``context.key`` has happened; changes nothing.

        Asked when a run goes on after a crash in the midst of the call. With ``yes`` the result stands for the call's,
        with ``no`` the call is made, with the same key; with ``maybe``, or when this raises, it is as if nobody had
        been asked: ``on_unknown`` decides.
        """
        ...
