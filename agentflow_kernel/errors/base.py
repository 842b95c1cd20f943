"""The base of all errors: a code, whether the action took effect, and what a run does about it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Executed = Literal["no", "maybe", "yes"]


PUBLIC = "agentflow_kernel.errors"
"""Where users import errors from: tracebacks and traces name them by it, not by the file they stand in."""


class AgentFlowError(Exception):
    """Base of all errors raised by the kernel and its plugins."""

    __module__ = PUBLIC
    code = "AF-ERROR"
    executed: Executed = "maybe"
    retry_after_s: float | None = None
    resumable = False
    """Whether a durable run that meets it is suspended: it will go on once its surroundings are put right."""
    spares_nothing = False
    """Whether every other item of a batch would meet it too: such an error is neither skipped nor collected."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith(f"{PUBLIC}."):
            cls.__module__ = PUBLIC

    def __init__(self, message: str, *, retry_after_s: float | None = None, executed: Executed | None = None) -> None:
        super().__init__(message)
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s
        if executed is not None:
            self.executed = executed
