from __future__ import annotations

import json
import os
import subprocess

import pytest
from click.testing import CliRunner

from agentflow_cli import app
from agentflow_cli.app import agentflow as group
from agentflow_cli.lazy import LazyGroup
from agentflow_cli.shared import Shared


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["rnu"], "'run'"),
        (["plugin"], "'plugins'"),
        (["get", "rns"], "'runs'"),
        (["describe", "rum"], "'run'"),
        (["get", "modles"], "'models'"),
        (["delete", "flwo", "x"], "'flow'"),
        (["--stat", "x"], "'--state'"),
        (["run", "--inputs", "x=1"], "'--input'"),
    ],
)
def test_app_guesses_what_was_meant(inside, arguments: list[str], guess: str) -> None:
    """A mistyped command or option is refused with the nearest one that there is."""
    answer = inside(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    first, *_ = answer.err.splitlines()
    assert first.startswith("error[AF-USAGE]: No such ")
    assert "Did you mean" in first
    assert guess in first


def test_app_lists_the_commands_where_it_has_no_guess(inside) -> None:
    """A word that is near to nothing is answered with everything."""
    assert "There are: run, resume, retry, fork, worker, prune, compact, cancel, signal, " in inside("xyzzy").err


def test_app_without_arguments_shows_the_help(inside) -> None:
    """Nobody is told off for asking what there is."""
    answer = inside()
    assert answer.code == 0
    assert answer.out.startswith("Usage: agentflow [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize(
    "name", [*app.COMMANDS, "get runs", "get models", "get all", "describe run", "describe flow", "plan show"]
)
def test_every_command_explains_itself(name: str) -> None:
    """Each command has a help text and takes the common options."""
    result = CliRunner().invoke(group, [*name.split(), "--help"], obj=Shared())
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: agentflow {name}")
    if name not in {"get", "describe", "plan"}:
        for option in ("--state", "--debug", "--log-level", "--log-format", "--color"):
            assert option in result.output
        assert ("--output" in result.output) == (name not in {"completion", "worker"})


def test_the_table_says_what_the_commands_say() -> None:
    """The table's names are those of the commands, and its lines are help, too."""
    context = group.make_context("agentflow", ["--help"], obj=Shared(), resilient_parsing=True)
    for name, (_, summary) in app.COMMANDS.items():
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert summary.endswith(".")
        if isinstance(command, LazyGroup):
            for inner in command.table:
                found = command.get_command(context, inner)
                assert found is not None
                assert found.name == inner


@pytest.mark.parametrize("order", [("--state", "there", "get", "runs"), ("get", "runs", "--state", "there")])
def test_common_options_stand_before_or_after_the_command(inside, order: tuple[str, ...], workplace) -> None:
    """`--state` means the same at both places."""
    assert inside(*order).err == f"No runs in {workplace / 'there'}.\n"


def test_common_options_given_twice_count_at_the_command(inside, workplace) -> None:
    """The last one wins."""
    assert inside("--state", "here", "get", "runs", "--state", "there").err == f"No runs in {workplace / 'there'}.\n"


@pytest.mark.parametrize("order", [("-o", "json", "plugins"), ("plugins", "-o", "json")])
def test_output_stands_before_or_after_the_command(inside, order: tuple[str, ...]) -> None:
    """`-o` means the same at both places."""
    assert "plugins" in json.loads(inside(*order).out)


def test_errors_are_one_line_without_traceback(inside) -> None:
    """What went wrong is said with its code; where it was raised is not."""
    answer = inside("run", "nowhere")
    assert answer.code == 2
    assert answer.err == "error[AF-MANIFEST]: nowhere: There is no such file or folder.\n"


@pytest.mark.parametrize("order", [("--debug", "run", "nowhere"), ("run", "nowhere", "--debug")])
def test_debug_shows_the_traceback(inside, order: tuple[str, ...]) -> None:
    """With `--debug` the error line comes after the traceback."""
    answer = inside(*order)
    assert answer.err.startswith("Traceback (most recent call last):")
    assert answer.err.splitlines()[-1].startswith("error[AF-MANIFEST]: ")


def test_a_fault_of_ours_is_an_error_line_too(inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw ends with 1, one line, and the way to see more."""
    monkeypatch.setattr(Shared, "settings", lambda self: 1 / 0)
    answer = inside("plugins")
    assert answer.code == 1
    assert answer.err == "error[AF-INTERNAL]: ZeroDivisionError: division by zero (--debug shows where)\n"


def test_ctrl_c_outside_a_run_ends_with_130(inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted list is no error, and leaves no traceback."""

    def interrupt(self: Shared) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Shared, "settings", interrupt)
    answer = inside("plugins")
    assert (answer.code, answer.out, answer.err) == (130, "", "\nInterrupted.\n")


def test_a_closed_pipe_is_quiet(environment: dict[str, str], script) -> None:
    """The reader of a list may go away: the command ends as it would have, without a word."""
    with subprocess.Popen(
        [script, "plugins"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")


def test_a_full_disk_is_an_error(environment: dict[str, str], script) -> None:
    """An answer that cannot be written is not passed over."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [script, "plugins"], stdout=full, stderr=subprocess.PIPE, check=False, env=environment, timeout=120
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error[AF-IO]: [Errno 28] ")


def test_closed_streams_are_no_error(environment: dict[str, str], script) -> None:
    """Without standard output and standard error there is nobody to tell, and that is all."""
    command = 'exec "$0" plugins >&- 2>&-'
    done = subprocess.run(["bash", "-c", command, script], check=False, env=environment, timeout=120)
    assert done.returncode == 0


def test_a_plain_terminal_encoding_is_no_error(agentflow, workplace) -> None:
    """What the encoding cannot show is written as an escape."""
    (workplace / "agentflow.toml").write_text("[plugins]\ntrust = 'é'\n", encoding="utf-8")
    answer = agentflow("plugins", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert answer.code == 2
    assert "\\xe9" in answer.err
    assert os.fspath(workplace) in answer.err


@pytest.mark.parametrize(("group_name", "names"), [("get", "runs, flows, "), ("describe", "run, flow, ")])
def test_a_group_without_a_command_shows_its_help_and_is_refused(inside, group_name: str, names: str) -> None:
    """The help is help, and the error is one line after it; standard output stays empty."""
    answer = inside(group_name)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"Usage: agentflow {group_name}")
    assert answer.err.splitlines()[-1].startswith(f"error[AF-USAGE]: Name what to {group_name}: {names}")


@pytest.mark.parametrize(("error", "code"), [(BaseException("x"), 1), (SystemExit(0), 1), (KeyboardInterrupt(), 130)])
def test_no_exception_escapes_the_command(
    inside, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    """Groups of errors beyond `Exception` are lines and codes too."""

    def fail(self: Shared) -> None:
        raise BaseExceptionGroup("of tasks", [error, error])

    monkeypatch.setattr(Shared, "settings", fail)
    answer = inside("plugins")
    assert (answer.code, answer.out) == (code, "")
    assert len(answer.err.splitlines()) == 1
