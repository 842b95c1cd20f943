"""A session: one run of a chart, from event to event.

Source: the procedures ``mainEventLoop``, ``microstep``, ``enterStates``, ``exitStates`` and ``exitInterpreter`` of
appendix D of the SCXML recommendation (W3C, 2015). The bound on microsteps is ours.
"""

from __future__ import annotations

from collections import deque

from agentflow_kernel.errors import PlanLoopError
from agentflow_planner_fsm._event import PROCESSOR, Event
from agentflow_planner_fsm._fault import EXECUTION, FAULTS, ContentFailed
from agentflow_planner_fsm._memo import NOTHING
from agentflow_planner_fsm._microstep import Microstep, beginning
from agentflow_planner_fsm.chart import bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from agentflow_planner_fsm._hub import Hub
    from agentflow_planner_fsm._invocation import Invocation
    from agentflow_planner_fsm._memo import Row
    from agentflow_planner_fsm.chart import Block, Chart, State, Transition

_TRAIL = 128
_FEW = 64
"""States that a microstep leaves and remembers: of all together they are no more than the memo's other tables."""
MOST_QUEUED = 10_000
"""Internal events that may wait; of errors, twice as many."""


class Session:
    """Where one run of a chart stands. ``scope`` holds its data and, under names with ``_``, what the system adds."""

    __slots__ = (
        "chart",
        "hub",
        "id",
        "parent",
        "invoke_id",
        "configuration",
        "row",
        "scope",
        "internal",
        "external",
        "history",
        "entered",
        "to_invoke",
        "invocations",
        "running",
        "abandoned",
        "output",
        "last",
        "faults",
        "known_ids",
        "trail",
        "weights",
    )

    def __init__(self, chart: Chart, hub: Hub, id: str, parent: Session | None = None, invoke_id: str = "") -> None:
        self.chart = chart
        self.hub = hub
        self.id = id
        self.parent = parent
        self.invoke_id = invoke_id
        self.configuration = 0
        self.row: Row = {}
        self.scope: dict[str, Any] = {
            "_sessionid": id,
            "_name": chart.name,
            "_ioprocessors": {PROCESSOR: {"location": f"#_scxml_{id}"}, "scxml": {"location": f"#_scxml_{id}"}},
            "_x": {},
            "In()": [],
        }
        self.internal: deque[Event] = deque()
        self.external: deque[Event] = deque()
        self.history: dict[int, tuple[int, ...]] = {}
        self.entered: set[int] = set()
        """Indexes of the states whose late data have their values."""
        self.to_invoke: set[int] = set()
        """Indexes of the states entered in this macrostep whose invocations have not been started."""
        self.invocations: dict[str, Invocation] = {}
        self.running = True
        self.abandoned = False
        """Whether who invoked it has cancelled it: nothing it sends is delivered."""
        self.output: Any = None
        self.last = 0
        """The configuration in which it ended."""
        self.faults = 0
        """How many errors its content has had."""
        self.known_ids = 0
        """The configuration that ``In()`` in the scope stands for."""
        self.trail: list[str] = []
        self.weights: dict[tuple[str | int, ...], tuple[Any, tuple[int, int]]] = {}
        """What has been read, by path, and how much it weighs."""

    # -- outside

    def begin(self, given: dict[str, Any]) -> None:
        """Give the data their first values and enter the chart; ``given`` replaces values of variables by name."""
        scope = self.scope
        for name, first in self.chart.data:
            scope[name] = None
            if name in given and name in self.chart.own:
                scope[name] = given[name]
            elif first is not None:
                self._assign(name, first)
        self.entered.add(0)
        if self.chart.script:
            self.run(self.chart.script)
        self.microstep(beginning(self.chart))
        self.settle()

    def take(self, event: Event) -> None:
        """One external event: forwarded, selected for, and done with everything that follows from it."""
        if not self.running:
            return
        if self.chart.uses_event:
            self.scope["_event"] = event.to_scope()
        if self.invocations:
            self._pass_on(event)
        self.follow(event.name)

    def follow(self, name: str) -> None:
        """What an external event of this name leads to, once data and invocations have it."""
        step = self.select(name)
        if step is not None:
            self.microstep(step)
            if step.settled and self.running and not self.internal and not self.to_invoke:
                return
        elif not self.internal:
            return
        self.settle()

    def _pass_on(self, event: Event) -> None:
        for invocation in list(self.invocations.values()):
            if invocation.id == event.invoke_id and invocation.spec.finalize:
                self.run(invocation.spec.finalize)
            if invocation.spec.autoforward and invocation.child is not None:
                try:
                    self.hub.put(invocation.child, event)
                except ContentFailed as error:  # very many wait there
                    self.fail(error)

    # -- the macrostep

    def settle(self) -> None:
        """Take transitions without event and internal events until there are none, then start invocations."""
        chart, internal = self.chart, self.internal
        taken = 0
        fresh = True
        while self.running:
            step = self.select(None) if fresh and self.configuration & chart.always else None
            if step is None:
                if not internal:
                    if not self.to_invoke:
                        break
                    self._start_invocations()
                    fresh = True
                    continue
                event = internal.popleft()
                if chart.uses_event:
                    self.scope["_event"] = event.to_scope()
                faults = self.faults
                step = self.select(event.name)
                if step is None:
                    # nothing has changed but the event: guards that do not look at it would only say the same again
                    fresh = chart.always_uses_event
                    if faults == self.faults and not fresh:
                        continue
            if step is not None:
                self.microstep(step)
                fresh = True
            taken += 1
            if taken > self.hub.most_steps - _TRAIL:
                self._watch(taken, step)
        if not self.running:
            self._finish()
        if self.trail:
            self.trail = []

    def _watch(self, taken: int, step: Microstep | None) -> None:
        """Note the last steps before the bound, and raise beyond it."""
        labels = (
            [_named(transition) for transition in step.transitions] if step else ["a guard that cannot be evaluated"]
        )
        self.trail.append(" and ".join(labels))
        if taken > self.hub.most_steps:
            raise PlanLoopError(self.chart.name, self.hub.most_steps, _cycle(self.trail))

    def select(self, name: str | None) -> Microstep | None:
        """The microstep that an event leads to, or none."""
        row = self.row
        try:
            found = row[name]
        except KeyError:
            found = self.chart.memo.find(row, self.configuration, name, self.history)
        if found is NOTHING or type(found) is Microstep:
            return found
        only = found.only  # type: ignore[attr-defined]  # a Walks
        if only is not None:
            return self._first(only, found.steps)  # type: ignore[attr-defined]  # a Walks
        chosen: dict[Transition, None] = {}
        held: dict[Transition, bool] = {}
        for walk in found.walks:  # type: ignore[attr-defined]  # a Walks
            for transition in walk:
                guard = transition.guard
                if guard is not None:
                    holds = held.get(transition)
                    if holds is None:
                        try:
                            holds = guard(self)
                        except FAULTS as error:
                            holds = False
                            self.fail(error)
                        held[transition] = holds
                    if not holds:
                        continue
                chosen[transition] = None
                break
        if not chosen:
            return None
        return self.chart.memo.step(self.configuration, tuple(chosen), self.history)

    def _first(self, walk: tuple[Transition, ...], steps: dict[Transition, Microstep]) -> Microstep | None:
        """The microstep of the first of these transitions whose guard holds; ``steps`` are those known."""
        for transition in walk:
            guard = transition.guard
            if guard is not None:
                try:
                    if not guard(self):
                        continue
                except FAULTS as error:
                    self.fail(error)
                    continue
            step = steps.get(transition)
            if step is None:
                step = self.chart.memo.step(self.configuration, (transition,), self.history)
                if step.lasting:
                    steps[transition] = step
            return step
        return None

    def microstep(self, step: Microstep) -> None:
        """Leave, do and enter, in this order."""
        trace = self.hub.trace
        if not (step.quick and trace is None):
            if step.records:
                self.history.update(step.records)
            for state in step.exits if step.exits or not step.left else self._exits(step):
                if trace is None and not state.busy:
                    self.configuration &= ~(1 << state.index)
                else:
                    self._leave(state)
            for transition in step.transitions:
                if trace is not None:
                    self.hub.tell("transition.taken", self, transition=_named(transition))
                if transition.actions:
                    self.run(transition.actions)
            for state in step.entries:
                if trace is None and not (state.busy or step.defaults or step.restored):
                    self.configuration |= 1 << state.index
                else:
                    self._enter(state, step)
        self.configuration = step.after
        self.row = step.row if step.row is not None else self.chart.memo.row(step.after)

    def _exits(self, step: Microstep) -> Sequence[State]:
        """The states left, from the inside out; kept with the step where they are few."""
        states = self.chart.states
        exits = [states[index] for index in reversed(bits(step.left))]
        if len(exits) <= _FEW:
            step.exits = exits
        return exits

    def _leave(self, state: State) -> None:
        if self.hub.trace is not None:
            self.hub.tell("state.exited", self, state=state.id)
        if state.busy:
            for block in state.exit:
                self.run(block)
            if state.invokes:
                self.to_invoke.discard(state.index)
                for invocation in [each for each in self.invocations.values() if each.spec.state is state]:
                    self.hub.cancel(self, invocation)
        self.configuration &= ~(1 << state.index)

    def _enter(self, state: State, step: Microstep) -> None:
        self.configuration |= 1 << state.index
        if self.hub.trace is not None:
            self.hub.tell("state.entered", self, state=state.id)
        if state.busy:
            if state.data and state.index not in self.entered:
                self.entered.add(state.index)
                for name, first in state.data:
                    self._assign(name, first)
            if state.invokes:
                self.to_invoke.add(state.index)
            for block in state.enter:
                self.run(block)
        if state.index in step.defaults:
            self.run(state.initial_actions)
        if state.index in step.restored:
            self.run(step.restored[state.index])
        if state.kind == "final":
            self._complete(state)

    def _complete(self, state: State) -> None:
        """A final state was entered: what holds it is done."""
        holder = state.parent
        if not holder.depth:
            self.running = False
            return
        self.internal.append(Event(f"done.state.{holder.id}", self._result(state), "platform"))
        above = holder.parent
        if above.kind == "parallel" and all(self._is_final(child) for child in above.children):
            self.internal.append(Event(f"done.state.{above.id}", None, "platform"))

    def _is_final(self, state: State) -> bool:
        if state.kind == "compound":
            return any(child.kind == "final" and self.configuration >> child.index & 1 for child in state.children)
        return state.kind == "parallel" and all(self._is_final(child) for child in state.children)

    def _result(self, state: State) -> Any:
        if state.result is None:
            return None
        try:
            return state.result(self)
        except FAULTS as error:
            self.fail(error)
            return None

    def _start_invocations(self) -> None:
        """Start those of the states entered and still active, in document order."""
        states = self.chart.states
        for index in sorted(self.to_invoke):
            for spec in states[index].invokes:
                try:
                    self.hub.invoke(self, spec)
                except FAULTS as error:
                    self.fail(error)
        self.to_invoke.clear()

    def _finish(self) -> None:
        """Leave all states from the inside out and say what came out."""
        self.last = self.configuration
        self.internal.clear()
        self.external.clear()
        output = None
        for index in reversed(bits(self.configuration)):
            state = self.chart.states[index]
            self._leave(state)
            if state.kind == "final" and state.depth == 1:
                output = self._result(state)
        self.internal.clear()
        self.external.clear()
        self.output = output
        self.hub.ended(self)

    def abandon(self) -> None:
        """End it from outside: exit actions are done, and nothing is said to who invoked it."""
        self.abandoned = True
        if self.running:
            self.running = False
            self._finish()

    # -- content

    def run(self, block: Block) -> None:
        """Do what a block holds, up to its first error, which becomes an event."""
        try:
            for op in block:
                op(self)
        except FAULTS as error:
            self.fail(error)

    def queue(self, event: Event) -> None:
        """Queue an internal event; raises :class:`ContentFailed` where very many wait."""
        if len(self.internal) >= MOST_QUEUED:
            raise ContentFailed(f"more than {MOST_QUEUED:,} internal events wait", send_id=event.send_id)
        self.internal.append(event)

    def fail(self, error: Exception) -> None:
        """Queue the event of an error."""
        self.faults += 1
        if len(self.internal) >= 2 * MOST_QUEUED:
            raise PlanLoopError(self.chart.name, 2 * MOST_QUEUED, [f"the error {str(error)[:80]!r}"])
        name, send_id = EXECUTION, None
        if type(error) is ContentFailed:
            name, send_id = error.name, error.send_id
        self.internal.append(Event(name, {"message": str(error)}, "platform", send_id=send_id))

    def ids(self) -> list[str]:
        """The ids of the active states, in document order; the same list until they change."""
        if self.known_ids != self.configuration:
            self.scope["In()"] = self.chart.ids(self.configuration)
            self.known_ids = self.configuration
        found: list[str] = self.scope["In()"]
        return found

    def _assign(self, name: str, first: Any) -> None:
        try:
            self.scope[name] = first(self)
        except FAULTS as error:
            self.fail(error)

    @property
    def data(self) -> dict[str, Any]:
        """The variables, without what the system adds."""
        return {name: self.scope[name] for name in self.scope if name[:1] != "_" and name != "In()"}


def _named(transition: Transition) -> str:
    """A transition in a message or trace."""
    targets = " ".join(target.id for target in transition.targets)
    return f"{transition.source.id} --{transition.label}--> {targets or transition.source.id}"


def _cycle(trail: list[str]) -> list[str]:
    """The shortest run of steps that the end of the trail repeats, or the last few."""
    for length in range(1, len(trail) // 2 + 1):
        if trail[-length:] == trail[-2 * length : -length]:
            return trail[-length:]
    return trail[-8:]
