"""Settings of the strategies: how often a model is asked, and how far its plans may go."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agentflow_planner_llm.plan_settings import Bounds, Pass, Permissions
from agentflow_planner_llm.settings import Budgets, ToolLoopSettings


class StrategySettings(BaseModel):
    """What all strategies have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repairs: int = Field(
        default=2, ge=0, description="How often in a row the model may answer again because its answer cannot be used."
    )
    max_result_chars: int = Field(
        default=20_000, ge=1, description="Characters of a result that the model is shown; the rest is cut off."
    )
    budgets: Budgets = Field(default=Budgets(), description="What one run may use, its loops and plans included.")


class PlannedSettings(StrategySettings):
    """What strategies with a plan have besides."""

    max_replans: int = Field(default=2, ge=0, description="New plans in a run, after the first.")
    listen: bool = Field(
        default=False, description="Whether a signal named input is new input, which leads to a new plan."
    )
    reserve: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="Share of the budgets of calls, tokens and cost: when only that is left, a shorter plan is made.",
    )
    parallel: int = Field(default=8, ge=1, description="Steps that run at the same time.")
    optimise: tuple[Pass, ...] = Field(
        default=("needs", "order", "merge", "prune", "hoist", "cache", "batch"),
        description="The optimisations that are made of each plan, each by its name.",
    )
    cache: tuple[str, ...] = Field(
        default=(), description="Patterns of pure tools whose results stay the same during a run."
    )
    approval: bool = Field(default=False, description="Whether a person has to agree to each plan before it runs.")
    bounds: Bounds = Field(default=Bounds(steps=100), description="What a plan may use at worst.")
    permissions: Permissions = Field(default=Permissions(), description="Which tools a plan may call.")


class PlanAndExecuteSettings(PlannedSettings):
    """Settings of the planner ``plan-and-execute``."""

    observe: bool = Field(
        default=True, description="Whether the model is asked after each step if the plan is still right."
    )
    loop: ToolLoopSettings = Field(
        default=ToolLoopSettings(max_iterations=5), description="The loop that does one step."
    )


class AdaptSettings(StrategySettings):
    """Settings of the planner ``adapt``."""

    max_depth: int = Field(default=3, ge=0, description="How deep a task may be taken apart; 0 never does.")
    max_subtasks: int = Field(default=5, ge=1, description="Subtasks of one task.")
    loop: ToolLoopSettings = Field(default=ToolLoopSettings(max_iterations=5), description="The loop of one attempt.")


class ReflexionSettings(StrategySettings):
    """Settings of the planner ``reflexion``."""

    episodes: int = Field(default=3, ge=1, description="Attempts at the task.")
    memory: int = Field(default=3, ge=1, description="Reflections that the next attempt is shown, the last ones.")
    loop: ToolLoopSettings = Field(default=ToolLoopSettings(), description="The loop of one attempt.")
