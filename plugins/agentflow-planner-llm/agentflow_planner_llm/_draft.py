"""A draft: the decision of one step while it is being made."""

from __future__ import annotations

from agentflow_kernel.contracts.planner import Decision

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.planner import Action, End
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm._turn import Turn


class Draft:
    """What one step has decided so far, in the order in which it was decided."""

    __slots__ = ("start", "cancel", "waits", "end", "events")

    def __init__(self) -> None:
        self.start: list[Action] = []
        self.cancel: list[str] = []
        self.waits: list[Mapping[str, JSON]] = []
        self.end: End | None = None
        self.events: list[tuple[str, Mapping[str, JSON]]] = []

    def tell(self, name: str, fields: Mapping[str, JSON]) -> None:
        """Publish a progress event."""
        self.events.append((name, fields))

    def tell_called(self, turn: Turn, index: int) -> None:
        """Publish that a tool call was started."""
        self.tell("tool.called", _name_call(turn, index))

    def tell_returned(self, turn: Turn, index: int, code: str = "") -> None:
        """Publish that a call of the model got its result, also when nothing was started for it."""
        self.tell("tool.returned", {**_name_call(turn, index), "outcome": turn.outcomes[index], "code": code})

    def decision(self) -> Decision:
        """The decision; one that ends the run starts nothing and waits for nothing."""
        if self.end is not None:
            return Decision(cancel=self.cancel, end=self.end, events=self.events)
        return Decision(self.start, cancel=self.cancel, waits=self.waits, events=self.events)


def _name_call(turn: Turn, index: int) -> dict[str, JSON]:
    call = turn.calls[index]
    return {"id": turn.action_id(index), "iteration": turn.iteration, "call_id": call["id"], "name": call["name"]}
