"""An ending: why the loop stopped, and the output of the run."""

from __future__ import annotations

from agentflow_kernel.contracts.planner import End
from agentflow_planner_llm import _sentences

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm._draft import Draft
    from agentflow_planner_llm._state import LoopState


class Fault:
    """What went wrong when a run ends with an error: a sentence for people and a stable code."""

    __slots__ = ("message", "code")

    def __init__(self, message: str, code: str) -> None:
        self.message = message
        self.code = code


def stop(
    run: LoopState,
    draft: Draft,
    reason: str,
    *,
    text: str | None = None,
    output: JSON = None,
    fault: Fault | None = None,
) -> None:
    """End the run; what is still running is cancelled, and every call gets a result, so that the history stays valid.

    Without ``text`` the output is the partial one: the last thing the model said.
    """
    leave_turn(run, draft)
    run.asking = None
    run.stopped = reason
    ledger = run.ledger
    totals: dict[str, JSON] = {
        "iterations": run.iteration,
        "model_calls": ledger.model_calls,
        "tool_calls": ledger.tool_calls,
    }
    draft.tell("loop.stopped", {"stop_reason": reason, **totals})
    result: JSON = {
        "text": _last_words(run) if text is None else text,
        "output": output,
        "stop_reason": reason,
        **totals,
        "usage": ledger.usage(),
    }
    if fault is None:
        draft.end = End(result, stop_reason=reason)
    else:
        draft.end = End(result, error=fault.message, code=fault.code, stop_reason=reason)


def leave_turn(run: LoopState, draft: Draft) -> None:
    """Give every open call of the turn a result, cancel those that run, and move all results into the history."""
    turn = run.turn
    if turn is None:
        return
    for index, result in enumerate(turn.results):
        if result is None:
            running = index in turn.running
            if running:
                draft.cancel.append(turn.action_id(index))
            sentence = _sentences.CANCELLED if running else _sentences.STOPPED
            turn.settle(index, sentence, "void")
            draft.tell_returned(turn, index)
    run.messages.extend(result for result in turn.results if result is not None)
    run.turn = None


def _last_words(run: LoopState) -> str:
    """The last text of the model that is not empty."""
    for message in reversed(run.messages):
        if message["role"] == "assistant" and message["text"]:
            return str(message["text"])
    return ""
