"""A trail: the last visits of a walk, told when one of its limits is used up."""

from __future__ import annotations

from agentflow_kernel.errors import BudgetExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.flow.graph import Graph
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.runtime import Frame

REMEMBERED = 10
"""Visits that an error lists. A walk with ``max_steps`` only remembers its last ones, so that no other step pays."""


class Trail:
    """Counts the visits of one walk against its limits."""

    __slots__ = ("_graph", "_last")

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._last: list[str] = []

    def spend(self, node: str, left: int) -> None:
        """Note a visit near the end of ``max_steps``; raises :class:`BudgetExceeded` where none is left."""
        if left <= 0:
            raise BudgetExceeded("max_steps", self._graph.max_steps, self._story(node))
        self._note(node)

    def count(self, frame: Frame, node: BoundNode) -> None:
        """Note a visit in a flow with ``max_visits``; raises :class:`BudgetExceeded` for a node that has no more."""
        if node.kind == "trap":  # no visit: it says that its node chose no action
            return
        limit = node.step.max_visits
        if limit is not None and frame.visits.get(node.name, 0) >= limit:
            raise BudgetExceeded(f"max_visits of {node.name!r}", limit, self._story(node.name))
        self._note(node.name)

    def _note(self, node: str) -> None:
        self._last.append(node)
        del self._last[:-REMEMBERED]

    def _story(self, node: str) -> str:
        way = " → ".join(self._last)
        return f"flow {self._graph.name!r} at {node!r}; the last visits: {way}"
