"""The caller: makes tool actions of the model's calls, and results of how they ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from agentflow_kernel.contracts.planner import Action
from agentflow_kernel.errors import InputInvalid, UnknownName
from agentflow_kernel.schema import find_problems, write_compactly
from agentflow_planner_llm import _sentences

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from agentflow_kernel.contracts.planner import Observation
    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm._draft import Draft
    from agentflow_planner_llm._state import LoopState
    from agentflow_planner_llm._turn import Turn
    from agentflow_planner_llm.limits import Limits
    from agentflow_planner_llm.settings import ToolLoopSettings

    Object: TypeAlias = Mapping[str, JSON]

_LONGEST_NAME = 100


class Caller:
    """Runs the calls of one turn: at most so many at a time, in call order, sequential ones alone."""

    __slots__ = ("_parallel", "_max_result_chars")

    def __init__(self, settings: ToolLoopSettings | Limits) -> None:
        self._parallel = settings.parallel_tools
        self._max_result_chars = settings.max_result_chars

    def check(self, run: LoopState, turn: Turn, draft: Draft, malformed: Mapping[int, str]) -> int:
        """Refuse the calls that cannot run, each with its reason; how many are left to start."""
        for index, call in enumerate(turn.calls):
            refusal = _refuse_call(run.task.tools, call, malformed.get(index))
            if refusal is not None:
                text, code = refusal
                turn.settle(index, text, "failed")
                draft.tell_returned(turn, index, code)
        return turn.results.count(None)

    def refuse_all(self, turn: Turn, draft: Draft, sentence: str) -> None:
        """Give every call of the turn the same result: it was not run."""
        for index in range(len(turn.calls)):
            turn.settle(index, sentence, "void")
            draft.tell_returned(turn, index)

    def start(self, run: LoopState, turn: Turn, draft: Draft) -> None:
        """Start all calls that may start now."""
        while (index := turn.start_next(run.task.tools, self._parallel)) is not None:
            call = turn.calls[index]
            run.ledger.tool_calls += 1
            arguments = cast("Object", call["arguments"])
            draft.start.append(Action(turn.action_id(index), "tool", str(call["name"]), arguments))
            draft.tell_called(turn, index)

    def observe(self, run: LoopState, turn: Turn, draft: Draft, observation: Observation) -> bool:
        """Take in how an action ended; false when it is none of this turn's running calls."""
        index = turn.find_running(observation.action_id)
        if index is None:
            return False
        code = ""
        if observation.kind == "result":
            text = _sentences.shorten(write_compactly(observation.value), self._max_result_chars)
            turn.settle(index, text, "returned")
        elif observation.kind == "error":
            message, code, executed = read_error(observation.value)
            tool = run.task.tools.get(str(turn.calls[index]["name"]))
            in_doubt = executed == "maybe" and tool is not None and tool.effect == "effect"
            turn.settle(index, _sentences.report_error(message, code, in_doubt=in_doubt), "failed")
        else:
            turn.settle(index, _sentences.CANCELLED, "void")
        draft.tell_returned(turn, index, code)
        return True


def read_error(value: JSON) -> tuple[str, str, str]:
    """Message, code and ``executed`` of an error observation."""
    if not isinstance(value, (dict, Mapping)):
        return write_compactly(value), "AF-ERROR", "maybe"
    code, executed = str(value.get("code") or "AF-ERROR"), str(value.get("executed") or "maybe")
    return str(value.get("message") or code), code, executed


def _refuse_call(tools: Mapping[str, Tool], call: Object, malformed: str | None) -> tuple[str, str] | None:
    """Why a call cannot run, and the code of that; ``None`` when it can. ``malformed`` arguments are no object."""
    name = str(call["name"])
    tool = tools.get(name)
    if tool is None:
        unknown = UnknownName("tool", name[:_LONGEST_NAME], tools)
        return _sentences.refuse_unknown(str(unknown)), UnknownName.code
    whole = None if malformed is None else [f"the whole value: {malformed}"]
    problems = whole or find_problems(call["arguments"], tool.parameters)
    if not problems:
        return None
    return _sentences.refuse_arguments(name, problems), InputInvalid.code
