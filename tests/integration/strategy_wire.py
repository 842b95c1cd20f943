"""The strategies on the wire: an agent for each, and the model that they ask, in both vendors' protocols.

As a program, ``python strategy_wire.py STATE VENDOR URL``: begins one run of each, with a journal in the state folder,
and writes a line for each call of their tool.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
from typing import TYPE_CHECKING, Any

import anyio

from agentflow_anthropic import testing as messages
from agentflow_anthropic.provider import create_provider
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_http.testing import Answer, Cut, Wait, in_pieces
from agentflow_kernel import Agent, Kernel
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.testing import FunctionToolset
from agentflow_openai import testing as chat
from agentflow_openai.provider import OpenAIProvider
from agentflow_openai.settings import OpenAISettings
from agentflow_planner_llm.strategies.adapt import Adapt
from agentflow_planner_llm.strategies.compiler import Compiler
from agentflow_planner_llm.strategies.plan_and_execute import PlanAndExecute
from agentflow_planner_llm.strategies.reflexion import Reflexion
from agentflow_planner_llm.strategies.rewoo import Rewoo
from agentflow_planner_llm.strategy_settings import (
    AdaptSettings,
    PlanAndExecuteSettings,
    PlannedSettings,
    ReflexionSettings,
)
from agentflow_planner_llm.tool_loop import ToolLoop
from agentflow_resilience.retry import Retry
from agentflow_resilience.retry.settings import RetrySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentflow_http.testing import Received

KEY = "sk-made-up-0123456789abcdef"
USE = [("kit.double", {"value": 4})]
"""A turn that calls a tool."""
_PLAN = {
    "steps": [
        {"id": "E1", "kind": "tool", "name": "kit.double", "args": {"value": 1}},
        {"id": "E2", "kind": "tool", "name": "kit.double", "args": {"value": {"$ref": "E1.result"}}},
    ]
}
_CALLS = 'One by one.\n1. kit.double({"value": 10})\n2. kit.double({"value": $1})\n3. join()\nThat is all of it.\n'
_TASKS = {"steps": [{"id": "s1", "kind": "model", "args": {"prompt": "Double 4."}}]}
_GOOD, _BAD = {"succeeded": True, "answer": "8"}, {"succeeded": False, "answer": "too much"}
_FAIL = {"verdict": "fail", "reflection": "Use the tool."}
SCRIPTS: dict[str, list[Any]] = {
    "tools": [USE, "It is 8."],
    "rewoo": [_PLAN, "It is 4."],
    "compiler": [_CALLS, {"decision": "finish", "answer": "It is 40."}],
    "plan-and-execute": [_TASKS, USE, "It is 8.", {"decision": "keep"}],
    "adapt": [_BAD, {"operator": "and", "subtasks": ["a"]}, USE, _GOOD, "It is 8."],
    "reflexion": ["It is 7.", _FAIL, USE, "It is 8.", {"verdict": "pass", "reflection": ""}],
}
"""What the model says to each strategy, turn by turn: a text, JSON, or calls of tools."""
_LAST = 6
"""The last events of a streamed turn, in which no call of a plan ends."""
PLANNERS = {
    "tools": ToolLoop(),
    "rewoo": Rewoo(PlannedSettings()),
    "compiler": Compiler(PlannedSettings()),
    "plan-and-execute": PlanAndExecute(PlanAndExecuteSettings()),
    "adapt": Adapt(AdaptSettings()),
    "reflexion": Reflexion(ReflexionSettings()),
}


class Model:
    """Answers by script, and knows its questions by their idempotency keys.

    The first attempt at one turn of each strategy meets ``fault``. While there is ``held``, the turns that it names, by
    strategy, are begun and not ended. A plan of ``compiler`` that is streamed ends after its first call was ``used``.
    """

    def __init__(self, vendor: str, *, whole: bool = False, fault: str = "") -> None:
        self.vendor = vendor
        self.whole = whole
        self.fault = fault
        self.used = anyio.Event()
        self.held: dict[str, int] = {}
        self.holding: set[str] = set()
        """Strategies that wait for a turn that is held."""
        self.keys: dict[str, list[str]] = {name: [] for name in SCRIPTS}
        """The questions of each strategy in order."""
        self.answered: list[str] = []
        """Questions that have had their whole answer, each time that they had."""
        self.faults: set[str] = set()

    def __call__(self, received: Received) -> Answer:
        """Answer one request."""
        body = json.dumps(received.json(), ensure_ascii=False)
        found = re.search(r"task of ([a-z-]+):", body)
        assert found is not None, body
        name, key = found[1], received.headers["idempotency-key"]
        keys = self.keys[name]
        if key not in keys:
            keys.append(key)
        turn = keys.index(key)
        said = SCRIPTS[name][turn]
        bad_turn = 0 if name == "compiler" else 1
        if self.fault and turn == bad_turn and name not in self.faults:
            self.faults.add(name)
            return self._fail(said)
        if self.held.get(name) == turn:
            self.holding.add(name)
            return Answer.stream(*self._half(said), Wait(anyio.Event()))
        self.answered.append(key)
        if self.whole:
            return self._whole(said)
        events = self._events(said)
        if said is _CALLS:
            return Answer.stream(*events[:-_LAST], Wait(self.used), *events[-_LAST:])
        return Answer.stream(*events)

    def _half(self, said: Any) -> list[bytes]:
        """The events of a turn without its end; all of its calls are in it."""
        events = self._events(said)
        return events[: max(2, len(events) - _LAST)]

    def _fail(self, said: Any) -> Answer:
        if self.fault == "cut":
            return Answer.stream(*self._half(said), Cut())
        status = int(self.fault)
        return Answer(status, {"error": {"message": "not now", "type": "overloaded"}}, headers={"retry-after": "0"})

    def _events(self, said: Any) -> list[bytes]:
        """The events of a streamed turn."""
        text, calls = _read(said)
        if self.vendor == "openai":
            wanted = [(f"call_{n}", wire, json.dumps(given)) for n, (wire, given) in enumerate(calls)]
            return [*(chat.calls(*wanted) if calls else chat.says(*in_pieces(text))), chat.DONE]
        return messages.events(_blocks(text, calls), stop_reason="tool_use" if calls else "end_turn")

    def _whole(self, said: Any) -> Answer:
        """A turn as servers send it that do not stream."""
        text, calls = _read(said)
        made = [
            {"id": f"call_{n}", "type": "function", "function": {"name": wire, "arguments": json.dumps(given)}}
            for n, (wire, given) in enumerate(calls)
        ]
        message = {"role": "assistant", "content": text or None, **({"tool_calls": made} if made else {})}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if made else "stop"}
        document = {"id": "c1", "object": "chat.completion", "model": "gpt-6.1-terra", "usage": chat.USAGE}
        return Answer(200, {**document, "choices": [choice]})


def _read(said: Any) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The text and the calls of a turn, with the names of tools as they are on the wire."""
    if isinstance(said, list):
        return "", [(name.replace(".", "__"), given) for name, given in said]
    return said if isinstance(said, str) else json.dumps(said), []


