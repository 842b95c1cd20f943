"""Paying: which steps a budget has to bear, whether it bears one more beside those that run, and what they used."""

from __future__ import annotations

from agentflow_planner_llm.plan.step import PAYING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.planner import Observation
    from agentflow_planner_llm.execution.state import PlanRun
    from agentflow_planner_llm.limits import Allowance
    from agentflow_planner_llm.plan.step import Step
    from agentflow_planner_llm.settings import Budgets


def pays(step: Step) -> bool:
    """Whether budgets of models have to bear a step: of flows and plans those that are said to ask models."""
    if step.kind in PAYING:
        return True
    said = step.cost_estimate
    return step.kind in {"flow", "plan"} and said is not None and bool(said.usd or said.tokens or said.model_calls)


def leaves_room(run: PlanRun, number: int, budgets: Budgets | Allowance) -> bool:
    """Whether the budgets of tokens and money bear a step beside those that run, by the estimates of all of them.

    What a step without an estimate will use is not known: it runs beside no other one that asks a model.
    """
    limits = ((budgets.tokens, "tokens"), (budgets.cost_usd, "usd"))
    steps = run.program.steps
    if not pays(steps[number]) or all(limit is None for limit, _ in limits):
        return True
    beside = [steps[each] for each in run.running.values() if pays(steps[each])]
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


def settle_use(run: PlanRun, observation: Observation) -> None:
    """Enter what the models below an action have used, also below one that nobody waits for any more.

    An agent has paid for one call when it began.
    """
    used = observation.used
    if used:
        number = run.running.get(observation.action_id)
        run.ledger.settle_part(used, number is None or run.program.steps[number].kind in PAYING)
