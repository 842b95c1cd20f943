"""Retry: repeats a failed call that was not executed or is idempotent, after growing random waits."""

from agentflow_resilience.retry._policy import Retry
from agentflow_resilience.retry.settings import RetrySettings

__all__ = ("Retry", "RetrySettings")
