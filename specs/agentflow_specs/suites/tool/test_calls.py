"""Calls: what a tool gives, how it fails, and what it does with hostile arguments and a hundred callers."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_kernel.contracts.tool import ToolContext
from agentflow_kernel.errors import AgentFlowError, ControlFlow, UnknownName
from agentflow_kernel.schema import find_problems
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.tool.abilities import checking_of, counting_of, failing_of, tools_of

if TYPE_CHECKING:
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

CALLERS = 100
PATIENCE_S = 15.0
"""How long one hostile call may take."""
HOSTILE = (
    "", " ", "\x00", "a\x00b", "../../etc/passwd", "/etc/passwd", "~root", "$(id)", "`id`", "'; DROP TABLE x; --",
    "%s%n{0}{__class__}", "\r\n\r\n", "é" * 300, "🐎", "\u202egnp.exe", "\ud800",
    "(" * 3000, "x" * 1_000_000, "-rf", "*" * 200,
)  # fmt: skip


@requirement(
    "TOOL-10",
    "MUST",
    reason="A result goes into the journal and to the model: it must survive both unchanged.",
    advice="Give back texts, numbers, booleans, lists and objects with texts as keys; no tuples, bytes or NaN.",
)
async def test_results_are_json(toolset: Toolset, harness: Harness) -> None:
    """Gives for each example a result that JSON gives back unchanged."""
    for name, arguments in tools_of(harness).examples.items():
        result = await toolset.call(name, arguments, ToolContext("run", "path", f"json {name}"))
        text = json.dumps(result, allow_nan=False, ensure_ascii=False)
        assert json.loads(text.encode()) == result, name


@requirement(
    "TOOL-11",
    "MUST",
    reason="A model asks for tools that are not there; it is told the names of those that are.",
    advice="Raise UnknownName with the names of all tools, before anything else.",
)
async def test_an_unknown_tool_is_refused_by_name(toolset: Toolset) -> None:
    """Raises `UnknownName` for a tool that it does not have, also for none and for the full name."""
    for name in ("", "no such tool", "__class__", f"set.{toolset.tools()[0].name}"):
        with pytest.raises(UnknownName):
            await toolset.call(name, {}, ToolContext())


@requirement(
    "TOOL-12",
    "MUST",
    needs="fails",
    reason="Only typed errors say whether the model may try again, whether anything was executed, and what to do.",
    advice="Turn each error of what you use into ToolFailed, AskModelAgain or an AgentFlowError, from the old one.",
)
async def test_failures_are_the_declared_ones(toolset: Toolset, harness: Harness) -> None:
    """Raises for each call that goes wrong the error that the harness names, with a text, every time."""
    failing = failing_of(harness).failing
    assert failing
    for name, arguments, error in failing:
        assert issubclass(error, AgentFlowError | ControlFlow)
        for _ in range(2):
            with pytest.raises(error) as raised:
                await toolset.call(name, arguments, ToolContext())
            assert str(raised.value).strip()


@requirement(
    "TOOL-13",
    "MUST",
    reason="The arguments are on record; a tool that changes them changes what is shown and compared.",
    advice="Copy what you change.",
)
async def test_arguments_are_left_as_they_are(toolset: Toolset, harness: Harness) -> None:
    """Changes nothing in its arguments nor in the context."""
    for name, arguments in tools_of(harness).examples.items():
        mine, context = copy.deepcopy(dict(arguments)), ToolContext("run", "path", "key", 2)
        await toolset.call(name, mine, context)
        assert mine == arguments, name
        assert context == ToolContext("run", "path", "key", 2), name


@requirement(
    "TOOL-14",
    "MUST",
    reason="Who gets a result may change it; the next caller must not see that.",
    advice="Make the result anew for each call, or copy what is kept.",
)
async def test_results_belong_to_their_caller(toolset: Toolset, harness: Harness) -> None:
    """Gives a pure tool's result again unchanged after its first one was spoiled by its caller."""
    for tool in toolset.tools():
        if tool.effect != "pure":
            continue
        arguments = tools_of(harness).examples[tool.name]
        first: Any = await toolset.call(tool.name, arguments, ToolContext())
        kept = copy.deepcopy(first)
        if isinstance(first, dict | list):
            first.clear()
        assert await toolset.call(tool.name, arguments, ToolContext()) == kept, tool.name


