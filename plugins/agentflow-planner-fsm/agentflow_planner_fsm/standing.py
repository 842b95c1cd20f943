"""Where a machine stands: what can be asked of it without changing it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.planner import Action
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_fsm._hub import Hub
    from agentflow_planner_fsm._invocation import Invocation
    from agentflow_planner_fsm._session import Session
    from agentflow_planner_fsm.chart import Chart

SECOND = 1_000_000
"""Microseconds, in which machines count."""


class Standing:
    """The view of a machine that reads only."""

    __slots__ = ("_hub", "_root")

    _hub: Hub
    _root: Session

    @property
    def now(self) -> float:
        """Virtual seconds since the machine was entered."""
        return self._hub.now / SECOND

    @property
    def next_timer(self) -> float | None:
        """In how many seconds the next delayed event is due, ``None`` without any."""
        due = self._hub.timers.due()
        return None if due is None else max(0, due - self._hub.now) / SECOND

    @property
    def configuration(self) -> list[str]:
        """The ids of all active states in document order; of a machine that has ended, those in which it ended."""
        return self._root.chart.ids(self._configuration)

    @property
    def leaves(self) -> list[str]:
        """The ids of the active states that hold no other states."""
        return self._root.chart.ids(self._configuration & self._root.chart.leaves)

    @property
    def _configuration(self) -> int:
        return self._root.configuration if self._root.running else self._root.last

    def is_in(self, state: str) -> bool:
        """Whether a state is active; ``False`` for an id that the chart does not have."""
        found = self._root.chart.by_id.get(state)
        return found is not None and bool(self._configuration >> found.index & 1)

    @property
    def data(self) -> dict[str, JSON]:
        """The variables. The values belong to the machine: do not change them in place."""
        return self._root.data

    @property
    def done(self) -> bool:
        """Whether it has reached a final state of the chart itself."""
        return not self._root.running

    @property
    def output(self) -> JSON:
        """What the final state that it ended in gives; ``None`` before."""
        output: JSON = self._root.output
        return output

    @property
    def chart(self) -> Chart:
        """What it runs."""
        return self._root.chart

    @property
    def actions(self) -> Sequence[Action]:
        """The actions at work that wait to be answered, in the order of their start, also what is emitted."""
        return [each.action for each in self._hub.pending.values()]

    @property
    def invocations(self) -> Sequence[Invocation]:
        """What is invoked and at work: ``id``, ``kind``, ``name``, ``arguments`` and ``action_id`` of each."""
        return [each for each in self._root.invocations.values() if each.is_open]
