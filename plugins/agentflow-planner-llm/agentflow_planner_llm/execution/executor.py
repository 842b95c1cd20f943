"""An executor: starts the steps of a plan as soon as they may start, and decides what their ends mean.

It is driven by events alone: what is ready is known after each of them, and nothing is looked at twice.
"""

from __future__ import annotations

import heapq

from agentflow_kernel.errors import (
    BudgetExceeded,
    Elapsed,
    ExpressionFailed,
    InputInvalid,
    OutputInvalid,
    RunCancelled,
)
from agentflow_planner_llm._caller import read_error
from agentflow_planner_llm._sentences import IN_DOUBT
from agentflow_planner_llm.execution.batching import gather, make_batch
from agentflow_planner_llm.execution.calls import check_call, find_disappointment, make_action, result_of
from agentflow_planner_llm.execution.paying import leaves_room, pays
from agentflow_planner_llm.execution.routes import choose_route
from agentflow_planner_llm.execution.state import Fault, PlanRun
from agentflow_planner_llm.execution.values import filled, holds, name_call, write
from agentflow_planner_llm.plan.bounds import PARALLEL
from agentflow_planner_llm.plan.step import DEFAULT_RETRY, PAYING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.planner import Observation
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.moment import Moment
    from agentflow_planner_llm.limits import Allowance
    from agentflow_planner_llm.plan.step import Step
    from agentflow_planner_llm.settings import Budgets

    Object: TypeAlias = Mapping[str, JSON]

DEADLOCK = "AF-PLAN-DEADLOCK"
"""Steps are left, nothing runs, and nothing can start."""
PAUSED = "paused"
"""The cause of a halt after a step, where an executor pauses."""
_NEVER = float("inf")


