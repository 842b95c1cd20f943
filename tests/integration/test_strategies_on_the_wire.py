"""Every strategy over real sockets in real protocols: whole and streamed answers, a fault in its middle, a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

sys.path.insert(0, os.path.dirname(__file__))

import strategy_wire
from model_server import serving
from strategy_wire import SCRIPTS, Model, make_agents, open_provider

from agentflow_http.testing import ScriptedServer
from agentflow_kernel import Kernel
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = {
    "tools": "It is 8.",
    "rewoo": "It is 4.",
    "compiler": "It is 40.",
    "plan-and-execute": "It is 8.",
    "adapt": "It is 8.",
    "reflexion": "It is 8.",
}
FIRST = 10
"""What the first call in the plan of ``compiler`` is made with; the second one takes its result."""
TURNS = {name: len(script) for name, script in SCRIPTS.items()}
TOOL_CALLS = {"tools": 1, "rewoo": 2, "compiler": 2, "plan-and-execute": 1, "adapt": 1, "reflexion": 1}


async def run_all(kernel: Kernel, agents: Any) -> dict[str, Any]:
    """Run all agents at the same time, or go on with them; their outputs by name."""
    for agent in agents:
        kernel.add(agent)
    handles = {
        agent.name: await kernel.start(f"agent/{agent.name}", f"task of {agent.name}: double it.", key=agent.name)
        for agent in agents
    }
    return {name: await handle.result() for name, handle in handles.items()}


def by(field: str, outputs: dict[str, Any]) -> dict[str, Any]:
    return {name: output[field] for name, output in outputs.items()}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("vendor", "whole", "fault"),
    [("openai", False, "429"), ("openai", True, "500"), ("anthropic", False, "529"), ("anthropic", False, "cut")],
)
async def test_every_strategy_ends_as_it_should_with_a_fault_in_its_middle(
    vendor: str, whole: bool, fault: str
) -> None:
    """The same answers, as many questions as the script has turns, each paid for once; tokens and cost are known.

    A streamed plan of ``compiler`` ends only after its first call was made.
    """
    model, made = Model(vendor, whole=whole, fault=fault), list[int]()

    def use(value: int) -> None:
        made.append(value)
        if value == FIRST:
            model.used.set()

    async with ScriptedServer(model) as server, Kernel(journal=InProcessJournal()) as kernel:
        provider = open_provider(vendor, server.url)
        try:
            outputs = await run_all(kernel, make_agents(provider, use))
        finally:
            await provider.aclose()
    assert by("text", outputs) == TEXTS
    assert by("model_calls", outputs) == TURNS == {name: len(keys) for name, keys in model.keys.items()}
    assert by("tool_calls", outputs) == TOOL_CALLS
    assert sorted(made) == [1, 2, 4, 4, 4, 4, FIRST, 2 * FIRST]
    assert max(Counter(model.answered).values()) == 1
    assert model.faults == set(SCRIPTS)
    used = {
        name: (usage["input_tokens"] > 0, usage["cost_usd"] is None) for name, usage in by("usage", outputs).items()
    }
    assert set(used.values()) == {(True, False)}


@pytest.mark.timeout(200)
@pytest.mark.blocking  # a kernel reads its settings when it opens
def test_every_strategy_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Killed while each waits for the end of an answer: no question that was answered is asked again."""
    model, made = Model("openai"), list[int]()
    model.held = {"tools": 1, "rewoo": 1, "compiler": 0, "plan-and-execute": 2, "adapt": 3, "reflexion": 3}
    with serving(model) as server:
        command = [sys.executable, strategy_wire.__file__, str(tmp_path), "openai", server.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            used: list[int] = []
            assert child.stdout is not None
            while 2 * FIRST not in used:  # then the first call is on record
                used.append(int(child.stdout.readline()))
            while child.poll() is None and model.holding != set(model.held):
                time.sleep(0.02)
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
        assert len(model.answered) == sum(model.held.values())
        model.held = {}
        model.used.set()
        outputs = anyio.run(go_on, str(tmp_path), server.url, made)
    assert by("text", outputs) == TEXTS
    assert by("model_calls", outputs) == TURNS == {name: len(keys) for name, keys in model.keys.items()}
    assert by("tool_calls", outputs) == TOOL_CALLS
    assert sorted(model.answered) == sorted(key for keys in model.keys.values() for key in keys)
    assert set(made) <= {2 * FIRST}, "what the other calls gave is on record"


async def go_on(state: str, url: str, made: list[int]) -> dict[str, Any]:
    """The same runs in another process."""
    provider = open_provider("openai", url)
    try:
        async with Kernel(state=state, journal="sqlite") as kernel:
            return await run_all(kernel, make_agents(provider, made.append))
    finally:
        await provider.aclose()