def _blocks(text: str, calls: Iterable[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    made = [
        {"type": "tool_use", "id": f"toolu_{n}", "name": wire, "input": given} for n, (wire, given) in enumerate(calls)
    ]
    return made or [{"type": "text", "text": text}]


def open_provider(vendor: str, url: str) -> Any:
    """A provider for the address, made as its plugin makes it."""
    context = PluginContext(vendor, clock=SystemClock(), random=random.Random(0))
    given = {"api_key": KEY, "model": "terra" if vendor == "openai" else "sonnet"}
    if vendor == "openai":
        return OpenAIProvider(OpenAISettings(base_url=f"{url}/v1", **given), context)
    return create_provider(AnthropicSettings(base_url=url, **given), context)


def make_agents(provider: Any, use: Callable[[int], None]) -> list[Agent]:
    """One agent for each strategy, with a tool that tells of its calls and a policy that tries again at once."""

    async def double(arguments: Any) -> Any:
        use(arguments["value"])
        return arguments["value"] * 2

    kit = FunctionToolset()
    schema = {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}
    kit.add("double", double, parameters=schema, effect="pure")
    context = PluginContext("retry", clock=SystemClock(), random=random.Random(0))
    retry = Retry(RetrySettings(base_s=0, max_s=0), context)
    return [Agent(name, provider, planner, tools={"kit": kit}, policies=[retry]) for name, planner in PLANNERS.items()]


async def main(state: str, vendor: str, url: str) -> None:
    """Begin the runs; whoever has started this ends it."""
    provider = open_provider(vendor, url)

    def use(value: int) -> None:
        print(value, flush=True)

    async with Kernel(state=state, journal="sqlite") as kernel:
        for agent in make_agents(provider, use):
            kernel.add(agent)
            await kernel.start(f"agent/{agent.name}", f"task of {agent.name}: double it.", key=agent.name)
        await anyio.sleep_forever()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    anyio.run(main, *sys.argv[1:])
