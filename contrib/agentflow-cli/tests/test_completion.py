"""Completion: the scripts are sound, and what they ask for is answered quickly and without a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

APPLY = (
    "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: triage}\nspec: {nodes: {one: {emit: x.y}}}\n---\n"
    "apiVersion: agentflow.dev/v1\nkind: Tool\nmetadata: {name: files}\nspec: {plugin: cabinet, with: {root: .}}\n"
)
IN_BASH = """
source "$1"
shift
COMP_WORDS=(agentflow "$@")
COMP_CWORD=$#
_agentflow_completion agentflow
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def applied(agentflow, workplace: Path) -> None:
    answer = agentflow("apply", "-f", "-", stdin=APPLY)
    assert answer.code == 0, answer.err


@pytest.fixture
def words(environment: dict[str, str], script: str) -> Callable[..., list[str]]:
    """What the command offers for the last of some words, by the protocol of bash."""

    def ask(*given: str) -> list[str]:
        variables = {
            **environment,
            "COMP_WORDS": "\n".join(["agentflow", *given]),
            "COMP_CWORD": str(len(given)),
            "_AGENTFLOW_COMPLETE": "bash_complete",
        }
        done = subprocess.run([script], env=variables, capture_output=True, text=True, check=False, timeout=120)
        assert done.stderr == ""
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("given", "offered"),
    [
        (["de"], ["delete", "describe"]),
        (["get", "mo"], ["models"]),
        (["describe", "flow", ""], ["triage"]),
        (["describe", "to", "f"], ["files"]),
        (["get", "flows", "t"], ["triage"]),
        (["delete", ""], ["flow", "agent", "plan", "model", "tool", "memory", "policy", "trigger", "journal"]),
        (["delete", "tools", ""], ["files"]),
        (["delete", "flow/"], ["flow/triage"]),
        (["run", "fl"], ["flow/triage"]),
        (["--state", "elsewhere", "describe", "flow", ""], []),
        (["get", "runs", "--status", "comp"], ["completed"]),
        (["get", "runs", "--int"], ["--interval"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["describe", "run", ""], []),
        (["nonsense", "x"], []),
        (["describe", "nonsense", "x"], []),
        (["get", "flows", "--nonsense", "x"], []),
    ],
)
def test_words_are_completed(applied: None, words, given: list[str], offered: list[str]) -> None:
    """Commands, kinds, names of what is applied, options and their values; nothing for what is wrong."""
    assert words(*given) == offered


def test_run_ids_are_completed(agentflow, manifest: str, words) -> None:
    agentflow("run", "app", "evil", "--no-progress")
    run_id = agentflow("get", "runs", "-o", "name").out.strip().removeprefix("run/")
    assert words("describe", "run", run_id[:4]) == [run_id]
    assert words("resume", "") == [run_id]
    assert words("events", "--run", "") == [run_id]


def test_files_are_left_to_the_shell(workplace: Path, words) -> None:
    (workplace / "flows.yaml").touch()
    assert words("run", "flo") == ["flo"]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (["apply", "-f", "ap"], "file"),
        (["get", "flows", "--file", "ap"], "file"),
        (["validate", "ap"], "file"),
        (["--state", "ap"], "dir"),
        (["apply", "--folder", "ap"], "dir"),
    ],
)
def test_paths_are_left_to_the_shell(environment: dict[str, str], script: str, given: list[str], kind: str) -> None:
    """It knows which names there are, and how to quote them."""
    variables = {**environment, "COMP_WORDS": "\n".join(["agentflow", *given]), "COMP_CWORD": str(len(given))}
    variables["_AGENTFLOW_COMPLETE"] = "bash_complete"
    done = subprocess.run([script], env=variables, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == f"{kind},ap\n"


def test_a_broken_state_is_no_completion(workplace: Path, environment: dict[str, str], script: str) -> None:
    """No traceback gets in the way of somebody who types."""
    (workplace / ".agentflow" / "resources").mkdir(parents=True)
    (workplace / ".agentflow" / "resources" / "index.json").write_text("{", encoding="utf-8")
    (workplace / "agentflow.toml").write_text("[broken", encoding="utf-8")
    for given in (["get", "flows", ""], ["describe", "run", ""], ["run", "f"], ["delete", "flow", ""]):
        variables = {
            **environment,
            "COMP_WORDS": "\n".join(["agentflow", *given]),
            "COMP_CWORD": str(len(given)),
            "_AGENTFLOW_COMPLETE": "bash_complete",
        }
        done = subprocess.run([script], env=variables, capture_output=True, text=True, check=False, timeout=120)
        assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(agentflow, workplace: Path, shell: str) -> None:
    """The shells that are here also take it."""
    answer = agentflow("completion", shell)
    assert answer.code == 0
    assert "_AGENTFLOW_COMPLETE" in answer.out
    assert "agentflow" in answer.out
    (workplace / "script").write_text(answer.out, encoding="utf-8")
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", "script"], check=False, timeout=120).returncode == 0


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_in_their_form(agentflow, applied: None, shell: str) -> None:
    """Zsh gets three lines a word, fish the word and its help after a tab."""
    extra: dict[str, Any] = {"_AGENTFLOW_COMPLETE": f"{shell}_complete"}
    if shell == "zsh":
        answer = agentflow(**extra, COMP_WORDS="agentflow\nde", COMP_CWORD="1")
        assert answer.out.splitlines()[:3] == ["plain", "delete", "Delete applied resources."]
    else:
        answer = agentflow(**extra, COMP_WORDS="agentflow de", COMP_CWORD="de")
        assert answer.out.splitlines()[0].split("\t")[0].endswith("delete")
    assert answer.err == ""


def test_an_unknown_shell_is_refused(agentflow) -> None:
    assert agentflow("completion", "tcsh").code == 2
    assert agentflow(_AGENTFLOW_COMPLETE="tcsh_complete").code == 1
    assert agentflow(_AGENTFLOW_COMPLETE="rubbish").out == ""


@pytest.mark.parametrize(
    ("given", "reply"),
    [(["desc"], ["describe"]), (["describe", "flow", "t"], ["triage"]), (["delete", "fl"], ["flow"])],
)
def test_bash_completes(
    agentflow, applied: None, environment: dict[str, str], given: list[str], reply: list[str]
) -> None:
    """In a real bash, with the script that was printed."""
    Path("script").write_text(agentflow("completion", "bash").out, encoding="utf-8")
    variables = {**environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", IN_BASH, "bash", "./script", *given],
        env=variables, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stderr.replace("bash: compopt: not currently executing completion function\n", "") == ""
    assert done.stdout.split() == reply


def test_completion_is_quick(applied: None, environment: dict[str, str], script: str) -> None:
    """Names of commands and resources load neither an event loop nor a journal, nor what reads manifests."""
    asked = {"COMP_WORDS": "agentflow\ndescribe\nflow\nt", "COMP_CWORD": "3", "_AGENTFLOW_COMPLETE": "bash_complete"}
    command, variables = [sys.executable, "-X", "importtime", script], {**environment, **asked}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "plain,triage\n"
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "agentflow_cli" in loaded
    assert not loaded & {"asyncio", "opentelemetry", "pydantic", "rich", "sqlite3", "structlog", "yaml"}
