"""The offer: what a toolset says of its tools, before any of them is called."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, get_args

import pytest

from agentflow_kernel.contracts.tool import Effect, ToolContext
from agentflow_kernel.schema import find_problems, find_schema_problems
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.tool.abilities import tools_of

if TYPE_CHECKING:
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

NAME = r"[A-Za-z0-9_-]{1,64}"


@requirement(
    "TOOL-01",
    "MUST",
    reason="A prompt is cached and a run is replayed only if the tools are the same each time.",
    advice="Make the list once, in the constructor or at the first question, and in a fixed order.",
)
async def test_the_offer_is_the_same_for_life(toolset: Toolset, harness: Harness) -> None:
    """Offers the same tools in the same order for life, as any other object of the same settings does."""

    def offer(of: Any) -> list[tuple[object, ...]]:
        return [(t.name, t.description, t.parameters, t.effect, t.sequential) for t in of.tools()]

    before = offer(toolset)
    for name, arguments in tools_of(harness).examples.items():
        await toolset.call(name, arguments, ToolContext())
        assert offer(toolset) == before
    async with harness.open() as other:
        assert offer(other) == before


@requirement(
    "TOOL-02",
    "MUST",
    reason="The kernel puts the set's name and a dot in front; models take letters, digits, '_' and '-' only.",
    advice="Give each tool a local name of its own of at most 64 letters, digits, '_' or '-'.",
)
async def test_names_are_unique_and_plain(toolset: Toolset) -> None:
    """Gives each tool a name of its own that every model takes."""
    names = [tool.name for tool in toolset.tools()]
    assert names
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(NAME, name)] == []


@requirement(
    "TOOL-03",
    "MUST",
    reason="A model calls what it understands; an empty description is a tool that is called at random.",
    advice="Say in the description what the tool gives and when it is of use.",
)
async def test_every_tool_is_described(toolset: Toolset) -> None:
    """Describes each tool, and says of its effect one of the three words."""
    for tool in toolset.tools():
        assert tool.description.strip(), tool.name
        assert tool.effect in get_args(Effect), tool.name
        assert isinstance(tool.sequential, bool), tool.name


@requirement(
    "TOOL-04",
    "MUST",
    reason="Arguments are checked against the schema before the call; a schema of another form checks nothing.",
    advice="The schema is JSON of the type object; what is required is among the properties.",
)
async def test_parameters_are_a_schema_of_an_object(toolset: Toolset, harness: Harness) -> None:
    """Describes its arguments by a JSON Schema of an object, which its own examples fit."""
    examples = tools_of(harness).examples
    assert set(examples) == {tool.name for tool in toolset.tools()}, "the harness has an example for each tool"
    for tool in toolset.tools():
        schema: Any = tool.parameters
        assert json.loads(json.dumps(schema)) == schema, tool.name
        assert schema.get("type") == "object", tool.name
        assert find_schema_problems(schema) == [], tool.name
        assert set(schema.get("required", ())) <= set(schema.get("properties", ())), tool.name
        assert list(find_problems(examples[tool.name], schema)) == [], tool.name
