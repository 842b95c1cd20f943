"""The planner `compiler`: plans numbered calls that run side by side, then asks whether that is enough.

Source: Kim et al. 2024, An LLM Compiler for Parallel Function Calling.
"""

from __future__ import annotations

from typing import cast

from agentflow_planner_llm.dag import scope_of
from agentflow_planner_llm.execution.program import Program
from agentflow_planner_llm.optimisation import optimise
from agentflow_planner_llm.plan.check import check_plan
from agentflow_planner_llm.strategies.adoption import adopt, extend
from agentflow_planner_llm.strategies.ahead import NOTE, Ahead, step_of
from agentflow_planner_llm.strategies.call_reader import CallReader
from agentflow_planner_llm.strategies.planned import PlannedStrategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.moment import Moment
    from agentflow_planner_llm.execution.state import Fault, PlanRun
    from agentflow_planner_llm.strategies.state import Question, StrategyState
    from agentflow_planner_llm.strategy_settings import PlannedSettings

JOIN: dict[str, JSON] = {
    "type": "object",
    "properties": {
        "decision": {"enum": ["finish", "replan"]},
        "answer": {"type": "string"},
        "feedback": {"type": "string"},
    },
    "required": ["decision"],
    "additionalProperties": False,
}


def create_planner(settings: PlannedSettings, context: PluginContext) -> Compiler:
    """A planner with these settings; it needs neither clock nor random source."""
    return Compiler(settings)


class Compiler(PlannedStrategy):
    """The planner ``compiler``: two calls of the model a round, one that plans and one that joins."""

    name = "compiler"
    guide = (
        "Plan the tool calls that the task needs, one in a line, numbered, with arguments as JSON:\n"
        '1. tool({"argument": "value"})\n2. other({"of": $1, "part": $1.items[0]})\n3. join()\n'
        "$1 stands for the result of call 1, as a value of its own; calls that do not refer to each other run side by "
        "side. Number the calls of a new plan on from the last one. End with join()."
    )

    __slots__ = ()

    def __init__(self, settings: PlannedSettings) -> None:
        super().__init__(settings)
        self.schema = None

    def document_of(self, answer: JSON) -> Mapping[str, JSON]:
        """The plan of the calls in a text."""
        reader = CallReader()
        return {"steps": [step_of(call) for call in (*reader.feed(str(answer)), *reader.close())]}

    # -- calls that begin while the plan is written ------------------------------------------------------------------

    def _streams(self, state: StrategyState, question: Question) -> bool:
        """A plan is heard while it is written, where something may begin then: nothing while a person has to agree."""
        if question.name != "plan" or self.planned.approval or self.planned.permissions.approved:
            return False
        return any(tool.effect == "pure" for tool in state.task.tools.values())

    def _pieced(self, state: StrategyState, moment: Moment, question: Question, piece: Mapping[str, JSON]) -> None:
        """Begin the calls that may begin; the rest waits until the plan is whole and was checked."""
        ahead, run = _ahead_of(state), state.run
        free = run is None or bool(ahead.begun) or not (run.running or run.wake_at)
        news = ahead.hear(piece, open=free)
        state.notes = {**state.notes, NOTE: ahead.to_json()}
        if not news:
            return
        graph, found = self._checked(state, {"steps": ahead.read})
        fresh = () if found else ahead.choose(graph)
        if not fresh:
            return
        change, facts = extend if ahead.begun else adopt, self._facts(state)
        ahead.begun += fresh
        state.notes[NOTE] = ahead.to_json()
        change(state, moment, self._program_ahead(state, facts))
        self.executor.begin(cast("PlanRun", state.run), moment)

    def _program_ahead(self, state: StrategyState, facts: Mapping[str, Mapping[str, JSON]]) -> Program:
        """The program of what has begun, in which no two calls are made one: the plan is not known yet."""
        scope = scope_of(self.planned, state.task.scope, author="model", replans=self.replans)
        scope.facts = facts.keys()
        graph, _ = check_plan({"steps": _ahead_of(state).begun}, scope)
        program = Program(graph, state.task.tools, self.planned.permissions.withheld)
        return optimise(program, {"cache"} & {*self.planned.optimise}, self.planned.cache)

    def _facts(self, state: StrategyState) -> dict[str, Mapping[str, JSON]]:
        """What was done before the plan that is being written: what has begun with it is a part of it."""
        if not _ahead_of(state).begun or state.run is None:
            return super()._facts(state)
        return dict(state.run.facts)

    def program_of(self, state: StrategyState) -> Program:
        """The program of what has begun of a plan that is being written, or of the last plan."""
        if _ahead_of(state).begun:
            return self._program_ahead(state, cast("Mapping[str, Mapping[str, JSON]]", state.notes["facts"]))
        return super().program_of(state)

    def _take_over(self, state: StrategyState, moment: Moment, program: Program) -> None:
        """Follow a plan that was checked; what has begun of it goes on, what it does not have is given up."""
        begun = _ahead_of(state).begun
        state.notes.pop(NOTE, None)
        if begun:
            extend(state, moment, program)
        else:
            adopt(state, moment, program)

    # -- questions ---------------------------------------------------------------------------------------------------

    def heard(self, state: StrategyState, moment: Moment, question: Question, answer: JSON) -> None:
        """The plan, or what the model makes of its results."""
        if question.name == "plan":
            reader = CallReader()
            calls = [*reader.feed(str(answer)), *reader.close()]
            if reader.problems or not calls:
                problem = "; ".join(reader.problems[:5]) or "there is no call in it"
                self.ask_again(state, moment, question, f"{problem}.")
            else:
                super().heard(state, moment, question, answer)
        elif question.name == "join":
            said = cast("Mapping[str, Any]", answer)
            if said["decision"] == "finish":
                self.finish(state, moment, said.get("answer", ""))
            else:
                state.notes["text"] = said.get("answer", "")
                self.replan(state, moment, said.get("feedback") or "The results are not enough for an answer.")
        else:
            self.finish(state, moment, str(answer), question)

    def done(self, state: StrategyState, moment: Moment, run: PlanRun) -> None:
        """Ask whether the results are enough."""
        lines = []
        for name, outcome in run.outcome.items():
            found = outcome.get("result") if outcome["status"] == "done" else outcome.get("error", outcome["status"])
            lines.append(f"{name}: {self._shown(found)}")
        told = state.task.instructions or "Answer the task."
        asked = (
            'Decide: {"decision": "finish", "answer": …} where the results are enough for an answer, '
            'else {"decision": "replan", "feedback": what is missing}.'
        )
        self.ask(state, moment, "join", [told, f"The task: {state.text}", "The results:", *lines, asked], JOIN)

    def failed(self, state: StrategyState, moment: Moment, run: PlanRun, fault: Fault) -> None:
        """What failed is shown to the model with the rest."""
        if fault.reason.startswith("budget."):
            self.stop(state, moment, fault.reason)
        else:
            self.done(state, moment, run)


def _ahead_of(state: StrategyState) -> Ahead:
    """What has begun of a plan that is being written."""
    return Ahead(cast("Mapping[str, Any] | None", state.notes.get(NOTE)))
