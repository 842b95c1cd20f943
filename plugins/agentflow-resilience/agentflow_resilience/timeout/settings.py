"""Settings of the policy `timeout`: how long."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TimeoutSettings(BaseModel):
    """How long one call may take."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    timeout_s: float = Field(gt=0, allow_inf_nan=False)
    """Longest time of one call, in seconds. Inside `retry` each attempt has it, outside of it all together."""
