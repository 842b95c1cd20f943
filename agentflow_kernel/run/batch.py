"""A batch: one node over many items, in chunks, at most so many at a time, with a record for each chunk."""

from __future__ import annotations

from agentflow_kernel.errors import (
    AgentFlowError,
    ControlFlow,
    InputInvalid,
    PromptTooLong,
    SeveralFailed,
    StopFlow,
    Unavailable,
    UsageError,
)
from agentflow_kernel.flow.node import DEFAULT, Route
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.canonical import hash_text, to_json
from agentflow_kernel.run.fault import ENDS_RUN, code_of, is_broken, is_raised, sentence, text_of
from agentflow_kernel.run.settle import SKIPPED, Joined, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.flow.fork import Spread
    from agentflow_kernel.flow.graph import Step
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.history import Line
    from agentflow_kernel.run.runtime import Frame, Run

    Perform = Callable[[Frame, BoundNode, str, object], Awaitable[tuple[object, Sequence[Line]]]]


async def run_batch(frame: Frame, node: BoundNode, path: str, items: object, perform: Perform) -> list[object]:
    """The results in the order of the items; chunks that are on record are not run again.

    Where the flow has reducers, items are branches: they read the state as at the start, and their writes are merged
    in the order of the items.

    The first chunk that fails cancels and awaits the others, unless the step skips (its place is left out) or
    collects (its place holds ``{"error": {"code", "message"}}``) errors. What ends the whole run is no chunk's error.
    A prompt that is too long for the model is not collected, for a larger one may take it: the others are done first,
    then it is raised, so that a durable run is suspended and does what is missing when it is resumed.
    """
    step = node.step
    if not isinstance(items, list):
        raise InputInvalid(f"Node {node.name!r}, each", f"expected a list, found {type(items).__name__}")
    chunks: list[object] = items
    if step.batch_size > 1:
        chunks = [items[start : start + step.batch_size] for start in range(0, len(items), step.batch_size)]
    rules = frame.rules
    if rules is None or not rules.reducers or (node.phased is None and not node.framed):
        return await _run_chunks(frame, node, path, [(frame, node, chunk) for chunk in chunks], perform)
    return await _run_branches(frame, node, path, [(node, chunk) for chunk in chunks], perform)


async def run_spread(frame: Frame, node: BoundNode, path: str, spread: Spread, perform: Perform) -> object:
    """The results of the :class:`Goto` items of one visit, in their order; each is a branch with its own path.

    Errors and records are those of a batch; writes to the state wait for the join, as in a fork.
    """
    tasks = []
    for goto in spread.gotos:
        if goto.node not in node.step.fan_out:
            known = ", ".join(map(repr, node.step.fan_out))
            raise UsageError(f"Node {node.name!r} goes to {goto.node!r}, which its fan_out does not name: {known}.")
        target: BoundNode = node.bound[goto.node]  # type: ignore[assignment]  # no node fans out to a join
        tasks.append((target, goto.input))
    results: object = await _run_branches(frame, node, path, tasks, perform)
    return results if spread.action == DEFAULT else Route(spread.action, results)


async def _run_branches(
    frame: Frame, owner: BoundNode, path: str, work: Sequence[tuple[BoundNode, object]], perform: Perform
) -> list[object]:
    """As :func:`_run_chunks`, each with a state as it is now; what they write is merged in their order at the end."""
    from agentflow_kernel.run.branches import BranchFrame, merge, values_of  # only flows that merge writes pay

    values = values_of(frame)
    tasks = [(BranchFrame(frame, f"{path}/", values), node, item) for node, item in work]
    results = await _run_chunks(frame, owner, path, tasks, perform)
    merge(frame, owner.name, values, [(f"{path}[{index}]", branch) for index, (branch, _, _) in enumerate(tasks)])
    return results


async def _run_chunks(
    frame: Frame, owner: BoundNode, path: str, tasks: Sequence[tuple[Frame, BoundNode, object]], perform: Perform
) -> list[object]:
    """Work through what ``owner`` is made of: frame, node and item of each; skipped ones are left out."""
    results: list[object] = [SKIPPED] * len(tasks)
    finished = 0
    held: dict[int, PromptTooLong] = {}

    async def one(index: int) -> bool:
        nonlocal finished
        if frame.run.listener is not None:
            frame.run.tell("branch.started", f"{path}[{index}]", {"node": owner.name})
        try:
            results[index] = await _chunk(owner.step, tasks[index], f"{path}[{index}]", perform)
        except PromptTooLong as error:
            if frame.run.history is None or not _waits(owner.step, error):
                raise
            held[index] = error
            return False
        finished += 1
        if frame.run.listener is not None:
            fields = {"node": owner.name, "done": finished, "total": len(tasks)}
            frame.run.tell("branch.completed", f"{path}[{index}]", fields)
        return False

    wave = owner.step.concurrency if owner.step.batch_mode == "waves" else max(len(tasks), 1)
    for begin in range(0, len(tasks), wave):
        count = min(wave, len(tasks) - begin)
        await work_through(count, owner.step.concurrency, lambda index, begin=begin: one(begin + index), frame.run)  # type: ignore[misc]  # so bound
    if held:
        first = min(held)
        frame.run.blame(held[first], f"{path}[{first}]")
        raise held[first]
    return [result for result in results if result is not SKIPPED]


