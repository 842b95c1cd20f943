from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

HELLO = ("run", "app", "hello")


def test_run_shows_what_the_flow_means_for_people(agentflow, manifest: str) -> None:
    """The display text goes to standard output, everything about the run to standard error."""
    answer = agentflow(*HELLO)
    assert answer.code == 0
    assert answer.out == "said by a node\nHELLO WORLD\n"
    first, *_, last = answer.err.splitlines()
    assert first.endswith("started: flow/hello")
    assert "completed in" in last
    assert last.endswith("2 steps")


def test_run_shows_the_output_where_there_is_no_display(agentflow, manifest: str) -> None:
    """An output that is no text is shown as YAML."""
    assert agentflow("run", "app", "batch", "-i", "count=3").out == "- 0\n- 1\n- 4\n"


def test_run_tells_events_and_files(agentflow, manifest: str, workplace: Path) -> None:
    """The last line counts the events and names the folder of the files."""
    answer = agentflow("run", "app", "batch")
    line = answer.err.splitlines()[-1]
    assert "; events: 1 squares.counted; files: " in line
    folder = Path(line.rpartition("files: ")[2])
    assert not folder.is_absolute()
    assert (folder / "report.txt").read_text(encoding="utf-8") == "report"


@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_run_for_programs_is_one_document(agentflow, manifest: str, form: str, load) -> None:
    """Standard output holds the document and nothing else, whatever the nodes print."""
    answer = agentflow(*HELLO, "--input", "name=Bob", "-o", form)
    assert answer.code == 0
    (run,) = load(answer.out)["runs"]
    assert run["name"] == "flow/hello"
    assert run["status"] == "completed"
    assert run["output"] == {"text": "HELLO BOB"}
    assert run["steps"] == 2
    assert run["artifacts"] is None
    assert "error" not in run
    assert "said by a node" in answer.err


def test_run_counts_events_and_names_files_for_programs(agentflow, manifest: str) -> None:
    """The document has the events by type and the absolute folder of the files."""
    (run,) = json.loads(agentflow("run", "app", "batch", "-o", "json").out)["runs"]
    assert run["events"] == {"squares.counted": 1}
    assert os.listdir(run["artifacts"]) == ["report.txt"]


def test_run_that_fails_ends_with_1(agentflow, manifest: str) -> None:
    """The cause is an error line with its code; what others wrote is shown without escape sequences."""
    answer = agentflow("run", "app", "failing")
    assert answer.code == 1
    assert answer.out == ""
    assert "error[AF-NODE-FAILED]: Run " in answer.err
    assert "no such luck" in answer.err
    assert "\x1b" not in answer.err
    assert "Traceback" not in answer.err


def test_run_that_fails_is_still_a_document(agentflow, manifest: str) -> None:
    """A program reads how the run ended."""
    answer = agentflow("run", "app", "failing", "-o", "json")
    assert answer.code == 1
    (run,) = json.loads(answer.out)["runs"]
    assert run["status"] == "failed"
    assert run["error"]["code"] == "AF-NODE-FAILED"
    assert "\x1b" not in answer.out


def test_run_debug_shows_where_a_node_failed(agentflow, manifest: str) -> None:
    """With --debug the traceback leads into the node's code."""
    answer = agentflow("run", "app", "failing", "--debug")
    assert answer.code == 1
    assert 'raise ValueError("no such luck' in answer.err


def test_run_reads_a_source_to_its_end(agentflow, manifest: str) -> None:
    """The only trigger is chosen; each of its events is a run, and each run shows its text."""
    answer = agentflow("run", "app")
    assert answer.code == 0
    assert sorted(answer.out.splitlines()) == ["Hello Ada", "Hello Grace"]
    assert answer.err.count("completed in") == 4


def test_run_input_replaces_settings_of_a_source(agentflow, manifest: str, workplace: Path) -> None:
    """For a trigger `--input` is what its source is made with."""
    other = workplace / "other.txt"
    other.write_text("Alan\n", encoding="utf-8")
    answer = agentflow("run", "app", "trigger/each-line", "--input", f"path={other}", "-o", "json")
    assert [run["output"] for run in json.loads(answer.out)["runs"]] == [{"text": "Hello Alan"}]


def test_run_without_its_source_ends_with_1(agentflow, manifest: str) -> None:
    """A file that is not there is named, with what to do; nothing was run."""
    answer = agentflow("run", "app", "--input", "path=absent.txt")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error[AF-INPUT-INVALID]: Source file ")
    assert "absent.txt': No such file or directory. Give another path." in answer.err


