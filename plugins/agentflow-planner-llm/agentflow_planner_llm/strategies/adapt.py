"""The planner `adapt`: tries a task, and only where that fails takes it apart, each part in the same way.

Source: Prasad et al. 2024, ADaPT: As-Needed Decomposition and Planning with Language Models.
"""

from __future__ import annotations

from typing import cast

from agentflow_kernel.errors import PlanFailed
from agentflow_kernel.schema import write_compactly
from agentflow_planner_llm.execution.state import Fault
from agentflow_planner_llm.strategies.base import Strategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.contracts.planner import End
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.moment import Moment
    from agentflow_planner_llm.strategies.state import Question, StrategyState
    from agentflow_planner_llm.strategy_settings import AdaptSettings

ATTEMPT: dict[str, JSON] = {
    "type": "object",
    "properties": {"succeeded": {"type": "boolean"}, "answer": {"type": "string"}},
    "required": ["succeeded", "answer"],
    "additionalProperties": False,
}
PARTS: dict[str, JSON] = {
    "type": "object",
    "properties": {
        "operator": {"enum": ["and", "or"]},
        "subtasks": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["operator", "subtasks"],
    "additionalProperties": False,
}
_TRY = (
    'Do the task with the tools at hand. End with JSON: {"succeeded": true, "answer": …} where it is done, '
    '{"succeeded": false, "answer": why not} where you could not do it.'
)
_SPLIT = (
    'A task could not be done in one go. Take it apart into smaller tasks: with the operator "and" all of them are '
    'needed, one after another; with "or" they are ways to the same end, tried until one succeeds. Answer with JSON.'
)


def create_planner(settings: AdaptSettings, context: PluginContext) -> Adapt:
    """A planner with these settings; it needs neither clock nor random source."""
    return Adapt(settings)


class Adapt(Strategy):
    """The planner ``adapt``: as many calls of the model as the task turns out to need.

    The open tasks are a stack of ``{task, operator, parts, results, tries}``, the innermost last; ``operator`` is null
    until the task was taken apart.
    """

    name = "adapt"
    loop_schema = ATTEMPT

    __slots__ = ("max_depth", "max_subtasks")

    def __init__(self, settings: AdaptSettings) -> None:
        super().__init__(settings, settings.loop)
        self.max_depth = settings.max_depth
        self.max_subtasks = settings.max_subtasks

    def first(self, state: StrategyState, moment: Moment) -> None:
        """Try the whole task."""
        state.notes = {"stack": [], "attempts": 0}
        self._try(state, moment, state.text)

    def _stack(self, state: StrategyState) -> list[dict[str, Any]]:
        """The open tasks, as a copy that may be changed."""
        return [dict(each) for each in cast("list[Any]", state.notes["stack"])]

    def _keep(self, state: StrategyState, stack: list[dict[str, Any]]) -> None:
        state.notes = {**state.notes, "stack": stack}

    def _try(self, state: StrategyState, moment: Moment, text: str) -> None:
        stack = self._stack(state)
        known = [result for each in stack for result in each["results"]]
        stack.append({"task": text, "operator": None, "parts": [], "results": [], "why": ""})
        self._keep(state, stack)
        number = cast("int", state.notes["attempts"]) + 1
        state.notes["attempts"] = number
        told = [state.task.instructions, _TRY]
        if len(stack) > 1:
            told.append(f"It is a part of this task: {stack[0]['task']}")
        if known:
            told.append(f"Results of the parts before: {self._shown(known)}")
        self.begin_loop(state, moment, f"try{number}", "\n\n".join(each for each in told if each), text)

    def looped(self, state: StrategyState, moment: Moment, key: str, end: End) -> None:
        """An attempt has ended."""
        said = cast("Mapping[str, Any]", cast("Mapping[str, Any]", end.output)["output"] or {})
        if end.error is not None and not said:
            self._failed(state, moment, end.error)
        elif said.get("succeeded"):
            self._succeeded(state, moment, said["answer"])
        else:
            self._failed(state, moment, said.get("answer") or f"it was stopped ({end.stop_reason})")

    def _failed(self, state: StrategyState, moment: Moment, why: str) -> None:
        """Take the innermost task apart, where that may be done once more; else its task has failed."""
        stack = self._stack(state)
        task = stack[-1]
        if len(stack) <= self.max_depth:
            task["why"] = why
            self._keep(state, stack)
            asked = [
                f"The task: {task['task']}",
                f"Why it could not be done: {why}",
                f"At most {self.max_subtasks} parts.",
            ]
            self.ask(state, moment, "split", [_SPLIT, *asked], PARTS)
            return
        self._close(state, moment, None, why)

    def _succeeded(self, state: StrategyState, moment: Moment, answer: str) -> None:
        self._close(state, moment, answer, "")

    def _close(self, state: StrategyState, moment: Moment, answer: str | None, why: str) -> None:
        """The innermost task has ended; go on with the one that it is a part of."""
        stack = self._stack(state)
        task = stack.pop()
        while True:
            if not stack:
                self._keep(state, stack)
                self._end(state, moment, answer, why)
                return
            outer = stack[-1]
            if answer is not None:
                outer["results"].append({"task": task["task"], "answer": answer})
                if outer["operator"] == "and" and outer["parts"]:
                    break
                answer = answer if outer["operator"] == "or" else write_compactly(outer["results"])
            elif outer["operator"] == "or" and outer["parts"]:
                break
            task = stack.pop()
        text = outer["parts"][0]
        outer["parts"] = outer["parts"][1:]
        self._keep(state, stack)
        self._try(state, moment, text)

    def _end(self, state: StrategyState, moment: Moment, answer: str | None, why: str) -> None:
        if answer is None:
            fault = Fault(f"The task could not be done: {why}", PlanFailed.code)
            self.stop(state, moment, "failed", text=why, fault=fault)
        elif cast("int", state.notes["attempts"]) == 1:
            self.finish(state, moment, answer)
        else:
            state.notes["text"] = answer
            told = state.task.instructions or "Answer the task."
            parts = f"Its parts are done, with these results: {shorten_to(answer, self.settings.max_result_chars)}"
            self.ask(state, moment, "answer", [told, f"The task: {state.text}", parts, "Give the answer to the task."])

    def _partial(self, state: StrategyState) -> str:
        """The answer of the whole, else those of the parts that are done."""
        done = [result for each in self._stack(state) for result in each["results"]] if state.notes else []
        return super()._partial(state) or (self._shown(done) if done else "")

    def heard(self, state: StrategyState, moment: Moment, question: Question, answer: JSON) -> None:
        """The parts of a task, or the answer of the whole."""
        if question.name != "split":
            self.finish(state, moment, str(answer), question)
            return
        said = cast("Mapping[str, Any]", answer)
        parts = [text for text in said["subtasks"] if text.strip()]
        stack = self._stack(state)
        known = {each["task"] for each in stack}
        if not parts or len(parts) > self.max_subtasks or known & set(parts):
            again = "one of them is the task itself" if known & set(parts) else f"give 1 to {self.max_subtasks} of them"
            self.ask_again(state, moment, question, f"these are no parts of the task: {again}.")
            return
        stack[-1].update(operator=said["operator"], parts=parts[1:], results=[])
        self._keep(state, stack)
        moment.tell("task.split", task=stack[-1]["task"], operator=said["operator"], parts=parts)
        self._try(state, moment, parts[0])


def shorten_to(text: str, limit: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= limit else text[:limit] + "…"
