"""A command of another distribution is known from metadata, imported when it is called, and can harm no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agentflow_cli.installed_commands import CommandGroup

if TYPE_CHECKING:
    from pathlib import Path

GREET = """
import click

@click.command("anything")
@click.argument("name")
@click.option("--debug", is_flag=True, help="Its own.")
@click.pass_obj
def greet(line, name, debug):
    \"\"\"Greet NAME.\"\"\"
    click.echo(f"{line.output} {name} {debug} {line.state_folder(line.settings())}")
    return 3

wrong = 7
"""
ENTRY_POINTS = """[agentflow.commands]
greet = greeting:greet
wrong = greeting:wrong
absent = greeting:absent
broken = broken_greeting:greet
version = broken_greeting:greet
"""


@pytest.fixture
def greeting(tmp_path: Path) -> dict[str, str]:
    """The environment with a distribution that adds commands, some of them broken."""
    folder = tmp_path / "greeting"
    info = folder / "agentflow_greeting-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: agentflow-greeting\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "greeting.py").write_text(GREET)
    (folder / "broken_greeting.py").write_text("raise SystemExit('no')\n")
    return {"PYTHONPATH": str(folder), "AGENTFLOW_PLUGINS": "greeting"}


def test_an_installed_command_is_called_with_the_options_of_all_commands(agentflow, greeting) -> None:
    """What it returns is the exit code; an option of its own stays its own."""
    answer = agentflow("greet", "Ada", "-o", "json", "--state", "here", "--debug", **greeting)
    assert (answer.code, answer.out.split()[:3]) == (3, ["json", "Ada", "True"])
    assert answer.out.rstrip().endswith("/here")
    assert "Usage: agentflow greet" in agentflow("greet", "--help", **greeting).out


def test_the_help_lists_it_without_importing_it(agentflow, greeting) -> None:
    """Nor does anything else: a command that cannot be imported is in nobody's way."""
    answer = agentflow("--help", **greeting)
    assert answer.code == 0
    assert "broken" in answer.out
    assert "Added by agentflow-greeting." in answer.out
    assert agentflow("--version", **greeting).code == 0


def test_a_command_of_the_application_cannot_be_replaced(agentflow, greeting) -> None:
    assert "agentflow-kernel" in json.loads(agentflow("version", "-o", "json", **greeting).out)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("broken", "Plugin 'broken' of agentflow-greeting 2.0 cannot be used: SystemExit at import: no"),
        ("wrong", "'greeting:wrong' is int, not a click.Command"),
        ("absent", "AttributeError at import"),
        ("gret", "Did you mean 'greet'?"),
    ],
)
def test_one_that_cannot_be_used_is_an_error_line(agentflow, greeting, name: str, problem: str) -> None:
    answer = agentflow(name, **greeting)
    assert answer.code == 2
    assert problem in answer.err


def test_one_that_is_not_admitted_is_not_imported(agentflow, greeting, workplace: Path) -> None:
    (workplace / "agentflow.toml").write_text('[plugins]\ntrust = "listed"\n', encoding="utf-8")
    answer = agentflow("broken", **greeting)
    assert answer.code == 2
    assert "is installed but not admitted: it is not listed" in answer.err


def test_a_wrong_settings_file_does_not_hide_the_help(agentflow, greeting, workplace: Path) -> None:
    (workplace / "agentflow.toml").write_text("no toml", encoding="utf-8")
    assert agentflow("--help", **greeting).code == 0


def test_a_command_of_the_project_that_is_not_installed_comes_with_the_line_that_installs_it() -> None:
    group = CommandGroup(table={})
    assert group.hint("certify") == "To add it: pip install agentflow-specs"
