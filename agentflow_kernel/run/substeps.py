"""A sub-step: a call in the middle of a node whose result is on record, so that a repeated node finds it there."""

from __future__ import annotations

from agentflow_kernel.errors import AgentFlowError, NonDeterminism
from agentflow_kernel.flow.graph import check_choice
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.bind import is_coroutine_function
from agentflow_kernel.run.canonical import hash_text, to_json
from agentflow_kernel.run.history import refuse_unknown
from agentflow_kernel.run.threads import call_in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.tool import Effect
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.history import OnUnknown
    from agentflow_kernel.run.runtime import Context

    Call = tuple[str, Callable[..., Any], Sequence[Any]]
    """Name, function and arguments."""


async def run_step(context: Context, path: str, call: Call, effect: Effect, on_unknown: OnUnknown) -> object:
    """The result of the step at ``path``: from an earlier attempt, from the record, or by calling it now."""
    run, history, kept = context.run, context.run.history, context.kept
    name, function, arguments = call
    for option, value in (("effect", effect), ("on_unknown", on_unknown)):
        check_choice(f"step({name!r})", option, value)
    input_hash = ""
    try:
        if history is not None:
            arguments, text = to_json(list(arguments), path)  # type: ignore[assignment]  # a list stays one
            input_hash = hash_text(text)
        if path in kept:
            return _same_input(context, path, input_hash)
        if history is not None:
            record = history.recall(path, input_hash)
            if record is not None:
                payload: Mapping[str, JSON] = record.payload  # type: ignore[assignment]  # an object, written below
                return copied(payload["result"])
        if effect == "effect":
            await _begin(context, path, name, on_unknown)
        try:
            result = await _call(context, function, arguments)
        except AgentFlowError as error:
            if effect == "effect" and error.executed == "no":  # a later attempt is not the second one
                await _take_back(context, path, error)
            raise
        if history is not None:
            result, text = to_json(result, path)
            await history.commit([("step.completed", path, {"result": result}, input_hash, len(text))])
    except Exception as error:
        run.blame(error, path)
        raise
    kept[path] = (input_hash, result)
    return copied(result) if context.may_repeat else result  # what the node does to it stays in this attempt


def _same_input(context: Context, path: str, input_hash: str) -> object:
    """What an earlier attempt of this process got."""
    before, result = context.kept[path]
    if before != input_hash:
        raise NonDeterminism(context.run.run_id, path, "an earlier attempt made this step with other arguments.")
    return copied(result)


async def _begin(context: Context, path: str, name: str, on_unknown: OnUnknown) -> None:
    """Put the intent on record, unless it is there and ``on_unknown`` lets the call be made again."""
    history, begun = context.run.history, f"{path} begun"
    if begun in context.kept:
        refuse_unknown(context.run.run_id, path, f"step {name!r}", on_unknown)
        return
    context.kept[begun] = ("", None)
    if history is not None:
        await history.begin_effect(path, "step", name, on_unknown=on_unknown)


async def _take_back(context: Context, path: str, error: AgentFlowError) -> None:
    """Put on record that the effect did not happen."""
    history = context.run.history
    context.kept.pop(f"{path} begun", None)
    if history is not None:
        await history.commit([("step.failed", path, {"code": error.code}, "", 0)])
        history.intents.pop(path, None)


async def _call(context: Context, function: Callable[..., Any], arguments: Sequence[Any]) -> object:
    if is_coroutine_function(function):
        return await function(*arguments)
    context.cancelled = False  # an earlier step of this node may have been cancelled by the node itself
    return await call_in_thread(context, lambda _context, _value: function(*arguments), None)
