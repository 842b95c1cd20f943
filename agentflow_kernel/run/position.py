"""A position: where a run stands in the picture of its flow, as its records tell."""

from __future__ import annotations

from agentflow_kernel.contracts.journal import compacted_to
from agentflow_kernel.flow.node import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.drawing import Picture


def marks_of(records: Sequence[Record], picture: Picture) -> dict[str, str]:
    """The marks of a picture's shapes by id: ``visited``, ``working``, ``waiting`` and, where it failed, ``failed``.

    What works is told by records that are not followed by a completion, and by the way on from the node that was
    completed last. Where a condition decides on that way, only the next record tells.
    """
    done = {record.path: record for record in records if record.type == "step.completed"}
    marks: dict[str, str] = {_id(name): "visited" for name in _folded(records).get("visits", ())}
    for path in done:
        for each in (path, *_above(path)):
            marks[_id(each)] = "visited"
    last = records[-1].type if records else ""
    if last != "run.ended":
        here = "waiting" if last == "run.suspended" else "working"
        for name in _at_work(records, done, picture):
            marks[name] = here
        open_waits = {record.path for record in records if record.type == "wait.opened"}
        for path in open_waits - {record.path for record in records if record.type == "wait.resolved"}:
            if path.partition("!")[0] not in done:
                marks[_id(path)] = "waiting"
    elif _fields(records[-1]).get("status") == "failed":
        path = str(_fields(records[-1]).get("path", ""))
        for each in (path, *_above(path)) if path else ():
            marks[_id(each)] = "failed"
    if records and "(start)" in picture.shapes:
        marks["(start)"] = "visited"
    if last == "run.ended" and _fields(records[-1]).get("status") == "completed" and "(end)" in picture.shapes:
        marks["(end)"] = "visited"
    return {name: mark for name, mark in marks.items() if name in picture.shapes}


def _at_work(records: Sequence[Record], done: Mapping[str, Record], picture: Picture) -> Iterator[str]:
    """Ids of what was begun and not completed, and of what follows on what was completed last in each group."""
    latest: dict[str, Record] = {}
    for record in records:
        if not record.path:
            continue
        for path in (record.path, *_above(record.path)):
            if path not in done and record.type != "wait.resolved":
                yield _id(path)
        if record.type == "step.completed" and not record.path.endswith("]"):
            latest[record.path.rpartition("/")[0]] = record
    if "" not in latest and compacted_to(records):
        yield str(_folded(records).get("node", ""))
    elif "" not in latest:
        yield from (edge.target for edge in picture.edges if edge.source == "(start)")
    for group, record in latest.items():
        if group and group in done:
            continue
        action = str(_fields(record).get("action", DEFAULT))
        label = "" if action == DEFAULT else action
        ways = [edge for edge in picture.edges if edge.source == _id(record.path) and edge.kind == "way"]
        yield from (edge.target for edge in ways if edge.label == label and edge.target != "(end)")


def _folded(records: Sequence[Record]) -> Mapping[str, Any]:
    """Where the run stood at the snapshot behind which its first records were deleted, as far as that is known here."""
    return (_fields(records[1]).get("position") or {}) if compacted_to(records) else {}


def _above(path: str) -> Iterator[str]:
    """The paths of everything that an action is part of, the nearest first."""
    for index in range(len(path) - 1, 0, -1):
        if path[index] in "/[!":
            yield path[:index]


def _id(path: str) -> str:
    """The id in a picture of what a path stands for: without numbers of visits and items, and without sub-calls."""
    plain = path.partition("!")[0]
    return "/".join(part.partition("[")[0].partition("@")[0] for part in plain.split("/"))


def _fields(record: Record) -> Mapping[str, Any]:
    return record.payload if isinstance(record.payload, dict) else {}
