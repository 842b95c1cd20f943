from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_cli.targets import choose, path_of
from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.manifest import Manifest, read

if TYPE_CHECKING:
    from pathlib import Path

FLOW = "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: %s}\nspec: {nodes: {one: {emit: some.event}}}\n"
AGENT = "apiVersion: agentflow.dev/v1\nkind: Agent\nmetadata: {name: %s}\nspec: {model: made}\n"
MODEL = "apiVersion: agentflow.dev/v1\nkind: Model\nmetadata: {name: made}\nspec: {plugin: echo}\n"
SOURCE = "apiVersion: agentflow.dev/v1\nkind: Trigger\nmetadata: {name: %s}\nspec: {plugin: lines, start: flow/a}\n"
ON = "apiVersion: agentflow.dev/v1\nkind: Trigger\nmetadata: {name: %s}\nspec: {'on': order.*, start: flow/a}\n"


@pytest.fixture
def manifest(workplace: Path):
    """A manifest of these documents."""

    def make(*documents: str) -> Manifest:
        (workplace / "manifest.yaml").write_text("---\n".join(documents), encoding="utf-8")
        return read("manifest.yaml")

    return make


@pytest.mark.parametrize(
    ("documents", "chosen"),
    [
        ([FLOW % "a", SOURCE % "s", MODEL, AGENT % "g"], "trigger/s"),
        ([FLOW % "a", ON % "o", MODEL, AGENT % "g"], "flow/a"),
        ([FLOW % "a", MODEL, AGENT % "g", AGENT % "h"], "flow/a"),
        ([MODEL, AGENT % "g"], "agent/g"),
    ],
)
def test_the_only_thing_to_run_is_chosen(manifest, documents: list[str], chosen: str) -> None:
    """A trigger with a source comes before a flow, and a flow before an agent."""
    assert path_of(choose(manifest(*documents), None)) == chosen


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([FLOW % "a", FLOW % "b", MODEL, AGENT % "g"], "2 Flows could be run: name one of flow/a, flow/b, agent/g"),
        ([FLOW % "a", SOURCE % "s", SOURCE % "t"], "2 Triggers could be run: name one of trigger/s, trigger/t, flow/a"),
        ([MODEL], "The manifest has nothing to run: expected a Trigger, Flow, Agent or Plan"),
    ],
)
def test_a_choice_that_is_not_clear_is_left_to_the_caller(manifest, documents: list[str], problem: str) -> None:
    """Nothing is guessed where several things could be meant."""
    with pytest.raises(UsageError, match=problem):
        choose(manifest(*documents), None)


@pytest.mark.parametrize("name", ["flow/a", "a"])
def test_a_name_is_taken_in_full_or_bare(manifest, name: str) -> None:
    """A bare name will do where only one thing that can be run has it."""
    assert path_of(choose(manifest(FLOW % "a", FLOW % "b"), name)) == "flow/a"


def test_a_bare_name_of_two_things_is_refused(manifest) -> None:
    """The error names both."""
    with pytest.raises(UnknownName, match="'agent/a', 'flow/a'"):
        choose(manifest(FLOW % "a", MODEL, AGENT % "a"), "a")


def test_an_unknown_name_is_refused_with_the_nearest(manifest) -> None:
    """What cannot be run does not count as near."""
    with pytest.raises(UnknownName, match=r"Did you mean 'flow/triage'\?"):
        choose(manifest(FLOW % "triage", MODEL), "flow/triaje")


def test_a_trigger_on_the_bus_cannot_be_run(manifest) -> None:
    """It has no source to be read to its end; the error says what it starts."""
    with pytest.raises(UsageError, match=r"starts at events of type 'order\.\*'.*Run what it starts: flow/a"):
        choose(manifest(FLOW % "a", ON % "o"), "o")
