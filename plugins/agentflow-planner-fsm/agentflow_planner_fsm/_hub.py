"""A hub: what the sessions of one machine have in common: clock, timers, deliveries, and the actions that they want.

Everything is decided by order: events are taken in the order in which they came in, timers of one due time in the
order in which they were sent. Time is a whole number of microseconds, so that no sum of delays is off by a rounding.
"""

from __future__ import annotations

from collections import deque

from agentflow_kernel.contracts.planner import Action
from agentflow_kernel.errors import PlanLoopError
from agentflow_planner_fsm._content import action_id
from agentflow_planner_fsm._event import Event
from agentflow_planner_fsm._fault import COMMUNICATION, ContentFailed
from agentflow_planner_fsm._invocation import Invocation
from agentflow_planner_fsm._recovery import Attempts, told_of
from agentflow_planner_fsm._session import Session
from agentflow_planner_fsm._timers import Delayed, NextAttempt, Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_planner_fsm._invocation import Invoke
    from agentflow_planner_fsm.chart import Chart

    Told = tuple[str, dict[str, Any]]

MOST_STEPS = 1_000
TURNS_A_STEP = 10
"""So many times the bound on microsteps is the one on events and timers that follow from one input at one time."""
MOST_PENDING = 10_000
"""Delayed events, and events in one queue, at a time."""
MOST_SESSIONS = 1_000
MOST_ITEMS = 100_000
"""Items that the loops of one input's content may go through."""
MOST_WORK = 2_000_000
"""What the expressions of one input may cost, about as many items looked at or copied: a second or two."""
DEEPEST = 32
"""How deep machines may invoke each other."""


class Pending:
    """An action that has been started: whose it is, and of which invocation; without one it is a call of content."""

    __slots__ = ("action", "session", "invoke_id", "call")

    def __init__(self, action: Action, session: Session, invoke_id: str, call: str) -> None:
        self.action = action
        self.session = session
        self.invoke_id = invoke_id
        self.call = call


