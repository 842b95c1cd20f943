"""The planner `plan-and-execute`: plans once, does each step with a small loop, and asks after each if the plan holds.

Source: Wang et al. 2023, Plan-and-Solve Prompting; the observer after each step as in common implementations of it.
"""

from __future__ import annotations

from typing import cast

from agentflow_kernel.errors import PlanFailed
from agentflow_planner_llm.execution.calls import prompt_of
from agentflow_planner_llm.execution.executor import Executor
from agentflow_planner_llm.execution.state import Fault
from agentflow_planner_llm.strategies.planned import PlannedStrategy, given_by, is_repeated, plan_schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.contracts.planner import End
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.moment import Moment
    from agentflow_planner_llm.execution.state import PlanRun
    from agentflow_planner_llm.plan.step import Step
    from agentflow_planner_llm.strategies.state import Question, StrategyState
    from agentflow_planner_llm.strategy_settings import PlanAndExecuteSettings

KINDS = ("model", "tool", "agent", "flow", "plan")


def observe_schema(*, changes: bool) -> dict[str, JSON]:
    """The schema of what the model decides after a step; ``changes`` says whether the plan may be changed."""
    fields: dict[str, JSON] = {"reason": {"type": "string"}, "answer": {"type": "string"}}
    decisions: list[JSON] = ["keep", "finish"]
    if changes:
        decisions += ["refine", "replan"]
        fields["steps"] = cast("dict[str, Any]", plan_schema(KINDS)["properties"])["steps"]
    return {
        "type": "object",
        "properties": {"decision": {"enum": decisions}, **fields},
        "required": ["decision"],
        "additionalProperties": False,
    }


def create_planner(settings: PlanAndExecuteSettings, context: PluginContext) -> PlanAndExecute:
    """A planner with these settings; it needs neither clock nor random source."""
    return PlanAndExecute(settings)


class LoopExecutor(Executor):
    """An executor whose model steps are loops of model and tools."""

    __slots__ = ("strategy",)

    strategy: PlanAndExecute

    def may_pay(self, run: PlanRun, moment: Moment, step: Step) -> bool:
        """Calls of models are paid for by the loops that make them."""
        return step.kind == "model" or super().may_pay(run, moment, step)

    def act(self, run: PlanRun, moment: Moment, key: str, arguments: Mapping[str, JSON]) -> None:
        """Begin a loop for a step that asks a model."""
        step = run.program.steps[run.running[key]]
        if step.kind == "model":
            self.strategy.begin_step(run.owner, moment, key, arguments)
        else:
            super().act(run, moment, key, arguments)


