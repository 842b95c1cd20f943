"""Paying: which steps a budget has to bear, and whether it bears one more beside those that run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_planner_llm.execution.state import PlanRun
    from agentflow_planner_llm.limits import Allowance
    from agentflow_planner_llm.settings import Budgets

PAYING = ("model", "agent")
"""Kinds of steps that ask a model."""


def leaves_room(run: PlanRun, number: int, budgets: Budgets | Allowance) -> bool:
    """Whether the budgets of tokens and money bear a step beside those that run, by the estimates of all of them.

    What a step without an estimate will use is not known: it runs beside no other one that asks a model.
    """
    limits = ((budgets.tokens, "tokens"), (budgets.cost_usd, "usd"))
    steps = run.program.steps
    if steps[number].kind not in PAYING or all(limit is None for limit, _ in limits):
        return True
    beside = [steps[each] for each in run.running.values() if steps[each].kind in PAYING]
    if not beside:
        return True
    ledger = run.ledger
    used = {"tokens": ledger.input_tokens + ledger.output_tokens, "usd": ledger.cost_usd}
    for limit, name in limits:
        if limit is None:
            continue
        total: float = used[name]
        for step in (*beside, steps[number]):
            amount: float | None = None if step.cost_estimate is None else getattr(step.cost_estimate, name)
            if amount is None:
                return False
            total += amount
        if total > limit * (1 + 1e-9):
            return False
    return True
