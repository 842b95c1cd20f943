"""The tool loop: ask the model, run the tools it calls, and ask again, until it answers or may go no further."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.planner import Action, Decision
from agentflow_kernel.errors import OutputInvalid, ProtocolViolation, Refused, RunCancelled
from agentflow_kernel.schema import find_problems, read_strictly, write_compactly
from agentflow_planner_llm import _sentences
from agentflow_planner_llm._caller import Caller, read_error
from agentflow_planner_llm._draft import Draft
from agentflow_planner_llm._ending import Fault, leave_turn, stop
from agentflow_planner_llm._reply import read_reply
from agentflow_planner_llm._state import LoopState, load_state
from agentflow_planner_llm._turn import Turn
from agentflow_planner_llm.limits import DEFAULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.planner import Observation, Task
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm._reply import Reply
    from agentflow_planner_llm._state import Asking
    from agentflow_planner_llm.limits import Limits
    from agentflow_planner_llm.settings import ToolLoopSettings


def create_planner(settings: ToolLoopSettings, context: PluginContext) -> ToolLoop:
    """A planner with these settings; it needs neither clock nor random source."""
    return ToolLoop(settings)


class ToolLoop:
    """The planner ``tools``; one object serves any number of runs.

    The input of a run becomes the user's first message: a string as it is, anything else as compact JSON text.
    A run ends with the object ``{text, output, stop_reason, iterations, model_calls, tool_calls, usage}``, also when
    it ends with an error: ``text`` is then the last thing the model said. ``output`` is the parsed answer where the
    task has an output schema.
    """

    __slots__ = ("_settings", "_caller")

    def __init__(self, settings: ToolLoopSettings | Limits = DEFAULTS) -> None:
        self._settings = settings
        self._caller = Caller(settings)

    @property
    def wall_s(self) -> float | None:
        """The seconds that a run may take, ``None`` for no limit."""
        return self._settings.budgets.wall_s

    def begin(self, task: Task) -> LoopState:
        """The state before the first observation."""
        return LoopState(task)

    def step(self, state: object, observation: Observation) -> Decision:
        """Decide after one observation; what comes after the end, or answers nothing that is under way, is ignored."""
        run = cast("LoopState", state)
        if run.stopped is not None:
            return Decision()
        draft = Draft()
        kind = observation.kind
        if kind == "started":
            self._start(run, draft, observation.value)
        elif kind == "timer":
            if run.iteration and self._settings.budgets.wall_s is not None:
                self._run_out_of_time(run, draft)
        elif kind != "signal":
            turn = run.turn
            if turn is not None:
                if self._caller.observe(run, turn, draft, observation):
                    self._carry_on(run, turn, draft)
            elif run.asking is not None and observation.action_id == run.model_action_id:
                self._hear(run, draft, observation)
        return draft.decision()

    def dump(self, state: object) -> JSON:
        """The state as JSON."""
        return cast("LoopState", state).dump()

    def load(self, task: Task, document: JSON) -> LoopState:
        """The state that :meth:`dump` wrote."""
        return load_state(task, document)

    def _start(self, run: LoopState, draft: Draft, value: JSON) -> None:
        if run.messages:
            return
        if run.task.instructions:
            run.messages.append({"role": "system", "text": run.task.instructions})
        run.say(write_compactly(value))
        wall_s = self._settings.budgets.wall_s
        if wall_s is not None:
            draft.waits.append({"type": "timer", "after_s": wall_s})
        self._iterate(run, draft)

    def _iterate(self, run: LoopState, draft: Draft) -> None:
        """Begin the next iteration, if there may be one."""
        settings = self._settings
        if run.iteration >= settings.max_iterations:
            stop(run, draft, "budget.iterations")
            return
        if not self._may_ask(run, draft):
            return
        run.iteration += 1
        draft.tell("iteration.started", {"iteration": run.iteration})
        if self._last_by(run, run.ledger.model_calls + 1) is None:
            self._ask(run, draft, "open")
            return
        if run.tool_names or run.iteration > 1:
            run.say(_sentences.LAST_TURN)
        self._ask(run, draft, "last")

    def _last_by(self, run: LoopState, model_calls: int) -> str | None:
        """The budget that makes the present turn the last one, when so many model calls are made with it."""
        if run.iteration >= self._settings.max_iterations:
            return "iterations"
        limit = self._settings.budgets.model_calls
        return "model_calls" if limit is not None and model_calls >= limit else None

    def _may_ask(self, run: LoopState, draft: Draft) -> bool:
        """Whether a model call can be paid for; ends the run when not."""
        budget = run.ledger.budget_against_model(self._settings.budgets)
        if budget is not None:
            stop(run, draft, f"budget.{budget}")
        return budget is None

    def _ask(self, run: LoopState, draft: Draft, asking: Asking) -> None:
        """Call the model; tools are offered in an open turn only."""
        run.ledger.model_calls += 1
        run.asking = asking
        tools = run.tool_names if asking == "open" else ()
        action_id = run.model_action_id
        messages = run.messages.copy()
        arguments: dict[str, JSON] = {
            "messages": messages,
            "tools": list(tools),
            "output_schema": run.task.output_schema,
        }
        draft.start.append(Action(action_id, "model", "", arguments))
        draft.tell(
            "model.called",
            {"id": action_id, "iteration": run.iteration, "messages": len(messages), "tools": len(tools)},
        )

    def _hear(self, run: LoopState, draft: Draft, observation: Observation) -> None:
        """Take in how the model call ended."""
        if observation.kind == "cancelled":
            stop(run, draft, "cancelled", fault=Fault("The call of the model was cancelled.", RunCancelled.code))
            return
        if observation.kind == "error":
            message, code, executed = read_error(observation.value)
            run.ledger.unpriced_calls += executed != "no"
            stop(run, draft, "error", fault=Fault(message, code))
            return
        reply = read_reply(observation.value)
        if reply is None:
            run.ledger.unpriced_calls += 1
            fault = Fault("The result of the model call has not the form of a model's reply.", ProtocolViolation.code)
            stop(run, draft, "error", fault=fault)
            return
        run.ledger.settle(reply.usage)
        draft.tell(
            "model.answered",
            {
                "id": observation.action_id,
                "iteration": run.iteration,
                "stop_reason": reply.stop_reason,
                "calls": len(reply.calls),
                "input_tokens": reply.usage.get("input_tokens", 0),
                "output_tokens": reply.usage.get("output_tokens", 0),
            },
        )
        self._take(run, draft, reply)

    def _take(self, run: LoopState, draft: Draft, reply: Reply) -> None:
        """Keep the model's turn and do what it asks for."""
        asking, run.asking = run.asking, None
        if not reply.empty:
            run.messages.append(reply.message)
        turn = run.turn = Turn(run.iteration, reply.calls) if reply.calls else None
        if reply.stop_reason == "refusal":
            self._drop(run, draft, _sentences.REFUSED)
            stop(run, draft, "refusal", text=reply.text, fault=Fault("The model refused to answer.", Refused.code))
        elif turn is None:
            self._finish(run, draft, reply)
        elif asking == "open":
            self._call(run, turn, draft, reply)
        else:
            self._drop(run, draft, _sentences.NOT_OFFERED)
            last_by = self._last_by(run, run.ledger.model_calls)
            if asking == "repair" or last_by is None:
                self._finish(run, draft, reply)
            else:
                stop(run, draft, f"budget.{last_by}")

    def _finish(self, run: LoopState, draft: Draft, reply: Reply) -> None:
        """End with the model's text; where it must fit a schema and does not, ask for a repair."""
        reason = reply.stop_reason if reply.stop_reason in {"max_tokens", "stop_sequence"} else "end"
        schema = run.task.output_schema
        if schema is None:
            stop(run, draft, reason, text=reply.text)
            return
        output, unreadable = read_strictly(reply.text)
        problems = [f"it {unreadable}"] if unreadable else find_problems(output, schema)
        if problems and reason == "max_tokens":
            problems.insert(0, _sentences.TOO_LONG)
        if not problems:
            stop(run, draft, reason, text=reply.text, output=output)
        elif run.repairs < self._settings.repairs:
            if self._may_ask(run, draft):
                run.repairs += 1
                run.say(_sentences.ask_for_repair(problems))
                self._ask(run, draft, "repair")
        else:
            message = f"The answer does not fit the output schema: {'; '.join(problems)}."
            stop(run, draft, "invalid_output", text=reply.text, fault=Fault(message, OutputInvalid.code))

    def _call(self, run: LoopState, turn: Turn, draft: Draft, reply: Reply) -> None:
        """Run the calls of a turn, unless they go in circles or cannot be paid for."""
        if reply.stop_reason == "max_tokens":
            self._caller.refuse_all(turn, draft, _sentences.CUT_OFF)
        elif (
            run.warned
            and run.streak.count >= self._settings.repeat_limit
            and run.streak.continued_by(run.messages, reply.calls[0])
        ):
            stop(run, draft, "loop")
            return
        else:
            count = self._caller.check(run, turn, draft, reply.malformed)
            budget = run.ledger.budget_against_tools(self._settings.budgets, count)
            if budget is not None:
                stop(run, draft, f"budget.{budget}")
                return
        self._carry_on(run, turn, draft)

    def _carry_on(self, run: LoopState, turn: Turn, draft: Draft) -> None:
        """Start what may start; when every call has its result, judge the turn and begin the next iteration."""
        self._caller.start(run, turn, draft)
        if not turn.settled:
            return
        asked_at = len(run.messages) - 1
        leave_turn(run, draft)
        repeated, name = run.streak.follow(run.messages, asked_at)
        if self._fails_too_often(run, turn):
            stop(run, draft, "tool_errors")
        elif repeated < self._settings.repeat_limit:
            self._iterate(run, draft)
        elif run.warned:
            stop(run, draft, "loop")
        else:
            run.warned = True
            run.say(_sentences.warn_of_loop(name, repeated))
            self._iterate(run, draft)

    def _fails_too_often(self, run: LoopState, turn: Turn) -> bool:
        """Count the turn against its tools; whether one of them has reached the limit."""
        if not run.failures and "failed" not in turn.outcomes:
            return False
        for name, well in turn.verdicts().items():
            if well:
                run.failures.pop(name, None)
            else:
                run.failures[name] = run.failures.get(name, 0) + 1
        return any(count >= self._settings.tool_error_limit for count in run.failures.values())

    def _drop(self, run: LoopState, draft: Draft, sentence: str) -> None:
        """Run none of the turn's calls."""
        if run.turn is not None:
            self._caller.refuse_all(run.turn, draft, sentence)
            leave_turn(run, draft)

    def _run_out_of_time(self, run: LoopState, draft: Draft) -> None:
        if run.asking is not None:
            draft.cancel.append(run.model_action_id)
        stop(run, draft, "budget.wall")
