"""The fault table: for each fault of a server the kernel's error and how many attempts are made of it.

A script: prints the table with `executed`, when to come again, and the attempts of the policy `retry` with its default
settings. Needs agentflow-resilience.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import anyio
from openai_faults import CASES

from agentflow_http.testing import ScriptedServer
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.policy import Request
from agentflow_kernel.contracts.provider import Message, ModelRequest
from agentflow_kernel.errors import AgentFlowError
from agentflow_kernel.testing.clock import FakeClock
from agentflow_openai.provider import OpenAIProvider
from agentflow_openai.settings import OpenAISettings
from agentflow_resilience.retry import Retry, RetrySettings

if TYPE_CHECKING:
    from openai_faults import FaultCase

_ASK = ModelRequest([Message("user", "Hi")])
_MOST = 10


async def measure(case: FaultCase) -> tuple[str, ...]:
    """One row: the fault happens to every attempt."""
    retry = Retry(RetrySettings(), PluginContext("retry", clock=FakeClock(auto=True), random=Random(0)))
    async with ScriptedServer([case.answer] * _MOST) as server:
        settings = OpenAISettings(
            base_url=f"{server.url}/v1", api_key_env="OPENAI_API_KEY", model="terra", **case.settings
        )
        provider = OpenAIProvider(settings, PluginContext("desk", clock=SystemClock(), random=Random(0)))
        call = retry.wrap(lambda _: provider.complete(_ASK))
        try:
            await call(Request("model", "desk", _ASK, idempotent=True))
        except AgentFlowError as error:
            wait = "" if error.retry_after_s is None else f"{error.retry_after_s:g} s"
            return case.name, type(error).__name__, error.executed, wait, str(len(server.requests))
        finally:
            await provider.aclose()
    raise AssertionError(case.name)


async def main() -> None:
    """All rows, as a table in Markdown."""
    os.environ["OPENAI_API_KEY"] = "sk-test-0123456789abcdef"
    print("| fault | error | executed | retry after | attempts |\n|---|---|---|---|---|")
    for case in CASES:
        print("| " + " | ".join(await measure(case)) + " |")


if __name__ == "__main__":
    anyio.run(main)
