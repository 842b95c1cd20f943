"""The planner `dag`: follows a plan that stands in a document, step by step as they become ready."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.planner import Action, End
from agentflow_kernel.errors import (
    ApprovalMismatch,
    ApprovalRefused,
    BudgetExceeded,
    InputInvalid,
    NewerSchema,
    PlanInvalid,
    ProtocolViolation,
)
from agentflow_planner_llm._caller import read_error
from agentflow_planner_llm._draft import Draft
from agentflow_planner_llm.execution.executor import Executor
from agentflow_planner_llm.execution.moment import Moment
from agentflow_planner_llm.execution.paying import settle_use
from agentflow_planner_llm.execution.program import Program
from agentflow_planner_llm.execution.state import Fault, PlanRun, load_run
from agentflow_planner_llm.execution.values import seen_by
from agentflow_planner_llm.optimisation import optimise
from agentflow_planner_llm.plan.bounds import estimate_plan
from agentflow_planner_llm.plan.check import check_plan
from agentflow_planner_llm.plan.document import PlanLimits
from agentflow_planner_llm.plan.picture import draw_plan
from agentflow_planner_llm.plan.reference import fill
from agentflow_planner_llm.plan.scope import Grants, Scope, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_kernel.contracts.planner import Decision, Observation, PlanScope, Task
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.drawing import Picture
    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.plan.scope import Author
    from agentflow_planner_llm.plan_settings import PlanSettings
    from agentflow_planner_llm.strategy_settings import PlannedSettings

    Object: TypeAlias = Mapping[str, JSON]

VERSION = 1
"""The form of a dumped state; raised when a field changes its meaning."""
APPROVE = "approve.plan"
"""The id of the question whether the plan may run: none that a step can have."""


def create_planner(settings: PlanSettings, context: PluginContext) -> Dag:
    """A planner with these settings; it needs neither clock nor random source."""
    return Dag(settings)


class ReadPlan:
    """A document made ready for all runs. What depends on the tools is worked out once for each set of tools."""

    __slots__ = ("document", "hash", "_made")

    def __init__(self, document: Object, hash: str) -> None:  # noqa: A002 - the field's name everywhere
        self.document = document
        self.hash = hash
        self._made: list[tuple[PlanScope, Program | tuple[PlanFinding, ...]]] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadPlan) and other.hash == self.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def find(self, scope: PlanScope) -> Program | tuple[PlanFinding, ...] | None:
        """The program, or the findings, that were made for this scope."""
        return next((made for known, made in self._made if known is scope or known.tools is scope.tools), None)

    def keep(self, scope: PlanScope, made: Program | tuple[PlanFinding, ...]) -> None:
        """Keep a program or findings; of many scopes only the last few."""
        self._made = [*self._made[-3:], (scope, made)]


class DagState:
    """One run: whether it waits for approval, is under way or has ended, and how its steps stand."""

    __slots__ = ("hash", "phase", "run", "fault", "wall_at")

    def __init__(self, hash: str) -> None:  # noqa: A002 - the field's name everywhere
        self.hash = hash
        self.phase = "new"
        self.run: PlanRun | None = None
        self.fault: Fault | None = None
        """Why the plan cannot run at all."""
        self.wall_at: float | None = None


class Dag:
    """The planner ``dag``; one object serves any number of runs and documents.

    The output of a run is what the plan's ``output`` says; a run that ends with an error has as output how every step
    stands.
    """

    __slots__ = ("_settings", "_executor")

    def __init__(self, settings: PlanSettings) -> None:
        self._settings = settings
        self._executor = Executor(settings.budgets, settings.parallel)

    def read(self, document: Mapping[str, JSON]) -> ReadPlan:
        """The document made ready; raises :class:`PlanInvalid` for what is wrong whatever the tools are."""
        graph, found = check_plan(document, scope_of(self._settings, None))
        if found:
            raise PlanInvalid(graph.plan.goal, found)
        return ReadPlan(document, graph.plan.hash)

    def check(self, document: Mapping[str, JSON], scope: PlanScope) -> Sequence[PlanFinding]:
        """All findings."""
        return check_plan(document, scope_of(self._settings, scope))[1]

    def graph(self, document: Mapping[str, JSON], state: JSON = None) -> Picture:
        """The steps and what they wait for; with a state each is marked with how it stands."""
        graph, found = check_plan(document, scope_of(self._settings, None))
        if found:
            raise PlanInvalid(graph.plan.goal, found)
        return draw_plan(graph, state)

    def estimate(self, document: Mapping[str, JSON], scope: PlanScope) -> Mapping[str, JSON]:
        """What the plan may use at worst; raises :class:`PlanInvalid`."""
        graph, found = check_plan(document, scope_of(self._settings, scope))
        if found:
            raise PlanInvalid(graph.plan.goal, found)
        return estimate_plan(graph, self._settings.parallel).to_json()

    def begin(self, task: Task) -> DagState:
        """The state before the first observation."""
        read = task.plan
        if not isinstance(read, ReadPlan):
            state = DagState("")
            state.fault = Fault("The planner 'dag' follows a document, and the task has none.", PlanInvalid.code)
            return state
        state = DagState(read.hash)
        made = self._made(read, task)
        if isinstance(made, Program):
            state.run = PlanRun(made)
        else:
            state.fault = Fault(str(PlanInvalid(task.name, made)), PlanInvalid.code)
        return state

    def step(self, state: object, observation: Observation) -> Decision:
        """Decide after one observation; what comes after the end, or answers nothing that is under way, is ignored."""
        here = cast("DagState", state)
        draft = Draft()
        if here.phase == "ended":
            return draft.decision()
        moment = Moment(draft, observation)
        run = here.run
        if run is not None:
            settle_use(run, observation)
        if run is None:
            self._end(here, moment, here.fault or Fault("There is no plan.", PlanInvalid.code))
        elif observation.kind == "started":
            self._start(here, run, moment, observation.value)
        elif here.phase == "approving":
            self._approve(here, run, moment, observation)
        elif observation.kind == "timer":
            if here.wall_at is not None and here.wall_at <= moment.at:
                fault = Fault("The time of the run is used up.", BudgetExceeded.code, reason="budget.wall")
                self._end(here, moment, fault)
            else:
                self._executor.ring(run, moment)
                self._conclude(here, run, moment)
        elif observation.kind != "signal" and self._executor.observe(run, moment, observation):
            self._conclude(here, run, moment)
        self._set_timer(here, moment)
        return draft.decision()

    def dump(self, state: object) -> JSON:
        """The state as JSON."""
        here = cast("DagState", state)
        return {
            "version": VERSION,
            "hash": here.hash,
            "phase": here.phase,
            "wall_at": here.wall_at,
            "run": None if here.run is None else here.run.dump(),
        }

    def load(self, task: Task, document: JSON) -> DagState:
        """The state that :meth:`dump` wrote.

        Raises :class:`NewerSchema` for a version above ours, and :class:`ProtocolViolation` for anything that is no
        state of this plan: a run may not leave the plan that it began, nor end because a tool of it is gone for now.
        """
        try:
            fields = cast("Object", document)
            version = cast("int", fields["version"])
            if version > VERSION:
                raise NewerSchema("The state of planner 'dag'", version, VERSION)
            state = self.begin(task)
            if fields["hash"] != state.hash:
                raise ProtocolViolation(
                    f"Plan {task.name!r} is another one than the run began ({state.hash[:12]}, not "
                    f"{str(fields['hash'])[:12]}). Give it the plan of before, or start a new run.",
                    executed="no",
                )
            if state.run is None and state.fault is not None and fields["run"] is not None:
                raise ProtocolViolation(f"The plan cannot go on as it is: {state.fault.message}", executed="no")
            state.phase = cast("str", fields["phase"])
            state.wall_at = cast("float | None", fields["wall_at"])
            if state.run is not None:
                state.run = load_run(state.run.program, cast("Object", fields["run"]))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as fault:
            raise ProtocolViolation(
                f"This is no state of planner 'dag' ({type(fault).__name__}: {fault}).", executed="no"
            ) from fault
        return state

    def _made(self, read: ReadPlan, task: Task) -> Program | tuple[PlanFinding, ...]:
        made = read.find(task.scope)
        if made is None:
            graph, found = check_plan(read.document, scope_of(self._settings, task.scope))
            made = tuple(found) if found else self._program(graph, task.tools)
            read.keep(task.scope, made)
        return made

    def _program(self, graph: Graph, tools: Mapping[str, Tool]) -> Program:
        program = Program(graph, tools, self._settings.permissions.withheld)
        return optimise(program, self._settings.optimise, self._settings.cache)

    def _start(self, here: DagState, run: PlanRun, moment: Moment, value: JSON) -> None:
        if here.phase != "new":
            return
        run.input = value
        wall_s = self._settings.budgets.wall_s
        if wall_s is not None:
            here.wall_at = moment.at + wall_s
        moment.tell("plan.validated", hash=here.hash, steps=len(run.program.steps), live=run.program.live)
        if wants_approval(self._settings, run.program):
            here.phase = "approving"
            moment.draft.start.append(ask_approval(APPROVE, run.program, here.hash))
        else:
            self._run(here, run, moment)

    def _run(self, here: DagState, run: PlanRun, moment: Moment) -> None:
        here.phase = "running"
        self._executor.begin(run, moment)
        self._conclude(here, run, moment)

    def _approve(self, here: DagState, run: PlanRun, moment: Moment, observation: Observation) -> None:
        if observation.action_id != APPROVE or observation.kind not in {"result", "error", "cancelled"}:
            return
        refusal = read_approval(observation, here.hash)
        if refusal is None:
            self._run(here, run, moment)
        else:
            self._end(here, moment, refusal)

    def _conclude(self, here: DagState, run: PlanRun, moment: Moment) -> None:
        """End the run where it has failed or everything is done."""
        if run.fault is not None:
            self._end(here, moment, run.fault)
        elif self._executor.is_done(run):
            try:
                output = output_of(run)
            except InputInvalid as error:
                self._end(here, moment, Fault(f"The output of the plan: {error}", InputInvalid.code))
                return
            here.phase = "ended"
            moment.tell("plan.ended", stop_reason="end")
            moment.draft.end = End(output)

    def _end(self, here: DagState, moment: Moment, fault: Fault) -> None:
        run = here.run
        here.phase = "ended"
        output: dict[str, JSON] = {"stop_reason": fault.reason}
        if run is not None:
            self._executor.stop(run, moment)
            output["steps"] = dict(run.outcome)
        moment.tell("plan.ended", stop_reason=fault.reason, code=fault.code)
        moment.draft.end = End(output, error=fault.message, code=fault.code, stop_reason=fault.reason)

    def _set_timer(self, here: DagState, moment: Moment) -> None:
        """Ask to be woken when the next wait is over, where that has changed."""
        run = here.run
        if run is None or moment.draft.end is not None or here.phase == "ended":
            return
        times = [at for at in (self._executor.next_due(run), here.wall_at) if at is not None]
        set_timer(run, moment, min(times, default=None))


def set_timer(run: PlanRun, moment: Moment, due: float | None) -> None:
    """Ask to be woken at a time, where the engine does not know it yet."""
    if due != run.timer or (due is not None and due <= moment.at):
        run.timer = due
        moment.draft.waits.append({"type": "timer", "after_s": None if due is None else max(0.0, due - moment.at)})


def scope_of(
    settings: PlanSettings | PlannedSettings,
    scope: PlanScope | None,
    *,
    author: Author = "person",
    replans: bool = False,
) -> Scope:
    """What a plan is checked against; without a scope of the kernel any name is taken."""
    limits = PlanLimits()
    for name, value in settings.bounds.model_dump().items():
        setattr(limits, name, value)
    permissions = settings.permissions
    grants = Grants(
        denied=permissions.denied,
        approved=permissions.approved,
        approver=permissions.approver,
        trusted=permissions.trusted,
        trust_input=permissions.trust_input,
    )
    limits.parallel = settings.parallel
    return Scope(
        None if scope is None else scope.tools,
        agents=None if scope is None else scope.agents,
        flows=None if scope is None else scope.flows,
        plans=None if scope is None else scope.plans,
        limits=limits,
        grants=grants,
        author=author,
        replans=replans,
    )


def output_of(run: PlanRun) -> JSON:
    """What the plan gives; raises :class:`InputInvalid` where it refers to something that is not there."""
    plan = run.program.plan
    if "output" in plan.source:
        return fill(plan.output, seen_by(run, {each.root for each in run.program.graph.output_references}))
    ids = [run.program.steps[number].id for number in run.program.last]
    return {name: run.outcome[name]["result"] for name in ids if "result" in run.outcome.get(name, {})}


def wants_approval(settings: PlanSettings | PlannedSettings, program: Program) -> bool:
    """Whether a person has to agree before a plan runs: by the settings, by the plan, or for a tool that it calls."""
    approved = settings.permissions.approved
    return (
        settings.approval
        or program.plan.approval
        or any(step.kind == "tool" and matches(step.name, approved) for step in program.steps)
    )


def ask_approval(action_id: str, program: Program, hash: str) -> Action:  # noqa: A002 - the field's name everywhere
    """The question whether a plan may run, about its document; the answer is good for this plan alone."""
    lines = [f"- {step.id}: {step.kind} {step.name}".rstrip() for step in program.steps]
    goal = f" for: {program.plan.goal}" if program.plan.goal else ""
    question = f"May this plan run{goal}? It has {len(lines)} steps; its hash is {hash}.\n" + "\n".join(lines[:100])
    choices: list[JSON] = [f"approve {hash[:12]}", "reject"]
    about = cast("JSON", program.plan.source)
    return Action(action_id, "ask", "", {"question": question, "choices": choices, "about": about})


def read_approval(observation: Observation, hash: str) -> Fault | None:  # noqa: A002 - the field's name everywhere
    """Why a plan may not run, or ``None`` where it was approved."""
    if observation.kind != "result":
        message, code, _ = read_error(observation.value) if observation.kind == "error" else ("", "", "")
        return Fault(message or "Nobody approved the plan.", code or ApprovalRefused.code, reason="refused")
    if observation.value == f"approve {hash[:12]}":
        return None
    if isinstance(observation.value, str) and observation.value.startswith("approve"):
        text = f"The answer {observation.value[:100]!r} approves another plan than {hash[:12]}."
        return Fault(text, ApprovalMismatch.code, reason="refused")
    return Fault("The plan was rejected.", ApprovalRefused.code, reason="refused")
