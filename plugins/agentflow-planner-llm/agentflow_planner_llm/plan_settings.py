"""Settings of plans: what they may use, which tools they may call, and how they are made quicker."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agentflow_planner_llm.settings import Budgets


class Bounds(BaseModel):
    """What a plan may use at worst, worked out before it runs; ``None`` is no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    steps: int | None = Field(default=10_000, ge=1, description="Steps, each as often as its loops may repeat it.")
    depth: int | None = Field(default=None, ge=1, description="Steps of the longest chain.")
    usd: float | None = Field(default=None, ge=0, description="US dollars, over all branches, loops and tries.")
    seconds: float | None = Field(
        default=None, ge=0, description="Seconds, with as many steps at a time as may run at once."
    )
    tokens: int | None = Field(default=None, ge=0, description="Tokens of all models.")
    model_calls: int | None = Field(default=None, ge=0, description="Calls of models.")


class Permissions(BaseModel):
    """Which tools a plan may call and what may reach them, by patterns of their full names such as ``files.*``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    denied: tuple[str, ...] = Field(default=(), description="Tools that no plan may call.")
    approved: tuple[str, ...] = Field(default=(), description="Tools that need a person's approval.")
    approver: bool = Field(default=True, description="Whether there is a person who can approve.")
    trusted: tuple[str, ...] = Field(
        default=(), description="Tools whose results may reach a parameter marked x-trusted."
    )
    trust_input: bool = Field(default=False, description="Whether the run's input may reach such a parameter.")

    @property
    def withheld(self) -> tuple[str, ...]:
        """Tools that may not take the place of others: nobody was asked whether the plan may call them."""
        return (*self.denied, *self.approved)


Pass = Literal["needs", "order", "merge", "prune", "hoist", "cache", "batch"]


class PlanSettings(BaseModel):
    """Settings of the planner ``dag``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parallel: int = Field(default=8, ge=1, description="Steps that run at the same time; a plan may ask for fewer.")
    optimise: tuple[Pass, ...] = Field(
        default=("needs", "order", "merge", "prune", "hoist", "cache", "batch"),
        description="The optimisations that are made, each by its name.",
    )
    cache: tuple[str, ...] = Field(
        default=(),
        description="Patterns of pure tools whose results stay the same during a run: equal calls are made once.",
    )
    approval: bool = Field(default=False, description="Whether a person has to agree to each plan before it runs.")
    bounds: Bounds = Field(default=Bounds(), description="What a plan may use at worst.")
    permissions: Permissions = Field(default=Permissions(), description="Which tools a plan may call.")
    budgets: Budgets = Field(default=Budgets(), description="What one run may use.")
