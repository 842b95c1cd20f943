"""The planner `fsm`: a run follows a statechart; signals are its events, invocations and calls its actions.

The engine tells what happens and at what time; all events and timers that follow from it are worked off before the
decision is made. Source of the rules: SCXML, W3C recommendation of 1 September 2015.
"""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.planner import Decision, End
from agentflow_kernel.errors import NewerSchema, PlanLoopError, ProtocolViolation, UsageError
from agentflow_planner_fsm._check import check_document
from agentflow_planner_fsm._compile import compile_chart
from agentflow_planner_fsm._event import Event
from agentflow_planner_fsm._hub import MOST_STEPS, Hub
from agentflow_planner_fsm._picture import draw
from agentflow_planner_fsm._snapshot import VERSION, restore, take_snapshot
from agentflow_planner_fsm.chart import Chart
from agentflow_planner_fsm.document import read_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_kernel.contracts.planner import Observation, PlanScope, Task
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.drawing import Picture
    from agentflow_planner_fsm.settings import StatechartSettings

_SECOND = 1_000_000
_EARLY = _SECOND // 100
"""By how much an engine may wake its planner early, so that a rounding is no second timer."""
STALLED = "AF-PLAN-STALLED"


class PlanRun:
    """One run of a chart; ``told`` is the time of the timer that the engine was last asked for, in microseconds."""

    __slots__ = ("chart", "hub", "told", "listens", "ended")

    def __init__(self, chart: Chart, max_microsteps: int) -> None:
        self.chart = chart
        self.hub = Hub(chart, most_steps=max_microsteps)
        self.told: int | None = None
        self.listens = False
        """Whether the engine was asked for the signals of the run."""
        self.ended = False


class Statechart:
    """The planner. One object serves any number of charts and runs."""

    def __init__(self, settings: StatechartSettings | None = None) -> None:
        self._max_microsteps = settings.max_microsteps if settings is not None else MOST_STEPS

    # -- documents

    def read(self, document: Mapping[str, JSON]) -> Chart:
        """The chart of a document, shared by all its runs.

        Raises:
            PlanInvalid: the document is wrong; with all findings.
        """
        return compile_chart(read_document(document))

    def check(self, document: Mapping[str, JSON], scope: PlanScope) -> Sequence[PlanFinding]:
        """All findings, warnings too."""
        return check_document(document, scope)

    def graph(self, document: Mapping[str, JSON], state: JSON = None) -> Picture:
        """The states in their boxes; those that are active in ``state`` stand out.

        Raises:
            PlanInvalid: the document is wrong.
        """
        return draw(self.read(document), state)

    # -- runs

    def begin(self, task: Task) -> PlanRun:
        """A run that has not entered its chart."""
        return PlanRun(_chart_of(task), self._max_microsteps)

    def step(self, state: object, observation: Observation) -> Decision:
        """Take what happened and all that follows from it."""
        run = cast("PlanRun", state)
        if run.ended:
            return Decision()
        hub = run.hub
        hub.trace = [] if observation.traced else None
        if observation.kind == "timer":
            run.told = None  # it has rung, whatever it was for
        try:
            _observe(hub, observation)
        except PlanLoopError as error:
            run.ended = True
            return Decision(end=End(error=str(error), code=error.code, stop_reason="loop"), events=hub.trace or ())
        return _decide(run)

    def dump(self, state: object) -> JSON:
        """The run as JSON."""
        run = cast("PlanRun", state)
        return {
            "version": VERSION,
            "told": run.told,
            "listens": run.listens,
            "ended": run.ended,
            "machine": take_snapshot(run.hub) if run.listens or run.ended else None,
        }

    def load(self, task: Task, document: JSON) -> PlanRun:
        """The run that :meth:`dump` wrote. No content is done; the engine takes up the open actions itself."""
        run = PlanRun(_chart_of(task), self._max_microsteps)
        if not isinstance(document, dict) or not isinstance(document.get("version"), int):
            raise ProtocolViolation("This is no stored state of the planner 'fsm'.")
        version = cast("int", document["version"])
        if version > VERSION:
            raise NewerSchema("state of the planner 'fsm'", version, VERSION)
        run.told = cast("int | None", document.get("told"))
        run.listens, run.ended = document.get("listens") is True, document.get("ended") is True
        if document.get("machine") is not None:
            restore(run.chart, document["machine"], run.hub)
        return run


def create_planner(settings: StatechartSettings, context: PluginContext) -> Statechart:
    """Make the planner for a manifest."""
    return Statechart(settings)


def _chart_of(task: Task) -> Chart:
    if not isinstance(task.plan, Chart):
        raise UsageError("The planner 'fsm' follows a statechart: give it one as the document of a Plan.")
    return task.plan


def _observe(hub: Hub, observation: Observation) -> None:
    """Let time go on to the observation, then take it."""
    at = max(hub.now, round(observation.at * _SECOND))
    hub.fresh_input()
    if observation.kind == "started":
        hub.now = at
        _begin(hub, observation.value)
    else:
        due = hub.timers.due()
        if observation.kind == "timer" and due is not None and (due - at <= _EARLY or not observation.at):
            at = max(at, due)
        hub.advance(at)
        if observation.kind == "signal" and observation.action_id:
            hub.put(hub.root, Event(observation.action_id, observation.value))
        elif observation.kind == "result":
            hub.answer(observation.action_id, observation.value, "done")
        elif observation.kind == "error":
            hub.answer(observation.action_id, observation.value, "error")
        elif observation.kind == "cancelled":
            hub.answer(observation.action_id, CANCELLED, "error")
    hub.advance(hub.now)


CANCELLED: JSON = {"code": "AF-RUN-CANCELLED", "message": "The action was cancelled.", "executed": "maybe"}
"""The data of the error event of an action that somebody else cancelled."""


def _begin(hub: Hub, value: JSON) -> None:
    """Enter the chart: the input is the variable ``input``, and its fields are first values of variables."""
    hub.root.scope["input"] = value
    hub.root.begin(dict(value) if isinstance(value, dict) else {})


def _decide(run: PlanRun) -> Decision:
    hub = run.hub
    starts, cancels = hub.starts, hub.cancels
    hub.starts, hub.cancels = [], []
    waits: list[Mapping[str, JSON]] = []
    if not run.listens:
        run.listens = True
        waits.append({"type": "signal", "name": "*"})
    due = hub.timers.due()
    if due != run.told:
        run.told = due
        waits.append({"type": "timer", "after_s": None if due is None else max(0, due - hub.now) / _SECOND})
    end = _end(hub) if not starts else None
    if end is not None:
        run.ended = True
        return Decision(cancel=cancels, end=end, events=hub.trace or ())
    return Decision(starts, cancel=cancels, waits=waits, events=hub.trace or ())


def _end(hub: Hub) -> End | None:
    """How the run ends, where it does: in a final state, with nothing emitted still under way, or stuck for good."""
    if hub.pending:
        return None
    root = hub.root
    if not root.running:
        last = root.chart.ids(root.last & root.chart.leaves)
        return End(root.output, stop_reason=f"final.{last[-1]}" if last else "final")
    if not hub.timers.pending and len(hub.sessions) == 1 and not root.configuration & root.chart.ways:
        states = ", ".join(root.chart.ids(root.configuration & root.chart.leaves))
        return End(
            error=f"No event leads on from {states}, and it is no final state.", code=STALLED, stop_reason="stalled"
        )
    return None
