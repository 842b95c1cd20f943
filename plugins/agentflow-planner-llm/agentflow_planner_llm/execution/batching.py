"""Batching: calls that are ready together and differ in one argument, made as one call of the tool's batch form."""

from __future__ import annotations

import heapq

from agentflow_kernel.contracts.planner import Action
from agentflow_kernel.errors import InputInvalid
from agentflow_planner_llm.execution.calls import check_call
from agentflow_planner_llm.execution.values import filled
from agentflow_planner_llm.plan.document import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.state import PlanRun
    from agentflow_planner_llm.limits import Allowance
    from agentflow_planner_llm.settings import Budgets

    Object: TypeAlias = Mapping[str, JSON]


def gather(run: PlanRun, number: int, arguments: Object, budgets: Budgets | Allowance) -> list[tuple[int, Object]]:
    """The steps that are ready and differ from this one in one argument only, each with its arguments."""
    batch = run.program.batches[number]
    rest = canonical({name: value for name, value in arguments.items() if name != batch.parameter})
    name = run.program.steps[number].name
    found = [(number, arguments)]
    for place in sorted(run.ready):
        other = place[1]
        if other not in run.program.batches or other in run.alone or run.program.steps[other].name != name:
            continue
        if run.ledger.budget_against_tools(budgets, 1) is not None:
            break
        given = peek(run, other)
        if given is None or canonical({k: v for k, v in given.items() if k != batch.parameter}) != rest:
            continue
        run.ledger.tool_calls += 1
        run.ready.remove(place)
        run.status[other] = "running"
        found.append((other, given))
    heapq.heapify(run.ready)
    return found


def peek(run: PlanRun, number: int) -> Object | None:
    """The arguments of a step, or ``None`` where they cannot be filled in."""
    step = run.program.steps[number]
    try:
        given = filled(run, number)
    except InputInvalid:
        return None
    return given if check_call(step, given, run.program.tools) is None else None


def make_batch(run: PlanRun, key: str, members: Sequence[tuple[int, Object]]) -> Action:
    """The one call for steps with these arguments; its id is that of the first with ``.batch``."""
    number, arguments = members[0]
    batch = run.program.batches[number]
    given = {name: value for name, value in arguments.items() if name != batch.parameter}
    given[batch.list] = [each.get(batch.parameter) for _, each in members]
    return Action(f"{key}.batch", "tool", batch.tool, given)
