"""Timeout: ends a call that has not answered in time."""

from agentflow_resilience.timeout._policy import Timeout
from agentflow_resilience.timeout.settings import TimeoutSettings

__all__ = ("Timeout", "TimeoutSettings")
