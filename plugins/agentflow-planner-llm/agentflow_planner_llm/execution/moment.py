"""A moment: one step of a planner, from what happened to what is decided."""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.planner import Observation
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm._draft import Draft


class Moment:
    """One step of the planner: the decision being made, the time, and the steps whose waiting has to be looked at."""

    __slots__ = ("draft", "at", "traced", "settled")

    def __init__(self, draft: Draft, observation: Observation) -> None:
        self.draft = draft
        self.at = observation.at
        self.traced = observation.traced
        self.settled: deque[int] = deque()

    def tell(self, event: str, **fields: JSON) -> None:
        """Publish a progress event, where anyone listens."""
        if self.traced:
            self.draft.tell(event, fields)
