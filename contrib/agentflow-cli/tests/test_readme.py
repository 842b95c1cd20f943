from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from agentflow_cli.app import COMMANDS, agentflow
from agentflow_cli.lazy import LazyGroup
from agentflow_cli.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def commands(group: LazyGroup, path: str) -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, with the words that call it."""
    context = click.Context(group, obj=Shared())
    for name in group.table:  # those of other distributions are in theirs
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, LazyGroup):
            yield from commands(command, f"{path} {name}")
        else:
            words = f"{path} {name}"
            if path.endswith((" get", " describe")) and not name.startswith("run"):
                words = f"{path} KIND"  # those of all kinds of resources have one place
            yield words, command


@pytest.mark.parametrize(("words", "command"), list(commands(agentflow, "agentflow")))
def test_readme_has_every_command_and_option(words: str, command: click.Command) -> None:
    """A command without its place in the reference, or an option that it does not name, is not finished."""
    assert f"| `{words}" in README
    section = (
        README.partition(f"\n### `{words}")[2].partition("\n### ")[0] + README.partition("### Options of every")[2]
    )
    missing = [
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if f"`{option}" not in section
    ]
    assert not missing


def test_readme_knows_no_other_command() -> None:
    """What is gone from the command is gone from its reference."""
    known = {words for words, _ in commands(agentflow, "agentflow")}
    listed = {line.split("`")[1] for line in README.splitlines() if line.startswith("| `agentflow ")}
    assert {words for line in listed for words in known if line.startswith(words)} == known
    assert len(listed) == len(known)


PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_reference_runs_every_command(name: str) -> None:
    """Each has an example among the blocks that are run."""
    blocks = PAGE.split("```console run\n")[1:]
    calls = [line for block in blocks for line in block.partition("```")[0].splitlines() if line.startswith("$ ")]
    assert any(f"agentflow {name}" in line for line in calls)
