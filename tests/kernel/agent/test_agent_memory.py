"""An agent's memory as tools: it recalls what it remembered, apart from what flows write, and repeats no write."""

from __future__ import annotations

from typing import Any

import pytest
from engine_kit import DurableJournal
from planner_kit import make_agent

from agentflow_kernel import Agent, Kernel
from agentflow_kernel.agent_memory import MemoryToolset
from agentflow_kernel.contracts.tool import ToolContext
from agentflow_kernel.errors import AskModelAgain, RunError, UnknownName
from agentflow_kernel.testing import FakeClock, InProcessJournal, InProcessMemory

pytestmark = pytest.mark.anyio

HERE = ToolContext("run", "path", "key")


async def test_what_is_remembered_is_recalled() -> None:
    """``null`` where there is nothing."""
    toolset = MemoryToolset("seen", InProcessMemory())
    assert await toolset.call("recall", {"key": "a"}, HERE) == {"value": None}
    assert await toolset.call("remember", {"key": "a", "text": "b"}, HERE) == {"remembered": "a"}
    assert await toolset.call("recall", {"key": "a"}, HERE) == {"value": "b"}


async def test_what_agents_write_is_apart_from_what_flows_write() -> None:
    """A model cannot overwrite the data of the program."""
    memory = InProcessMemory()
    await memory.put("seen", "a", "of the flow")
    toolset = MemoryToolset("seen", memory)
    await toolset.call("remember", {"key": "a", "text": "of the agent"}, HERE)
    entry = await memory.get("seen", "a")
    assert entry is not None
    assert entry.value == "of the flow"


async def test_writes_live_as_long_as_the_resource_says() -> None:
    """The time to live is not the model's to choose."""
    clock = FakeClock()
    toolset = MemoryToolset("seen", InProcessMemory(clock=clock), 60)
    await toolset.call("remember", {"key": "a", "text": "b"}, HERE)
    clock.jump(60)
    assert await toolset.call("recall", {"key": "a"}, HERE) == {"value": None}


async def test_a_repeated_call_does_not_write_again() -> None:
    """The key of the action is that of the write."""
    toolset = MemoryToolset("seen", InProcessMemory())
    await toolset.call("remember", {"key": "a", "text": "first"}, HERE)
    await toolset.call("remember", {"key": "a", "text": "second"}, ToolContext("run", "path", "other"))
    await toolset.call("remember", {"key": "a", "text": "first"}, HERE)
    assert await toolset.call("recall", {"key": "a"}, HERE) == {"value": "second"}


@pytest.mark.parametrize("key", ["", "x" * 513])
async def test_a_key_that_cannot_be_is_told_to_the_model(key: str) -> None:
    """It may choose another one."""
    with pytest.raises(AskModelAgain, match="A key has 1 to 512 characters"):
        await MemoryToolset("seen", InProcessMemory()).call("recall", {"key": key}, HERE)


async def test_there_are_two_tools() -> None:
    """Reading is pure, writing may be repeated with its key."""
    toolset = MemoryToolset("seen", InProcessMemory())
    assert [(tool.name, tool.effect) for tool in toolset.tools()] == [("recall", "pure"), ("remember", "idempotent")]
    with pytest.raises(UnknownName, match=r"Unknown tool 'forget'"):
        await toolset.call("forget", {"key": "a"}, HERE)


@pytest.mark.keeps_memory("dies at a counted append")
async def test_an_agent_that_died_while_it_remembered_remembers_once() -> None:
    """The repeated call finds its own write done, and what came between is not undone."""
    memory, survivor = InProcessMemory(), InProcessJournal()
    turns: list[Any] = [[("notes.remember", {"key": "a", "text": "b"})], "done"]
    for dies_at in (3, 0):
        journal = DurableJournal(survivor, dies_at=dies_at)
        base = make_agent(turns)
        agent = Agent("helper", base.provider, base.planner, tools={"notes": MemoryToolset("notes", memory)})
        async with Kernel(journal=journal) as kernel:
            handle = await kernel.start(agent, "q", key="k")
            try:
                await handle.result()
            except RunError:
                assert journal.dead
                await memory.put("notes/agent", "a", "somebody else's")
    entry = await memory.get("notes/agent", "a")
    assert entry is not None
    assert (entry.value, entry.version) == ("somebody else's", 2)
