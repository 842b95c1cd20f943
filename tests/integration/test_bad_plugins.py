"""Five broken plugins beside the good ones: every command still works, and the doctor names each of them."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from program import EXAMPLE, ROOT, Result, agentflow, environment

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

pytestmark = pytest.mark.timeout(120)
WRITER = ROOT / "tests" / "kernel" / "loading" / "badplugins.py"
TIMEOUT_S = "12"
"""Of which good plugins need a twentieth, four at a time, where nobody else is at work."""


def writer() -> ModuleType:
    """The module that writes broken plugins; it belongs to the tests of loading."""
    spec = importlib.util.spec_from_file_location("badplugins", WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class House:
    """An environment with five broken plugins, and one state folder in which the example has been run."""

    def __init__(self, folder: Path) -> None:
        self.causes: dict[str, str] = writer().write_bad_plugins(folder / "bad")
        """A part of the cause that names each fault, by distribution."""
        self.state = str(folder / "state")
        self.env = environment(PYTHONPATH=str(folder / "bad"))
        self.first = self.call("run", str(EXAMPLE))

    def call(self, *words: str) -> Result:
        """Run one command."""
        return agentflow(*words, "--state", self.state, env=self.env)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The house, built once."""
    return House(tmp_path_factory.mktemp("house"))


def runs(house: House) -> Any:
    """What `get runs` says."""
    return house.call("get", "runs", "-o", "json").json()


def test_a_run_works(house: House) -> None:
    """The main job is done as if they were not there."""
    assert house.first.code == 0, house.first.err
    assert "attacking addresses" in house.first.out
    assert not any(name in house.first.err for name in house.causes)


@pytest.mark.parametrize(
    "words",
    [
        ["version"],
        ["plugins"],
        ["tools"],
        ["tools", "files", "--with", "root=."],
        ["validate", str(EXAMPLE)],
        ["get", "runs"],
        ["resume", "--all"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_every_other_command_works(house: House, words: list[str]) -> None:
    """Exit code 0, and no word about plugins that nobody named."""
    result = house.call(*words)
    assert result.code == 0, result.err
    assert "error[" not in result.err
    assert "Traceback" not in result.err


def test_the_version_is_shown(house: House) -> None:
    """What is asked first works whatever is installed."""
    result = agentflow("--version", env=house.env)
    assert result.code == 0
    assert result.out.startswith("agentflow ")


def test_a_run_is_described(house: House) -> None:
    """The history of the run can be read."""
    (run,) = runs(house)
    result = house.call("describe", "run", run["run_id"])
    assert result.code == 0, result.err
    assert "step.completed" in result.out


def test_plugins_are_listed_all_the_same(house: House) -> None:
    """Metadata says what is installed, not what works."""
    listed: Any = house.call("plugins", "-o", "json").json()
    assert {plugin["distribution"] for plugin in listed["plugins"]} >= {"agentflow-sqlite", *house.causes}


def test_the_doctor_names_each_with_distribution_and_cause(house: House) -> None:
    """Five problems, each of one broken plugin, and no good one among them."""
    result = house.call("doctor", "--timeout", TIMEOUT_S, "-o", "json")
    assert result.code == 1
    document: Any = result.json()
    problems = {check["distribution"]: check for check in document["checks"] if check["result"] == "problem"}
    assert set(problems) == set(house.causes)
    for distribution, cause in house.causes.items():
        assert cause in problems[distribution]["detail"]
        assert problems[distribution]["version"] == "1.0"


def test_the_doctor_tells_people_the_same(house: House) -> None:
    """The table has a line with the distribution and its version for each."""
    result = house.call("doctor", "--timeout", TIMEOUT_S)
    assert result.code == 1
    assert result.err == "5 problems found.\n"
    lines = [line for line in result.out.splitlines() if " problem " in line]
    assert all(any(f"{name} 1.0" in line for line in lines) for name in house.causes)


@pytest.mark.parametrize("name", ["import", "exit", "signature", "version"])
def test_a_broken_plugin_that_is_named_is_an_error_line(house: House, name: str) -> None:
    """Who asks for it hears whose it is and what is wrong with it; a plugin that exits ends nothing."""
    result = house.call("tools", f"bad-{name}")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error[AF-PLUGIN-LOAD]: Plugin 'bad-{name}' of agentflow-bad-{name} 1.0 ")
    assert house.causes[f"agentflow-bad-{name}"] in result.err
