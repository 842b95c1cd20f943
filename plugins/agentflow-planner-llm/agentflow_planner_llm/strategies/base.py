"""A strategy: asks a model questions, runs loops of model and tools, and ends with an answer, within its budgets."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.planner import Action, End, Observation
from agentflow_kernel.errors import OutputInvalid, ProtocolViolation, Refused, RunCancelled
from agentflow_kernel.schema import find_problems, read_strictly, write_compactly
from agentflow_planner_llm._caller import read_error
from agentflow_planner_llm._draft import Draft
from agentflow_planner_llm._reply import read_reply
from agentflow_planner_llm._sentences import TOO_LONG, shorten
from agentflow_planner_llm.execution.moment import Moment
from agentflow_planner_llm.execution.state import Fault
from agentflow_planner_llm.limits import Limits
from agentflow_planner_llm.strategies.state import OpenLoop, Question, StrategyState, load_strategy, loop_task
from agentflow_planner_llm.tool_loop import ToolLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.planner import Decision, Task
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.program import Program
    from agentflow_planner_llm.settings import ToolLoopSettings
    from agentflow_planner_llm.strategy_settings import StrategySettings

    Object: TypeAlias = Mapping[str, JSON]


class Strategy:
    """What all strategies have in common; one object serves any number of runs.

    The output of a run is ``{text, output, stop_reason, model_calls, tool_calls, usage, plans}``, also when it ends
    with an error; ``plans`` are all versions of its plan with their causes.
    """

    name = ""
    loop_schema: Object | None = None
    """What the answer of a loop must fit."""

    __slots__ = ("settings", "loop")

    def __init__(self, settings: StrategySettings, loop: ToolLoopSettings | None = None) -> None:
        self.settings = settings
        self.loop = ToolLoop(Limits() if loop is None else loop)

    # -- what a strategy does differently ----------------------------------------------------------------------------

    def first(self, state: StrategyState, moment: Moment) -> None:
        """Begin, with the task's text in the state."""
        raise NotImplementedError

    def heard(self, state: StrategyState, moment: Moment, question: Question, answer: JSON) -> None:
        """Go on after the answer to a question, which fits its schema."""
        raise NotImplementedError

    def _overtaken(self, state: StrategyState, moment: Moment, question: Question) -> bool:
        """Do something else than go on with an answer, where it came too late; whether that was so."""
        return False

    def _streams(self, state: StrategyState, question: Question) -> bool:
        """Whether the answer to a question is to be heard while it is written."""
        return False

    def _pieced(self, state: StrategyState, moment: Moment, question: Question, piece: Object) -> None:
        """Take in a piece of an answer that is to be heard while it is written."""

    def _partial(self, state: StrategyState) -> str:
        """What there is of an answer where the run ends before it has one."""
        return cast("str", state.notes.get("text", ""))

    def looped(self, state: StrategyState, moment: Moment, key: str, end: End) -> None:
        """Go on after a loop has ended."""
        raise NotImplementedError

    def acted(self, state: StrategyState, moment: Moment, observation: Observation) -> bool:
        """Take in how an action of the plan ended, a signal, or that a timer rang; whether it was one of the plan's."""
        return False

    def program_of(self, state: StrategyState) -> Program:
        """The program of the present version of the plan."""
        raise NotImplementedError

    def due(self, state: StrategyState) -> float | None:
        """The wall time at which the plan has to be woken, or ``None``."""
        return None

    # -- the planner ---------------------------------------------------------------------------------------------------

    def begin(self, task: Task) -> StrategyState:
        """The state before the first observation."""
        return StrategyState(task)

    def step(self, state: object, observation: Observation) -> Decision:
        """Decide after one observation; what comes after the end, or answers nothing that is under way, is ignored."""
        here = cast("StrategyState", state)
        draft = Draft()
        if here.stopped:
            return draft.decision()
        moment = Moment(draft, observation)
        kind = observation.kind
        if kind == "started":
            if here.phase == "new":
                here.phase = "begun"
                here.text = write_compactly(observation.value)
                wall_s = self.settings.budgets.wall_s
                here.wall_at = None if wall_s is None else moment.at + wall_s
                self.first(here, moment)
        elif kind == "piece":
            question = here.question
            if question is not None and question.action_id == observation.action_id:
                self._pieced(here, moment, question, cast("Object", observation.value))
        elif kind == "timer" and here.wall_at is not None and here.wall_at <= moment.at:
            self.stop(here, moment, "budget.wall")
        elif kind == "timer" and (late := [key for key, loop in here.loops.items() if _is_late(loop, moment)]):
            for key in late:
                self._turn(here, moment, key, observation)
        elif not self.acted(here, moment, observation) and kind not in {"signal", "timer"}:
            self._take(here, moment, observation)
        if not here.stopped:
            self._set_timer(here, moment)
        return draft.decision()

    def dump(self, state: object) -> JSON:
        """The state as JSON."""
        return cast("StrategyState", state).dump()

    def load(self, task: Task, document: JSON) -> StrategyState:
        """The state that :meth:`dump` wrote."""
        return load_strategy(self.name, task, document, self.program_of, self.loop_schema)

    # -- questions -----------------------------------------------------------------------------------------------------

    def ask(
        self, state: StrategyState, moment: Moment, name: str, texts: Sequence[str], schema: Object | None = None
    ) -> None:
        """Ask the model: the first text is what it is told, the others what it is asked."""
        messages: list[JSON] = [{"role": "system", "text": texts[0]}]
        messages.append({"role": "user", "text": "\n\n".join(text for text in texts[1:] if text)})
        state.question = Question(name, messages, schema)
        self._put(state, moment, state.question)

    def ask_again(self, state: StrategyState, moment: Moment, question: Question, problem: str) -> None:
        """Ask for another answer and say why; after as many repairs as there may be, stop."""
        if question.tries > self.settings.repairs:
            fault = Fault(f"The model's answer cannot be used: {problem}", OutputInvalid.code)
            self.stop(state, moment, "invalid_output", fault=fault)
            return
        question.messages.append({"role": "user", "text": f"Your answer cannot be used: {problem}\nAnswer again."})
        state.question = question
        self._put(state, moment, question)

    def _put(self, state: StrategyState, moment: Moment, question: Question) -> None:
        """Put a question to the model, or stop where no call may be paid."""
        state.question = question
        budget = state.ledger.budget_against_model(self.settings.budgets)
        if budget is not None:
            self.stop(state, moment, f"budget.{budget}")
            return
        state.ledger.model_calls += 1
        state.asked += 1
        question.tries += 1
        question.action_id = f"{question.name}.{state.asked}"
        arguments: dict[str, JSON] = {
            "messages": list(question.messages), "tools": [], "output_schema": question.schema
        }  # fmt: skip
        if self._streams(state, question):
            arguments["stream"] = True
        moment.draft.start.append(Action(question.action_id, "model", "", arguments))
        moment.tell("model.called", id=question.action_id, question=question.name)

    def _take(self, state: StrategyState, moment: Moment, observation: Observation) -> None:
        """An answer of the model, or the end of an action of a loop."""
        question = state.question
        if question is not None and observation.action_id == question.action_id:
            self._hear(state, moment, question, observation)
            return
        key, _, inner = observation.action_id.partition(".")
        if key in state.loops:
            self._turn(state, moment, key, Observation(observation.kind, inner, observation.value, at=observation.at))

    def _hear(self, state: StrategyState, moment: Moment, question: Question, observation: Observation) -> None:
        state.question = None
        if observation.kind == "cancelled":
            fault = Fault("The call of the model was cancelled.", RunCancelled.code)
            self.stop(state, moment, "cancelled", fault=fault)
            return
        if observation.kind == "error":
            message, code, executed = read_error(observation.value)
            state.ledger.unpriced_calls += executed != "no"
            self.stop(state, moment, "error", fault=Fault(message, code))
            return
        reply = read_reply(observation.value)
        if reply is None:
            state.ledger.unpriced_calls += 1
            fault = Fault("The result of the model call has not the form of a model's reply.", ProtocolViolation.code)
            self.stop(state, moment, "error", fault=fault)
            return
        state.ledger.settle(reply.usage)
        if reply.stop_reason == "refusal":
            self.stop(state, moment, "refusal", fault=Fault("The model refused to answer.", Refused.code))
            return
        moment.tell("model.answered", id=question.action_id, question=question.name)
        question.messages.append({"role": "assistant", "text": reply.text or "(nothing)"})
        question.cut = reply.stop_reason == "max_tokens"
        answer, problems = _read_answer(question, reply.text)
        if problems:
            self.ask_again(state, moment, question, f"{'; '.join(problems)}.")
            return
        if not self._overtaken(state, moment, question):
            self.heard(state, moment, question, answer)

    # -- loops ---------------------------------------------------------------------------------------------------------

    def begin_loop(
        self,
        state: StrategyState,
        moment: Moment,
        key: str,
        instructions: str,
        text: str,
        schema: Object | None = None,
    ) -> None:
        """Begin a loop of model and tools; its actions have ids that begin with the key.

        Its answer must fit ``schema``, or what all loops of the strategy must fit.
        """
        wanted = self.loop_schema if schema is None else schema
        loop = self.loop.begin(loop_task(state.task, instructions, wanted))
        until = None if self.loop.wall_s is None else moment.at + self.loop.wall_s
        state.loops[key] = OpenLoop(instructions, wanted, loop, until)
        self._turn(state, moment, key, Observation("started", value=text, at=moment.at))

    def _turn(self, state: StrategyState, moment: Moment, key: str, observation: Observation) -> None:
        """Let a loop decide, and do what it has decided, as far as the budgets of the run allow."""
        loop = state.loops[key].state
        ledger, budgets = state.ledger, self.settings.budgets
        before = loop.ledger.dump()
        decision = self.loop.step(loop, observation)
        for field in ("input_tokens", "output_tokens", "cached_tokens", "cost_usd", "unpriced_calls"):
            setattr(ledger, field, getattr(ledger, field) + getattr(loop.ledger, field) - before[field])
        models = loop.ledger.model_calls - cast("int", before["model_calls"])
        tools = loop.ledger.tool_calls - cast("int", before["tool_calls"])
        over = ledger.budget_against_model(budgets) if models else None
        over = over or (ledger.budget_against_tools(budgets, tools) if tools else None)
        moment.draft.cancel.extend(f"{key}.{each}" for each in decision.cancel)
        for action in decision.start:
            moment.draft.start.append(Action(f"{key}.{action.id}", action.kind, action.name, action.arguments))
        if over is not None:
            self.stop(state, moment, f"budget.{over}")
            return
        ledger.model_calls += models
        ledger.tool_calls += tools
        if moment.traced:
            moment.draft.events.extend((name, {**fields, "loop": key}) for name, fields in decision.events)
        if decision.end is not None:
            del state.loops[key]
            self.looped(state, moment, key, decision.end)

    # -- the end -------------------------------------------------------------------------------------------------------

    def finish(self, state: StrategyState, moment: Moment, text: str, question: Question | None = None) -> None:
        """End with an answer; where the task has an output schema it has to fit, after repairs if need be."""
        schema, cut = state.task.output_schema, question is not None and question.cut
        if schema is None:
            self.stop(state, moment, "max_tokens" if cut else "end", text=text)
            return
        value, unreadable = read_strictly(text)
        problems = [f"it {unreadable}"] if unreadable else find_problems(value, schema)
        if not problems:
            self.stop(state, moment, "end", text=text, output=value)
        elif question is not None:
            told = "; ".join([TOO_LONG, *problems] if cut else problems)
            self.ask_again(state, moment, question, f"{told}. Answer with JSON that fits the schema.")
        else:
            self.ask(state, moment, "form", [_FORM, text, f"The schema: {write_compactly(schema)}"])

    def stop(
        self,
        state: StrategyState,
        moment: Moment,
        reason: str,
        *,
        text: str = "",
        output: JSON = None,
        fault: Fault | None = None,
    ) -> None:
        """End the run; what is still open is cancelled."""
        self._cancel_all(state, moment)
        state.stopped = reason
        ledger = state.ledger
        result: dict[str, JSON] = {
            "text": text or self._partial(state),
            "output": output,
            "stop_reason": reason,
            "model_calls": ledger.model_calls,
            "tool_calls": ledger.tool_calls,
            "usage": ledger.usage(),
            "plans": list(state.versions),
        }
        moment.tell("strategy.stopped", stop_reason=reason)
        moment.draft.start.clear()
        if fault is None:
            moment.draft.end = End(result, stop_reason=reason)
        else:
            moment.draft.end = End(result, error=fault.message, code=fault.code, stop_reason=reason)

    def _cancel_all(self, state: StrategyState, moment: Moment) -> None:
        fresh = {action.id for action in moment.draft.start}
        open_ids = [] if state.question is None else [state.question.action_id]
        for key, loop in state.loops.items():
            open_ids += [f"{key}.{each}" for each in loop.open_ids]
        if state.run is not None:
            for key in sorted(state.run.running):
                if key not in state.loops:
                    open_ids.append(f"{key}.batch" if key in state.run.members else key)
        gone = {*moment.draft.cancel, *fresh}
        moment.draft.cancel.extend(each for each in open_ids if each not in gone)
        state.loops.clear()
        state.question = None

    def _set_timer(self, state: StrategyState, moment: Moment) -> None:
        loops = [loop.until for loop in state.loops.values()]
        times = [at for at in (self.due(state), state.wall_at, *loops) if at is not None]
        due = min(times, default=None)
        if due != state.timer or (due is not None and due <= moment.at):
            state.timer = due
            moment.draft.waits.append({"type": "timer", "after_s": None if due is None else max(0.0, due - moment.at)})

    def _shown(self, value: JSON) -> str:
        """A value as the model is shown it."""
        return shorten(write_compactly(value), self.settings.max_result_chars)


_FORM = "Give the following answer in the form of JSON that fits the schema, and nothing else."


def _is_late(loop: OpenLoop, moment: Moment) -> bool:
    """Whether a loop has had its time."""
    return loop.until is not None and loop.until <= moment.at


def _read_answer(question: Question, text: str) -> tuple[JSON, list[str]]:
    """The answer to a question and what is wrong with it; half a plan is none, also where it can be read."""
    if question.schema is None:
        return text, [TOO_LONG] if question.cut and question.name == "plan" else []
    answer, unreadable = read_strictly(text)
    problems = [f"it {unreadable}"] if unreadable else find_problems(answer, question.schema)
    return answer, [TOO_LONG, *problems] if question.cut and problems else problems
