"""The walk: follows a graph from node to node, and visits each node: recall, call, record, report."""

from __future__ import annotations

from agentflow_kernel.contracts.policy import Request
from agentflow_kernel.errors import AgentFlowError, ControlFlow, StopFlow, UsageError
from agentflow_kernel.flow.fork import Goto, Spread
from agentflow_kernel.flow.node import DEFAULT, Route
from agentflow_kernel.flow.state import refuse_others
from agentflow_kernel.run.batch import run_batch, run_spread
from agentflow_kernel.run.bind import AWAIT, LEAVES, VISIT
from agentflow_kernel.run.canonical import copy_of, hash_text, to_json
from agentflow_kernel.run.fault import ENDS_RUN, code_of, is_broken, stray_cancellation, text_of
from agentflow_kernel.run.runtime import Context, Frame
from agentflow_kernel.run.settle import Choices, Joined, Settled, emit_line, settle
from agentflow_kernel.run.trail import REMEMBERED, Trail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.flow.node import Node
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.history import History, Line
    from agentflow_kernel.run.runtime import Run


async def run_frame(frame: Frame, start: BoundNode, value: object) -> object:
    """Walk a whole flow and return its output: what it declares, else the last result.

    Raises what a node raises, and :class:`BudgetExceeded` after ``max_steps`` visits.
    """
    observer = frame.run.observer
    if observer is not None and not observer.begun:  # a run without an execution, which would have begun it
        return await observer.alone(run_frame(frame, start, value))
    run = frame.run
    if run.listener is None or frame.way or (run.run_id and not frame.prefix):  # of a kernel's run itself others tell
        return await _follow(frame, start, value)
    path, told = frame.prefix[:-1], {"flow": frame.graph.name}
    run.tell("flow.started", path, told)
    try:
        output = await _follow(frame, start, value)
    except Exception as error:
        run.tell("flow.failed", path, {**told, "code": code_of(error), "message": text_of(error)})
        raise
    run.tell("flow.completed", path, told)
    return output


async def _follow(frame: Frame, start: BoundNode, value: object) -> object:
    """The way through a flow, node after node, and its output."""
    node: BoundNode | None = start
    roots = frame.roots
    quiet = frame.run.quiet
    left = frame.graph.max_steps - sum(frame.visits.values())
    history = None if frame.prefix else frame.run.history
    trail = Trail(frame.graph)
    limited = node is not None and node.guarded
    try:
        while node is not None:
            if left <= REMEMBERED:
                trail.spend(node.name, left)
            left -= 1
            mode = node.mode if quiet else VISIT
            if mode == AWAIT:
                value = await node.quick(value)  # type: ignore[misc]  # set together with the mode
            elif mode:
                value = node.quick(value)  # type: ignore[misc]  # set together with the mode
            else:
                if limited:
                    trail.count(frame, node)
                if history is not None and history.due and node.kind != "trap":
                    from agentflow_kernel.run.snapshot import take_snapshot  # only long runs pay

                    await take_snapshot(frame, node.name, value)
                value = await visit(frame, node, value)
                if node.when and (value.__class__ is not Route or value.action == DEFAULT):
                    if value.__class__ is Route:
                        value = value.value
                    roots[node.name] = value
                    node = node.choose(frame, value)
                    continue
            if value.__class__ is Route:
                action, value = value.action, value.value
                roots[node.name] = value
                node = node.follow(action)
            else:
                roots[node.name] = value
                node = node.next
    except StopFlow as stop:
        if frame.way:
            raise
        return stop.output
    except BaseException:
        if frame.run.cut is not None and node is not None:
            frame.run.cut.append(frame.prefix + node.name)
        raise
    output = frame.graph.output
    return value if output is None else output.fill(roots)


