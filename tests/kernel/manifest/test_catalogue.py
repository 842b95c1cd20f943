"""Plugins that a manifest names, against those that are installed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import UnknownPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentflow_kernel.manifest import Manifest

HEAD = "apiVersion: agentflow.dev/v1\n"
ALL = {
    "provider": ["anthropic", "openai"],
    "tool": ["files"],
    "memory": ["sqlite"],
    "planner": ["tools"],
    "policy": ["retry"],
    "journal": ["sqlite"],
    "source": ["file"],
}


class Installed:
    """A catalogue that counts what it is asked."""

    def __init__(self, **changes: list[str]) -> None:
        self.plugins = ALL | changes
        self.asked: Counter[str] = Counter()

    def names(self, kind: str) -> Iterable[str]:
        self.asked[kind] += 1
        return iter(self.plugins[kind])


def test_a_manifest_of_installed_plugins(manifest_of: Callable[..., Manifest], good: str) -> None:
    """Every kind that is named is asked for once."""
    installed = Installed()
    manifest_of(good, catalogue=installed)
    assert installed.asked == dict.fromkeys(ALL, 1)


def test_a_kind_that_is_not_named_is_not_asked_for(manifest_of: Callable[..., Manifest]) -> None:
    """Looking for plugins costs time: a flow of plain functions looks for none."""
    installed = Installed()
    flow = f"{HEAD}kind: Flow\nmetadata: {{name: f}}\nspec: {{nodes: {{a: {{uses: './nodes.py:f'}}}}}}\n"
    manifest_of(flow, catalogue=installed)
    assert not installed.asked


@pytest.mark.parametrize(
    ("kind", "plugin", "name"),
    [
        *[("Model", "provider", "anthropik"), ("Tool", "tool", "mail"), ("Memory", "memory", "redis")],
        *[("Policy", "policy", "retri"), ("Journal", "journal", "postgres"), ("Trigger", "source", "cron")],
    ],
)
def test_an_unknown_plugin(findings_of: Callable[..., list[str]], kind: str, plugin: str, name: str) -> None:
    """The finding reads like the error of the loader: installed ones, nearest, pip line."""
    start = ", start: flow/f" if kind == "Trigger" else ""
    flow = f"---\n{HEAD}kind: Flow\nmetadata: {{name: f}}\nspec: {{nodes: {{a: {{emit: x}}}}}}\n"
    text = f"{HEAD}kind: {kind}\nmetadata: {{name: a}}\nspec: {{plugin: {name}{start}}}\n"
    expected = UnknownPlugin(plugin, name, ALL[plugin])
    assert findings_of(text + flow, catalogue=Installed()) == [f"m.yaml:4:16: spec.plugin: {expected}"]


def test_the_planner_is_looked_up_even_where_it_is_the_default(findings_of: Callable[..., list[str]]) -> None:
    """An agent cannot run without one; a planner in the manifest's own code is none of the catalogue's business."""
    model = f"{HEAD}kind: Model\nmetadata: {{name: m}}\nspec: {{plugin: openai}}\n"
    agent = HEAD + "kind: Agent\nmetadata: {name: %s}\nspec:\n  model: m\n%s"
    text = "---\n".join(
        [
            *[
                model,
                agent % ("a", ""),
                agent % ("b", "  planner: react\n"),
                agent % ("c", "  planner: {plugin: fsm}\n"),
            ],
            agent % ("d", "  planner: {uses: './nodes.py:Planner'}\n"),
        ]
    )
    found = findings_of(text, catalogue=Installed(planner=["rect"]))
    assert [finding.partition(" is installed")[0] for finding in found] == [
        "m.yaml:9:1: spec.planner: No planner plugin 'tools'",
        "m.yaml:17:12: spec.planner: No planner plugin 'react'",
        "m.yaml:24:21: spec.planner.plugin: No planner plugin 'fsm'",
    ]


def test_a_name_that_is_no_name_gets_no_command(findings_of: Callable[..., list[str]]) -> None:
    """A manifest cannot smuggle a command into a line that is meant to be pasted into a shell."""
    text = f"{HEAD}kind: Tool\nmetadata: {{name: a}}\nspec: {{plugin: 'x; rm -rf .'}}\n"
    assert findings_of(text, catalogue=Installed()) == [
        "m.yaml:4:16: spec.plugin: No tool plugin 'x; rm -rf .' is installed. Installed: 'files'."
    ]


def test_without_a_catalogue_names_are_not_looked_at(manifest_of: Callable[..., Manifest]) -> None:
    """A manifest can be checked on a machine that cannot run it."""
    assert manifest_of(f"{HEAD}kind: Tool\nmetadata: {{name: a}}\nspec: {{plugin: elsewhere}}\n").resources
