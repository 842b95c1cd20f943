"""The walk: follows a graph from node to node, and visits each node: recall, call, record, report."""

from __future__ import annotations

from agentflow_kernel.contracts.policy import Request
from agentflow_kernel.errors import BudgetExceeded, StopFlow
from agentflow_kernel.flow.node import DEFAULT, Route
from agentflow_kernel.run.batch import run_batch
from agentflow_kernel.run.bind import AWAIT, VISIT
from agentflow_kernel.run.canonical import hash_text, to_json
from agentflow_kernel.run.runtime import Context, Frame
from agentflow_kernel.run.settle import Settled, emit_line, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.history import Line


async def run_frame(frame: Frame, start: BoundNode, value: object) -> object:
    """Walk a whole flow and return its output: what it declares, else the last result."""
    try:
        result = await walk(frame, start, value)
    except StopFlow as stop:
        return stop.output
    output = frame.graph.output
    return result if output is None else output.fill(frame.roots)


async def walk(frame: Frame, node: BoundNode | None, value: object) -> object:
    """Visit nodes from ``node`` on until a route ends; returns the last result.

    Raises what a node raises, and :class:`BudgetExceeded` after ``max_steps`` visits.
    """
    roots = frame.roots
    quiet = frame.run.quiet
    left = frame.graph.max_steps
    while node is not None:
        if left == 0:
            raise BudgetExceeded("max_steps", frame.graph.max_steps, f"flow {frame.graph.name!r} at {node.name!r}")
        left -= 1
        mode = node.mode if quiet else VISIT
        if mode == AWAIT:
            value = await node.quick(value)  # type: ignore[misc]  # set together with the mode
        elif mode:
            value = node.quick(value)  # type: ignore[misc]  # set together with the mode
        else:
            value = await visit(frame, node, value)
        if value.__class__ is Route:
            action, value = value.action, value.value  # type: ignore[attr-defined]  # a Route, as just checked
            roots[node.name] = value
            node = node.follow(action)
        else:
            roots[node.name] = value
            node = node.next
    return value


async def visit(frame: Frame, node: BoundNode, value: object) -> object:
    """One visit of one node, with everything that stands round it; returns its result or a :class:`Route`."""
    run, step = frame.run, node.step
    if node.kind == "trap":
        return await node.invoke(Context(run, "", node.name), value)
    path = frame.path_of(node.name)
    if step.each is not None:
        value = step.each.fill(frame.roots)
    elif step.input is not None:
        value = step.input.fill(frame.roots)
    input_hash = ""
    if run.history is not None:
        value, text = to_json(value, node.name)
        input_hash = hash_text(text)
        record = run.history.recall(path, input_hash)
        if record is not None:
            return await _recall(frame, node, record, value)
    told = run.listener is not None
    if told:
        items = _count(value, step.batch_size) if step.each is not None else None
        run.tell("node.started", path, {"node": node.name, "items": items})
    lines: list[Line] = []
    try:
        if step.each is not None:
            result: object = await run_batch(frame, node, path, value, perform)
        else:
            result, lines = await perform(frame, node, path, value)
    except Exception as error:
        if told and not isinstance(error, StopFlow):
            fields = {"node": node.name, "code": getattr(error, "code", type(error).__name__), "message": str(error)}
            run.tell("node.failed", path, fields)
        raise
    if run.history is not None or lines:
        result = await settle(frame, node, (path, input_hash), result, lines)
    if told:
        run.tell("node.completed", path, {"node": node.name})
    return result


def _count(items: object, batch_size: int) -> int | None:
    """How many chunks a batch has."""
    return -(-len(items) // batch_size) if isinstance(items, list) else None


async def perform(frame: Frame, node: BoundNode, path: str, value: object) -> tuple[object, list[Line]]:
    """Do what the node does, once; returns its result and the lines that must be recorded together with it."""
    run = frame.run
    if node.inner is not None:
        inner = Frame(run, node.inner.graph, value, prefix=f"{path}/")
        return await run_frame(inner, node.inner, value), []
    if node.step.emits:
        return value, [emit_line(node.step.emits, value, path)]
    context = Context(run, path, node.name)
    if node.phased is not None:
        return await _phases(frame, node, context, value)
    if node.call is None:
        result = await node.invoke(context, value)
    else:
        result = await node.call(_request(node, context, value))
    if result.__class__ is Settled:
        return result.value, result.lines  # type: ignore[attr-defined]  # a Settled, as just checked
    return result, []


def _request(node: BoundNode, context: Context, value: object) -> Request:
    """The visit as a call on its way through the policies."""
    return Request(
        node.kind,
        node.name,
        (context, value),
        run_id=context.run.run_id,
        path=context.path,
        key=context.key,
        idempotent=node.step.effect != "effect",
    )


async def _phases(frame: Frame, node: BoundNode, context: Context, value: object) -> tuple[object, list[Line]]:
    """prep, exec (with the policies round it) and post; the writes to the state become visible all together."""
    phased = node.phased
    assert phased is not None
    view = frame.state.view(node.name)
    prepared = await phased.prep(view, value)
    if node.call is None:
        result = await phased.exec(prepared)
    else:
        result = await node.call(_request(node, context, prepared))
    action = await phased.post(view, prepared, result)
    diff: object = view.diff()
    if frame.run.history is not None:
        diff = to_json(diff, node.name)[0]
    view.commit()
    frame.roots["state"] = frame.state.snapshot()
    lines: list[Line] = [("snapshot", context.path, diff, "", 0)] if diff else []  # type: ignore[list-item]  # JSON
    return (result if action is None else Route(action, result)), lines


async def _recall(frame: Frame, node: BoundNode, record: Record, value: object) -> object:
    """The result of a visit that an earlier owner completed, with its state and its action."""
    payload: Mapping[str, JSON] = record.payload  # type: ignore[assignment]  # an object, written by settle
    if "state" in payload:
        frame.state.apply(payload["state"], node=node.name)  # type: ignore[arg-type]  # an object of arrays
        frame.roots["state"] = frame.state.snapshot()
    if node.step.each is not None:
        result: object = await run_batch(frame, node, record.path, value, perform)
    else:
        result = payload["result"]
    action = payload.get("action", DEFAULT)
    return result if action == DEFAULT else Route(str(action), result)
