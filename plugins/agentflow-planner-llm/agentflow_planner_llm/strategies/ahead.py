"""Ahead: calls of a plan that begin while the rest of it is still being written.

Only calls that change nothing begin before the whole plan was checked, and only where everything before them is good.
"""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.values import Value
from agentflow_planner_llm.execution.values import name_call
from agentflow_planner_llm.plan.document import canonical
from agentflow_planner_llm.strategies.call_reader import CallReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.strategies.call_reader import Call

    Object: TypeAlias = Mapping[str, JSON]

NOTE = "ahead"
"""The note of a state that holds it."""


class Ahead(Value):
    """What was read of an answer, and what has begun because of it or of answers to the same question before it.

    ``read`` and ``begun`` are steps as documents. ``open`` says whether more may begin.
    """

    __slots__ = ("rest", "read", "open", "begun")

    def __init__(self, fields: Mapping[str, Any] | None = None) -> None:
        given: Mapping[str, Any] = fields or {}
        self.rest: str = given.get("rest", "")
        self.read: list[JSON] = list(given.get("read", ()))
        self.open: bool = given.get("open", False)
        self.begun: list[JSON] = list(given.get("begun", ()))

    def to_json(self) -> dict[str, JSON]:
        """The note."""
        return {"rest": self.rest, "read": self.read, "open": self.open, "begun": self.begun}

    def hear(self, piece: Object, *, open: bool) -> bool:  # noqa: A002 - the field's name
        """Take in a piece of the answer; whether it brings calls of which some may begin.

        With the offset 0 the answer begins anew; then ``open`` says whether anything may begin because of it.
        """
        if piece["offset"] == 0:
            self.rest, self.read, self.open = "", [], open
        if not self.open:
            return False
        reader = CallReader(self.rest)
        calls = reader.feed(cast("str", piece["text"]))
        self.rest = reader.rest
        self.read += [step_of(call) for call in calls]
        self.open = not (reader.joined or reader.problems)
        return bool(calls) and not reader.problems

    def choose(self, graph: Graph) -> Sequence[JSON]:
        """The steps of what was read that may begin and have not: pure calls that need nothing but such calls.

        A call that is under way under another id is left to the plan, which knows what may be made once.
        """
        known = {str(cast("Object", step)["id"]): canonical(step) for step in self.begun}
        calls = {_call_of(cast("Object", step)) for step in self.begun}
        chosen: set[int] = set()
        fresh: list[JSON] = []
        for number, step in enumerate(graph.steps):
            needed = graph.data[number] | graph.declared[number] | graph.soft[number]
            if graph.effects[number] != "pure" or not needed <= chosen:
                continue
            same = known.get(step.id)
            if same is None:
                if name_call(step, step.args) in calls:
                    continue
                calls.add(name_call(step, step.args))
                fresh.append(cast("JSON", step.source))
            elif same != canonical(cast("JSON", step.source)):
                continue
            chosen.add(number)
        return fresh


def step_of(call: Call) -> dict[str, JSON]:
    """The step of a call that was read; its failure is shown to the model with the rest."""
    return {**call.to_step(), "on_error": "continue"}


def _call_of(step: Object) -> str:
    """A call as :func:`name_call` names it."""
    return f"{step['kind']} {step['name']} {canonical(step['args'])}"
