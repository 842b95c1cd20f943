"""A turn: the tool calls of one answer of the model, on their way to one result each, in call order."""

from __future__ import annotations

from typing import Literal, cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.contracts.values import JSON

    Object: TypeAlias = Mapping[str, JSON]

Outcome = Literal["returned", "failed", "void"]
"""``failed`` counts against the tool; ``void`` is nobody's fault: cancelled, cut off, or never begun."""


class Turn:
    """The calls, their results so far, and which of them are running, in the order in which they were started."""

    __slots__ = ("iteration", "calls", "results", "outcomes", "running", "position")

    def __init__(self, iteration: int, calls: Sequence[Object]) -> None:
        self.iteration = iteration
        self.calls = calls
        self.results: list[Object | None] = [None] * len(calls)
        self.outcomes: list[Outcome | None] = [None] * len(calls)
        self.running: list[int] = []
        self.position = 0

    @property
    def settled(self) -> bool:
        """Whether every call has its result."""
        return None not in self.results

    def action_id(self, index: int) -> str:
        """The id of the action that runs a call."""
        return f"tool-{self.iteration}-{index}"

    def find_running(self, action_id: str) -> int | None:
        """The index of the running call with this action id."""
        for index in self.running:
            if self.action_id(index) == action_id:
                return index
        return None

    def start_next(self, tools: Mapping[str, Tool], limit: int) -> int | None:
        """Mark the next call as running and give its index, or ``None`` when none may start now.

        Calls start in call order and never overtake each other; a sequential one runs alone.
        """
        while self.position < len(self.calls) and self.results[self.position] is not None:
            self.position += 1
        index = self.position
        if index == len(self.calls):
            return None
        if self.running and (
            len(self.running) >= limit or self._alone(tools, self.running[0]) or self._alone(tools, index)
        ):
            return None
        self.running.append(index)
        self.position += 1
        return index

    def settle(self, index: int, text: str, outcome: Outcome) -> None:
        """Give a call its result."""
        result: dict[str, JSON] = {"role": "tool", "text": text, "call_id": self.calls[index]["id"]}
        if outcome != "returned":
            result["is_error"] = True
        self.results[index] = result
        self.outcomes[index] = outcome
        if index in self.running:
            self.running.remove(index)

    def verdicts(self) -> dict[str, bool]:
        """For each tool that had a result of its own: whether any of its calls went well."""
        verdicts: dict[str, bool] = {}
        for call, outcome in zip(self.calls, self.outcomes, strict=True):
            if outcome != "void":
                name = str(call["name"])
                verdicts[name] = outcome == "returned" or verdicts.get(name, False)
        return verdicts

    def _alone(self, tools: Mapping[str, Tool], index: int) -> bool:
        tool = tools.get(str(self.calls[index]["name"]))
        return tool is not None and tool.sequential

    def dump(self) -> dict[str, JSON]:
        """The turn as JSON, without its calls: they are in the last message of the history."""
        return {
            "results": list(self.results),
            "outcomes": list(self.outcomes),
            "running": list(self.running),
            "position": self.position,
        }

    @classmethod
    def load(cls, iteration: int, calls: Sequence[Object], document: Object) -> Turn:
        """The turn that :meth:`dump` wrote."""
        turn = cls(iteration, calls)
        turn.results = list(cast("Sequence[Object | None]", document["results"]))
        turn.outcomes = list(cast("Sequence[Outcome | None]", document["outcomes"]))
        turn.running = list(cast("Sequence[int]", document["running"]))
        turn.position = cast("int", document["position"])
        return turn
