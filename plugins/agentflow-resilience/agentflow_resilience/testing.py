"""The harnesses of the policies: what the conformance kit needs to test each of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, ClassVar

from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.testing import FakeClock
from agentflow_resilience.retry import Retry, RetrySettings
from agentflow_resilience.timeout import Timeout, TimeoutSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.policy import Policy


class PolicyHarness:
    """What both have in common: a clock of the test, which moves itself when somebody waits for it."""

    kind: ClassVar[str] = "policy"
    known_deviations: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        self.clock = FakeClock(auto=True)

    def context(self) -> PluginContext:
        """A context with a clock and a random source of its own."""
        self.clock = FakeClock(auto=True)
        return PluginContext("policy", clock=self.clock, random=Random(1))  # noqa: S311 -- waits, no secrets


class RetryHarness(PolicyHarness):
    """Opens a `retry` of five attempts."""

    declared: ClassVar[Mapping[str, bool]] = {"repeats": True, "ends-late-calls": False}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Policy]:
        """A fresh policy."""
        yield Retry(RetrySettings(attempts=5), self.context())


class TimeoutHarness(PolicyHarness):
    """Opens a `timeout` of half a second."""

    declared: ClassVar[Mapping[str, bool]] = {"repeats": False, "ends-late-calls": True}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Policy]:
        """A fresh policy."""
        yield Timeout(TimeoutSettings(timeout_s=0.5), self.context())
