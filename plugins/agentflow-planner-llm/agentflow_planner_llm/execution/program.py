"""A program: a plan ready to be followed, with everything that can be worked out before a run worked out."""

from __future__ import annotations

from typing import cast

from agentflow_planner_llm.plan.schemas import BATCH
from agentflow_planner_llm.plan.scope import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from agentflow_kernel.contracts.tool import Effect, Tool
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.document import Plan
    from agentflow_planner_llm.plan.graph import Graph, Loop
    from agentflow_planner_llm.plan.step import Step


class Batch:
    """The batch form of a tool: ``tool`` takes as ``list`` the values of ``parameter``."""

    __slots__ = ("tool", "parameter", "list")

    def __init__(self, tool: str, parameter: str, list: str) -> None:  # noqa: A002 - the keyword's own name
        self.tool = tool
        self.parameter = parameter
        self.list = list


def batch_of(name: str, program: Program) -> Batch | None:
    """The batch form of a tool, where that is a tool without effects here which the plan may call."""
    tools = program.tools
    tool = tools.get(name)
    said = None if tool is None else tool.parameters.get(BATCH)
    if not isinstance(said, dict):
        return None
    names = [said.get(word) for word in ("tool", "parameter", "list")]
    if not all(isinstance(name, str) for name in names) or names[0] not in tools:
        return None
    form = Batch(*cast("list[str]", names))
    return None if matches(form.tool, program.withheld) or tools[form.tool].effect != "pure" else form


class Program:
    """What an executor reads of a plan, by the index of its steps; immutable once made, shared by all runs.

    ``after`` are the steps that end before one begins, ``hard`` those of them that must not have failed. ``twins`` end
    with the step that they are the same call as. ``pruned`` never run. ``rank`` decides among steps that are ready,
    the lowest first. ``withheld`` are patterns of tools that no pass may call in the place of others.
    """

    __slots__ = (
        "plan", "graph", "tools", "steps", "effects", "after", "hard", "_followers", "loops", "twins", "twin_of",
        "pruned", "rank", "cached", "batches", "last", "position", "withheld",
    )  # fmt: skip

    def __init__(self, graph: Graph, tools: Mapping[str, Tool], withheld: Sequence[str] = ()) -> None:
        self.plan: Plan = graph.plan
        self.graph = graph
        self.tools = tools
        self.withheld = withheld
        self.steps: Sequence[Step] = graph.steps
        self.effects: Sequence[Effect] = graph.effects
        size = len(graph.steps)
        self.after: list[AbstractSet[int]] = list(graph.waits)
        self.hard: list[AbstractSet[int]] = [
            data | declared if declared else data for data, declared in zip(graph.data, graph.declared, strict=True)
        ]
        self.loops: dict[tuple[int, int], Loop] = {(loop.source, loop.route): loop for loop in graph.loops}
        self.twins: dict[int, tuple[int, ...]] = {}
        self.twin_of: dict[int, int] = {}
        self.pruned: Collection[int] = frozenset()
        self.rank: Sequence[int] = range(size)
        self.cached: Collection[int] = frozenset()
        self.batches: dict[int, Batch] = {}
        self._followers: list[list[int]] | None = None
        self.last: Sequence[int] = ()
        """Steps that no other step waits for or uses: their results are the output where the plan names none."""
        self.position: dict[int, int] = {number: place for place, number in enumerate(graph.topological)}
        used = graph.used.union(*graph.declared)
        used.update(source for sources in graph.routed.values() for source, _ in sources)
        self.last = [number for number in range(size) if number not in used]

    @property
    def followers(self) -> list[list[int]]:
        """For each step those that wait for it, as they were when it was last asked for or sealed."""
        if self._followers is None:
            self.seal()
        return cast("list[list[int]]", self._followers)

    def seal(self) -> None:
        """Work out who follows whom, after the last change to ``after``."""
        followers: list[list[int]] = [[] for _ in self.steps]
        for number, needs in enumerate(self.after):
            for need in needs:
                followers[need].append(number)
        self._followers = followers

    def step_aside(self, number: int) -> None:
        """Let all that waits for a step wait for what that waits for too, so that their order no longer hangs on it."""
        needs, followers = self.after[number], self.followers
        if not needs:
            return
        for follower in followers[number]:
            more = needs - self.after[follower]
            if more:
                self.after[follower] = self.after[follower] | more
                for need in more:
                    followers[need].append(follower)

    @property
    def live(self) -> int:
        """How many steps take part."""
        return len(self.steps) - len(self.pruned)

    def is_sequential(self, number: int) -> bool:
        """Whether nothing may run beside a step."""
        step = self.steps[number]
        tool = self.tools.get(step.name) if step.kind == "tool" else None
        return tool is not None and tool.sequential

    def names(self, numbers: Collection[int]) -> list[JSON]:
        """The ids of steps."""
        return [self.steps[number].id for number in sorted(numbers)]
