"""A verdict: whether a failed call may be tried again, and if not, why."""

from __future__ import annotations

from agentflow_kernel.errors import (
    AgentFlowError,
    BudgetExceeded,
    ControlFlow,
    CorruptRecord,
    Fenced,
    NewerSchema,
    NonDeterminism,
    OutcomeUnknown,
    OutputInvalid,
    PlanError,
    Refused,
    RunCancelled,
    RunSuspended,
    UsageError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_kernel.contracts.policy import Request

FINAL = (
    UsageError,
    Refused,
    ControlFlow,
    BudgetExceeded,
    Fenced,
    # what is stored stays as it is
    CorruptRecord,
    NewerSchema,
    NonDeterminism,
    OutcomeUnknown,
    # the model was asked again already
    OutputInvalid,
    PlanError,
    # somebody wanted it to end
    RunCancelled,
    RunSuspended,
)
"""What another attempt cannot change, whether or not the call was executed."""


def why_final(failure: Exception, request: Request) -> str | None:
    """Why the call is not to be tried again; `None` if it may be.

    It may be when it was not executed, or is idempotent. An unknown exception counts as perhaps executed. A group of
    exceptions may be tried again when each of its members may.
    """
    for error in _members(failure):
        if isinstance(error, FINAL):
            return f"another attempt does not help against {type(error).__name__}"
        executed = error.executed if isinstance(error, AgentFlowError) else "maybe"
        if executed != "no" and not request.idempotent:
            return f"it {'was' if executed == 'yes' else 'may have been'} executed and is not idempotent"
    return None


def asked_wait_s(failure: Exception) -> float | None:
    """The longest wait that the failure asks for, in seconds, if it asks for one."""
    waits_s = [error.retry_after_s for error in _members(failure) if isinstance(error, AgentFlowError)]
    return max((wait_s for wait_s in waits_s if wait_s is not None), default=None)


def _members(failure: Exception) -> Iterator[Exception]:
    if isinstance(failure, ExceptionGroup):
        for error in failure.exceptions:
            yield from _members(error)
    else:
        yield failure
