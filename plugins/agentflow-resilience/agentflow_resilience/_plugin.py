"""The hooks of this distribution."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import PolicySpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_policies() -> Sequence[PolicySpec]:
    """The policies `retry` and `timeout`."""
    return (
        PolicySpec(
            "retry",
            "agentflow_resilience.retry:Retry",
            "agentflow_resilience.retry:RetrySettings",
            summary="Repeats a failed call that was not executed or is idempotent, after growing random waits.",
        ),
        PolicySpec(
            "timeout",
            "agentflow_resilience.timeout:Timeout",
            "agentflow_resilience.timeout:TimeoutSettings",
            summary="Ends a call that has not answered in time.",
        ),
    )
