"""Settings of the policy `retry`: how often, and how long between two attempts."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class RetrySettings(BaseModel):
    """How often a call is tried, and the bounds of the waits in between."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    attempts: int = Field(default=3, ge=1, le=100)
    """Most attempts of one call, the first one included."""

    base_s: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    """Upper bound of the first wait, in seconds; each wait is drawn evenly between 0 and its bound."""

    factor: float = Field(default=2.0, ge=1, le=10, allow_inf_nan=False)
    """What the bound is multiplied with from one wait to the next."""

    max_s: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    """Largest bound of a wait, in seconds. A peer's own `retry_after_s` may ask for more, up to `max_retry_after_s`."""

    max_retry_after_s: float = Field(default=300.0, ge=0, allow_inf_nan=False)
    """Longest `retry_after_s` that is waited for; a peer that asks for more is given up at once."""

    deadline_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """No attempt begins later than this after the first one began, in seconds; none means no such limit."""

    @model_validator(mode="after")
    def _bounds_grow(self) -> Self:
        if self.max_s < self.base_s:
            message = f"max_s must be at least base_s, here {self.base_s:g}"
            raise ValueError(message)
        return self
