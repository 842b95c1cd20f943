"""A machine: a statechart that runs by itself, without kernel and event loop, in virtual time.

::

    machine = Machine.load({"states": {"off": {"transitions": [{"event": "press", "target": "on"}]}, "on": {}}})
    machine.send("press")
    assert machine.configuration == ["on"]

It acts on nothing: what states invoke and content calls is listed in :attr:`Machine.actions` and answered by
:meth:`Machine.complete` and :meth:`Machine.fail`.
"""

from __future__ import annotations

from agentflow_kernel.errors import PlanLoopError, ProtocolViolation, UsageError
from agentflow_planner_fsm._compile import compile_chart
from agentflow_planner_fsm._event import Event
from agentflow_planner_fsm._hub import MOST_STEPS, Hub
from agentflow_planner_fsm._microstep import Microstep
from agentflow_planner_fsm._snapshot import restore, resume_invocations, take_snapshot
from agentflow_planner_fsm.document import Folder, read_document
from agentflow_planner_fsm.standing import SECOND, Standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.planner import Action
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_fsm.chart import Chart

    Source = Mapping[str, Any] | str | os.PathLike[str]


class Machine(Standing):
    """One run of a chart. Not thread-safe; a call from within (there is none) would only queue."""

    __slots__ = ("_broken",)

    def __init__(
        self,
        chart: Chart,
        *,
        data: Mapping[str, JSON] | None = None,
        max_microsteps: int = MOST_STEPS,
        traced: bool = False,
        snapshot: JSON = None,
    ) -> None:
        """Enter the chart, or go on where the snapshot says.

        ``data`` gives variables of the chart other first values. ``max_microsteps`` bounds what follows from one event.
        ``traced``: :meth:`take_trace` gives what happens.

        Raises:
            PlanLoopError: it does not come to rest.
            NewerSchema: the snapshot is of a newer version.
            ProtocolViolation: it is no snapshot of this chart.
        """
        if max_microsteps < 1:
            raise UsageError(f"max_microsteps is at least 1, not {max_microsteps}.")
        self._broken: PlanLoopError | None = None
        self._hub = Hub(chart, most_steps=max_microsteps, traced=traced)
        self._root = self._hub.root
        if snapshot is not None:
            restore(chart, snapshot, self._hub)
            self._root = self._hub.root
            resume_invocations(self._hub)
            return
        try:
            self._root.begin(dict(data or {}))
            self._hub.advance(self._hub.now)
        except PlanLoopError as error:
            self._break(error)
            raise

    @classmethod
    def load(
        cls,
        source: Source | Chart,
        *,
        data: Mapping[str, JSON] | None = None,
        charts: Mapping[str, Any] | None = None,
        max_microsteps: int = MOST_STEPS,
        traced: bool = False,
    ) -> Machine:
        """Read a document and enter its chart.

        ``source``: a mapping, a YAML or SCXML text, a path, or a chart from :func:`load_chart`. ``charts`` are further
        documents that it may invoke by name; of a document in a file, those are beside it.

        Raises:
            PlanInvalid: the document is wrong; with all findings.
            PlanLoopError: it does not come to rest.
            OSError: the file cannot be read.
        """
        chart = load_chart(source, charts=charts)
        return cls(chart, data=data, max_microsteps=max_microsteps, traced=traced)

    # -- events and time

    def send(self, event: str, data: JSON = None) -> bool:
        """Take an external event and all that follows from it; ``False`` where the machine has ended.

        Raises:
            UsageError: ``event`` is no event name.
            PlanLoopError: it does not come to rest; from then on every call raises this.
        """
        root, hub = self._root, self._hub
        try:
            step = root.row.get(event)
        except TypeError:  # what cannot be a key
            step = None
        if (
            type(step) is Microstep
            and step.quick
            and step.settled
            and step.row is not None
            and hub.trace is None
            and not root.chart.uses_event
            and not root.invocations
            and not hub.timers.pending
        ):
            root.configuration = step.after
            root.row = step.row
            return True
        if self._broken is not None:
            raise self._broken
        if not root.running:
            return False
        if (step is None or type(event) is not str) and str(event).split() != [event]:
            raise UsageError(f"An event is a name without blanks such as 'order.paid', not {event!r}.")
        if hub.busy:
            hub.put(root, Event(event, data))
            return True
        hub.fresh_input()
        try:
            if root.chart.uses_event or root.invocations:
                root.take(Event(event, data))
            else:
                root.follow(event)
            if hub.waiting or hub.timers.pending:
                hub.advance(hub.now)
        except PlanLoopError as error:
            self._break(error)
            raise
        return True

    def advance(self, seconds: float) -> None:
        """Let virtual time go on: delayed events fire in the order of their times.

        Raises:
            UsageError: time cannot go back.
            PlanLoopError: as for :meth:`send`.
        """
        given: object = seconds
        if not isinstance(given, (int, float)) or not 0 <= given < 1e11:
            raise UsageError(f"Time goes on by 0 or more seconds, not {given!r}.")
        if self._broken is not None:
            raise self._broken
        self._hub.fresh_input()
        try:
            self._hub.advance(self._hub.now + round(seconds * SECOND))
        except PlanLoopError as error:
            self._break(error)
            raise

    # -- what it wants done

    def take_actions(self) -> tuple[Sequence[Action], Sequence[str]]:
        """What is to be begun and the ids of what is to be cancelled since the last call."""
        hub = self._hub
        starts, cancels = hub.starts, hub.cancels
        hub.starts, hub.cancels = [], []
        return starts, cancels

    def complete(self, id: str, result: JSON = None) -> bool:
        """Answer an action, named by its id or that of its invocation; ``False`` where nobody waits for it any more.

        Raises:
            PlanLoopError: as for :meth:`send`.
        """
        return self._answer(id, result, "done")

    def fail(self, id: str, error: JSON = None) -> bool:
        """Answer an action with an error; otherwise like :meth:`complete`."""
        return self._answer(id, error, "error")

    def _answer(self, id: str, value: JSON, outcome: str) -> bool:
        if self._broken is not None:
            raise self._broken
        hub = self._hub
        hub.fresh_input()
        invocation = self._root.invocations.get(id)
        try:
            known = hub.answer(invocation.action_id if invocation is not None else id, value, outcome)
            hub.advance(hub.now)
        except PlanLoopError as error:
            self._break(error)
            raise
        return known

    # -- records

    def take_trace(self) -> list[tuple[str, dict[str, Any]]]:
        """What happened since the last call, if it is traced: states entered and left, transitions taken, logs."""
        found = self._hub.trace or []
        if self._hub.trace is not None:
            self._hub.trace = []
        return found

    def snapshot(self) -> dict[str, JSON]:
        """Where it stands as JSON: configuration, history, queues, timers, data, open invocations."""
        return take_snapshot(self._hub)

    @classmethod
    def restore(
        cls,
        source: Source | Chart,
        snapshot: JSON,
        *,
        charts: Mapping[str, Any] | None = None,
        max_microsteps: int = MOST_STEPS,
        traced: bool = False,
    ) -> Machine:
        """The machine that :meth:`snapshot` saw; no content is done. Open actions start anew, or fail if they say so.

        Raises:
            NewerSchema: the snapshot is of a newer version.
            ProtocolViolation: it is no snapshot of this chart.
            PlanInvalid: as for :meth:`load`.
        """
        chart = load_chart(source, charts=charts)
        if snapshot is None:
            raise ProtocolViolation(f"This is no snapshot of the statechart {chart.name!r}: it is null.")
        return cls(chart, max_microsteps=max_microsteps, traced=traced, snapshot=snapshot)

    def _break(self, error: PlanLoopError) -> None:
        """It stands in the middle of a step: nothing more can be taken."""
        self._broken = error
        self._root.row = {}

    def __repr__(self) -> str:
        ended = ", ended" if self.done else ""
        return f"Machine({self._root.chart.name!r}, in {' '.join(self.leaves)}{ended})"


def load_chart(source: Source | Chart, *, charts: Mapping[str, Any] | None = None) -> Chart:
    """A document made ready, to be run any number of times.

    Raises:
        PlanInvalid: the document is wrong; with all findings.
        OSError: the file cannot be read.
    """
    from agentflow_planner_fsm.chart import Chart as Kind  # lazy: the name is free for the annotation

    if isinstance(source, Kind):
        return source
    document = read_document(source)
    beside = Folder.beside(source) if charts is None else None
    return compile_chart(document, charts=beside if beside is not None else charts)