class Executor:
    """Follows programs. It keeps nothing of a run: all that changes is in the :class:`PlanRun`."""

    __slots__ = ("budgets", "parallel", "replans", "pauses")

    def __init__(
        self, budgets: Budgets | Allowance, parallel: int = PARALLEL, *, replans: bool = False, pauses: bool = False
    ) -> None:
        self.budgets = budgets
        self.parallel = parallel
        self.replans = replans
        self.pauses = pauses
        """Whether nothing more starts after a step was done, until the run is told to go on."""

    def begin(self, run: PlanRun, moment: Moment) -> None:
        """Start what waits for nothing."""
        for number, left in enumerate(run.left):
            if not left and not run.status[number]:
                self._weigh(run, moment, number)
        self.go_on(run, moment)

    def observe(self, run: PlanRun, moment: Moment, observation: Observation) -> bool:
        """Take in how an action ended; false when it is none of this run's."""
        key, _, inner = observation.action_id.partition(".")
        number = run.running.get(key)
        if number is None or (inner and key not in run.members):
            return False
        if key in run.members:
            self._end_batch(run, moment, key, observation)
        else:
            self._end(run, moment, key, observation)
        self.go_on(run, moment)
        return True

    def ring(self, run: PlanRun, moment: Moment) -> None:
        """Do what is due: try again what has waited, stop what has had its time."""
        for number, due in sorted(run.wake_at.items()):
            if due <= moment.at:
                del run.wake_at[number]
                self._queue(run, number)
        for key, number in run.running.items():
            if run.until.get(number, _NEVER) <= moment.at:
                run.until[number] = _NEVER
                moment.draft.cancel.append(key)
        self.go_on(run, moment)

    def go_on(self, run: PlanRun, moment: Moment) -> None:
        """Look at what waited for the steps that have just ended, and start what may start."""
        while not self._halts(run):
            while moment.settled and not self._halts(run):
                self._release(run, moment, moment.settled.popleft())
            if not self._start_ready(run, moment):
                break
        at_work = run.running or run.ready or run.wake_at
        if not self._halts(run) and not at_work and run.settled < run.program.live:
            stuck = [number for number, each in enumerate(run.status) if not each and number not in run.program.pruned]
            names = ", ".join(map(repr, run.program.names(stuck)))
            run.fault = Fault(f"Nothing runs and nothing is ready, but these steps are left: {names}.", DEADLOCK)

    def _halts(self, run: PlanRun) -> bool:
        """Whether nothing more is started: the plan has failed, or another one is wanted."""
        return run.fault is not None or bool(run.cause)

    def close(self, run: PlanRun, moment: Moment, key: str, value: JSON, fault: Fault | None = None) -> None:
        """End the step that runs under a key, with its result or with a fault."""
        number = run.running.pop(key)
        run.until.pop(number, None)
        if fault is None:
            self._complete(run, moment, number, value)
        else:
            self._fail(run, moment, number, fault)
        self.go_on(run, moment)

    def is_done(self, run: PlanRun) -> bool:
        """Whether every step has ended."""
        return run.settled == run.program.live and not run.running

    def stop(self, run: PlanRun, moment: Moment) -> None:
        """Cancel everything that runs."""
        for key in sorted(run.running):
            moment.draft.cancel.append(f"{key}.batch" if key in run.members else key)
        run.running.clear()
        run.members.clear()
        run.ready.clear()
        run.held.clear()
        run.wake_at.clear()
        run.until.clear()

    def next_due(self, run: PlanRun) -> float | None:
        """The wall time at which the run has to be woken, or ``None``."""
        due = min([*run.wake_at.values(), *run.until.values()], default=_NEVER)
        return None if due == _NEVER else due

    def act(self, run: PlanRun, moment: Moment, key: str, arguments: Object) -> None:
        """Begin the work of the step that runs under a key."""
        moment.draft.start.append(make_action(key, run.program.steps[run.running[key]], arguments))

    def go_on_after_pause(self, run: PlanRun, moment: Moment) -> None:
        """Start what may start after the run was halted."""
        run.cause = ""
        run.count()
        self.begin(run, moment)

    # -- what is ready ---------------------------------------------------------------------------------------------

    def _release(self, run: PlanRun, moment: Moment, number: int) -> None:
        """Look at the followers of a step that has ended, and where it goes on."""
        step = run.program.steps[number]
        if step.routes and number not in run.taken:
            again = choose_route(run, moment, number)
            if again is not None:
                for each in again:
                    self._weigh(run, moment, each)
                return
        for follower in run.program.followers[number]:
            run.left[follower] -= 1
            if not run.left[follower] and not run.status[follower]:
                self._weigh(run, moment, follower)

    def _weigh(self, run: PlanRun, moment: Moment, number: int) -> None:
        """Decide whether a step whose needs have ended runs or is skipped."""
        program = run.program
        if number in program.pruned or number in program.twin_of:
            return
        step = program.steps[number]
        lost = [need for need in program.hard[number] if not _passes(run, need)]
        if lost:
            self._skip(run, moment, number, f"{program.steps[min(lost)].id!r} gave nothing")
            return
        sources = program.graph.routed.get(number)
        if sources is not None and not any(run.taken.get(source) == route for source, route in sources):
            self._skip(run, moment, number, "no route led to it")
            return
        if step.when is not None:
            try:
                wanted = holds(run, step.when)
            except ExpressionFailed as error:
                self._fail(run, moment, number, Fault(str(error), ExpressionFailed.code, final=True))
                return
            if not wanted:
                self._skip(run, moment, number, f"{step.when!r} is false")
                return
        self._queue(run, number)

    def _queue(self, run: PlanRun, number: int) -> None:
        run.status[number] = "waiting"
        heapq.heappush(run.ready, (run.program.rank[number], number))

    def _start_ready(self, run: PlanRun, moment: Moment) -> bool:
        """Start what is ready while there is room; whether steps have ended by that, so that others may be ready."""
        program = run.program
        limit = min(self.parallel, program.plan.limits.parallel or self.parallel)
        while run.ready and not moment.settled and not self._halts(run):
            if run.running:
                if len(run.running) >= limit or program.is_sequential(run.ready[0][1]):
                    break
                if program.is_sequential(next(iter(run.running.values()))):
                    break
                if not leaves_room(run, run.ready[0][1], self.budgets):
                    break
            _, number = heapq.heappop(run.ready)
            self._start(run, moment, number)
        return bool(moment.settled)

    # -- one step --------------------------------------------------------------------------------------------------

    def _start(self, run: PlanRun, moment: Moment, number: int) -> None:
        """Make the action of a step, or say why it cannot be made."""
        program = run.program
        step = program.steps[number]
        arguments = self._arguments(run, moment, number)
        if arguments is None:
            return
        if number in program.cached:
            call = name_call(step, arguments)
            if call in run.cache:
                self._complete(run, moment, number, run.cache[call])
                return
            if call in run.asked.values():
                run.held[number] = call
                return
            run.asked[number] = call
        if not self.may_pay(run, moment, step):
            return
        key = self._next_key(run, step.id)
        run.status[number] = "running"
        run.running[key] = number
        if number in program.batches and number not in run.alone:
            members = gather(run, number, arguments, self.budgets)
            if len(members) > 1:
                self._start_batch(run, moment, key, members)
                return
        if step.timeout is not None:
            run.until[number] = moment.at + step.timeout
        if program.effects[number] == "effect":
            run.log[name_call(step, arguments)] = step.id
        self.act(run, moment, key, arguments)
        moment.tell("step.started", id=step.id, action=key, kind=step.kind, name=step.name)

    def _arguments(self, run: PlanRun, moment: Moment, number: int) -> Object | None:
        """The arguments with everything filled in; fails the step where that cannot be, or the call is not allowed."""
        step = run.program.steps[number]
        arguments: Object = step.args
        if run.program.graph.references[number]:
            try:
                arguments = filled(run, number)
            except InputInvalid as error:
                self._fail(run, moment, number, Fault(str(error), InputInvalid.code, final=True))
                return None
            fault = check_call(step, arguments, run.program.tools)
            if fault is not None:
                self._fail(run, moment, number, fault)
                return None
        return arguments

    def may_pay(self, run: PlanRun, moment: Moment, step: Step) -> bool:
        """Whether the budgets allow one more call; the plan ends where they do not."""
        if step.kind in PAYING:
            budget = run.ledger.budget_against_model(self.budgets)
            run.ledger.model_calls += budget is None
        elif step.kind == "tool":
            budget = run.ledger.budget_against_tools(self.budgets, 1)
            run.ledger.tool_calls += budget is None
        elif pays(step):
            budget = run.ledger.budget_against_model(self.budgets)
        else:
            return True
        if budget is not None:
            text = f"The budget {budget!r} is used up before step {step.id!r}."
            run.fault = Fault(text, BudgetExceeded.code, reason=f"budget.{budget}")
        return budget is None

    def _next_key(self, run: PlanRun, name: str) -> str:
        """The id of the next action of a step: its own the first time, then ``build#2``."""
        turn = run.turns[name] = run.turns.get(name, 0) + 1
        return name if turn == 1 else f"{name}#{turn}"

    def _end(self, run: PlanRun, moment: Moment, key: str, observation: Observation) -> None:
        """Take in how the action of one step ended."""
        number = run.running.pop(key)
        elapsed = run.until.pop(number, 0) == _NEVER
        step = run.program.steps[number]
        if observation.kind == "error":
            message, code, executed = read_error(observation.value)
            run.ledger.unpriced_calls += step.kind == "model" and executed != "no"
            self._fail(run, moment, number, Fault(message, code, executed))
        elif observation.kind == "cancelled":
            if elapsed:
                text = f"Step {step.id!r} was not done within {step.timeout:g} s."
                self._fail(run, moment, number, Fault(text, Elapsed.code, "maybe"))
            else:
                text = f"Step {step.id!r} was cancelled."
                self._fail(run, moment, number, Fault(text, RunCancelled.code, "maybe", final=True))
        else:
            value, fault = result_of(run, step, observation.value)
            if fault is None:
                self._complete(run, moment, number, value)
            else:
                self._fail(run, moment, number, fault)

    def _complete(self, run: PlanRun, moment: Moment, number: int, value: JSON) -> None:
        """A step has a result: check it, keep it, and write what it writes."""
        step = run.program.steps[number]
        fault = find_disappointment(run, step, value)
        if fault is None and step.writes:
            problem = write(run, number, value)
            if problem:
                fault = Fault(f"Step {step.id!r}: {problem}.", OutputInvalid.code, "yes", final=True)
        if fault is not None:
            self._fail(run, moment, number, fault)
            return
        call = self._answer_held(run, number)
        if call is not None:
            run.cache.setdefault(call, value)
        self._settle(run, moment, number, "done", value)

    def _fail(self, run: PlanRun, moment: Moment, number: int, fault: Fault) -> None:
        """A step went wrong: try again, go on without it, or stop."""
        step = run.program.steps[number]
        self._answer_held(run, number)
        tries = run.tries[number] = run.tries.get(number, 0) + 1
        safe = fault.executed == "no" or run.program.effects[number] != "effect"
        if tries < step.attempts and safe and not fault.final:
            delay = (step.retry or DEFAULT_RETRY).delay_s(tries)
            run.status[number] = "waiting"
            run.wake_at[number] = moment.at + delay
            moment.tell("step.retried", id=step.id, code=fault.code, after_s=delay)
            return
        if step.on_error in {"replan", "skip", "continue"} and not safe:
            fault.message = f"{fault.message} {IN_DOUBT}"
        moment.tell("step.failed", id=step.id, code=fault.code, message=fault.message)
        if step.on_error == "replan" and self.replans:
            run.cause = f"Step {step.id!r} failed: {fault.message} [{fault.code}]"
            self._settle(run, moment, number, "failed", None, fault)
        elif step.on_error in {"skip", "continue"}:
            self._settle(run, moment, number, "failed", None, fault)
        else:
            self._settle(run, moment, number, "failed", None, fault)
            tail = "" if step.attempts == 1 or safe else " It was not tried again: it may have had its effect."
            run.fault = Fault(f"Step {step.id!r} failed: {fault.message}{tail}", fault.code, fault.executed)

    def _skip(self, run: PlanRun, moment: Moment, number: int, why: str) -> None:
        step = run.program.steps[number]
        moment.tell("step.skipped", id=step.id, reason=why)
        self._settle(run, moment, number, "skipped", None, Fault(f"Skipped: {why}.", ""))

    def _settle(
        self, run: PlanRun, moment: Moment, number: int, status: str, value: JSON, fault: Fault | None = None
    ) -> None:
        """Note how a step ended, and with it the steps that are the same call."""
        for each in (number, *run.program.twins.get(number, ())):
            step = run.program.steps[each]
            entry: dict[str, JSON] = {"status": status}
            if status == "done" or (status == "failed" and step.on_error == "continue"):
                entry["result"] = value
            if fault is not None:
                entry["error"] = {"code": fault.code, "message": fault.message}
            run.outcome[step.id] = entry
            run.status[each] = status
            run.settled += 1
            moment.settled.append(each)
        if status == "done":
            moment.tell("step.done", id=run.program.steps[number].id)
            if self.pauses and run.settled < run.program.live + 1:
                run.cause = PAUSED

    # -- calls in batch form and calls made before -----------------------------------------------------------------

    def _answer_held(self, run: PlanRun, number: int) -> str | None:
        """The call whose result is kept that a step has made; the steps that have waited for it are ready."""
        call = run.asked.pop(number, None)
        if call is not None and run.held:
            for each in [each for each, wanted in run.held.items() if wanted == call]:
                del run.held[each]
                self._queue(run, each)
        return call

    def _start_batch(self, run: PlanRun, moment: Moment, key: str, members: Sequence[tuple[int, Object]]) -> None:
        run.members[key] = [each for each, _ in members]
        for number, arguments in members:
            if number in run.program.cached:
                run.asked[number] = name_call(run.program.steps[number], arguments)
        action = make_batch(run, key, members)
        moment.draft.start.append(action)
        moment.tell("batch.started", action=action.id, name=action.name, steps=run.program.names(run.members[key]))

    def _end_batch(self, run: PlanRun, moment: Moment, key: str, observation: Observation) -> None:
        """Give each step of a batch its result; where there are none, each makes its call alone."""
        members = run.members.pop(key)
        del run.running[key]
        values = observation.value
        if observation.kind == "result" and isinstance(values, list) and len(values) == len(members):
            for number, value in zip(members, values, strict=True):
                self._complete(run, moment, number, value)
            return
        run.alone.update(members)
        for number in members:
            self._answer_held(run, number)
            self._queue(run, number)


def _passes(run: PlanRun, number: int) -> bool:
    """Whether what needs a step may run now that it has ended."""
    status = run.status[number]
    return status == "done" or (status == "failed" and run.program.steps[number].on_error == "continue")