async def visit(frame: Frame, node: BoundNode, value: object) -> object:
    """One visit of one node, with everything that stands round it; returns its result or a :class:`Route`."""
    run, step = frame.run, node.step
    if node.kind == "trap":
        return await node.invoke(Context(run, "", node.name), value)
    path = frame.path_of(node.name)
    told = False
    try:
        if step.each is not None:
            value = step.each.fill(frame.roots)
        elif step.input is not None:
            value = step.input.fill(frame.roots)
        input_hash = ""
        if run.history is not None:
            settled = frame.settled
            if settled is not None and settled[0] is value:
                text = settled[1]
                value = copy_of(settled[0], text)
            else:
                value, text = to_json(value, node.name)
            input_hash = hash_text(text)
            record = run.history.recall(path, input_hash)
            if record is not None:
                return await _recall(frame, node, record, value)
        if run.listener is not None:
            told = True
            items = _count(value, step.batch_size) if step.each is not None else None
            run.tell("node.started", path, {"node": node.name, "items": items})
        lines: Sequence[Line] = ()
        if step.each is not None:
            batch = run_batch(frame, node, path, value, perform)
            result: object = await (batch if run.observer is None else run.observer.batch(node, path, batch))
        elif node.direct and run.observer is None:
            try:
                result = await node.quick(value)  # type: ignore[misc]  # set together with direct
            except BaseException as error:
                _refuse_stray(run, node, path, error)
                raise
        else:
            result, lines = await perform(frame, node, path, value)
            if node.forks:
                result = _gathered(node, result)
        if run.history is not None or lines:
            result = await settle(frame, node, (path, input_hash), result, lines)
        if node.forks:
            result = await _branch_out(frame, node, path, result)
    except Exception as error:
        run.blame(error, path)
        if told:
            _tell_failure(run, node, path, error)
        raise
    if told:
        run.tell("node.completed", path, {"node": node.name})
    return result


async def _branch_out(frame: Frame, node: BoundNode, path: str, result: object) -> object:
    """The result of a node that may be made of branches, once those have ended."""
    if isinstance(result, Spread):
        return await run_spread(frame, node, path, result, perform)
    if isinstance(result, Choices):
        return await _choose(frame, node, path, result)
    return dict(result) if isinstance(result, Joined) else result


def _refuse_stray(run: Run, node: BoundNode, path: str, error: BaseException) -> None:
    """Note what was cut off in the middle; raises in place of a cancellation that nobody asked for."""
    if run.cut is not None:
        run.cut.append(path)
    stray = stray_cancellation(error, node.name)
    if stray is not None:
        raise stray from error


def _gathered(node: BoundNode, result: object) -> object:
    """A :class:`Spread` where the node returned a list of :class:`Goto` items, alone or with an action."""
    action, value = (result.action, result.value) if isinstance(result, Route) else (DEFAULT, result)
    if not isinstance(action, str):
        return Choices(action, value)
    items = [value] if isinstance(value, Goto) else value
    if not isinstance(items, list) or not any(isinstance(item, Goto) for item in items):
        return result
    if not all(isinstance(item, Goto) for item in items):
        raise UsageError(
            f"Node {node.name!r} returned a list of Goto items and others; all must be Goto items, or none."
        )
    return Spread(items, action)


async def _choose(frame: Frame, node: BoundNode, path: str, choices: Choices) -> object:
    from agentflow_kernel.run.choices import run_choices  # lazy: only flows with several choices pay

    if node.step.join is None:
        raise UsageError(f"Node {node.name!r} chose several actions {choices.actions!r}; its 'join' must say where.")
    return await run_choices(frame, node, path, choices)


def _tell_failure(run: Run, node: BoundNode, path: str, error: Exception) -> None:
    """Tell listeners that a node ended with an error; one that stops the flow has done what it should."""
    if isinstance(error, StopFlow):
        run.tell("node.completed", path, {"node": node.name})
    else:
        run.tell("node.failed", path, {"node": node.name, "code": code_of(error), "message": text_of(error)})


