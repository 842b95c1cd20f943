"""Settings: how far a tool loop may go, and how it treats tools and answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agentflow_planner_llm.limits import DEFAULTS


class Budgets(BaseModel):
    """What one run may use; ``None`` is no limit. A limit is checked before the action that it pays for."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model_calls: int | None = Field(default=None, ge=0, description="Calls of the model, repairs included.")
    tool_calls: int | None = Field(
        default=None,
        ge=0,
        description="Tool calls started. Those of a turn are paid for together: a turn that does not fit starts none.",
    )
    tokens: int | None = Field(
        default=None,
        ge=0,
        description="Input and output tokens of all model calls; no further call is made once they reach this number.",
    )
    cost_usd: float | None = Field(
        default=None,
        ge=0,
        description="US dollars of all model calls; none is made once they reach it, or after a call without a price.",
    )
    wall_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds from the start of the run; the planner has no clock, so this sets a timer of the engine.",
    )


class ToolLoopSettings(BaseModel):
    """Settings of the planner ``tools``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_iterations: int = Field(
        default=DEFAULTS.max_iterations,
        ge=1,
        description="Turns of the model; in the last one no tools are offered. A repair belongs to its turn.",
    )
    parallel_tools: int = Field(
        default=DEFAULTS.parallel_tools, ge=1, description="Calls of a turn that may run at the same time."
    )
    repairs: int = Field(
        default=DEFAULTS.repairs,
        ge=0,
        description="How often in a run the model may answer again because its answer did not fit the output schema.",
    )
    repeat_limit: int = Field(
        default=DEFAULTS.repeat_limit,
        ge=2,
        description="Equal calls with equal results in a row before the model is warned, once; then the loop stops.",
    )
    tool_error_limit: int = Field(
        default=DEFAULTS.tool_error_limit,
        ge=1,
        description="Turns in a row in which every call of one tool may go wrong; at this number the loop stops.",
    )
    max_result_chars: int = Field(
        default=DEFAULTS.max_result_chars,
        ge=1,
        description="Characters of a tool's result that the model is shown; the rest is cut off, and the text says so.",
    )
    budgets: Budgets = Field(default=Budgets(), description="What one run may use.")
