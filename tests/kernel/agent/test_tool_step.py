"""A tool as a step of a flow: its input are the arguments, its result is the result."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.agent import ToolStep
from agentflow_kernel.errors import InputInvalid, RunFailed, ToolFailed, UnknownName
from agentflow_kernel.testing import FunctionToolset, InProcessJournal

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


async def echo(arguments: Any) -> Any:
    return arguments


def toolset_of(function: Any = echo, **options: Any) -> FunctionToolset:
    toolset = FunctionToolset()
    toolset.add("read", function, **options)
    return toolset


async def test_the_input_of_the_step_are_the_arguments() -> None:
    """Path and key are those of the step."""
    toolset = toolset_of()
    flow = Flow("f").step(ToolStep("files.read", toolset, "read"), name="read", input={"path": {"$ref": "input"}})
    async with Kernel(journal=InProcessJournal()) as kernel:
        assert await kernel.run(flow, "a.log") == {"path": "a.log"}
    ((name, arguments, context),) = toolset.calls
    assert (name, arguments, context.path, context.attempt) == ("read", {"path": "a.log"}, "read", 1)


async def test_a_tool_that_the_set_does_not_have_is_refused_when_the_step_is_made() -> None:
    """With the nearest one."""
    with pytest.raises(UnknownName, match=r"Unknown tool of 'files' 'raed'. Known: 'read'. Did you mean 'read'\?"):
        ToolStep("files.raed", toolset_of(), "raed")


@pytest.mark.parametrize("value", ["text", None, [1], {"path": 3}, {}])
async def test_arguments_that_do_not_fit_the_schema_never_reach_the_tool(value: object) -> None:
    """The error names the tool."""
    toolset = toolset_of(parameters=SCHEMA)
    with pytest.raises(InputInvalid, match=r"The arguments of tool 'files.read'"):
        await Flow("f").step(ToolStep("files.read", toolset, "read"), name="read").run(value)
    assert toolset.calls == []


@pytest.mark.parametrize(
    ("effect", "option", "intents"),
    [
        ("pure", None, 0),
        ("idempotent", None, 0),
        ("effect", None, 1),
        ("effect", "idempotent", 0),
        ("pure", "effect", 1),
    ],
)
async def test_an_intent_is_written_before_an_effect_only(effect: Any, option: str | None, intents: int) -> None:
    """The step takes the tool's word unless it says otherwise itself."""
    options = {} if option is None else {"effect": option}
    flow = Flow("f").step(ToolStep("bank.pay", toolset_of(effect=effect), "read"), name="pay", **options)
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, {})
        await handle.result()
        records = await kernel.history(handle.run_id)
    assert [record.type for record in records].count("step.intent") == intents


async def test_a_tool_that_fails_fails_the_step() -> None:
    """There is no model that could be told."""

    async def fail(arguments: Any) -> Any:
        raise ToolFailed("no such file")

    flow = Flow("f").step(ToolStep("files.read", toolset_of(fail), "read"), name="read")
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match="failed at read: ToolFailed: no such file"):
            await kernel.run(flow, {})
