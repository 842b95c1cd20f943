"""The state of a strategy: what the model was asked, which loop or plan is under way, and what was used so far."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.planner import Task
from agentflow_kernel.errors import NewerSchema, ProtocolViolation
from agentflow_planner_llm._ledger import Ledger
from agentflow_planner_llm._state import load_state
from agentflow_planner_llm.execution.state import PlanRun, load_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm._state import LoopState
    from agentflow_planner_llm.execution.program import Program

    Object: TypeAlias = Mapping[str, JSON]

VERSION = 2
"""The form of a dumped state; raised when a field changes its meaning."""


class Question:
    """What the model is being asked: its name in the strategy, the messages, the schema, and how often it was put."""

    __slots__ = ("name", "action_id", "messages", "schema", "tries", "cut")

    def __init__(self, name: str, messages: list[JSON], schema: Object | None) -> None:
        self.name = name
        self.action_id = ""
        self.messages = messages
        self.schema = schema
        self.tries = 0
        self.cut = False
        """Whether the answer that is being looked at was cut off at its token limit."""

    def dump(self) -> dict[str, JSON]:
        """The question as JSON."""
        return {
            "name": self.name,
            "action_id": self.action_id,
            "messages": list(self.messages),
            "schema": self.schema,
            "tries": self.tries,
        }

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> Question:
        """The question that :meth:`dump` wrote."""
        question = cls(fields["name"], list(fields["messages"]), fields["schema"])
        question.action_id, question.tries = fields["action_id"], fields["tries"]
        return question


class OpenLoop:
    """A loop of model and tools under way: what it was told, what its answer must fit, its state, and its last hour."""

    __slots__ = ("instructions", "schema", "state", "until")

    def __init__(self, instructions: str, schema: Object | None, state: LoopState, until: float | None) -> None:
        self.instructions = instructions
        self.schema = schema
        self.state = state
        self.until = until
        """The wall time at which it has had its time, ``None`` for no limit."""

    def dump(self) -> list[JSON]:
        """The loop as JSON."""
        return [self.instructions, self.state.dump(), self.schema, self.until]

    @property
    def open_ids(self) -> list[str]:
        """The ids of its actions that are under way."""
        loop = self.state
        asked = [] if loop.asking is None else [loop.model_action_id]
        return asked if loop.turn is None else [*asked, *(loop.turn.action_id(index) for index in loop.turn.running)]


class StrategyState:
    """One run of a strategy.

    ``notes`` is the strategy's own, JSON. ``loops`` are the loops of model and tools under way, by the beginning of
    their actions' ids. ``versions`` holds every plan with what was its cause, the last one
    with its document in use by ``run``.
    """

    __slots__ = (
        "task", "text", "phase", "question", "asked", "notes", "loops", "ledger", "versions", "run", "wall_at",
        "timer", "stopped",
    )  # fmt: skip

    def __init__(self, task: Task) -> None:
        self.task = task
        self.text = ""
        """The input of the run, as text."""
        self.phase = "new"
        self.question: Question | None = None
        self.asked = 0
        self.notes: dict[str, JSON] = {}
        self.loops: dict[str, OpenLoop] = {}
        self.ledger = Ledger()
        self.versions: list[Object] = []
        self.run: PlanRun | None = None
        self.wall_at: float | None = None
        self.timer: float | None = None
        self.stopped = ""

    def dump(self) -> dict[str, JSON]:
        """The state as JSON."""
        return {
            "version": VERSION,
            "text": self.text,
            "phase": self.phase,
            "question": None if self.question is None else self.question.dump(),
            "asked": self.asked,
            "notes": dict(self.notes),
            "loops": {key: loop.dump() for key, loop in self.loops.items()},
            "ledger": self.ledger.dump(),
            "versions": list(self.versions),
            "run": None if self.run is None else self.run.dump(),
            "wall_at": self.wall_at,
            "timer": self.timer,
            "stopped": self.stopped,
        }


def load_strategy(
    name: str, task: Task, document: JSON, program_of: Callable[[StrategyState], Program], loop_schema: Object | None
) -> StrategyState:
    """The state that :meth:`StrategyState.dump` wrote.

    Raises :class:`NewerSchema` for a version above ours and :class:`ProtocolViolation` for anything that is no state.
    """
    try:
        fields = cast("Mapping[str, Any]", document)
        if fields["version"] > VERSION:
            raise NewerSchema(f"The state of planner {name!r}", fields["version"], VERSION)
        state = StrategyState(task)
        for field in ("text", "phase", "asked", "wall_at", "timer", "stopped"):
            setattr(state, field, fields[field])
        state.notes = dict(fields["notes"])
        state.versions = list(fields["versions"])
        state.ledger = Ledger.load(fields["ledger"])
        if fields["question"] is not None:
            state.question = Question.load(fields["question"])
        for key, (text, loop, *more) in fields["loops"].items():
            schema, until = more or (loop_schema, None)  # version 1 has no more
            state.loops[key] = OpenLoop(text, schema, load_state(loop_task(task, text, schema), loop), until)
        if fields["run"] is not None:
            state.run = load_run(program_of(state), fields["run"])
            state.run.ledger, state.run.owner = state.ledger, state
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as fault:
        raise ProtocolViolation(
            f"This is no state of planner {name!r} ({type(fault).__name__}: {fault}).", executed="no"
        ) from fault
    return state


def loop_task(task: Task, instructions: str, schema: Object | None) -> Task:
    """The task of a loop within a strategy: the same tools, other instructions."""
    return Task(task.name, instructions=instructions, tools=task.tools, output_schema=schema, seed=task.seed)
