"""`agentflow tools`: the toolsets from metadata alone, or the tools of one, which is imported for that."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, Any, cast

import anyio
import click

from agentflow_cli.inputs import read_settings
from agentflow_cli.output import Table, show
from agentflow_cli.shared import common_options
from agentflow_cli.terminal import answer_only, say
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import InputInvalid, UsageError
from agentflow_kernel.loading import Catalogue, Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.contracts.tool import Tool, Toolset
    from agentflow_kernel.contracts.values import JSON


@click.command("tools")
@click.argument("name", required=False)
@click.option(
    "--with", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the toolset; may be repeated."
)
@common_options
@click.pass_obj
def command(shared: Shared, name: str | None, settings: Sequence[str]) -> None:
    """List the installed toolsets, or the tools of the toolset NAME."""
    catalogue = Catalogue(shared.settings())
    if name is None:
        if settings:
            raise UsageError("--with needs the NAME of a toolset.")
        _list_toolsets(shared, catalogue)
        return
    values = read_settings(settings, "--with")
    with answer_only(for_people=shared.for_people):
        tools = _tools_of(Plugins(catalogue), name, values)
    document = {"toolset": name, "tools": [_as_document(name, tool) for tool in tools]}
    rows = [(f"{name}.{tool.name}", tool.effect, _parameters(tool.parameters), tool.description) for tool in tools]
    show(shared.output, document, Table(("TOOL", "EFFECT", "PARAMETERS", "DESCRIPTION"), rows))


def _list_toolsets(shared: Shared, catalogue: Catalogue) -> None:
    entries = catalogue.entries("tool")
    names = ("name", "distribution", "version", "admitted", "why_not")
    document = {"toolsets": [{name: getattr(entry, name) for name in names} for entry in entries]}
    rows = [
        (entry.name, entry.distribution, entry.version, "yes" if entry.admitted else "no", entry.why_not)
        for entry in entries
    ]
    show(shared.output, document, Table(("TOOLSET", "DISTRIBUTION", "VERSION", "ADMITTED", "WHY NOT"), rows))
    if not entries:
        say("No toolsets are installed.")


def _tools_of(plugins: Plugins, name: str, settings: Mapping[str, JSON]) -> Sequence[Tool]:
    """The tools that the toolset offers with these settings; it is closed again."""
    context = PluginContext(name, clock=SystemClock(), random=Random(), folder=os.getcwd())  # noqa: S311 - no secret
    toolset = cast("Toolset", plugins.make("tool", name, settings, context, on_setting_error=_all))
    tools = list(toolset.tools())
    anyio.run(toolset.aclose)
    return tools


def _all(found: Sequence[InputInvalid]) -> Exception:
    """All that is wrong with the settings, and how they are given."""
    hint = "Settings are given as --with key=value."
    return ExceptionGroup("settings", [InputInvalid(one.what, f"{one.problem} {hint}", path=one.path) for one in found])


def _as_document(toolset: str, tool: Tool) -> dict[str, Any]:
    return {
        "name": f"{toolset}.{tool.name}",
        "description": tool.description,
        "effect": tool.effect,
        "sequential": tool.sequential,
        "parameters": tool.parameters,
    }


def _parameters(schema: Mapping[str, JSON]) -> str:
    """The parameters of a JSON Schema in few words: `path: string, limit?: integer`."""
    properties = cast("Mapping[str, Mapping[str, JSON]]", schema.get("properties") or {})
    required = cast("Sequence[str]", schema.get("required") or ())
    return ", ".join(f"{key}{'' if key in required else '?'}: {_kind(value)}" for key, value in properties.items())


def _kind(schema: Mapping[str, JSON]) -> str:
    """The type that a schema asks for."""
    if "enum" in schema:
        return "|".join(str(value) for value in cast("Sequence[JSON]", schema["enum"]))
    if "anyOf" in schema:
        return "|".join(_kind(choice) for choice in cast("Sequence[Mapping[str, JSON]]", schema["anyOf"]))
    kind = schema.get("type", "any")
    return kind if isinstance(kind, str) else "|".join(str(one) for one in cast("Sequence[JSON]", kind))