@requirement(
    "TOOL-15",
    "MUST",
    reason="Arguments come from a model that reads web pages; each text in them may be an attack or nonsense.",
    advice="Check what you are given; a typed error names it. Refuse what is too long or no UTF-8.",
)
async def test_hostile_arguments_do_no_harm(toolset: Toolset, harness: Harness) -> None:
    """Answers or refuses with a typed error each hostile text in each place of its arguments, in 15 seconds."""
    for tool in toolset.tools():
        example = dict(tools_of(harness).examples[tool.name])
        places = [key for key, value in example.items() if isinstance(value, str)]
        for place in places:
            for text in HOSTILE:
                arguments: dict[str, JSON] = {**example, place: text}
                if list(find_problems(arguments, tool.parameters)):
                    continue
                with anyio.fail_after(PATIENCE_S):
                    try:
                        result = await toolset.call(tool.name, arguments, ToolContext())
                    except (AgentFlowError, ControlFlow) as refused:
                        str(refused).encode()  # it goes to the model and into logs
                    else:
                        json.dumps(result, allow_nan=False, ensure_ascii=False).encode()
        result = await toolset.call(tool.name, example, ToolContext())
        json.dumps(result, allow_nan=False)


@requirement(
    "TOOL-16",
    "MUST",
    reason="Agents call several tools in one turn, and one toolset serves all runs of a kernel.",
    advice="Keep what belongs to one call in that call, not in the toolset.",
)
async def test_a_hundred_calls_at_once_do_not_disturb_each_other(toolset: Toolset, harness: Harness) -> None:
    """Gives each of 100 calls at the same time the result that it has alone."""
    pure = [tool.name for tool in toolset.tools() if tool.effect == "pure" and not tool.sequential]
    examples = tools_of(harness).examples
    alone = {name: await toolset.call(name, examples[name], ToolContext()) for name in pure}
    results: dict[int, JSON] = {}

    async def work(number: int, name: str) -> None:
        results[number] = await toolset.call(name, examples[name], ToolContext(f"run-{number}"))

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for number in range(CALLERS if pure else 0):
                group.start_soon(work, number, pure[number % len(pure)])
    for number, result in results.items():
        assert result == alone[pure[number % len(pure)]]


@requirement(
    "TOOL-17",
    "MUST",
    needs="counts",
    reason="A call whose outcome is unknown is made again with its key; it must not be paid or sent twice.",
    advice="Keep the key with the effect, in one transaction, or hand it to a peer that does.",
)
async def test_an_idempotent_tool_takes_effect_once_a_key(toolset: Toolset, harness: Harness) -> None:
    """Takes effect once for a key, whenever it is called with it, with the same result, and again for another key."""
    counting = counting_of(harness)
    names = [tool.name for tool in toolset.tools() if tool.effect == "idempotent"]
    assert names, "the harness says that there are idempotent tools"
    for name in names:
        arguments = tools_of(harness).examples[name]
        first = await toolset.call(name, arguments, ToolContext("run", "path", "key-1"))
        again = await toolset.call(name, arguments, ToolContext("run", "path", "key-1", 2))
        assert again == first
        assert await anyio.to_thread.run_sync(counting.count_effects, toolset, name) == 1
        await toolset.call(name, arguments, ToolContext("run", "path", "key-2"))
        assert await anyio.to_thread.run_sync(counting.count_effects, toolset, name) == 2


@requirement(
    "TOOL-18",
    "MUST",
    needs="checks",
    reason="A run that died in the midst of a call asks this before it makes the call again, or does not.",
    advice="Ask the receiver by the key, not a memory of the toolset, which may have died with the call.",
)
async def test_it_is_known_by_its_key_whether_a_call_has_happened(toolset: Toolset, harness: Harness) -> None:
    """Says of a key whether the call with it has happened, with the result that it gave; asking changes nothing."""
    asked = checking_of(toolset)
    names = [tool.name for tool in toolset.tools() if tool.effect == "effect"]
    assert names, "the harness says that calls with the effect `effect` can be checked"
    for name in names:
        arguments = tools_of(harness).examples[name]
        made, other = ToolContext("run", "path", f"{name}-1"), ToolContext("run", "path", f"{name}-2")
        for _ in range(2):
            assert (await asked.check(name, arguments, made)).executed == "no"
        result = await toolset.call(name, arguments, made)
        for _ in range(2):
            outcome = await asked.check(name, arguments, made)
            assert (outcome.executed, outcome.result) == ("yes", result)
        assert (await asked.check(name, arguments, other)).executed == "no"
