"""The settlement of a step: its completion on record in one batch with its events, which go out after that."""

from __future__ import annotations

from agentflow_kernel.flow.fork import Spread
from agentflow_kernel.flow.node import DEFAULT, Route
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.canonical import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.history import Line
    from agentflow_kernel.run.runtime import Frame, Run

SKIPPED = object()
"""The result of a batch item that was left out."""

_KEPT = 64 * 1024
"""Characters of a result that are kept for the next node."""


class Joined(dict[str, object]):
    """The result of a fork: its branches have records of their own, so that only their names are put on record."""

    __slots__ = ()


class Choices:
    """The actions that one visit chose, all of them, with the value that each of their ways begins with."""

    __slots__ = ("actions", "value")

    def __init__(self, actions: Sequence[str], value: object) -> None:
        self.actions = actions
        self.value = value


class Settled:
    """A result together with the lines that must be recorded in the same batch as its step."""

    __slots__ = ("value", "lines")

    def __init__(self, value: object, lines: Sequence[Line]) -> None:
        self.value = value
        self.lines = lines


def emit_line(event_type: str, value: object, path: str) -> Line:
    """The line that records an event to be published; ``value`` is its data."""
    return ("event.emitted", path, {"type": event_type, "data": value}, "", 0)  # type: ignore[dict-item]  # JSON is checked on commit


async def settle(
    frame: Frame, node: BoundNode, identity: tuple[str, str], result: object, lines: Sequence[Line]
) -> object:
    """Make a completion durable, then let its events out; returns the result as the journal will give it back.

    ``identity`` is the step's path and the hash of its input. The result of a batch or fork as a whole is not
    recorded: each of its items or branches has a record of its own.
    """
    run = frame.run
    if run.history is None:
        _remember(run, lines, result)
        await publish_lines(run, -1, lines)
        return result
    path, input_hash = identity
    action, size = DEFAULT, 0
    if result.__class__ is Route:
        action, result = result.action, result.value
    payload: dict[str, JSON] = {}
    if result is SKIPPED:
        payload["skipped"] = True
    elif result.__class__ is Joined:
        payload["branches"] = list(result)
    elif result.__class__ is Spread:
        action = result.action
        gotos, text = to_json(result.to_json(), node.name)
        payload["gotos"], size = gotos, len(text)
        result = Spread.from_json(gotos, action)  # type: ignore[arg-type]  # as written
    elif result.__class__ is Choices:
        value, text = to_json(result.value, node.name)
        actions: Sequence[str] = list(result.actions)
        payload["choices"], payload["result"], size = actions, value, len(text)
        result = Choices(actions, value)
    elif node.step.each is None or path.endswith("]"):
        result, text = to_json(result, node.name)
        payload["result"], size = result, len(text)
        frame.settled = (result, text) if size <= _KEPT else None
    if action != DEFAULT:
        payload["action"] = action
    others: list[Line] = []  # what goes on record with the step
    for line in lines:
        if line[0] == "snapshot":
            payload["state"] = line[2]
            size += line[4]
        elif line[0] == "compensation.started":  # what would begin it, should the run fail
            payload["undo"] = line[2]
            size += line[4]
        elif line[0] == "event.emitted":
            others.append((*line[:4], line[4] or size))  # without a size its data is the result
        else:
            others.append(line)
    others.append(("step.completed", path, payload, input_hash, size))
    first = await run.history.commit(others)
    if "undo" in payload:
        _remember(run, lines, result)
    if lines:
        await publish_lines(run, first, others)
    return result if action == DEFAULT or result.__class__ is Spread else Route(action, result)


def _remember(run: Run, lines: Sequence[Line], result: object) -> None:
    """Note what is to be compensated should the run fail, now that it is done."""
    for line in lines:
        if line[0] == "compensation.started":
            if run.undo is None:
                run.undo = []
            undo: Mapping[str, JSON] = line[2]  # type: ignore[assignment]  # an object, by the careful visit
            value = result.value if isinstance(result, Route) else result
            run.undo.append((line[1], str(undo["node"]), {"input": undo["input"], "result": copied(value)}))


async def publish_lines(run: Run, first: int, lines: Sequence[Line]) -> None:
    """Publish the events among ``lines``, whose records begin at ``first`` (-1: there is no record)."""
    for offset, line in enumerate(lines):
        if line[0] == "event.emitted":
            event_id = f"{run.run_id}/{first + offset}" if first >= 0 else run.unrecorded_event_id()
            await publish_event(run, event_id, line[2])  # type: ignore[arg-type]  # an object, by emit_line


async def publish_event(run: Run, event_id: str, payload: Mapping[str, JSON]) -> None:
    """Publish one event; a crash before its mark is on record publishes it again under the same id."""
    if run.services.publish is not None:
        from agentflow_kernel.event import Event  # only runs that emit pay

        subject: str | None = payload.get("subject")  # type: ignore[assignment]  # a text, by its maker
        event = Event(
            str(payload["type"]), payload["data"], source=f"agentflow/{run.name}", id=event_id, subject=subject
        )
        await run.services.publish(event)
    if run.history is not None:
        run.history.marks.append(event_id)
    if run.listener is not None:
        run.tell("event.emitted", "", {"type": payload["type"], "id": event_id})
