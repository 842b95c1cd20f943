"""A compensation: what undoes a completed step when its run fails or is cancelled, the latest step first."""

from __future__ import annotations

from typing import cast

import anyio

from agentflow_kernel.errors import Elapsed, JournalError, NonDeterminism
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.deadline import TimeOver, within
from agentflow_kernel.run.fault import code_of, is_broken, text_of
from agentflow_kernel.run.limits import limited_frame
from agentflow_kernel.run.runtime import Frame
from agentflow_kernel.run.waits import clock_of
from agentflow_kernel.run.walk import perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.runtime import Run

    Due = tuple[str, str, Mapping[str, JSON]]
    """Path of the completed step, place of its node in the flow, and what its compensation gets."""

_SUFFIX = "!compensate"
"""After the path of the step: the identity of its compensation."""


def ending_of(run: Run) -> Mapping[str, JSON] | None:
    """How the run was about to end when an earlier owner began to compensate; ``None`` where none did."""
    history = run.history
    return None if history is None or history.standing is None else history.standing.ending


async def compensate(run: Run, start: BoundNode, ending: Mapping[str, JSON]) -> dict[str, JSON]:
    """Undo what the run has done, then return how it ends: ``ending``, with what was compensated and what was not.

    Compensations run one after another, the step that was completed last first, however deep it stands; a nested flow
    that is complete and has a compensation of its own stands for all steps in it. Each is called at most once to its
    end, also over several processes. One that fails, or is not done within the flow's ``compensation_s``, is reported
    and keeps no other from being called. Raises what the journal raises, and :class:`NonDeterminism`.
    """
    due = list(_due(run))
    if not due and ending_of(run) is None:
        return dict(ending)
    history = run.history
    if history is not None and history.standing is not None and history.standing.ending is not None:
        done = history.standing.compensated
    else:
        done = {}
        if history is not None:
            steps: list[JSON] = [path for path, _, _ in due]
            await history.commit([("compensation.started", "", {**ending, "steps": steps}, "", 0)])
    run.cancelled = False
    run.compensating = True
    nodes = dict(_compensating(start))
    outcomes: dict[str, JSON] = {path: outcome.get("error") for path, outcome in done.items()}
    left = [each for each in due if each[0] + _SUFFIX not in outcomes]
    limit_s = start.graph.compensation_s

    async def work() -> None:
        while left:
            outcomes[left[0][0] + _SUFFIX] = await _one(run, nodes, left[0])
            del left[0]

    try:
        with anyio.CancelScope(shield=True):
            await within(clock_of(run), limit_s, work)
    except TimeOver:
        late = Elapsed("The compensations of the run", limit_s)
        for path, _, _ in left:
            outcomes[path + _SUFFIX] = await _record(run, path + _SUFFIX, None, late)
    failed: list[JSON] = [
        {"path": path, **cast("dict[str, JSON]", error)} for path, error in outcomes.items() if error is not None
    ]
    completed: list[JSON] = [path for path, error in outcomes.items() if error is None]
    return {**ending, "compensation": {"completed": completed, "failed": failed}}


def _due(run: Run) -> Iterator[Due]:
    """What is to be compensated, the step that was completed last first."""
    found: list[Due] = []
    if run.history is not None:
        for path, record in run.history.done.items():
            payload = cast("Mapping[str, JSON]", record.payload)
            if "undo" in payload:
                undo = cast("Mapping[str, JSON]", payload["undo"])
                found.append((path, str(undo["node"]), {"input": undo["input"], "result": payload["result"]}))
    found += run.undo or ()
    flows = tuple(f"{path}/" for path, _, _ in found)
    return (each for each in reversed(found) if not each[0].startswith(flows))


def _compensating(start: BoundNode) -> Iterator[tuple[str, BoundNode]]:
    """The compensations of a flow and of all flows in it or in its plans, by the place of their nodes."""
    todo = list(start.bound.values())
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        parts = getattr(node.step.target, "parts", None)
        if parts is not None:
            todo += [each for inner in parts.starts() for each in inner.bound.values()]
        if node.undo is not None:
            yield node.place, node.undo
        todo += node.branches
        if node.inner is not None:
            todo += node.inner.bound.values()


async def _one(run: Run, nodes: Mapping[str, BoundNode], due: Due) -> JSON:
    """Call one compensation; returns its error, ``None`` when it is done."""
    step, place, value = due
    path = step + _SUFFIX
    if run.history is not None:
        await run.history.commit([("compensation.started", path, {"node": place}, "", 0)])
    run.tell("compensation.started", path, {"node": place})
    try:
        node = _find(run, nodes, place, path)
        template = node.step.input
        frame = Frame(run, node.graph, value, prefix=f"{path}/")
        given: object = dict(value) if template is None else template.fill(frame.roots, value)
        result, _ = await perform(frame, node, path, given)
        if run.history is not None:
            result, _ = to_json(result, path)
    except (JournalError, NonDeterminism):
        raise
    except Exception as error:
        if is_broken(run.history, error):
            raise
        return await _record(run, path, None, error)
    return await _record(run, path, result, None)


def _find(run: Run, nodes: Mapping[str, BoundNode], place: str, path: str) -> BoundNode:
    node = nodes.get(place)
    if node is None:
        raise NonDeterminism(run.run_id, path, f"node {place!r} is done, and has no compensation any more.")
    return node


async def run_alone(frame: Frame, start: BoundNode, value: object) -> object:
    """Walk a flow that no kernel runs; what it raises gets a note on each compensation that failed."""
    try:
        return await limited_frame(frame, start, value)
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            end = await compensate(frame.run, start, {})
        report = cast("Mapping[str, list[Mapping[str, JSON]]]", end.get("compensation") or {"failed": []})
        for fault in report["failed"]:
            error.add_note(f"{fault['path']}: {fault['message']} [{fault['code']}]")
        raise


async def _record(run: Run, path: str, result: object, error: Exception | None) -> JSON:
    """Put on record how a compensation ended."""
    fault: dict[str, JSON] | None = None if error is None else {"code": code_of(error), "message": text_of(error)}
    if run.history is not None:
        payload: dict[str, JSON] = {"result": result} if fault is None else {"error": fault}  # type: ignore[dict-item]  # JSON, checked
        await run.history.commit([("compensation.completed", path, payload, "", 0)])
    run.tell("compensation.completed", path, {} if fault is None else dict(fault))
    return fault