def test_run_refuses_a_wrong_setting_of_a_source(agentflow, manifest: str) -> None:
    """A setting that the source does not have gets the nearest one."""
    answer = agentflow("run", "app", "--input", "pth=x")
    assert answer.code == 2
    assert "Did you mean 'path'?" in answer.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run"], "error[AF-USAGE]: Missing argument 'PATH'."),
        (["run", "nowhere"], "error[AF-MANIFEST]: nowhere: "),
        (["run", "app", "helo"], "Did you mean 'hello'?"),
        (["run", "app", "hello", "-i", "word"], "error[AF-INPUT-INVALID]: --input 'word': Expected "),
        (["run", "app", "hello", "-o", "xml"], "error[AF-USAGE]: Invalid value for '-o'"),
    ],
)
def test_run_that_is_called_wrongly_ends_with_2(agentflow, manifest: str, arguments: list[str], problem: str) -> None:
    """What is wrong with the call is said in one line, before anything is run or written."""
    answer = agentflow(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert problem in answer.err.splitlines()[0]
    assert not Path(".agentflow").exists()


def test_run_refuses_code_that_is_not_listed(agentflow, manifest: str, workplace: Path) -> None:
    """Code beside a manifest is not trusted for being there; --trust-code allows it for this run."""
    (workplace / "agentflow.toml").unlink()
    answer = agentflow(*HELLO)
    assert answer.code == 2
    assert answer.err.startswith("error[AF-CODE-UNTRUSTED]: ")
    assert "--trust-code" in answer.err
    assert agentflow(*HELLO, "--trust-code").code == 0


def test_run_with_a_model_that_is_not_installed_gives_the_pip_line(agentflow, manifest: str, workplace: Path) -> None:
    """`--model` puts a provider in the place of all agents' models; one that is missing is named with its cure."""
    (workplace / "agent.yaml").write_text(
        "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: ask}\n"
        "spec: {nodes: {one: {agent: helper}}}\n---\n"
        "apiVersion: agentflow.dev/v1\nkind: Model\nmetadata: {name: echo}\nspec: {plugin: echo}\n---\n"
        "apiVersion: agentflow.dev/v1\nkind: Agent\nmetadata: {name: helper}\n"
        "spec: {model: echo, planner: straight}\n",
        encoding="utf-8",
    )
    answer = agentflow("run", "agent.yaml", "--model", "nowhere/big-1")
    assert answer.code == 2
    assert "error[AF-PLUGIN-UNKNOWN]: " in answer.err
    assert "pip install agentflow-nowhere" in answer.err


def test_run_without_a_journal_plugin_says_what_to_install(agentflow, workplace: Path) -> None:
    """Nothing runs undurably in silence: the command line's journal has to be there, and admitted."""
    (workplace / "flow.yaml").write_text(
        "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: tell}\nspec: {nodes: {one: {emit: it}}}\n",
        encoding="utf-8",
    )
    answer = agentflow("run", "flow.yaml", AGENTFLOW_PLUGINS="none", PYTHONPATH="")
    assert answer.code == 2
    assert "journal" in answer.err
    assert "pip install agentflow-sqlite" in answer.err or "AGENTFLOW_PLUGINS" in answer.err


def test_run_no_progress_leaves_only_the_last_line(agentflow, manifest: str) -> None:
    """With --no-progress standard error has one line."""
    answer = agentflow(*HELLO, "--no-progress")
    assert len(answer.err.splitlines()) == 1


def test_run_keeps_its_state_where_it_is_told(agentflow, manifest: str, workplace: Path) -> None:
    """`--state` comes before AGENTFLOW_STATE, and that before `.agentflow`."""
    assert agentflow(*HELLO, AGENTFLOW_STATE="by-variable").code == 0
    assert (workplace / "by-variable").is_dir()
    assert agentflow(*HELLO, "--state", "by-option", AGENTFLOW_STATE="other").code == 0
    assert (workplace / "by-option").is_dir()
    assert not (workplace / "other").exists()
    assert not (workplace / ".agentflow").exists()


def test_run_takes_its_input_from_a_pipe(agentflow, manifest: str) -> None:
    """`--input -` reads standard input."""
    answer = agentflow(*HELLO, "--input", "-", stdin='{"name": "pipe"}')
    assert answer.out.splitlines()[-1] == "HELLO PIPE"
