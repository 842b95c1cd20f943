"""A shared state: what a nested flow has in common with the flows round it; it is written when the flow completes."""

from __future__ import annotations

from agentflow_kernel.flow.key import PRIVATE
from agentflow_kernel.flow.state import BranchState
from agentflow_kernel.run.bind import check_inner
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.runtime import Frame
from agentflow_kernel.run.settle import Settled
from agentflow_kernel.run.walk import run_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from agentflow_kernel.flow.key import StateRules
    from agentflow_kernel.flow.state import SharedState
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.runtime import Context

    Invoke = Callable[[Context, Any], Awaitable[object]]


class SharingFrame(Frame):
    """The frame of a nested flow: its own state, with the shared keys as they are in the flow round it.

    Without ``names`` all keys are shared but those that are private to nodes.
    """

    __slots__ = ("_values", "_names", "_rules")

    def __init__(
        self, outer: Frame, start: BoundNode, names: frozenset[str] | None, value: object, prefix: str
    ) -> None:
        super().__init__(outer.run, start.graph, value, prefix)
        taken = {name: kept for name, kept in outer.state.snapshot().items() if names is None or name in names}
        self._rules = outer.rules if names is None and self.graph.rules is None else self.graph.rules
        self._values = self.roots["state"] = {**start.graph.begin_state(), **taken}
        self._names = names

    @property
    def rules(self) -> StateRules | None:
        """What is declared about the state: by the flow itself, else by that whose state it has."""
        return self._rules

    @property
    def state(self) -> SharedState:
        """Its state; what is written to shared keys is kept for the flow round it."""
        if self._state is None:
            self._state = BranchState(self._values, self._rules, whole=True)
        return self._state

    def shared(self) -> list[dict[str, list[object]]]:
        """Its writes to shared keys, in order."""
        written = self._state.written if isinstance(self._state, BranchState) else ()
        names = self._names
        parts = (
            {key: change for key, change in diff.items() if (PRIVATE not in key if names is None else key in names)}
            for diff in written
        )
        return [part for part in parts if part]


def walk_sharing(node: BoundNode, start: BoundNode, names: frozenset[str] | None) -> Invoke:
    """A call that walks a nested flow and then writes the keys it shares, all together, with its own record.

    ``names`` are these keys, ``None`` for the whole state.

    A flow that fails, or is not complete when the process dies, has written nothing. Raises :class:`StateConflict`
    where another visit has written one of them meanwhile.
    """

    async def walk(context: Context, value: Any) -> object:
        frame, taken = value
        check_inner(start.graph, context, taken)
        base = frame.state.version
        inner = SharingFrame(frame, start, names, taken, f"{context.path}/")
        output = await run_frame(inner, start, taken)
        written: Any = inner.shared()
        if not written:
            return output
        size = 0
        if frame.run.history is not None:
            written, text = to_json(written, node.name)
            size = len(text)
        frame.state.commit(written, node=node.own, base=base)
        frame.roots["state"] = frame.state.snapshot()
        return Settled(output, [("snapshot", context.path, written, "", size)])

    return walk
