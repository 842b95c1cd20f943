"""A snapshot: a machine as JSON and back, without any content being done on the way.

It holds what the chart does not: of each session configuration, history, queues, data and open invocations, and of all
together the timers with their remaining delay. States are named by their ids, so that a snapshot outlives additions
to the chart.
"""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.planner import Action
from agentflow_kernel.errors import NewerSchema, ProtocolViolation
from agentflow_planner_fsm._event import Event
from agentflow_planner_fsm._hub import Hub, Pending
from agentflow_planner_fsm._invocation import Invocation
from agentflow_planner_fsm._recovery import Attempts
from agentflow_planner_fsm._session import Session
from agentflow_planner_fsm._timers import Delayed, NextAttempt
from agentflow_planner_fsm.chart import mask_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_fsm._invocation import Invoke
    from agentflow_planner_fsm._timers import Timer
    from agentflow_planner_fsm.chart import Chart

VERSION = 1
"""The form of a snapshot; raised when a field changes its meaning."""


def take_snapshot(hub: Hub) -> dict[str, Any]:
    """The machine at rest. The values in it are shared with the machine, which never changes one in place."""
    return {
        "version": VERSION,
        "now": hub.now,
        "count": hub.count,
        "root": _session(hub.root),
        "timers": [
            {"left": timer.due - hub.now, "session": timer.session.id, **_awaited(timer)}
            for timer in hub.timers.ordered()
        ],
        "pending": [
            {**each.action.to_json(), "session": each.session.id, "invoke": each.invoke_id, "call": each.call}
            for each in hub.pending.values()
        ],
        "waiting": [session.id for session in hub.waiting],
        "starts": [action.to_json() for action in hub.starts],
        "cancels": list(hub.cancels),
    }


def _awaited(timer: Timer) -> dict[str, Any]:
    """What a timer is for."""
    if isinstance(timer, Delayed):
        return {"event": timer.event.to_json(), "to": timer.target, "id": timer.id}
    return {"attempt": cast("NextAttempt", timer).id.id}


def _session(session: Session) -> dict[str, Any]:
    chart = session.chart
    document: dict[str, Any] = {"id": session.id, "active": chart.ids(session.configuration)}
    if not session.running:
        document["ended"] = {"in": chart.ids(session.last), "output": session.output}
    document["data"] = session.data
    if "_event" in session.scope:
        document["event"] = session.scope["_event"]
    for key, queue in (("internal", session.internal), ("external", session.external)):
        if queue:
            document[key] = [event.to_json() for event in queue]
    if session.history:
        states = chart.states
        document["history"] = {states[at].id: [states[each].id for each in ids] for at, ids in session.history.items()}
    if session.entered - {0}:
        document["entered"] = [chart.states[at].id for at in sorted(session.entered - {0})]
    if session.to_invoke:
        document["to_invoke"] = [chart.states[at].id for at in sorted(session.to_invoke)]
    if session.invocations:
        document["invocations"] = [_invocation(each) for each in session.invocations.values()]
    return document


def _invocation(invocation: Invocation) -> dict[str, Any]:
    spec = invocation.spec
    document: dict[str, Any] = {
        "id": invocation.id,
        "state": spec.state.id,
        "place": spec.place,
        "kind": invocation.kind,
        "name": invocation.name,
        "given": invocation.arguments,
    }
    if invocation.action_id:
        document["action"] = invocation.action_id
    if invocation.attempts is not None:
        document["attempts"] = invocation.attempts.to_json()
    if invocation.child is not None:
        document["child"] = _session(invocation.child)
        if spec.chart is None:  # a chart that came as data is in the snapshot
            document["chart"] = invocation.child.chart.document
    return document


def restore(chart: Chart, document: JSON, hub: Hub) -> None:
    """Put a fresh hub where the snapshot says.

    Raises:
        NewerSchema: the snapshot is of a newer version.
        ProtocolViolation: it is no snapshot of this chart.
    """
    try:
        fields = cast("Mapping[str, Any]", document)
        version = fields["version"]
        if isinstance(version, int) and version > VERSION:
            raise NewerSchema("snapshot of a statechart", version, VERSION)
        hub.now, hub.count = fields["now"], fields["count"]
        hub.sessions.clear()
        hub.root = _read_session(hub, chart, fields["root"], None, "")
        _read_hub(hub, fields)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ProtocolViolation(f"This is no snapshot of the statechart {chart.name!r}: {error!r}.") from error


