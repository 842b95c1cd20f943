"""The planner `bt`: a behaviour tree whose leaves are actions of the engine, ticked when something has happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentflow_kernel.contracts.planner import Decision, End
from agentflow_kernel.errors import PlanError, PlanInvalid, ProtocolViolation, UsageError
from agentflow_planner_bt._check import check_scope
from agentflow_planner_bt._last_tick import Since, last_statuses
from agentflow_planner_bt._machine import Compiled, Machine
from agentflow_planner_bt._picture import draw
from agentflow_planner_bt._run import SCOPES, failed, write
from agentflow_planner_bt._storing import checked_version
from agentflow_planner_bt._text import document_of_text
from agentflow_planner_bt.port import NOTHING, converted
from agentflow_planner_bt.settings import TreeSettings
from agentflow_planner_bt.status import RUNNING, STATUSES
from agentflow_planner_bt.tree import define

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_kernel.contracts.planner import Observation, PlanScope, Task
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.drawing import Picture

VERSION = 1
_SAME_MOMENT = 1e-6
"""Seconds by which a timer may fire before the time that it was set for: sums of fractions are not exact."""


def create_planner(settings: TreeSettings, context: PluginContext) -> TreePlanner:
    """A planner with these settings; it needs neither clock nor random source."""
    return TreePlanner(settings)


class TreeState:
    """One run: its machine, whether it has begun and ended, and the wall time that its timer is set for."""

    __slots__ = ("machine", "started", "ended", "timer", "since", "broke")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.started = False
        self.ended = False
        self.timer: float | None = None
        self.since = Since()
        self.broke = ""
        """The path of the node whose error has ended the run."""


class TreePlanner:
    """Follows behaviour trees; one planner serves any number of documents and runs."""

    def __init__(self, settings: TreeSettings | None = None) -> None:
        self.settings = settings or TreeSettings()

    # -- documents

    def read(self, document: Mapping[str, JSON]) -> Compiled:
        """The document, compiled. XML stands in it as the text ``source``.

        Raises:
            PlanInvalid: with all findings.
        """
        try:
            return Compiled(define(_opened(document), {}))
        except RecursionError:
            raise PlanError("", "the document is too deep for this stack") from None

    def check(self, document: Mapping[str, JSON], scope: PlanScope) -> Sequence[PlanFinding]:
        """All findings, those about names that the scope lacks and arguments that its tools refuse among them."""
        found: Sequence[PlanFinding] = ()
        try:
            definition = define(_opened(document), {})
        except PlanInvalid as error:
            return cast("Sequence[PlanFinding]", error.findings)
        try:
            Compiled(definition)
        except PlanInvalid as error:
            found = cast("Sequence[PlanFinding]", error.findings)
        return [*found, *check_scope(definition, scope), *definition.warnings]

    def graph(self, document: Mapping[str, JSON], state: JSON = None) -> Picture:
        """The tree; with a state each node with its status in it.

        Raises:
            PlanInvalid: with all findings.
        """
        return draw(self.read(document), cast("Mapping[str, Any] | None", state))

    # -- runs

    def begin(self, task: Task) -> TreeState:
        """A run that has not begun.

        Raises:
            UsageError: the task has no document.
        """
        if not isinstance(task.plan, Compiled):
            raise UsageError(f"{task.name!r}: the planner 'bt' follows a document; use it in a Plan.")
        return TreeState(Machine(task.plan, rounds=self.settings.rounds))

    def step(self, state: object, observation: Observation) -> Decision:
        """Tick the tree, if what was observed is its concern."""
        state = cast("TreeState", state)
        machine, run = state.machine, state.machine.run
        state.since.take(observation)
        if state.ended or not self._concerns(state, observation):
            return Decision()
        now = max(run.now, observation.at)
        due = machine.due()
        run.now = due if due is not None and 0 < due - now <= _SAME_MOMENT else now
        try:
            if observation.kind == "started":
                _give_input(machine, observation.value)
            status = machine.tick(traced=observation.traced, eager=True)
        except PlanError as error:
            state.broke = error.path
            return self._end(state, End(error=str(error), code=error.code, stop_reason="error"), observation)
        if status != RUNNING:
            output = {"status": STATUSES[status].value, "output": _output(machine)}
            return self._end(state, End(output, stop_reason=STATUSES[status].lower()), observation)
        return self._goes_on(state, observation)

    def _concerns(self, state: TreeState, observation: Observation) -> bool:
        """Whether the tree is to be ticked; notes what has ended."""
        kind = observation.kind
        if kind == "timer":
            state.timer = None
            return state.started
        if kind == "started":
            begins, state.started = not state.started, True
            return begins
        if kind in {"result", "error", "cancelled"}:
            return state.machine.finish(observation.action_id, kind, observation.value)
        return False

    def _goes_on(self, state: TreeState, observation: Observation) -> Decision:
        run = state.machine.run
        starts, run.starts = run.starts, []
        cancels, run.cancels = run.cancels, []
        wake = self._wake_at(state.machine)
        if wake is None and not run.open:
            text = "the tree is RUNNING and waits for nothing: no action is open and no timer is set; 'tick_every_s'?"
            error = PlanError(state.machine.compiled.main, text)
            return self._end(state, End(error=str(error), code="AF-PLAN-STALLED", stop_reason="error"), observation)
        waits: list[dict[str, JSON]] = []
        if wake != state.timer:
            waits.append({"type": "timer", "after_s": None if wake is None else wake - run.now})
            state.timer = wake
        return Decision(starts, cancel=cancels, waits=waits, events=_events(state.machine, observation))

    def _wake_at(self, machine: Machine) -> float | None:
        """The wall time at which the tree is to be ticked although nothing happens until then."""
        run = machine.run
        times = [machine.due()]
        if run.woken or run.again or run.more:
            times.append(run.now + self.settings.tick_gap_s)
        every = machine.compiled.definition.tick_every_s or self.settings.tick_every_s
        if every is not None:
            times.append(run.now + every)
        return min((time for time in times if time is not None), default=None)

    @staticmethod
    def _end(state: TreeState, end: End, observation: Observation) -> Decision:
        run = state.machine.run
        state.ended = True
        events = _events(state.machine, observation)
        cancels, run.cancels, run.starts = run.cancels, [], []
        return Decision(cancel=cancels, end=end, events=events)

    def dump(self, state: object) -> JSON:
        """The run as JSON; the cost is that of copying one list and the top level of the blackboards."""
        state = cast("TreeState", state)
        machine = state.machine.dump(deep=False)
        document: dict[str, JSON] = {
            "version": VERSION,
            "started": state.started,
            "ended": state.ended,
            "timer": state.timer,
            "machine": machine,
        }
        if state.ended:
            document["last"], document["broke"] = self._last(state), state.broke
        else:
            state.since.begin(machine)
        return document

    def _last(self, state: TreeState) -> list[int] | None:
        """How the nodes stood at the end, for the picture."""
        again = TreeState(Machine(state.machine.compiled, rounds=self.settings.rounds))
        again.started = state.since.stored is not None
        return last_statuses(again.machine, state.since, lambda observation: self.step(again, observation))

    def load(self, task: Task, document: JSON) -> TreeState:
        """The run that was stored.

        Raises:
            NewerSchema: a newer version wrote it.
            PlanError: it is of another document.
            ProtocolViolation: it is no stored run.
        """
        stored = checked_version(document, VERSION)
        if not all(type(stored.get(name)) is bool for name in ("started", "ended")) or "timer" not in stored:
            raise ProtocolViolation("This is no stored state of the planner 'bt': it lacks when it has begun or ended.")
        timer = stored["timer"]
        if timer is not None and type(timer) not in {int, float}:
            raise ProtocolViolation(f"This is no stored state of the planner 'bt': the timer cannot be {timer!r}.")
        state = self.begin(task)
        state.machine.load(stored.get("machine"))
        state.since.begin(stored["machine"])
        state.started, state.ended, state.timer = stored["started"], stored["ended"], timer
        return state


def _opened(document: Mapping[str, JSON]) -> Any:
    """The document itself, or what the text of a file beside the manifest says."""
    if set(document) == {"source", "file"} and isinstance(document["source"], str):
        return document_of_text(document["source"], None)
    return document


def _give_input(machine: Machine, value: Any) -> None:
    """The run's input as the entry ``input``, and its fields as the input ports of the tree.

    Raises:
        PlanError: it lacks a required port, or has a value of another type.
    """
    tree = machine.compiled.definition.trees[machine.compiled.main]
    fields = value if isinstance(value, dict) else {}
    try:
        for name, port in (tree.ports or {}).items():
            given = fields.get(name, port.default) if port.direction != "out" else NOTHING
            if given is not NOTHING:
                write(machine.m, 0, name, None if given is None else converted(given, port.type))
            elif port.required and port.direction != "out":
                raise _lacks(machine, name)
        if not tree.ports or "input" not in tree.ports:
            write(machine.m, 0, "input", value)
    except (ValueError, TypeError) as error:
        raise _input_invalid(machine, error) from None


def _lacks(machine: Machine, name: str) -> PlanError:
    return _input_invalid(machine, ValueError(f"the input lacks {name!r}"))


def _input_invalid(machine: Machine, error: Exception) -> PlanError:
    problem = failed(machine.compiled.main, error)
    problem.code = "AF-INPUT-INVALID"
    return problem


def _output(machine: Machine) -> dict[str, JSON]:
    """What the tree's output ports hold; null where nothing was written."""
    ports = machine.compiled.definition.trees[machine.compiled.main].ports or {}
    root = machine.m[SCOPES][0]
    return {name: root.get(name) for name, port in ports.items() if port.direction != "in"}


def _events(machine: Machine, observation: Observation) -> list[tuple[str, dict[str, JSON]]]:
    """What to tell those who listen: each node's answer, errors that counted as FAILURE, and the tree's status."""
    if not observation.traced:
        return []
    run, nodes = machine.run, machine.compiled.nodes
    paths = {node.slot: node.path for node in nodes}
    found: list[tuple[str, dict[str, JSON]]] = [
        ("node.ticked", {"node": nodes[number].path, "status": STATUSES[code].value})
        for number, code in run.trace or ()
    ]
    found += [("node.forgiven", {"node": paths[slot], "error": text}) for slot, text in run.errors]
    return [*found, ("tree.ticked", {"tree": machine.compiled.main, "status": STATUSES[machine.status].value})]
