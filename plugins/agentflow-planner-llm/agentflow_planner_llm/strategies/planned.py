"""A strategy with a plan: a model makes it, it is checked before it runs, and a new one is made where that helps."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import InputInvalid, PlanInvalid
from agentflow_kernel.schema import write_compactly
from agentflow_planner_llm._sentences import shorten
from agentflow_planner_llm.dag import ask_approval, output_of, read_approval, scope_of, wants_approval
from agentflow_planner_llm.execution.executor import PAUSED, Executor
from agentflow_planner_llm.execution.paying import settle_use
from agentflow_planner_llm.execution.program import Program
from agentflow_planner_llm.execution.state import Fault
from agentflow_planner_llm.optimisation import optimise
from agentflow_planner_llm.plan.check import check_plan
from agentflow_planner_llm.plan.document import Plan
from agentflow_planner_llm.plan.finding import SCHEMA
from agentflow_planner_llm.plan.limits import find_excess
from agentflow_planner_llm.strategies.adoption import adopt, facts_of, find_repeated, without_facts
from agentflow_planner_llm.strategies.base import Strategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from agentflow_kernel.contracts.planner import Observation
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.moment import Moment
    from agentflow_planner_llm.execution.state import PlanRun
    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.settings import ToolLoopSettings
    from agentflow_planner_llm.strategies.state import Question, StrategyState
    from agentflow_planner_llm.strategy_settings import PlannedSettings

    Object: TypeAlias = Mapping[str, JSON]

INPUT = "input"
"""The signal that brings new input."""
HEARD = "heard"
"""The note of new input that came while the model or a person was asked."""
APPROVING = "approving"
"""The cause of a halt while a person is asked."""
REPEATED = "AF-PLAN-REPEATED"
"""The model made the same plan again."""


def plan_schema(kinds: tuple[str, ...], *, replans: bool = True) -> dict[str, JSON]:
    """The schema of a plan as a model writes it, with steps of these kinds, which may ask for another plan or not."""
    on_error: list[JSON] = ["fail", "skip", "retry", "continue"]
    if replans:
        on_error.append("replan")
    step: dict[str, JSON] = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "kind": {"enum": list(kinds)},
            "name": {"type": "string"},
            "args": {"type": "object"},
            "needs": {"type": "array", "items": {"type": "string"}},
            "when": {"type": "string"},
            "expect": {"type": "string"},
            "on_error": {"enum": on_error},
        },
        "required": ["id", "kind"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": step, "minItems": 1}, "output": {}},
        "required": ["steps"],
        "additionalProperties": False,
    }


class PlannedStrategy(Strategy):
    """What the strategies with a plan have in common.

    Steps that are done are facts: a new plan keeps their ids, may refer to them, and repeats none that had an effect.
    Steps that run are kept where the new plan has them unchanged, and cancelled where not.
    """

    guide = ""
    """What the model is told of how to plan."""
    kinds: tuple[str, ...] = ("tool",)
    replans = True
    """Whether there is ever a new plan: for a step that asks for one, new input, or a budget that runs short."""

    __slots__ = ("planned", "executor", "schema")

    def __init__(
        self, settings: PlannedSettings, loop: ToolLoopSettings | None = None, executor: Executor | None = None
    ) -> None:
        super().__init__(settings, loop)
        self.planned = settings
        self.executor = executor or Executor(settings.budgets, settings.parallel, replans=self.replans)
        self.schema: Object | None = plan_schema(self.kinds, replans=self.replans)

    # -- what a strategy does differently ----------------------------------------------------------------------------

    def document_of(self, answer: JSON) -> Object:
        """The document of the plan that the model has answered with."""
        return cast("Object", answer)

    def done(self, state: StrategyState, moment: Moment, run: PlanRun) -> None:
        """Go on after the last step of the plan."""
        raise NotImplementedError

    def failed(self, state: StrategyState, moment: Moment, run: PlanRun, fault: Fault) -> None:
        """Go on after the plan has failed; by default a new one is asked for."""
        if fault.reason.startswith("budget."):
            self.stop(state, moment, fault.reason)
        else:
            self.replan(state, moment, fault.message, fault)

    def paused(self, state: StrategyState, moment: Moment, run: PlanRun) -> None:
        """Go on after a step, where the executor pauses."""
        self.executor.go_on_after_pause(run, moment)

    # -- making the plan -----------------------------------------------------------------------------------------------

    def first(self, state: StrategyState, moment: Moment) -> None:
        """Ask for the first plan."""
        state.notes["cause"] = "first"
        if self.planned.listen:
            moment.draft.waits.append({"type": "signal", "name": INPUT})
        self.ask(state, moment, "plan", [self._told(state), f"The task: {state.text}"], self.schema)

    def replan(self, state: StrategyState, moment: Moment, cause: str, fault: Fault | None = None) -> None:
        """Ask for another plan, if there may be one more; what is done and what went wrong is told."""
        if not self.may_replan(state):
            reason = Fault(cause, PlanInvalid.code) if fault is None else fault
            self.stop(state, moment, "replans", fault=Fault(f"No more plans may be made: {cause}", reason.code))
            return
        run = state.run
        if run is not None:
            run.fault, run.cause = None, cause
            run.ready.clear()
        state.notes["cause"] = cause
        told = [self._told(state), f"The task: {state.text}", f"The plan so far has to be replaced: {cause}"]
        done = self.results(state)
        if done:
            kept = "Steps that are done keep their ids; refer to them and do not do them again:"
            told.append(f"{kept}\n{self._shown(done)}")
        last = state.versions[-1]["document"] if state.versions else None
        told.append(f"The plan before: {shorten(write_compactly(last), 20_000)}")
        self.ask(state, moment, "plan", told, self.schema)

    def may_replan(self, state: StrategyState) -> bool:
        """Whether there may be one more plan."""
        return len(state.versions) <= self.planned.max_replans

    def _partial(self, state: StrategyState) -> str:
        """What the model said last of an answer, else the results of the steps that are done."""
        done = self.results(state)
        return super()._partial(state) or (self._shown(done) if done else "")

    def results(self, state: StrategyState) -> dict[str, JSON]:
        """What the steps that are done gave, by id."""
        run = state.run
        if run is None:
            return {}
        return {name: each["result"] for name, each in run.outcome.items() if each["status"] == "done"}

    def _told(self, state: StrategyState) -> str:
        """Instructions, guide, and what may be named."""
        task = state.task
        lines = [task.instructions, self.guide, "Tools:"]
        for name, tool in task.tools.items():
            lines.append(f"- {name} ({tool.effect}): {tool.description} Arguments: {write_compactly(tool.parameters)}")
        for kind, known in (("agent", task.scope.agents), ("flow", task.scope.flows), ("plan", task.scope.plans)):
            if kind in self.kinds and known:
                lines.append(f"{kind}s, each with args {{input}}: {', '.join(sorted(known))}")
        return "\n".join(line for line in lines if line)

    def heard(self, state: StrategyState, moment: Moment, question: Question, answer: JSON) -> None:
        """Check a plan, and follow it or ask for another one."""
        if question.name != "plan":
            raise NotImplementedError
        document = self.document_of(answer)
        if is_repeated(state, document):
            fault = Fault(f"The model made the same plan again, after: {state.notes['cause']}", REPEATED)
            self.stop(state, moment, "loop", fault=fault)
        else:
            self.follow(state, moment, question, document)

    def follow(self, state: StrategyState, moment: Moment, question: Question, document: Object) -> None:
        """Check the plan that answers a question, and make it the present version, or ask for another answer."""
        graph, found = self._checked(state, document)
        if found:
            text = "the plan has these faults:\n" + "\n".join(f"{each.pointer}: {each}" for each in found[:_MOST])
            if question.tries > self.settings.repairs:
                fault = Fault(str(PlanInvalid(state.task.name, found)), PlanInvalid.code)
                self.stop(state, moment, "invalid_plan", fault=fault)
            else:
                self.ask_again(state, moment, question, text)
            return
        digest = Plan(document).hash
        version: Object = {"hash": digest, "cause": state.notes["cause"], "document": document}
        state.versions.append(version)
        moment.tell("plan.validated", hash=digest, steps=len(graph.steps), cause=state.notes["cause"])
        program = self._program(state, graph)
        self._take_over(state, moment, program)
        if wants_approval(self.planned, program):
            state.phase = "approving"
            moment.draft.start.append(ask_approval(self._approval_id(state), program, digest))
        else:
            self._run(state, moment)

    def _checked(self, state: StrategyState, document: Object) -> tuple[Graph, list[PlanFinding]]:
        """The graph of a new plan without what is done already, and everything that is wrong with it."""
        facts = self._facts(state)
        scope = scope_of(self.planned, state.task.scope, author="model", replans=self.replans)
        scope.facts = facts.keys()
        if find_excess(document) is not None:
            return check_plan(document, scope)
        fresh, positions, found = without_facts(document, facts)
        if facts and not positions and not found:
            text = "Every step of this plan is done already: a new plan has the steps that are left to do."
            found.append(PlanFinding(SCHEMA, text, "steps"))
        graph, faults = check_plan(fresh, scope)
        if not faults and not found:
            faults = find_repeated(state.run, graph, facts)
        for fault in faults:
            if len(fault.where) > 1 and fault.where[0] == "steps":
                fault.where = ("steps", positions[cast("int", fault.where[1])], *fault.where[2:])
        return graph, [*found, *faults] if positions or not found else found

    def _facts(self, state: StrategyState) -> dict[str, Object]:
        """The documents of the steps that a new plan finds done, by id."""
        return {} if state.run is None else facts_of(state.run)

    def _take_over(self, state: StrategyState, moment: Moment, program: Program) -> None:
        """Make a program that was checked the present one."""
        adopt(state, moment, program)

    def _program(self, state: StrategyState, graph: Graph) -> Program:
        program = Program(graph, state.task.tools, self.planned.permissions.withheld)
        return optimise(program, self.planned.optimise, self.planned.cache)

    def program_of(self, state: StrategyState) -> Program:
        """The program of the last version; its document is checked again, with the facts of its time."""
        version = state.versions[-1]
        scope = scope_of(self.planned, state.task.scope, author="model", replans=self.replans)
        known = cast("Mapping[str, Object]", state.notes.get("facts", {}))
        scope.facts = known.keys()
        graph, _ = check_plan(without_facts(cast("Object", version["document"]), known)[0], scope)
        return self._program(state, graph)

    # -- following it --------------------------------------------------------------------------------------------------

    def _approval_id(self, state: StrategyState) -> str:
        return f"approve.{len(state.versions)}"

    def _run(self, state: StrategyState, moment: Moment) -> None:
        run = state.run
        if run is None:
            return
        state.phase = "running"
        if run.cause in {"", APPROVING, PAUSED}:
            self.executor.go_on_after_pause(run, moment)
        self.conclude(state, moment, run)

    def acted(self, state: StrategyState, moment: Moment, observation: Observation) -> bool:
        """Take in what concerns the plan."""
        run = state.run
        if observation.kind == "signal":
            if observation.action_id == INPUT and self.planned.listen:
                self._take_input(state, moment, observation.value)
            return True
        if run is None:
            return False
        settle_use(run, observation)
        if state.phase == "approving":
            if observation.action_id == self._approval_id(state) and observation.kind != "timer":
                self._take_approval(state, moment, observation)
                return True
            run.cause = run.cause or APPROVING  # what was taken over may end, nothing starts
        if observation.kind == "timer":
            self.executor.ring(run, moment)
        elif observation.action_id.partition(".")[0] in state.loops or not self.executor.observe(
            run, moment, observation
        ):
            return False
        self.conclude(state, moment, run)
        return True

    def _take_approval(self, state: StrategyState, moment: Moment, observation: Observation) -> None:
        """Follow the plan that was approved, or stop; a plan that new input has overtaken is replaced."""
        refusal = read_approval(observation, cast("str", state.versions[-1]["hash"]))
        heard = state.notes.pop(HEARD, None)
        if refusal is not None:
            self.stop(state, moment, refusal.reason, fault=refusal)
        elif heard is not None:
            state.phase = "running"
            self.replan(state, moment, f"There is new input: {heard}")
        else:
            self._run(state, moment)

    def _overtaken(self, state: StrategyState, moment: Moment, question: Question) -> bool:
        """Plan anew where there is new input since the question was asked, as long as there may be one more plan."""
        heard = state.notes.pop(HEARD, None)
        if heard is None:
            return False
        if question.name == "plan":
            text = f"There is new input: {heard}\nAnswer again, with a plan that knows it."
            question.messages.append({"role": "user", "text": text})
            question.tries -= 1
            self._put(state, moment, question)
            return True
        if not self.may_replan(state):
            return False
        self.replan(state, moment, f"There is new input: {heard}")
        return True

    def _take_input(self, state: StrategyState, moment: Moment, value: JSON) -> None:
        """Make new input part of the task; a plan that is under way is replaced by one that knows it."""
        text = write_compactly(value)
        state.text = f"{state.text}\n\nSaid later: {text}"
        if not self.replans:
            return
        if state.question is not None or state.phase == "approving":
            before = state.notes.get(HEARD)
            state.notes[HEARD] = text if before is None else f"{before}\n{text}"
        elif state.run is not None and state.phase == "running":
            self.replan(state, moment, f"There is new input: {text}")

    def _runs_short(self, state: StrategyState) -> str:
        """The budget of which only the reserve is left, the first time that there is one."""
        if not (self.planned.reserve and self.replans) or state.notes.get("short"):
            return ""
        ledger, budgets = state.ledger, self.planned.budgets
        used = {
            "model_calls": ledger.model_calls,
            "tool_calls": ledger.tool_calls,
            "tokens": ledger.input_tokens + ledger.output_tokens,
            "cost_usd": ledger.cost_usd,
        }
        for name, amount in used.items():
            limit: float | None = getattr(budgets, name)
            if limit is not None and amount >= limit * (1 - self.planned.reserve):
                state.notes["short"] = name
                return name
        return ""

    def conclude(self, state: StrategyState, moment: Moment, run: PlanRun) -> None:
        """Look where the plan is after something has ended."""
        if state.stopped or state.question is not None or state.phase == "approving":
            return
        if run.fault is not None:
            self.failed(state, moment, run, run.fault)
        elif not self.executor.is_done(run) and (short := self._runs_short(state)):
            self.replan(state, moment, f"Little is left of the budget {short!r}: a shorter plan is needed.")
        elif run.cause == "paused":
            self.paused(state, moment, run)
        elif run.cause:
            self.replan(state, moment, run.cause)
        elif self.executor.is_done(run):
            self.done(state, moment, run)

    def due(self, state: StrategyState) -> float | None:
        """When a step is tried again or has had its time."""
        return None if state.run is None else self.executor.next_due(state.run)


def is_repeated(state: StrategyState, document: Object) -> bool:
    """Whether a plan is one that was followed before, all of it, whatever is done of it by now."""
    if not state.versions or find_excess(document) is not None:
        return False
    digest = Plan(document).hash
    return any(version["hash"] == digest for version in state.versions)


def given_by(run: PlanRun) -> JSON:
    """What a plan gives, its errors where it gives nothing."""
    try:
        return output_of(run)
    except InputInvalid as error:
        return {"error": str(error)}


_MOST = 20
"""Findings that the model is told of one plan."""
