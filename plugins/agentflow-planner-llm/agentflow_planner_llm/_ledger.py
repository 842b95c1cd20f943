"""The ledger: what a run has used so far, and which budget forbids the next action."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.limits import Allowance
    from agentflow_planner_llm.settings import Budgets

_TINY_USD = 1e-9
"""Sums of prices are off by less than this; without it ten cents eight times stay below 0.8."""


class Ledger:
    """The totals of one run."""

    __slots__ = (
        "model_calls",
        "tool_calls",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "cost_usd",
        "unpriced_calls",
    )

    def __init__(self) -> None:
        self.model_calls = 0
        self.tool_calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cached_tokens = 0
        self.cost_usd = 0.0
        self.unpriced_calls = 0

    def settle(self, usage: Mapping[str, JSON]) -> None:
        """Add what one answer of the model consumed."""
        self.input_tokens += _tokens(usage.get("input_tokens"))
        self.output_tokens += _tokens(usage.get("output_tokens"))
        self.cached_tokens += _tokens(usage.get("cached_tokens"))
        price = usage.get("cost_usd")
        if isinstance(price, (int, float)):
            self.cost_usd += price
        else:
            self.unpriced_calls += 1

    def settle_part(self, used: Mapping[str, JSON], paid: int) -> None:
        """Add what the models of an agent, flow or plan have used, of which ``paid`` calls are counted already."""
        self.model_calls += max(_tokens(used.get("model_calls")) - paid, 0)
        self.input_tokens += _tokens(used.get("input_tokens"))
        self.output_tokens += _tokens(used.get("output_tokens"))
        self.cached_tokens += _tokens(used.get("cached_tokens"))
        self.unpriced_calls += _tokens(used.get("unpriced_calls"))
        cost = used.get("cost_usd")
        self.cost_usd += cost if isinstance(cost, (int, float)) else 0

    def budget_against_model(self, budgets: Budgets | Allowance) -> str | None:
        """The budget that forbids one more call of the model, or ``None``."""
        if budgets.model_calls is not None and self.model_calls >= budgets.model_calls:
            return "model_calls"
        if budgets.tokens is not None and self.input_tokens + self.output_tokens >= budgets.tokens:
            return "tokens"
        limit = budgets.cost_usd
        if limit is not None and (self.unpriced_calls or self.cost_usd + _TINY_USD >= limit):
            return "cost_usd"
        return None

    def budget_against_tools(self, budgets: Budgets | Allowance, count: int) -> str | None:
        """The budget that forbids ``count`` more tool calls, or ``None``."""
        if budgets.tool_calls is not None and self.tool_calls + count > budgets.tool_calls:
            return "tool_calls"
        return None

    def usage(self) -> dict[str, JSON]:
        """The totals to show; the cost is ``None`` unless every call had a price."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "cost_usd": None if self.unpriced_calls else self.cost_usd,
        }

    def dump(self) -> dict[str, JSON]:
        """The ledger as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def load(cls, document: Mapping[str, JSON]) -> Ledger:
        """The ledger that :meth:`dump` wrote."""
        ledger = cls()
        for name in cls.__slots__:
            setattr(ledger, name, document[name])
        return ledger


def _tokens(amount: JSON) -> int:
    return amount if isinstance(amount, int) else 0