def _read_hub(hub: Hub, fields: Mapping[str, Any]) -> None:
    sessions = hub.sessions
    for number, item in enumerate(fields["timers"]):
        session = sessions[item["session"]]
        # timers had numbers once, all of them below the count; their order is that of the list
        due, place = hub.now + item["left"], number - len(fields["timers"])
        if "attempt" in item:
            invocation = session.invocations[item["attempt"]]
            invocation.waits = True
            hub.timers.add(NextAttempt(due, place, session, invocation))
        else:
            event = Event.from_json(item["event"])
            hub.timers.add(Delayed(due, place, session, event, item["to"], item["id"]))
    for item in fields["pending"]:
        action = Action.from_json(item)
        session = sessions.get(item["session"]) or _ended(hub, item["session"])
        hub.pending[action.id] = Pending(action, session, item["invoke"], item["call"])
    hub.waiting.extend(sessions[id] for id in fields["waiting"])
    hub.starts.extend(Action.from_json(item) for item in fields["starts"])
    hub.cancels.extend(fields["cancels"])


def _ended(hub: Hub, id: str) -> Session:
    """A session that has ended, of which something that it emitted is still under way."""
    session = Session(hub.chart, hub, id)
    session.running = False
    return session


def _read_session(hub: Hub, chart: Chart, fields: Mapping[str, Any], parent: Session | None, invoke_id: str) -> Session:
    session = Session(chart, hub, fields["id"], parent, invoke_id)
    hub.sessions[session.id] = session
    size = len(chart.states)
    session.configuration = mask_of((chart.by_id[id].index for id in fields["active"]), size)
    session.row = chart.memo.row(session.configuration)
    if "ended" in fields:
        session.running = False
        session.last = mask_of((chart.by_id[id].index for id in fields["ended"]["in"]), size)
        session.output = fields["ended"]["output"]
        del hub.sessions[session.id]
    session.scope.update(fields["data"])
    if "event" in fields:
        session.scope["_event"] = fields["event"]
    session.internal.extend(Event.from_json(item) for item in fields.get("internal", ()))
    session.external.extend(Event.from_json(item) for item in fields.get("external", ()))
    for id, ids in fields.get("history", {}).items():
        session.history[chart.by_id[id].index] = tuple(chart.by_id[each].index for each in ids)
    session.entered = {0, *(chart.by_id[id].index for id in fields.get("entered", ()))}
    session.to_invoke = {chart.by_id[id].index for id in fields.get("to_invoke", ())}
    for item in fields.get("invocations", ()):
        spec: Invoke = next(each for each in chart.by_id[item["state"]].invokes if each.place == item["place"])
        invocation = Invocation(item["id"], spec, item["kind"], item["name"], item["given"])
        invocation.action_id = item.get("action", "")
        if "attempts" in item:
            invocation.attempts = Attempts.from_json(item["attempts"])
        session.invocations[invocation.id] = invocation
        if "child" in item:
            inner = spec.chart if spec.chart is not None else spec.read(item["chart"])
            invocation.child = _read_session(hub, inner, item["child"], session, invocation.id)
    return session


def resume_invocations(hub: Hub) -> None:
    """Apply what each open invocation declares for a restored machine: its action starts anew, or it has failed."""
    for id, pending in list(hub.pending.items()):
        if any(action.id == id for action in hub.starts):
            continue
        spec = pending.session.invocations[pending.invoke_id].spec if pending.invoke_id else None
        if spec is None or spec.on_restore == "restart":
            hub.starts.append(pending.action)
        else:
            hub.answer(id, LOST, "error")


LOST: JSON = {
    "code": "AF-OUTCOME-UNKNOWN",
    "message": "The machine was restored while this was at work.",
    "executed": "maybe",
}
"""The data of ``error.invoke.<id>`` for an invocation with ``on_restore: fail``."""
