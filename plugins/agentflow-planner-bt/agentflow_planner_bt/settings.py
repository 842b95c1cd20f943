"""The settings of the planner `bt`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TreeSettings(BaseModel):
    """How trees are ticked where their documents do not say so."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    tick_every_s: float | None = Field(default=None, gt=0)
    """Seconds after which a running tree is ticked although nothing has happened; None for never."""
    tick_gap_s: float = Field(default=0.05, gt=0)
    """Seconds until the next tick where nothing but the tree itself asks for one, such as a loop without an end."""
    rounds: int = Field(default=1_000, ge=1)
    """How often one tick goes through the tree at most, where loops give way."""
