"""Agents: as a whole process, built, run, and ten thousand of them waiting at the same time."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from typing import Any

from table import Row, paired

from agentflow_kernel import Agent, Flow
from agentflow_kernel.collector import relax
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall
from agentflow_kernel.testing import FunctionToolset
from agentflow_planner_llm.tool_loop import ToolLoop

HELLO = """
import asyncio
from agentflow_kernel import Agent, Flow
from agentflow_kernel.testing import ScriptedProvider
from agentflow_planner_llm.tool_loop import ToolLoop
flow = Flow("hello").step(Agent("hello", ScriptedProvider(["hello you"]), ToolLoop()))
assert asyncio.run(flow.run("you"))["text"] == "hello you"
"""
CALLS = ModelReply(Message("assistant", calls=[ToolCall("1", "kit.add", {"a": 1, "b": 2})]), stop_reason="tool_calls")
ANSWER = ModelReply(Message("assistant", "3"))


class TwoTurns:
    """Asks for one tool call, then answers."""

    async def complete(self, request: Any) -> ModelReply:
        """The turn that follows the last message."""
        if request.messages[-1].role == "tool":
            return ANSWER
        return CALLS

    async def aclose(self) -> None:
        """There is nothing to give back."""


class Slow(TwoTurns):
    """Answers after a second."""

    async def complete(self, request: Any) -> ModelReply:
        """The only turn."""
        await asyncio.sleep(1.0)
        return ANSWER


async def add(arguments: Any) -> Any:
    """The tool."""
    return arguments["a"] + arguments["b"]


def toolset() -> FunctionToolset:
    """One tool with a schema."""
    found = FunctionToolset()
    number = {"type": "integer"}
    found.add("add", add, parameters={"type": "object", "properties": {"a": number, "b": number}, "required": ["a"]})
    return found


def rows(*, runs: int, many: int) -> list[Row]:
    """All rows; ``many`` agent runs wait at the same time, and a tenth of them beside it."""
    return [*_process(runs), *asyncio.run(_one(runs * 500)), _building(), *_waiting(many)]


def _process(runs: int) -> list[Row]:
    """A hello agent from the first import to the end of the process."""
    command, bare = [sys.executable, "-c", HELLO], [sys.executable, "-c", "pass"]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    value, floor = paired(command, bare, runs=runs, env=env)
    ratio, note = value / floor, f"bare python {floor:.1f} ms"
    peak = _peak_mib(command, env)
    return [
        Row("hello agent, whole process", value, "ms", note, ratio, "≤ 11.4 x", ratio <= 11.4),
        Row("… peak memory", peak, "MiB", "", None, "≤ 28 MiB", peak <= 28),
    ]


def _peak_mib(command: list[str], env: dict[str, str]) -> float:
    """The peak memory of a process, asked by a small one that has no other child."""
    asking = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    asking += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", asking, *command], env=env, check=True, capture_output=True)
    return int(done.stdout) / 1024


async def _one(times: int) -> list[Row]:
    """Two turns of a scripted model with one tool call between them."""
    flow = Flow("bench").step(Agent("adder", TwoTurns(), ToolLoop(), tools={"kit": toolset()}))
    assert (await flow.run("1 + 2?"))["text"] == "3"
    best = min([await _timed(flow, times) for _ in range(3)])
    return [Row("agent run, 2 turns and a tool", best, "µs", "", None, "≤ 50 µs", best <= 50)]


async def _timed(flow: Flow, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        await flow.run("1 + 2?")
    return (time.process_time() - start) / times * 1e6


def _building() -> Row:
    """An agent with one tool, as often as there are requests."""
    provider, planner, tools = TwoTurns(), ToolLoop(), {"kit": toolset()}
    times = 20_000

    def build() -> float:
        start = time.process_time()
        for _ in range(times):
            Agent("adder", provider, planner, tools=tools)
        return (time.process_time() - start) / times * 1e6

    best = min(build() for _ in range(3))
    kept: list[Agent] = []
    gc.collect()
    tracemalloc.start()
    kept.extend(Agent("adder", provider, planner, tools=tools) for _ in range(1_000))
    size = tracemalloc.get_traced_memory()[0] / 1_000
    tracemalloc.stop()
    reached = best <= 4 and size <= 1024
    return Row("building an agent", best, "µs", f"{size:.0f} bytes", None, "≤ 4 µs, ≤ 1 KiB", reached)


WAITING = """
import asyncio, json, resource, sys, time
sys.path.insert(0, {folder!r})
import agents
print(json.dumps(asyncio.run(agents.wait_together({count}, bare={bare}))))
"""


async def wait_together(count: int, *, bare: bool) -> dict[str, float]:
    """CPU seconds and KiB that so many agent runs (or bare tasks) take which all wait for a model for a second.

    Both under the collector as the command line sets it, which a process that holds so many runs should do too.
    """
    relax()
    flow = Flow("bench").step(Agent("adder", Slow(), ToolLoop(), tools={"kit": toolset()}))
    await Flow("warm").step(Agent("adder", TwoTurns(), ToolLoop(), tools={"kit": toolset()})).run("1 + 2?")
    gc.collect()
    before, start = _rss_kib(), time.process_time()
    tasks = [asyncio.create_task(asyncio.sleep(1.0) if bare else flow.run("1 + 2?")) for _ in range(count)]
    await asyncio.sleep(0.5)
    during = _rss_kib()
    await asyncio.gather(*tasks)
    return {"cpu_s": time.process_time() - start, "kib": (during - before) / count}


def _rss_kib() -> float:
    """The memory of this process now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1024


def _waiting(many: int) -> list[Row]:
    """Many waiting runs beside as many bare tasks, and beside a tenth of their number."""
    found = _interleaved([(count, bare) for count in (many // 10, many) for bare in (True, False)])
    value, floor = found[many, False]["cpu_s"], found[many, True]["cpu_s"]
    growth = value / many / (found[many // 10, False]["cpu_s"] / (many // 10))
    kib, note = found[many, False]["kib"], f"bare tasks {floor:.2f} s"
    name = f"{many:,} agent runs waiting 1 s"
    return [
        Row(name, value, "CPU s", note, value / floor, "≤ 4 x", value <= 4 * floor),
        Row("… memory of a run", kib, "KiB", f"bare {found[many, True]['kib']:.1f} KiB", None, "≤ 7 KiB", kib <= 7),
        Row("… cost of a run", growth, "", f"1 is that among {many // 10:,}", growth, "≤ 1.5 x", growth <= 1.5),
    ]


def _interleaved(wanted: list[tuple[int, bool]]) -> dict[tuple[int, bool], dict[str, float]]:
    """The better of three measurements of each, taken in turn, so that all of them see the same machine."""
    rounds = [{each: _measured(*each) for each in wanted} for _ in range(3)]
    return {each: min((found[each] for found in rounds), key=lambda run: run["cpu_s"]) for each in wanted}


def _measured(count: int, bare: bool) -> dict[str, float]:
    """One such measurement in a process of its own."""
    code = WAITING.format(folder=os.path.dirname(os.path.abspath(__file__)), count=count, bare=bare)
    found: dict[str, float] = json.loads(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    )
    return found