def _count(items: object, batch_size: int) -> int | None:
    """How many chunks a batch has."""
    return -(-len(items) // batch_size) if isinstance(items, list) else None


def perform(frame: Frame, node: BoundNode, path: str, value: object) -> Awaitable[tuple[object, Sequence[Line]]]:
    """Do what the node does, once; gives its result and the lines that must be recorded together with it.

    The caller awaits the right coroutine itself: one more in between would cost every node.
    """
    run = frame.run
    if node.plain:
        work = _do(frame, node, path, value)
    elif node.careful:
        from agentflow_kernel.run.careful import carefully  # only steps that ask for it pay

        work = carefully(frame, node, path, value, lambda: _do_effect(frame, node, path, value))
    else:
        work = _do_effect(frame, node, path, value)
    return work if run.observer is None else run.observer.visit(node, path, work)


def _do_effect(
    frame: Frame, node: BoundNode, path: str, value: object
) -> Coroutine[Any, Any, tuple[object, Sequence[Line]]]:
    """The call of a node that may have an effect that must not happen twice."""
    history = frame.run.history
    if node.effect == "effect" and node.kind in LEAVES and history is not None:
        return _do_once(history, frame, node, path, value)
    return _do(frame, node, path, value)


async def _do_once(
    history: History, frame: Frame, node: BoundNode, path: str, value: object
) -> tuple[object, Sequence[Line]]:
    """The call of a node whose effect must not happen twice."""
    undo: tuple[JSON, int] = (None, 0)
    if node.undo is not None:
        from agentflow_kernel.run.careful import undo_of  # loaded already: a step with a compensation is careful

        undo = undo_of(frame, node, value)
    outcome = None
    if node.kind == "tool" and path in history.intents:
        from agentflow_kernel.run.outcome import ask_about  # only after a crash in the midst of a call

        outcome = await ask_about(frame, node, path, value)
        if outcome.executed == "yes":
            return outcome.result, ()
    if outcome is None or outcome.executed == "maybe":
        await history.begin_effect(path, "node", node.name, on_unknown=node.step.on_unknown, undo=undo)
    try:
        return await _do(frame, node, path, value)
    except AgentFlowError as error:
        if error.executed == "no":  # a later attempt is not the second one
            await history.commit([("step.failed", path, {"code": error.code}, "", 0)])
        raise


async def _do(frame: Frame, node: BoundNode, path: str, value: object) -> tuple[object, Sequence[Line]]:
    """The call itself, with the policies round it."""
    if node.step.emits:
        return value, [emit_line(node.step.emits, value, path)]
    context = Context(frame.run, path, node.name)
    try:
        if node.framed:
            value = (frame, value)
        if node.phased is not None:
            return await _phases(frame, node, node.phased, context, value)
        if node.call is None:
            result = await node.invoke(context, value)
        else:
            result = await node.call(_request(node, context, value))
    except BaseException as error:
        _refuse_stray(frame.run, node, path, error)
        raise
    if result.__class__ is Settled:
        return result.value, result.lines
    return result, ()


def _request(node: BoundNode, context: Context, *value: object) -> Request:
    """The visit as a call on its way through the policies."""
    return Request(
        node.kind,
        node.name,
        (context, *value),
        run_id=context.run.run_id,
        path=context.path,
        key=context.key,
        idempotent=node.effect != "effect",
    )


async def _phases(
    frame: Frame, node: BoundNode, phased: Node, context: Context, value: object
) -> tuple[object, list[Line]]:
    """prep, exec (with the policies round it) and post; the writes to the state become visible all together."""
    view = frame.state.view(node.own)
    prepared = await phased.prep(view, value)
    try:
        if node.call is None:
            result = await phased.exec(prepared)
        else:
            taken: list[Any] = []
            result = await node.call(_request(node, context, prepared, taken))
            prepared = taken[-1] if taken else prepared  # post sees what the attempt that succeeded had
    except Exception as error:
        if isinstance(error, (ControlFlow, *ENDS_RUN)) or is_broken(frame.run.history, error):
            raise
        result = await phased.exec_fallback(prepared, error)
    action = await phased.post(view, prepared, result)
    diff: object = view.diff()
    size = 0
    if phased.writes is not None:
        refuse_others(diff, phased.writes, node.name)
    if frame.run.history is not None:
        diff, text = to_json(diff, node.name)
        size = len(text)
    view.commit()
    frame.roots["state"] = frame.state.snapshot()
    lines: list[Line] = [("snapshot", context.path, diff, "", size)] if diff else []  # type: ignore[list-item]  # JSON
    return (result if action is None else Route(action, result)), lines


async def _recall(frame: Frame, node: BoundNode, record: Record, value: object) -> object:
    """The result of a visit that an earlier owner completed, with its state and its action."""
    payload: Mapping[str, JSON] = record.payload  # type: ignore[assignment]  # an object, written by settle
    frame.restore(payload, node.name)
    action = payload.get("action", DEFAULT)
    if node.step.each is not None:
        result: object = await run_batch(frame, node, record.path, value, perform)
    elif "branches" in payload:
        from agentflow_kernel.run.branches import recall_fork  # only flows with branches pay

        result = await recall_fork(frame, node, record.path, value, payload["branches"])  # type: ignore[arg-type]  # names
    elif "choices" in payload:
        return await _choose(frame, node, record.path, Choices(payload["choices"], payload["result"]))  # type: ignore[arg-type]  # texts
    elif "gotos" in payload:
        spread = Spread.from_json(payload["gotos"], str(action))  # type: ignore[arg-type]  # as written by settle
        return await run_spread(frame, node, record.path, spread, perform)
    else:
        result = payload["result"]
    return result if action == DEFAULT else Route(str(action), result)
