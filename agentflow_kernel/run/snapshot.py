"""A snapshot: one record that holds what a resumed run needs of all records before it."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import Fenced
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.history import History, visit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.figures import Figures
    from agentflow_kernel.run.history import Line
    from agentflow_kernel.run.runtime import Frame, Run
    from agentflow_kernel.run.standing import Standing

VERSION = 1
"""Of the form of the payload."""
BY_PATH = ("timers", "deadlines", "resolved", "asked")
"""Members of a standing that belong to one action each: an object by path."""
PATHS = ("fired",)
"""The same, a set of paths."""
WHOLE = ("patches",)
IDS = ("known",)
LIVE = ("buffered", "cancel_asked", "open", "turn", "announced", "resting", "ending", "compensated", "listeners")
"""Members of a standing that are folded in a way of their own, or are of the process, or of a run that ends already."""


async def take_snapshot(frame: Frame, node: str, value: object) -> None:
    """Put a snapshot on record, between two visits of the run's own flow: ``node`` is next, with ``value``.

    Nothing happens while the walk still recalls what an earlier owner did.
    """
    history = cast("History", frame.run.history)
    visit = _visit(node, frame.visits)
    if visit in history.done:
        return
    position: dict[str, object] = {
        "node": node,
        "value": value,
        "roots": {name: result for name, result in frame.roots.items() if name != "state"},
        "state": frame.state.values(),
        "visits": dict(frame.visits),
    }
    await _put(frame.run, history, visit, position)


async def take_within(run: Run, path: str, value: object, open_ids: Collection[str]) -> None:
    """Put a snapshot on record within the only visit of a run: the state of its planner says what is over.

    ``path`` is the visit's, ``value`` what the run began with. Of what the planner's actions have done only that of
    those which are open is kept.
    """
    position: dict[str, object] = {"node": path, "value": value, "roots": {"input": value}, "state": {}, "visits": {}}
    await _put(run, cast("History", run.history), path, position, open_ids)


async def _put(
    run: Run, history: History, visit: str, position: Mapping[str, object], open_ids: Collection[str] | None = None
) -> None:
    folded = await _fold(history)
    payload, text = to_json(fold(folded, visit, position, open_ids), "snapshot")
    line: Line = ("snapshot", "", payload, "", len(text))
    ref = await history.store_large(line)
    while folded.next_seq != history.next_seq or history.marks or history.queued:
        if history.broken is not None:
            raise history.broken
        import anyio.lowlevel  # lazy: only here, and loaded already wherever there is a loop

        await anyio.lowlevel.checkpoint()  # what has a number and is not there yet is being appended
        if history.marks or history.queued:
            await history.append([])  # they are part of what the snapshot holds
        folded = await _fold(history)
        payload, text = to_json(fold(folded, visit, position, open_ids), "snapshot")
        line = ("snapshot", "", payload, "", len(text))
        ref = await history.store_large(line)
    seq = await history.append([line], [ref])
    history.records, history.size_bytes, history.due, history.warned = 1, len(text), False, False
    _let_go(history, None if folded.standing is None else run.standing, _keeper(visit, open_ids))
    if history.limits.compact:
        from agentflow_kernel.run.compaction import shorten  # only runs that are asked to pay

        await shorten(history, seq)


async def _fold(history: History) -> History:
    """What is on record, as a new owner would take it up. Raises :class:`Fenced`: one has done so meanwhile."""
    folded = History(history.journal, history.run_id, clock=history.clock, epoch=history.epoch)
    records = await history.journal.read(history.run_id)
    epoch = records[-1].epoch if records else history.epoch + 1  # who took it over has ended it, and it was pruned
    if epoch > history.epoch:
        history.broken = history.broken or Fenced(history.run_id, history.epoch, epoch)
        raise history.broken
    await folded.load(records)
    return folded


def next_visit(position: Mapping[str, JSON] | None) -> str:
    """The visit that a run begins with at a position, ``""`` without one."""
    return "" if position is None else _visit(str(position["node"]), cast("Mapping[str, int]", position["visits"]))


def _visit(node: str, visits: Mapping[str, int]) -> str:
    count = visits.get(node, 0) + 1
    return node if count == 1 else f"{node}@{count}"


def leave_out(history: History, visit: str) -> None:
    """Forget all that a visit has done, so that it is done anew."""
    history.done = {path: record for path, record in history.done.items() if visit_of(path) != visit}
    history.decisions = {path: saved for path, saved in history.decisions.items() if visit_of(path) != visit}
    history.intents = {path: undo for path, undo in history.intents.items() if visit_of(path) != visit}
    history.given_up = {path for path in history.given_up if visit_of(path) != visit}
    standing = history.standing
    for name in BY_PATH if standing is not None else ():
        setattr(
            standing, name, {path: kept for path, kept in getattr(standing, name).items() if visit_of(path) != visit}
        )
    for name in PATHS if standing is not None else ():
        setattr(standing, name, {path for path in getattr(standing, name) if visit_of(path) != visit})


def _keeper(visit: str | None, open_ids: Collection[str] | None) -> Callable[[str], bool]:
    """What says whether a snapshot keeps what lies at a path, see :func:`fold`."""
    if visit is None:
        return lambda path: True
    if open_ids is None:
        return lambda path: visit_of(path) in ("", visit)
    below, actions = f"{visit}/", frozenset(open_ids)

    def keeps(path: str) -> bool:
        if path.startswith(below):
            return visit_of(path[len(below) :]) in actions
        return visit_of(path) in ("", visit)

    return keeps


def fold(
    history: History,
    visit: str | None,
    position: Mapping[str, object] | None,
    open_ids: Collection[str] | None = None,
) -> dict[str, object]:
    """The payload of a snapshot. With ``visit``, the next one, only what lies in it or in no visit is kept.

    With ``open_ids`` the run is within the visit, and of its planner's actions only those are kept.
    """
    kept = _keeper(visit, open_ids)
    begun = {path: undo for path, undo in sorted(history.intents.items()) if kept(path) and path not in history.done}
    done: dict[str, object] = {
        path: [record.input_hash, record.payload, record.seq]
        for path, record in history.done.items()
        if kept(path) or _undoes(record)
    }
    return {
        "v": VERSION,
        "position": history.position if position is None else position,
        "done": done,
        "decisions": {path: saved for path, saved in history.decisions.items() if kept(path)},
        "intents": list(begun),
        "undo": {path: undo for path, undo in begun.items() if undo is not None},
        "given_up": sorted(path for path in history.given_up if kept(path)),
        "unpublished": dict(history.unpublished),
        "standing": None if history.standing is None else _dump(history.standing, kept),
        "figures": dict(history.figures),
    }


def _undoes(record: Record) -> bool:
    """Whether a failure of the run has to undo the step: then it stays until the end."""
    return "undo" in cast("Mapping[str, JSON]", record.payload)


def restore(history: History, payload: Mapping[str, JSON]) -> None:
    """Give a history what a snapshot holds, in the place of all that it had."""
    done = cast("Mapping[str, Sequence[JSON]]", payload["done"])
    history.done = {}
    for path, (input_hash, result, seq) in done.items():
        record = Record(history.run_id, cast("int", seq), "step.completed", path, result, history.epoch)
        record.input_hash = cast("str", input_hash)
        history.done[path] = record
    history.decisions = dict(cast("Mapping[str, Mapping[str, JSON]]", payload["decisions"]))
    undo = cast("Mapping[str, JSON]", payload.get("undo", {}))  # snapshots of earlier forms have none
    history.intents = {path: undo.get(path) for path in cast("list[str]", payload["intents"])}
    history.given_up = set(cast("list[str]", payload["given_up"]))
    history.unpublished = dict(cast("Mapping[str, Mapping[str, JSON]]", payload["unpublished"]))
    history.position = cast("Mapping[str, JSON] | None", payload["position"])
    history.figures = dict(cast("Figures", payload["figures"]))
    standing = cast("Mapping[str, JSON] | None", payload["standing"])
    history.standing = None if standing is None else _load(standing)
    history.find_below()


def _dump(standing: Standing, kept: Callable[[str], bool]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for name in BY_PATH:
        members = getattr(standing, name).items()
        found[name] = {path: value for path, value in members if kept(path)}
    for name in PATHS:
        found[name] = sorted(path for path in getattr(standing, name) if kept(path))
    for name in WHOLE:
        found[name] = dict(getattr(standing, name))
    for name in IDS:
        found[name] = sorted(getattr(standing, name))
    found["buffered"] = [list(signal) for signal in standing.buffered.values()]
    found["cancel_asked"] = standing.cancel_asked
    return found


def _load(saved: Mapping[str, JSON]) -> Standing:
    from agentflow_kernel.run.standing import Standing  # only runs that have used it pay

    standing = Standing()
    for name in (*BY_PATH, *WHOLE):
        setattr(standing, name, dict(cast("Mapping[str, JSON]", saved[name])))
    for name in (*PATHS, *IDS):
        setattr(standing, name, set(cast("list[str]", saved[name])))
    for signal_id, signal, value in cast("list[list[JSON]]", saved["buffered"]):
        standing.buffered[str(signal_id)] = (str(signal_id), str(signal), value)
    standing.cancel_asked = bool(saved["cancel_asked"])
    return standing


def _let_go(history: History, standing: Standing | None, kept: Callable[[str], bool]) -> None:
    """Forget in this process what the snapshot has left out: nothing of it is ever recalled again."""
    history.done = {path: record for path, record in history.done.items() if kept(path) or _undoes(record)}
    history.decisions = {path: saved for path, saved in history.decisions.items() if kept(path)}
    history.intents = {path: undo for path, undo in history.intents.items() if kept(path)}
    if standing is None:
        return
    for name in BY_PATH:
        members = getattr(standing, name)
        for path in [path for path in members if not kept(path)]:
            del members[path]
    for name in PATHS:
        getattr(standing, name).intersection_update([path for path in getattr(standing, name) if kept(path)])
