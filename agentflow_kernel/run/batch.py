"""A batch: one node over many items, in chunks, at most so many at a time, with a record for each chunk."""

from __future__ import annotations

from agentflow_kernel.errors import InputInvalid, StopFlow, UsageError
from agentflow_kernel.flow.node import Route
from agentflow_kernel.run.canonical import hash_text, to_json
from agentflow_kernel.run.fault import ENDS_RUN, code_of, is_broken, text_of
from agentflow_kernel.run.settle import SKIPPED, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.history import Line
    from agentflow_kernel.run.runtime import Frame

    Perform = Callable[[Frame, BoundNode, str, object], Awaitable[tuple[object, Sequence[Line]]]]


async def run_batch(frame: Frame, node: BoundNode, path: str, items: object, perform: Perform) -> list[object]:
    """The results in the order of the items; chunks that are on record are not run again.

    The first chunk that fails cancels and awaits the others, unless the step skips (its place is left out) or
    collects (its place holds ``{"error": {"code", "message"}}``) errors. What ends the whole run is no chunk's error.
    """
    step = node.step
    if not isinstance(items, list):
        raise InputInvalid(f"Node {node.name!r}, each", f"expected a list, found {type(items).__name__}")
    chunks: list[object] = items
    if step.batch_size > 1:
        chunks = [items[start : start + step.batch_size] for start in range(0, len(items), step.batch_size)]
    results: list[object] = [SKIPPED] * len(chunks)
    queue = iter(range(len(chunks)))
    finished = 0

    async def work() -> None:
        nonlocal finished
        for index in queue:
            results[index] = await _chunk(frame, node, f"{path}[{index}]", chunks[index], perform)
            finished += 1
            if frame.run.listener is not None:
                fields = {"node": node.name, "done": finished, "total": len(chunks)}
                frame.run.tell("branch.completed", f"{path}[{index}]", fields)

    workers = min(step.concurrency, len(chunks))
    if workers <= 1 or frame.run.loopless:
        await work()
    else:
        await _side_by_side(work, workers)
    return [result for result in results if result is not SKIPPED]


async def _side_by_side(work: Callable[[], Awaitable[None]], workers: int) -> None:
    """Run so many workers; the first error cancels the others and is raised as it is."""
    import anyio  # lazy: 25 ms, and loaded already wherever there is a loop

    failures: list[Exception | SystemExit] = []

    async def guarded() -> None:
        try:
            await work()
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- raised again below, once the others have ended
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(guarded)
    if failures:
        raise failures[0]


async def _chunk(frame: Frame, node: BoundNode, path: str, item: object, perform: Perform) -> object:
    """One chunk: from the record, or done and recorded."""
    step, history = node.step, frame.run.history
    value = item if step.input is None else step.input.fill(frame.roots, item)
    input_hash = ""
    if history is not None:
        value, text = to_json(value, node.name)
        input_hash = hash_text(text)
        record = history.recall(path, input_hash)
        if record is not None:
            payload: Mapping[str, JSON] = record.payload  # type: ignore[assignment]  # an object, written by settle
            frame.restore(payload, node.name)
            return SKIPPED if "skipped" in payload else payload["result"]
    lines: Sequence[Line] = ()
    try:
        result, lines = await perform(frame, node, path, value)
    except Exception as error:
        all_alike = history is not None and getattr(error, "spares_nothing", False)
        stops = isinstance(error, (StopFlow, *ENDS_RUN)) or all_alike or is_broken(history, error)
        if step.on_item_error == "fail" or stops:
            frame.run.blame(error, path)
            raise
        fault: dict[str, object] = {"error": {"code": code_of(error), "message": text_of(error)}}
        result = SKIPPED if step.on_item_error == "skip" else fault
    if result.__class__ is Route:
        raise UsageError(f"Node {node.name!r} chose a route for one item of a batch; only the whole batch can route.")
    return await settle(frame, node, (path, input_hash), result, lines) if history is not None or lines else result
