"""Settings: how far a statechart may go without coming to rest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class StatechartSettings(BaseModel):
    """Settings of the planner ``fsm``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_microsteps: int = Field(
        default=1_000,
        ge=1,
        le=1_000_000,
        description="Microsteps that may follow from one event; beyond it the run ends with ``AF-PLAN-LOOP``.",
    )
