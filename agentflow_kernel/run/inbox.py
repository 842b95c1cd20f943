"""An inbox: what other processes ask of a run, left as files in the state folder until the run's owner takes them.

One file a request, ``<state>/inbox/<run id>/<id>.json``. A file is written and synced under another name in
``<state>/inbox`` and then renamed, so that it is there whole or not at all, and so that the time of change of that one
folder tells the owner of any run that there is something new.
"""

from __future__ import annotations

import json
import os
from typing import cast

from agentflow_kernel.contracts.journal import Request
from agentflow_kernel.errors import InputInvalid, RunEnded, UnknownName, UsageError
from agentflow_kernel.event import uuid7
from agentflow_kernel.run.canonical import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.values import JSON

VERSION = 1
"""Of the format of the files."""
KINDS = ("signal", "cancel", "approval", "answer")
_END = ".json"
_REFUSED = ".refused"
"""Put after the name of a file that is no request: it stays for a person to look at."""


def leave_signal(
    state: str,
    run_id: str,
    name: str,
    value: object = None,
    *,
    signal_id: str | None = None,
    records: Sequence[Record] = (),
) -> str:
    """Leave a signal for a run of any process, and return its id; it is on disk when this returns. Blocks.

    Its owner takes it within about a second, or ``resume`` does where the run has no owner. Two signals with the same
    ``signal_id`` count once. ``records`` is the run's history, where the sender can read it; then this raises
    :class:`RunEnded` for a run that has ended, unless it has this very signal on record, and :class:`InputInvalid` when
    the run waits for this signal and the value does not fit. Without it the owner drops such a signal and says so in
    its log.
    """
    request = ask_signal(run_id, name, value, signal_id=signal_id, records=records)
    if request is None:
        return str(signal_id)
    leave(state, run_id, request)
    return request.id


def leave_answer(state: str, run_id: str, wait: str, reply: Mapping[str, object], *, records: Sequence[Record]) -> str:
    """Leave the answer to a question or approval, and return its id; otherwise as :func:`leave_signal`.

    ``wait`` is the path of the question. ``reply`` has ``value`` (of an approval ``{"approved", "reason"}``), ``by``
    (the subject) and ``hash`` (of the content that the subject was shown; empty only where no approval is asked).
    ``records`` is the run's history; raises what :meth:`RunHandle.answer` raises.
    """
    request = ask_answer(run_id, wait, reply, records)
    leave(state, run_id, request)
    return request.id


def leave_cancel(state: str, run_id: str, *, records: Sequence[Record] = ()) -> str:
    """Leave the request to end a run for good, and return its id; otherwise as :func:`leave_signal`."""
    request = ask_cancel(run_id, records)
    leave(state, run_id, request)
    return request.id


def _has_received(records: Sequence[Record], signal_id: str) -> bool:
    for record in records:
        payload = cast("Mapping[str, JSON]", record.payload or {})
        if record.type == "signal.received" and payload and payload["signal"] == signal_id:
            return True
        if record.type == "snapshot":  # the records before it may have been deleted
            standing = cast("Mapping[str, list[str]]", payload.get("standing") or {})
            if signal_id in standing.get("known", ()):
                return True
    return False


def ask_signal(
    run_id: str, name: str, value: object = None, *, signal_id: str | None = None, records: Sequence[Record] = ()
) -> Request | None:
    """The request of :func:`leave_signal`, checked as there and not left; ``None`` where it is on record already."""
    from agentflow_kernel.run.standing import check_signal  # only senders of signals pay

    request_id = uuid7() if signal_id is None else signal_id
    check_signal(name, request_id)
    value, _ = to_json(value, f"signal {name}")
    if signal_id is not None and _has_received(records, signal_id):
        return None
    _check_open(run_id, records)
    _check_fits(records, name, value)
    return Request("signal", request_id, name, value)


def ask_answer(run_id: str, wait: str, reply: Mapping[str, object], records: Sequence[Record]) -> Request:
    """The request of :func:`leave_answer`, checked as there and not left anywhere."""
    value, _ = to_json(dict(reply), f"answer to {wait}")
    _check_open(run_id, records)
    from agentflow_kernel.run.questions import open_questions  # only those who answer pay

    asked = {each.path: each.question for each in open_questions(records)}
    question = asked.get(wait)
    if question is None:
        raise UnknownName("question", wait, asked)
    refusal = question.refusal(value)
    if refusal is not None:
        raise refusal
    return Request("approval" if question.is_approval else "answer", uuid7(), wait, value)


def ask_cancel(run_id: str, records: Sequence[Record] = ()) -> Request:
    """The request of :func:`leave_cancel`, not left anywhere."""
    _check_open(run_id, records)
    return Request("cancel", uuid7())


