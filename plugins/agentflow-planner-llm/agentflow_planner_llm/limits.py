"""Limits: how far a tool loop may go; the settings of the planner document them, and check them for manifests."""

from __future__ import annotations

from agentflow_kernel.contracts.values import Value


class Allowance(Value):
    """What one run may use; ``None`` is no limit."""

    __slots__ = ("model_calls", "tool_calls", "tokens", "cost_usd", "wall_s")

    def __init__(
        self,
        *,
        model_calls: int | None = None,
        tool_calls: int | None = None,
        tokens: int | None = None,
        cost_usd: float | None = None,
        wall_s: float | None = None,
    ) -> None:
        self.model_calls = model_calls
        self.tool_calls = tool_calls
        self.tokens = tokens
        self.cost_usd = cost_usd
        self.wall_s = wall_s


class Limits(Value):
    """Costs nothing to import, where a settings model brings pydantic. The values are not checked."""

    __slots__ = (
        "max_iterations", "parallel_tools", "repairs", "repeat_limit", "tool_error_limit", "max_result_chars", "budgets"
    )  # fmt: skip

    def __init__(
        self,
        *,
        max_iterations: int = 10,
        parallel_tools: int = 4,
        repairs: int = 1,
        repeat_limit: int = 3,
        tool_error_limit: int = 5,
        max_result_chars: int = 20_000,
        budgets: Allowance | None = None,
    ) -> None:
        self.max_iterations = max_iterations
        self.parallel_tools = parallel_tools
        self.repairs = repairs
        self.repeat_limit = repeat_limit
        self.tool_error_limit = tool_error_limit
        self.max_result_chars = max_result_chars
        self.budgets = Allowance() if budgets is None else budgets


DEFAULTS = Limits()
