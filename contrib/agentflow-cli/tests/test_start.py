from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest

from agentflow_cli import __version__

HEAVY = {"anyio", "asyncio", "opentelemetry", "pydantic", "rich", "sqlite3", "structlog", "yaml"}
REPORT = "import json; print('\\n' + json.dumps(sorted(set(sys.modules) - before)))"


def loaded_by(statement: str, environment: dict[str, str]) -> set[str]:
    """The modules that a statement loads in a fresh interpreter."""
    code = f"import sys; before = set(sys.modules)\n{statement}\n{REPORT}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def called(*arguments: str) -> str:
    """A statement that calls the command."""
    return f"import agentflow_cli; sys.argv = ['agentflow', *{arguments!r}]; agentflow_cli.main()"


def test_version_constant_is_that_of_the_distribution() -> None:
    """The constant and the metadata agree."""
    assert importlib.metadata.version("agentflow-cli") == __version__


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version_option_is_one_short_line(agentflow, option: str) -> None:
    """The installed script answers with name and version."""
    answer = agentflow(option)
    assert (answer.code, answer.out, answer.err) == (0, f"agentflow {__version__}\n", "")


def test_version_option_loads_nothing_but_the_start(environment: dict[str, str]) -> None:
    """Two modules are loaded on the way to the version: start-up is guarded by counting them."""
    assert loaded_by(called("--version"), environment) - {"json", "__future__"} - json_parts() == {
        "agentflow_cli",
        "agentflow_cli._start",
    }


def json_parts() -> set[str]:
    """What the report itself loads."""
    return loaded_by("pass", {}) - {"__future__"}


def test_version_option_works_behind_other_options(agentflow) -> None:
    """Beside another option the version is still what is shown."""
    answer = agentflow("--debug", "--version")
    assert (answer.code, answer.out) == (0, f"agentflow {__version__}\n")


def test_version_option_is_quiet_when_nobody_reads(environment: dict[str, str], script) -> None:
    """A closed pipe is no reason to complain."""
    with subprocess.Popen([script, "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as it:
        assert it.stdout is not None
        it.stdout.close()
        _, err = it.communicate(timeout=120)
    assert (it.returncode, err) == (0, b"")


def test_module_is_the_script(environment: dict[str, str]) -> None:
    """`python -m agentflow_cli` is the same command."""
    command = [sys.executable, "-m", "agentflow_cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"agentflow {__version__}\n")


def test_help_imports_no_command(environment: dict[str, str]) -> None:
    """The list of commands comes from a table: no command, no plugin and nothing heavy is imported for it."""
    loaded = loaded_by(called("--help"), environment)
    assert not {name for name in loaded if name.startswith("agentflow_cli.commands.")}
    assert not {name.partition(".")[0] for name in loaded} & HEAVY


@pytest.mark.parametrize("command", ["plugins", "tools"])
def test_lists_of_plugins_import_no_plugin(environment: dict[str, str], command: str) -> None:
    """What is installed is read from metadata: the plugins' modules stay unloaded."""
    loaded = loaded_by(called(command), environment)
    assert f"agentflow_cli.commands.{command}" in loaded
    assert not {name for name in loaded if name.startswith("standin")}


def test_a_command_imports_no_other_command(environment: dict[str, str]) -> None:
    """Each command is imported when it is used, and only then."""
    loaded = {name for name in loaded_by(called("plugins"), environment) if "agentflow_cli.commands." in name}
    assert loaded == {"agentflow_cli.commands.plugins"}


def test_plugins_load_neither_loop_nor_terminal_library(environment: dict[str, str]) -> None:
    """A list for a pipe needs no event loop and no rich."""
    assert not {name.partition(".")[0] for name in loaded_by(called("plugins"), environment)} & HEAVY