def _check_open(run_id: str, records: Sequence[Record]) -> None:
    if records and records[-1].type == "run.ended":
        raise RunEnded(run_id, str(cast("Mapping[str, JSON]", records[-1].payload)["status"]))


def _check_fits(records: Sequence[Record], name: str, value: JSON) -> None:
    """Raise when there are open waits for the signal and the value fits none of them."""
    schemas: dict[str, JSON] = {}
    for record in records:
        if record.type == "wait.opened" and record.payload is not None:
            payload = cast("Mapping[str, JSON]", record.payload)
            if payload["name"] == name:
                schemas[record.path] = payload["schema"]
        elif record.type == "wait.resolved":
            schemas.pop(record.path, None)
        elif record.type == "step.completed":  # its waits are over, whether a signal came or they were cancelled
            schemas = {path: schema for path, schema in schemas.items() if not path.startswith(f"{record.path}!")}
    from agentflow_kernel.schema import find_problems  # only senders of signals pay

    problems = [[] if schema is None else find_problems(value, schema) for schema in schemas.values()]
    if problems and all(problems):
        raise InputInvalid(f"Signal {name!r}", "; ".join(problems[0]))


def leave(state: str, run_id: str, request: Request) -> None:
    """Write one file, whole and durably. Blocks."""
    folder = _folder_of(state, run_id)
    top = os.path.dirname(folder)
    os.makedirs(top, exist_ok=True)
    number = uuid7()  # of the file: names sort by time, and a sender's id need not be fit for one
    draft = os.path.join(top, f".{number}.tmp")
    body = {"v": VERSION, "kind": request.kind, "id": request.id, "name": request.name, "value": request.value}
    with open(draft, "x", encoding="utf-8") as stream:
        json.dump(body, stream, ensure_ascii=False)
        stream.flush()
        os.fsync(stream.fileno())
    while True:
        os.makedirs(folder, exist_ok=True)
        try:
            os.rename(draft, os.path.join(folder, number + _END))
            _sync(folder)
            break
        except FileNotFoundError:  # the owner has just emptied the folder and removed it
            continue
    _sync(top)


def _sync(folder: str) -> None:
    """Make the names in a folder durable; raises ``FileNotFoundError`` where it was taken away meanwhile."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return  # taken already, and what is on record needs no file
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _folder_of(state: str, run_id: str) -> str:
    if not run_id or run_id.startswith(".") or os.sep in run_id:
        raise UsageError(f"{run_id!r} is no id of a run. `agentflow get runs` lists them.")
    return os.path.join(state, "inbox", run_id)


def find_requests(state: str, run_id: str) -> list[Request]:
    """What lies in the inbox of a run, the oldest first; what is no request is put aside. Blocks."""
    folder = _folder_of(state, run_id)
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(_END))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        file = os.path.join(folder, name)
        try:
            request = _read(file)
            if request is None:
                os.rename(file, file + _REFUSED)
            else:
                found.append(request)
        except FileNotFoundError:  # an owner of before has just removed it: what it says is on record
            continue
    return found


def _read(file: str) -> Request | None:
    try:
        with open(file, encoding="utf-8") as stream:
            body = json.load(stream)
        if body["v"] != VERSION or body["kind"] not in KINDS:
            return None
        texts = (body["kind"], body["id"], body["name"])
        return Request(*texts, body["value"], file) if all(isinstance(text, str) for text in texts) else None
    except (ValueError, TypeError, KeyError):
        return None


def remove(request: Request) -> None:
    """Take a request away that is on record, and its folder when it was the last; gone already is no error. Blocks."""
    try:
        os.unlink(request.place)
        os.rmdir(os.path.dirname(request.place))
    except OSError:  # more requests lie there, or another process was quicker
        return


class Letterbox:
    """The inboxes of one state folder, as an owner of runs sees them: which have something new."""

    def __init__(self, state: str) -> None:
        self.state = state
        self._top = os.path.join(state, "inbox")
        self._seen = -1

    def forget(self) -> None:
        """Look at everything again the next time: there is a run that was not asked for before."""
        self._seen = -1

    def changed(self) -> list[str]:
        """Ids of runs with requests, where anything has changed since the last call; costs one ``stat``. Blocks."""
        try:
            changed_at = os.stat(self._top).st_mtime_ns
        except FileNotFoundError:
            return []
        if changed_at == self._seen:
            return []
        names = [name for name in os.listdir(self._top) if not name.startswith(".")]
        import time  # lazy: only where there is an inbox

        # the time of change has the grain of the system's clock: one more change may still fall into the same grain
        self._seen = changed_at if time.time_ns() - changed_at > 1_000_000_000 else -1
        return names
