"""A plan: a document and the planner that follows it, bound to the tools, agents, flows and plans that it names."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.agent import Agent, ModelSettings, scope_of, tools_of
from agentflow_kernel.errors import InputInvalid, PlanInvalid, Unsupported, UsageError
from agentflow_kernel.flow.asking import schema_problems
from agentflow_kernel.schema import find_problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_kernel.contracts.planner import Planner, PlanScope, ReadsPlans
    from agentflow_kernel.contracts.policy import Policy
    from agentflow_kernel.contracts.provider import ModelReply, ModelRequest, Provider
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.drawing import Picture
    from agentflow_kernel.run.acting import Parts
    from agentflow_kernel.run.history import OnUnknown
    from agentflow_kernel.run.runtime import Context


class Plan(Agent):
    """Run it by name in a kernel, or give it to a flow as a step; one plan serves any number of runs at once.

    ``document`` is what the planner follows, in its own format: a statechart, a behaviour tree, a graph of steps.
    Everything else is as with an :class:`Agent`; a ``provider`` is needed only where a step asks a model.
    ``input_schema``, a JSON Schema, is what every input must fit (:class:`InputInvalid`).
    """

    kind = "plan"

    __slots__ = ("document", "input_schema", "_read")

    def __init__(
        self,
        name: str,
        planner: Planner,
        document: Mapping[str, JSON],
        *,
        provider: Provider | None = None,
        instructions: str = "",
        tools: Mapping[str, Toolset] | None = None,
        only: Sequence[str] | None = None,
        policies: Sequence[Policy] = (),
        input_schema: Mapping[str, JSON] | None = None,
        model: ModelSettings | None = None,
        approve: object = None,
        on_unknown: OnUnknown = "stuck",
        parts: Parts | None = None,
    ) -> None:
        if not hasattr(planner, "read"):
            raise UsageError(f"Plan {name!r}: its planner follows no document; give it to an agent instead.")
        for problem in schema_problems("input_schema", input_schema):
            raise UsageError(f"Plan {name!r}: {problem}.")
        super().__init__(
            name,
            cast("Provider", _NoProvider(name)) if provider is None else provider,
            planner,
            instructions=instructions,
            tools=tools,
            only=only,
            policies=policies,
            model=model if model is not None else ModelSettings(),
            approve=approve,
            on_unknown=on_unknown,
            parts=parts,
        )
        self.document = document
        self.input_schema = input_schema
        self._read: object = None

    def read_plan(self) -> object:
        """What the planner made of the document, made when it is first needed; raises :class:`PlanInvalid`."""
        if self._read is None:
            self._read = cast("ReadsPlans", self.planner).read(self.document)
        return self._read

    def perform(self, context: Context, value: JSON) -> Awaitable[object]:
        """Run the plan as one action of a run; the engine calls this.

        Raises :class:`InputInvalid`, :class:`PlanInvalid`, and :class:`PlanFailed` when it ends with an error.
        """
        if self.input_schema is not None:
            problems = find_problems(value, self.input_schema)
            if problems:
                raise InputInvalid(f"The input of plan {self.name!r}", "; ".join(problems))
        return super().perform(context, value)

    def check(self, scope: PlanScope | None = None) -> Sequence[PlanFinding]:
        """All faults of the document, without running anything; none where its planner checks nothing.

        ``scope`` says what may be named, by default what the plan was given.
        """
        check = getattr(self.planner, "check", None)
        if check is None:
            return ()
        if scope is None:
            scope = scope_of({name: tool for name, (_, tool) in tools_of(self)}, self.parts)
        found: Sequence[PlanFinding] = check(self.document, scope)
        return found

    def ready(self) -> None:
        """Raise :class:`PlanInvalid` with all findings that are no mere warnings; looked for once, before any run."""
        if self._read is None:
            found = [finding for finding in self.check() if not finding.warning]
            if found:
                raise PlanInvalid(self.name, found)
            self.read_plan()

    def graph(self, state: JSON = None) -> Picture:
        """The document as a picture, with what is active in ``state``, a planner's dump, standing out.

        Raises :class:`PlanInvalid`, and :class:`Unsupported` where its planner draws nothing.
        """
        draw = getattr(self.planner, "graph", None)
        if draw is None:
            raise Unsupported(f"A drawing of plan {self.name!r}", "its planner draws nothing.")
        picture: Picture = draw(self.document, state)
        return picture


class _NoProvider:
    """Stands where a plan has no model."""

    def __init__(self, plan: str) -> None:
        self._plan = plan

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Refuse."""
        raise Unsupported("A step that asks a model", f"plan {self._plan!r} has no provider; give it one (`model`).")