class PlanAndExecute(PlannedStrategy):
    """The planner ``plan-and-execute``: one call for the plan, for each step its loop, and one after each step.

    The answer is the result of the last step, or what the model says when it is asked after a step.
    """

    name = "plan-and-execute"
    kinds = KINDS
    guide = (
        "Make a plan of few steps, done one after another. A step is either a task for yourself, with tools at hand: "
        '{"id": "s1", "kind": "model", "args": {"prompt": "what to do"}}, or one tool call: '
        '{"id": "s2", "kind": "tool", "name": "…", "args": {…}}. A result of an earlier step is {"$ref": "s1.result"}; '
        'a task sees the results of all earlier steps. A step may have "expect", a condition on its result such as '
        "result != null: where it does not hold, another plan is made. The last step gives the answer. Answer with the "
        "plan as JSON."
    )

    __slots__ = ("observes",)

    def __init__(self, settings: PlanAndExecuteSettings) -> None:
        executor = LoopExecutor(settings.budgets, 1, replans=True, pauses=settings.observe)
        executor.strategy = self
        super().__init__(settings, settings.loop, executor)
        self.observes = settings.observe

    def document_of(self, answer: JSON) -> Mapping[str, JSON]:
        """The plan in linear form; a step that fails asks for another plan, unless it says otherwise."""
        steps = answer.get("steps") if isinstance(answer, dict) else None
        listed = [each for each in steps if isinstance(each, dict)] if isinstance(steps, list) else []
        output = {"output": answer["output"]} if isinstance(answer, dict) and "output" in answer else {}
        return {"form": "linear", "steps": [{"on_error": "replan", **each} for each in listed], **output}

    def begin_step(self, state: StrategyState, moment: Moment, key: str, arguments: Mapping[str, JSON]) -> None:
        """Begin the loop of one step, which has the arguments of a step that asks a model."""
        done = self.results(state)
        so_far = f"Results so far: {self._shown(done)}" if done else "Nothing is done yet."
        larger = f"You do one step of a larger task. The task: {state.text}"
        told = [state.task.instructions, larger, so_far, cast("str", arguments.get("system", ""))]
        instructions = "\n\n".join(each for each in told if each)
        schema = cast("Mapping[str, JSON] | None", arguments.get("output_schema"))
        self.begin_loop(state, moment, key, instructions, prompt_of(arguments), schema)

    def looped(self, state: StrategyState, moment: Moment, key: str, end: End) -> None:
        """A step's loop has ended: with its text as the result, or as a failure."""
        run = state.run
        if run is None:
            return
        result = cast("Mapping[str, Any]", end.output)
        fault = None
        if end.error is not None:
            fault = Fault(end.error, end.code, "maybe")
        elif end.stop_reason not in {"end", "stop_sequence"}:
            text = f"It was stopped ({end.stop_reason}); its last words: {result['text']}"
            fault = Fault(text, PlanFailed.code, "maybe")
        schema = run.program.steps[run.running[key]].args.get("output_schema")
        self.executor.close(run, moment, key, result["text" if schema is None else "output"], fault)
        self.conclude(state, moment, run)

    def paused(self, state: StrategyState, moment: Moment, run: PlanRun) -> None:
        """Ask whether the plan is still right."""
        left = [step.id for number, step in enumerate(run.program.steps) if not run.status[number]]
        told = state.task.instructions or "Watch over a plan."
        may = self.may_replan(state)
        asked = ['Decide: {"decision": "keep"} goes on, {"decision": "finish", "answer": …} ends with an answer']
        if may:
            asked.append(
                '{"decision": "refine", "steps": […], "reason": …} goes on with other steps in place of those left'
            )
            asked.append('{"decision": "replan", "reason": …} asks for a new plan')
        done = self._shown(self.results(state))
        steps = f"Steps left: {', '.join(left) or 'none'}"
        texts = [told, f"The task: {state.text}", f"Done: {done}", steps, f"{', '.join(asked)}."]
        self.ask(state, moment, "observe", texts, observe_schema(changes=may))

    def heard(self, state: StrategyState, moment: Moment, question: Question, answer: JSON) -> None:
        """The plan, what to do with it after a step, or the answer in the wanted form."""
        run = state.run
        if question.name == "plan":
            super().heard(state, moment, question, answer)
        elif question.name == "observe" and run is not None:
            said = cast("Mapping[str, Any]", answer)
            if said["decision"] == "finish":
                self.finish(state, moment, said.get("answer") or self._last(run))
            elif said["decision"] == "replan":
                self.replan(state, moment, said.get("reason") or "The model wants another plan.")
            elif said["decision"] == "refine" and not is_repeated(state, refined := self.document_of(answer)):
                state.notes["cause"] = said.get("reason") or "The model has refined the steps that were left."
                self.follow(state, moment, question, refined)
            else:
                self.executor.go_on_after_pause(run, moment)
                self.conclude(state, moment, run)
        else:
            self.finish(state, moment, str(answer), question)

    def done(self, state: StrategyState, moment: Moment, run: PlanRun) -> None:
        """End with the result of the last step that was done."""
        if "output" in run.program.plan.source:
            self.finish(state, moment, self._shown(given_by(run)))
            return
        self.finish(state, moment, self._last(run))

    def _partial(self, state: StrategyState) -> str:
        """The result of the last step that was done."""
        return "" if state.run is None else self._last(state.run)

    def _last(self, run: PlanRun) -> str:
        """The result of the last step that was done, as text."""
        ids = [step.id for step in run.program.steps if run.outcome.get(step.id, {}).get("status") == "done"]
        return self._shown(run.outcome[ids[-1]]["result"]) if ids else ""
