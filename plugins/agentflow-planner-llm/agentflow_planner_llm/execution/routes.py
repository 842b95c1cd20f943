"""Routes: where a plan goes on after a step, and what is done again where that is back."""

from __future__ import annotations

from collections import deque

from agentflow_kernel.errors import ExpressionFailed, PlanLoopError
from agentflow_planner_llm.execution.state import SETTLED, Fault
from agentflow_planner_llm.execution.values import holds, settle_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_planner_llm.execution.moment import Moment
    from agentflow_planner_llm.execution.state import PlanRun


def choose_route(run: PlanRun, moment: Moment, number: int) -> list[int] | None:
    """Choose the way on from a step that has ended; one that gave nothing goes nowhere.

    ``None`` where the plan goes on; else nothing may follow the step yet, and these are the steps that may be ready.
    """
    program = run.program
    step = program.steps[number]
    run.taken[number] = -1
    if run.status[number] != "done":
        return None
    for position, route in enumerate(step.routes):
        if route.when is not None:
            try:
                if not holds(run, route.when, run.outcome[step.id].get("result")):
                    continue
            except ExpressionFailed as error:
                run.fault = Fault(f"Step {step.id!r}: {error}", ExpressionFailed.code)
                return []
        run.taken[number] = position
        loop = program.loops.get((number, position))
        if loop is None:
            return None
        rounds = run.rounds.get((number, position), 0)
        if rounds >= loop.most:
            cycle = [program.steps[each].id for each in sorted(loop.body, key=program.position.__getitem__)]
            endless = PlanLoopError(step.id, loop.most, [*cycle, cycle[0]])
            run.fault = Fault(str(endless), PlanLoopError.code)
            return []
        run.rounds[number, position] = rounds + 1
        moment.tell("loop.repeated", id=step.id, to=route.to, round=rounds + 1)
        return _go_back(run, moment, loop.body - loop.kept, number)
    return None


def _go_back(run: PlanRun, moment: Moment, body: frozenset[int], source: int) -> list[int]:
    """Let the steps of a loop wait again for each other, as if they had not run."""
    program = run.program
    settle_state(run)
    for number in body:
        run.settled -= run.status[number] in SETTLED
        run.status[number] = ""
        run.outcome.pop(program.steps[number].id, None)
        run.taken.pop(number, None)
        run.tries.pop(number, None)
        run.held.pop(number, None)
    for place in [place for place in run.rounds if place[0] in body and place[0] != source]:
        del run.rounds[place]
    moment.settled = deque(number for number in moment.settled if number not in body)
    told = set(moment.settled)
    for number, needs in enumerate(program.after):
        if number in body or not needs.isdisjoint(body):
            run.left[number] = sum(run.status[need] not in SETTLED or need in told for need in needs)
    ordered = sorted(body, key=program.position.__getitem__)
    return [number for number in ordered if not run.left[number] and not run.status[number]]
