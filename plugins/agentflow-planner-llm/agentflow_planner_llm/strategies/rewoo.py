"""The planner `rewoo`: plans all tool calls at once, makes them without the model, and asks it once for the answer.

Source: Xu et al. 2023, ReWOO: Decoupling Reasoning from Observations for Efficient Augmented Language Models.
"""

from __future__ import annotations

from agentflow_planner_llm.strategies.planned import PlannedStrategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.moment import Moment
    from agentflow_planner_llm.execution.state import Fault, PlanRun
    from agentflow_planner_llm.strategies.state import Question, StrategyState
    from agentflow_planner_llm.strategy_settings import PlannedSettings


def create_planner(settings: PlannedSettings, context: PluginContext) -> Rewoo:
    """A planner with these settings; it needs neither clock nor random source."""
    return Rewoo(settings)


class Rewoo(PlannedStrategy):
    """The planner ``rewoo``: two calls of the model, however many steps there are."""

    name = "rewoo"
    replans = False
    guide = (
        "Plan all tool calls that the task needs; they are made without asking you again. Each step has an id such as "
        'E1, kind "tool", the tool\'s name and its args. A result of an earlier step is {"$ref": "E1.result"}, a part '
        'of it {"$ref": "E1.result.items[0]"}. Answer with the plan as JSON.'
    )

    __slots__ = ()

    def document_of(self, answer: JSON) -> Mapping[str, JSON]:
        """The plan in linear form; a step that fails is evidence too, unless it says otherwise."""
        steps = answer.get("steps") if isinstance(answer, dict) else None
        listed = steps if isinstance(steps, list) else []
        return {
            "form": "linear",
            "steps": [{"on_error": "continue", **each} for each in listed if isinstance(each, dict)],
        }

    def done(self, state: StrategyState, moment: Moment, run: PlanRun) -> None:
        """Ask for the answer, with all that was found."""
        self._solve(state, moment, run)

    def failed(self, state: StrategyState, moment: Moment, run: PlanRun, fault: Fault) -> None:
        """The answer is asked for with what there is; there is no second plan."""
        if fault.reason.startswith("budget."):
            self.stop(state, moment, fault.reason)
        else:
            self._solve(state, moment, run)

    def _solve(self, state: StrategyState, moment: Moment, run: PlanRun) -> None:
        lines = []
        for step in run.program.steps:
            outcome = run.outcome.get(step.id, {"status": "not done"})
            found = outcome.get("result") if outcome["status"] == "done" else outcome.get("error", outcome["status"])
            lines.append(f"{step.id}, {step.name} {self._shown(step.args)}:\n{self._shown(found)}")
        told = state.task.instructions or "Answer the task."
        asked = [f"The task: {state.text}", "What was found:", *lines, "Give the answer to the task."]
        self.ask(state, moment, "solve", [told, *asked])

    def heard(self, state: StrategyState, moment: Moment, question: Question, answer: JSON) -> None:
        """The plan, or the answer."""
        if question.name == "plan":
            super().heard(state, moment, question, answer)
        else:
            self.finish(state, moment, str(answer), question)