class Hub:
    """The sessions of one machine."""

    def __init__(self, chart: Chart, *, now: int = 0, most_steps: int = MOST_STEPS, traced: bool = False) -> None:
        self.chart = chart
        self.now = now
        self.most_steps = most_steps
        self.most_items = MOST_ITEMS
        self.most_work = MOST_WORK
        self.trace: list[Told] | None = [] if traced else None
        self.most_turns = TURNS_A_STEP * most_steps
        self.timers = Timers()
        self.count = 0
        """Numbers what needs one: timers, sessions, actions."""
        self.waiting: deque[Session] = deque()
        """The sessions with external events, one entry an event."""
        self.sessions: dict[str, Session] = {}
        self.pending: dict[str, Pending] = {}
        """What has been started and not answered, by id of the action."""
        self.starts: list[Action] = []
        self.cancels: list[str] = []
        self.turns = 0
        self.items = 0
        self.spent = 0
        """What the expressions since the last input have cost."""
        self.busy = False
        self.root = self.open_session(chart)

    def open_session(self, chart: Chart, parent: Session | None = None, invoke_id: str = "") -> Session:
        """A new session that has not begun."""
        depth, holder = 0, parent
        while holder is not None:
            depth, holder = depth + 1, holder.parent
        if depth > DEEPEST or len(self.sessions) >= MOST_SESSIONS:
            raise ContentFailed(f"more than {DEEPEST} machines within each other, or {MOST_SESSIONS} at a time")
        session = Session(chart, self, f"session{self.next()}", parent, invoke_id)
        self.sessions[session.id] = session
        return session

    def next(self) -> int:
        """The next number."""
        self.count += 1
        return self.count

    def tell(self, name: str, session: Session, /, **fields: Any) -> None:
        """Note something in the trace."""
        if self.trace is not None:
            if session.parent is not None:
                fields["session"] = session.id
            self.trace.append((name, fields))

    # -- events

    def put(self, session: Session, event: Event) -> None:
        """Queue an external event of a session."""
        if session.running:
            if len(session.external) >= MOST_PENDING:
                raise ContentFailed(f"more than {MOST_PENDING:,} events wait", COMMUNICATION)
            session.external.append(event)
            self.waiting.append(session)

    def work(self) -> None:
        """Take all events that wait, one after the other; a call from within only lets them wait."""
        if self.busy:
            return
        self.busy = True
        try:
            waiting = self.waiting
            while waiting:
                session = waiting.popleft()
                if session.external:
                    self.turns += 1
                    if self.turns > self.most_turns:
                        name = session.external[0].name
                        raise PlanLoopError(session.chart.name, self.most_turns, [f"event {name}"])
                    session.take(session.external.popleft())
        finally:
            self.busy = False

    def fresh_input(self) -> None:
        """Something came from outside, or time went on: the counts begin anew."""
        self.turns = self.items = self.spent = 0

    def deliver(self, sender: Session, event: Event, target: str) -> None:
        """Bring an event to where ``send`` wants it; raises :class:`ContentFailed` where there is no such place."""
        if target in ("", "self"):
            receiver: Session | None = sender
        elif target in ("#_parent", "parent"):
            receiver = sender.parent
            event = Event(
                event.name, event.data, send_id=event.send_id, origin=event.origin, invoke_id=sender.invoke_id
            )
        elif target.startswith("#_scxml_"):
            receiver = self.sessions.get(target[8:])
        elif target.startswith("#_"):
            invocation = sender.invocations.get(target[2:])
            receiver = invocation.child if invocation is not None else None
        else:
            raise ContentFailed(f"{target[:80]!r} is no target of a send", send_id=event.send_id)
        if receiver is None:
            raise ContentFailed(f"there is nobody at {target[:80]!r}", COMMUNICATION, event.send_id)
        if not sender.abandoned:
            self.put(receiver, event)

    # -- time

    def schedule(self, session: Session, event: Event, delay: int, target: str, send_id: str) -> None:
        """Deliver an event after so many microseconds."""
        if self.timers.pending >= MOST_PENDING:
            raise ContentFailed(f"more than {MOST_PENDING:,} delayed events", send_id=event.send_id)
        self.timers.add(Delayed(self.now + delay, self.next(), session, event, target, send_id))

    def advance(self, until: int) -> None:
        """Let time go on, firing each timer at its time; each is done with before the next one."""
        self.work()
        while (due := self.timers.due()) is not None and due <= until:
            timer = self.timers.pop()
            if timer.due > self.now:
                self.now = timer.due
                self.fresh_input()
            self.turns += 1
            try:
                if isinstance(timer, Delayed):
                    self.deliver(timer.session, timer.event, timer.target)
                elif isinstance(timer, NextAttempt):
                    self._begin_again(timer.session, timer.id)
            except ContentFailed as error:
                timer.session.fail(error)
                timer.session.settle()
            self.work()
        self.now = max(self.now, until)

    # -- invocations and calls

    def invoke(self, session: Session, spec: Invoke) -> None:
        """Start what a state invokes; raises :class:`ContentFailed` where one of this id is still at work."""
        id = spec.name_for(session)
        known = session.invocations.get(id)
        if known is not None and known.is_open:
            raise ContentFailed(f"the state {known.spec.state.id!r} has an invocation {id[:80]!r} that is at work")
        chart = spec.chart_for(session)
        given = spec.given(session)
        if chart is not None:
            invocation = Invocation(id, spec, "chart", chart.name, given)
            child = invocation.child = self.open_session(chart, session, id)
            session.invocations[id] = invocation
            child.begin(given if isinstance(given, dict) else {})
            return
        kind, name = spec.kind, spec.name
        action = Action(action_id(id, self.next()), kind, name, given)
        invocation = session.invocations[id] = Invocation(id, spec, kind, name, action.arguments)
        self._start(session, invocation, action)

    def _start(self, session: Session, invocation: Invocation, action: Action) -> None:
        invocation.action_id = action.id
        self.pending[action.id] = Pending(action, session, invocation.id, "")
        self.starts.append(action)

    def _try_again(self, session: Session, invocation: Invocation, error: Any) -> bool:
        """Wait for the next attempt of what has failed; false where there is none to come."""
        attempts = invocation.attempts
        if attempts is None:
            attempts = invocation.attempts = Attempts(invocation.action_id)
        # the time of the machine parts the runs of one chart, and is the same in a restored one
        wait = attempts.wait_after(error, invocation.spec.retries, f"{self.chart.name} {self.now}")
        if wait is None:
            return False
        invocation.action_id = ""
        invocation.waits = True
        # one for each invocation, so that no bound is needed
        self.timers.add(NextAttempt(self.now + wait, self.next(), session, invocation))
        if self.trace is not None:
            fields = {"kind": invocation.kind, "name": invocation.name, "invocation": invocation.id}
            told = {"code": told_of(error, "code"), "message": told_of(error, "message")}
            wait_s = wait / 1_000_000
            self.tell("retry.scheduled", session, **fields, attempt=attempts.begun, **told, wait_s=wait_s)
        return True

    def _begin_again(self, session: Session, invocation: Invocation) -> None:
        """Begin the next attempt, given what the first one was given."""
        invocation.waits = False
        if invocation.attempts is not None:
            id, spec = invocation.attempts.begin(), invocation.spec
            self._start(session, invocation, Action(id, spec.kind, invocation.name, invocation.arguments))

    def call(self, session: Session, action: Action, call: str) -> None:
        """Start an action of content; what comes of it is an internal event."""
        self.pending[action.id] = Pending(action, session, "", call)
        self.starts.append(action)

    def cancel(self, session: Session, invocation: Invocation) -> None:
        """Stop what a state invoked."""
        del session.invocations[invocation.id]
        if invocation.child is not None:
            invocation.child.abandon()
        elif invocation.waits:
            self.timers.take_back(session, invocation)
        elif self.pending.pop(invocation.action_id, None) is not None:
            self._take_back(invocation.action_id)

    def cancel_call(self, session: Session, call: str) -> None:
        """Stop the actions that the content of a session started under this id."""
        for id, pending in list(self.pending.items()):
            if pending.session is session and pending.call == call and call:
                del self.pending[id]
                self._take_back(id)

    def _take_back(self, action_id: str) -> None:
        unsent = [action for action in self.starts if action.id != action_id]
        if len(unsent) == len(self.starts):
            self.cancels.append(action_id)
        self.starts = unsent

    def answer(self, action_id: str, value: Any, outcome: str) -> bool:
        """What came of an action, ``outcome`` is ``done`` or ``error``; false where nobody waits for it any more."""
        pending = self.pending.pop(action_id, None)
        if self.starts:
            self.starts = [action for action in self.starts if action.id != action_id]
        if pending is None or not pending.session.running:
            return pending is not None
        session = pending.session
        if not pending.invoke_id:
            self._take_call(session, pending, value, outcome)
            return True
        invocation = session.invocations[pending.invoke_id]
        if outcome != "error" or not invocation.spec.retries or not self._try_again(session, invocation, value):
            self._report(session, invocation, value, outcome)
        self.work()
        return True

    def _take_call(self, session: Session, pending: Pending, value: Any, outcome: str) -> None:
        """What came of an action of content is an internal event; of what was emitted, only that it failed."""
        if pending.call:
            session.internal.append(Event(f"{outcome}.call.{pending.call}", value, "platform", send_id=pending.call))
        elif outcome == "error":
            session.internal.append(Event(COMMUNICATION, value, "platform"))
        self.busy = True
        try:
            session.settle()
        finally:
            self.busy = False
        self.work()

    def _report(self, session: Session, invocation: Invocation, value: Any, outcome: str) -> None:
        event = Event(f"{outcome}.invoke.{invocation.id}", value, invoke_id=invocation.id)
        invocation.child = None
        invocation.action_id = ""
        session.external.append(event)  # one for each invocation, so that no bound is needed
        self.waiting.append(session)

    def ended(self, session: Session) -> None:
        """A session has come to its end; what it emits and calls with its last breath is still done."""
        self.timers.drop(session)
        fresh = {action.id for action in self.starts}
        for id, pending in list(self.pending.items()):
            if pending.session is session and pending.action.kind != "emit" and id not in fresh:
                del self.pending[id]
                self._take_back(id)
        self.sessions.pop(session.id, None)
        holder = session.parent
        if holder is not None and not session.abandoned and holder.running:
            self._report(holder, holder.invocations[session.invoke_id], session.output, "done")
