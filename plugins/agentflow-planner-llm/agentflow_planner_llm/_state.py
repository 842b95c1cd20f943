"""The state of one run of the tool loop: where it stands, as JSON and back."""

from __future__ import annotations

from typing import Literal, cast

from agentflow_kernel.errors import NewerSchema, ProtocolViolation
from agentflow_planner_llm._ledger import Ledger
from agentflow_planner_llm._streak import Streak
from agentflow_planner_llm._turn import Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.planner import Task
    from agentflow_kernel.contracts.values import JSON

    Object: TypeAlias = Mapping[str, JSON]

VERSION = 1
"""The form of a dumped state; raised when a field changes its meaning."""

Asking = Literal["open", "last", "repair"]
"""What the model is asked for: anything, the final answer, or a better form of its answer."""


class LoopState:
    """One run. The history is kept as JSON, so that neither a request nor a dump writes it anew.

    A message is never changed after it was appended. At most one of ``asking`` (a model call is under way) and
    ``turn`` (its tool calls are) is set; ``stopped`` holds the stop reason once the run has ended. ``failures``
    counts, for each tool, the turns in a row in which all its calls went wrong.
    """

    __slots__ = (
        "task",
        "tool_names",
        "messages",
        "iteration",
        "asking",
        "turn",
        "ledger",
        "repairs",
        "streak",
        "warned",
        "failures",
        "stopped",
    )

    def __init__(self, task: Task) -> None:
        self.task = task
        self.tool_names = tuple(task.tools)
        self.messages: list[Object] = []
        self.iteration = 0
        self.asking: Asking | None = None
        self.turn: Turn | None = None
        self.ledger = Ledger()
        self.repairs = 0
        self.streak = Streak()
        self.warned = False
        self.failures: dict[str, int] = {}
        self.stopped: str | None = None

    @property
    def model_action_id(self) -> str:
        """The id of the model call that was started last."""
        return f"model-{self.ledger.model_calls}"

    def say(self, text: str) -> None:
        """Add a user's message to the history."""
        self.messages.append({"role": "user", "text": text})

    def dump(self) -> dict[str, JSON]:
        """The state as JSON; shares the messages, which nobody changes, and copies what will change."""
        return {
            "version": VERSION,
            "messages": list(self.messages),
            "iteration": self.iteration,
            "asking": self.asking,
            "turn": None if self.turn is None else self.turn.dump(),
            "ledger": self.ledger.dump(),
            "repairs": self.repairs,
            "streak": self.streak.dump(),
            "warned": self.warned,
            "failures": dict(self.failures),
            "stopped": self.stopped,
        }


def load_state(task: Task, document: JSON) -> LoopState:
    """The state that :meth:`LoopState.dump` wrote.

    Raises :class:`NewerSchema` for a version above ours and :class:`ProtocolViolation` for anything that is no state.
    """
    fields = cast("Object", document)
    try:
        version = cast("int", fields["version"])
        if version > VERSION:
            raise NewerSchema("The state of planner 'tools'", version, VERSION)
        return _read(task, fields)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as fault:
        raise ProtocolViolation(
            f"This is no state of planner 'tools' ({type(fault).__name__}: {fault}).", executed="no"
        ) from fault


def _read(task: Task, fields: Object) -> LoopState:
    state = LoopState(task)
    state.messages = list(cast("Sequence[Object]", fields["messages"]))
    state.iteration = cast("int", fields["iteration"])
    state.asking = cast("Asking | None", fields["asking"])
    state.ledger = Ledger.load(cast("Object", fields["ledger"]))
    state.repairs = cast("int", fields["repairs"])
    state.streak = Streak.load(cast("Sequence[int]", fields["streak"]))
    state.warned = cast("bool", fields["warned"])
    state.failures = dict(cast("Mapping[str, int]", fields["failures"]))
    state.stopped = cast("str | None", fields["stopped"])
    turn = fields["turn"]
    if turn is not None:
        calls = cast("Sequence[Object]", state.messages[-1]["calls"])
        state.turn = Turn.load(state.iteration, calls, cast("Object", turn))
    return state