async def work_through(count: int, workers: int, one: Callable[[int], Awaitable[bool]], run: Run) -> None:
    """Do ``one(0)`` to ``one(count - 1)`` by at most so many workers, each taking the next when it is free.

    The first that returns true ends the work, the first error too: the others are cancelled and awaited, and the
    error is raised as it is. Without a loop one comes after the other.
    """
    queue = iter(range(count))
    workers = min(workers, count)
    if workers > 1 and not run.loopless:
        await _side_by_side(queue, one, workers, run)
        return
    for index in queue:
        if await one(index):
            return


async def _side_by_side(queue: Iterator[int], one: Callable[[int], Awaitable[bool]], workers: int, run: Run) -> None:
    """Run so many workers in one group; nothing of them outlives it."""
    import anyio  # lazy: 25 ms, and loaded already wherever there is a loop

    failures: list[tuple[BaseException, str]] = []
    at_work = workers

    async def work() -> None:
        nonlocal at_work
        try:
            for index in queue:
                if await one(index):
                    group.cancel_scope.cancel()
        except BaseException as error:
            if not is_raised(error):
                raise
            failures.append((error, run.origin_of(error)))
            group.cancel_scope.cancel()  # it is raised again below, once the others have ended
        finally:
            at_work -= 1
            if at_work:  # the last one's place is taken by whoever waits for the group
                run.busy -= 1
        if at_work and run.rests:
            await _say_rest(run)

    run.busy += workers - 1
    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(work)
    if failures:
        raise one_of(failures, run)


def one_of(failures: Sequence[tuple[BaseException, str]], run: Run) -> BaseException:
    """The error to raise: the only one, the one that ends the run or flow whatever the others say, or all of them."""
    first = failures[0][0]
    if len(failures) == 1 or isinstance(first, ControlFlow):
        return first
    for error, _ in failures:
        if not isinstance(error, Exception) or isinstance(error, ENDS_RUN) or is_broken(run.history, error):
            return error
    plain = [(error, path) for error, path in failures if isinstance(error, Exception)]
    plain = [each for each in plain if not isinstance(each[0], ControlFlow)]
    if len(plain) == 1:
        return first
    said, *more = [text_of(error) for error, _ in plain]
    paths = [path for _, path in plain[1:]]
    told = ["the same" if text == said else text for text in more]
    others = "; ".join(f"{path}: {text}" for path, text in zip(paths, told, strict=True))
    text = f"{sentence(said)} And {len(more)} more failed: {sentence(others)}"
    group = SeveralFailed(text, [error for error, _ in plain])
    group.paths = tuple(path for _, path in plain)
    run.blame(group, plain[0][1])
    return group


async def _say_rest(run: Run) -> None:
    from agentflow_kernel.run.resting import at_rest  # only runs that wait pay

    await at_rest(run)


def _meets_all(error: Exception, node: BoundNode) -> bool:
    """Whether the error says nothing of the item: the next one would meet it too, as a key or a model that is down.

    What an agent raises as unavailable is its model; its tools' errors are for its planner.
    """
    if not isinstance(error, AgentFlowError):
        return False
    return error.spares_nothing or (node.kind in ("agent", "plan") and isinstance(error, Unavailable))


def _waits(owner: Step, error: Exception) -> bool:
    """Whether the item is done again, by a model that may take more, instead of being collected as it is."""
    return owner.on_item_error == "collect" and isinstance(error, PromptTooLong)


async def _chunk(owner: Step, task: tuple[Frame, BoundNode, object], path: str, perform: Perform) -> object:
    """One chunk: from the record, or done and recorded; ``owner`` says what becomes of errors."""
    frame, node, item = task
    template, history = node.step.input, frame.run.history
    value = item if template is None else template.fill(frame.roots, item)
    input_hash = ""
    if history is None:
        if value.__class__ in (list, dict):
            value = copied(value)  # as a journal would give it: no item sees what another one does to its input
    else:
        value, text = to_json(value, node.name)
        input_hash = hash_text(text)
        record = history.recall(path, input_hash)
        if record is not None:
            payload: Mapping[str, JSON] = record.payload  # type: ignore[assignment]  # an object, written by settle
            frame.restore(payload, node.name)
            if "branches" in payload:
                from agentflow_kernel.run.branches import recall_fork  # only flows with branches pay

                return await recall_fork(frame, node, path, value, payload["branches"])  # type: ignore[arg-type]  # names
            return SKIPPED if "skipped" in payload else payload["result"]
    lines: Sequence[Line] = ()
    try:
        result, lines = await perform(frame, node, path, value)
    except Exception as error:
        all_alike = history is not None and (_meets_all(error, node) or _waits(owner, error))
        stops = isinstance(error, (StopFlow, *ENDS_RUN)) or all_alike or is_broken(history, error)
        if owner.on_item_error == "fail" or stops:
            frame.run.blame(error, path)
            raise
        fault: dict[str, object] = {"code": code_of(error), "message": text_of(error)}
        result = SKIPPED if owner.on_item_error == "skip" else {"error": fault}
        if result is SKIPPED and frame.run.listener is not None:
            frame.run.tell("node.skipped", path, {"node": node.name, **fault})
    if result.__class__ is Route:
        raise UsageError(f"Node {node.name!r} chose a route for one item of a batch; only the whole batch can route.")
    if history is not None or lines:
        result = await settle(frame, node, (path, input_hash), result, lines)
    return dict(result) if result.__class__ is Joined else result
