from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

FLOW = "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: %s}\nspec: {nodes: {one: {emit: '%s'}}}\n"
AGENT = "apiVersion: agentflow.dev/v1\nkind: Agent\nmetadata: {name: helper}\nspec: {model: fast, planner: straight}\n"
MODEL = """apiVersion: agentflow.dev/v1
kind: Model
metadata: {name: made}
spec:
  plugin: echo
  model: echo-1
  aliases: [fast]
  prices: {input: 3, output: 15.5, cached: 0.3, as_of: "2026-11-21", source: the vendor}
"""


@pytest.fixture
def write(workplace: Path):
    """Write a manifest of these documents."""

    def make(name: str, *documents: str) -> str:
        (workplace / name).write_text("---\n".join(documents), encoding="utf-8")
        return name

    return make


def test_applying_twice_changes_nothing(agentflow, write) -> None:
    """The first time creates, the second finds nothing new, a change is a new version."""
    file = write("a.yaml", FLOW % ("triage", "x.y"), MODEL)
    first = agentflow("apply", "-f", file)
    assert (first.code, first.out, first.err) == (0, "flow/triage created\nmodel/made created\n", "")
    assert agentflow("apply", "-f", file).out == "flow/triage unchanged\nmodel/made unchanged\n"
    write("a.yaml", FLOW % ("triage", "x.z"), MODEL)
    assert agentflow("apply", "-f", file).out == "flow/triage configured (version 2)\nmodel/made unchanged\n"
    shown = agentflow("get", "flow", "triage", "--version", "1").out
    assert yaml.safe_load(shown)["spec"]["nodes"]["one"]["emit"] == "x.y"


def test_apply_says_all_that_is_wrong_and_changes_nothing(agentflow, write, workplace: Path) -> None:
    """With file and line of each finding, as `validate` does; settings that a plugin would refuse are among it."""
    file = write("a.yaml", FLOW % ("good", "x.y"), AGENT, MODEL.replace("plugin: echo", "plugin: eco"))
    answer = agentflow("apply", "-f", file, "-f", "nowhere.yaml")
    assert answer.code == 2
    assert "a.yaml:15:11: spec.plugin" in answer.err
    assert "Did you mean 'echo'?" in answer.err
    assert "nowhere.yaml: There is no such file or folder." in answer.err
    assert not (workplace / ".agentflow").exists()


def test_apply_knows_what_is_applied_already(agentflow, write) -> None:
    """A reference may lead to an earlier apply, by an alias, too."""
    answer = agentflow("apply", "-f", write("agent.yaml", AGENT))
    assert answer.code == 2
    assert "Unknown Model 'fast'" in answer.err
    agentflow("apply", "-f", write("model.yaml", MODEL))
    assert agentflow("apply", "-f", "agent.yaml").out == "agent/helper created\n"


def test_apply_reads_folders_and_standard_input(agentflow, write, workplace: Path) -> None:
    """Standard input's relative paths start where --folder says."""
    (workplace / "some").mkdir()
    write("some/a.yaml", FLOW % ("a", "x.y"))
    (workplace / "some" / "code.py").write_text("def f(x): return x\n", encoding="utf-8")
    text = FLOW.replace("emit: '%s'", 'uses: "./code.py:f"') % "b"
    assert agentflow("apply", "-f", "some").out == "flow/a created\n"
    refused = agentflow("apply", "-f", "-", stdin=text)
    assert refused.code == 2
    assert "<stdin>:4:" in refused.err
    assert agentflow("apply", "-f", "-", "--folder", "some", stdin=text).out == "flow/b created\n"
    assert agentflow("apply", "-f", "some", "--folder", "x").code == 2


def test_what_get_shows_can_be_applied(agentflow, write) -> None:
    """`get -o yaml` is a stream of manifests that says the same."""
    agentflow("apply", "-f", write("a.yaml", FLOW % ("a", "1e3"), MODEL, AGENT))
    stream = agentflow("get", "all", "-o", "yaml").out
    again = agentflow("apply", "-f", "-", stdin=stream)
    assert sorted(again.out.splitlines()) == ["agent/helper unchanged", "flow/a unchanged", "model/made unchanged"]


def test_a_dry_run_changes_nothing(agentflow, write, workplace: Path) -> None:
    answer = agentflow("apply", "-f", write("a.yaml", FLOW % ("a", "x.y")), "--dry-run")
    assert (answer.code, answer.out) == (0, "flow/a created (dry run)\n")
    assert not (workplace / ".agentflow").exists()
    agentflow("apply", "-f", "a.yaml")
    lines = agentflow("apply", "-f", write("a.yaml", FLOW % ("a", "x.z")), "--dry-run").out.splitlines()
    assert lines[:3] == ["flow/a configured (version 2) (dry run)", "--- flow/a version 1", "+++ flow/a in a.yaml"]
    assert [line for line in lines[3:] if line[0] in "+-"] == ["-      emit: x.y", "+      emit: x.z"]
    assert agentflow("apply", "-f", "a.yaml").out == "flow/a configured (version 2)\n"


def test_prune_deletes_what_left_the_manifest(agentflow, write) -> None:
    """But nothing that came from elsewhere."""
    agentflow("apply", "-f", write("other.yaml", FLOW % ("other", "x.y")))
    agentflow("apply", "-f", write("a.yaml", FLOW % ("a", "x.y"), FLOW % ("b", "x.y")))
    answer = agentflow("apply", "--prune", "-f", write("a.yaml", FLOW % ("a", "x.y")))
    assert answer.out == "flow/a unchanged\nflow/b deleted\n"
    assert agentflow("get", "flows", "-o", "name").out == "flow/a\nflow/other\n"
    assert agentflow("apply", "--prune", "-f", "-").code == 2


def test_apply_is_a_document_for_programs(agentflow, write) -> None:
    file = write("a.yaml", FLOW % ("a", "x.y"))
    found = json.loads(agentflow("apply", "-f", file, "-o", "json").out)
    assert found == [{"resource": "flow/a", "outcome": "created", "version": 1}]
    assert agentflow("apply", "-f", file, "-o", "name").out == "flow/a\n"


def test_delete_keeps_what_others_name(agentflow, write) -> None:
    """Unless those are to go, too; the versions stay."""
    agentflow("apply", "-f", write("a.yaml", MODEL, AGENT))
    refused = agentflow("delete", "model", "made")
    assert refused.code == 2
    assert "agent/helper names model/fast, which would not be there" in refused.err
    assert agentflow("delete", "mo/made", "--cascade").out == "model/made deleted\nagent/helper deleted\n"
    assert agentflow("get", "all", "-o", "json").out == "[]\n"
    assert yaml.safe_load(agentflow("get", "models", "made", "--version", "1").out)["spec"]["plugin"] == "echo"
    assert agentflow("apply", "-f", "a.yaml").out == "model/made created\nagent/helper created\n"
    assert agentflow("delete", "-f", "a.yaml").out == "model/made deleted\nagent/helper deleted\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["delete"], "Give KIND NAME"),
        (["delete", "flow"], "Name the flow to delete"),
        (["delete", "flows", "a"], "Unknown applied resource 'flow/a'"),
        (["delete", "flow/a", "b"], "such as flow/triage, found 'b'"),
        (["delete", "flow", "a", "-f", "x"], "Give KIND NAME"),
        (["get", "flow", "a"], "Unknown flow 'a'"),
        (["get", "flow", "--version", "1"], "need one NAME"),
        (["get", "flow", "a", "--versions"], "Unknown applied resource 'flow/a'"),
        (["get", "flow", "a", "--versions", "--watch"], "--watch goes with"),
        (["describe", "flow", "a"], "Unknown flow 'a'"),
        (["-o", "wide", "plugins"], "-o wide is no form of this command"),
        (["apply"], "Missing option '-f'"),
    ],
)
def test_wrong_calls_are_refused(inside, arguments: list[str], problem: str) -> None:
    answer = inside(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert problem in answer.err


def test_an_applied_flow_runs_from_anywhere(agentflow, manifest: str, workplace: Path) -> None:
    """By its key or its bare name, with the code beside its manifest, and it can be looked up."""
    assert agentflow("apply", "-f", "app").code == 0
    answer = agentflow("run", "flow/hello", "-i", "name=Ada", "--no-progress")
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "HELLO ADA")
    assert "HELLO ADA" in agentflow("run", "applied:hello", "-i", "name=Ada", "--no-progress").out
    head = json.loads(
        agentflow(
            "describe", "run", json.loads(agentflow("get", "runs", "-o", "json").out)[0]["run_id"], "-o", "json"
        ).out
    )
    assert head["origin"]["manifest"] == "applied:flow/hello"
    assert head["origin"]["versions"]["flow/hello"] == 1
    shown = agentflow("describe", "flow", "hello").out
    assert "flow/hello  completed" in shown
    guess = agentflow("run", "helo")
    assert guess.code == 2
    assert "Did you mean 'hello'?" in guess.err


def test_an_applied_trigger_reads_its_source_beside_its_manifest(agentflow, manifest: str) -> None:
    """A relative path in its settings starts at the manifest's folder."""
    agentflow("apply", "-f", "app")
    assert agentflow("run", "each-line", "--no-progress").out == "Hello Ada\nHello Grace\n"


def test_applying_does_not_widen_trust(agentflow, manifest: str, workplace: Path) -> None:
    """Code that `agentflow.toml` does not list runs with --trust-code only, whenever it was applied."""
    agentflow("apply", "-f", "app")
    (workplace / "agentflow.toml").write_text("", encoding="utf-8")
    refused = agentflow("run", "flow/hello", "--no-progress")
    assert refused.code == 2
    assert "code.py" in refused.err
    assert "--trust-code" in refused.err
    assert agentflow("run", "flow/hello", "--no-progress", "--trust-code").code == 0


def test_an_interrupted_run_of_an_applied_flow_is_resumed(start, agentflow, manifest: str, workplace: Path) -> None:
    """With what is applied then."""
    agentflow("apply", "-f", "app")
    process = start("run", "flow/holding", "--no-progress")
    wait_for(workplace / "holding", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Go on with: agentflow resume " in err
    (workplace / "released").touch()
    assert agentflow("resume", "--no-progress").code == 0
    assert (workplace / "ledger").read_text(encoding="utf-8") == "mark\n"


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    while not file.exists():
        assert process.poll() is None, process.communicate()
        select.select([], [], [], 0.005)


def test_two_at_once_lose_nothing(agentflow, write) -> None:
    """Each apply is counted, none overwrites another."""
    files = [write(f"{name}.yaml", FLOW % ("shared", f"x.{name}"), FLOW % (f"own-{name}", "x")) for name in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda file: agentflow("apply", "-f", file).code, files))
    assert codes == [0, 0, 0, 0]
    index = json.loads(agentflow("get", "all", "-o", "json").out)
    assert {each["metadata"]["name"]: each["version"] for each in index} == {
        "shared": 4, "own-a": 1, "own-b": 1, "own-c": 1, "own-d": 1,
    }  # fmt: skip
    emitted = {
        yaml.safe_load(agentflow("get", "flow", "shared", "--version", str(number)).out)["spec"]["nodes"]["one"]["emit"]
        for number in range(1, 5)
    }
    assert emitted == {"x.a", "x.b", "x.c", "x.d"}


DIE = """
import os, sys
from agentflow_kernel.kernel.applied import AppliedResources
from agentflow_kernel.manifest import read
calls = 0
replace, fsync = os.replace, os.fsync

def count(call):
    def counted(*arguments):
        global calls
        calls += 1
        if calls == int(sys.argv[1]):
            os.kill(os.getpid(), 9)
        return call(*arguments)
    return counted

os.replace, os.fsync = count(replace), count(fsync)
AppliedResources(".agentflow").apply(read("b.yaml").resources)
"""


def test_a_kill_at_any_moment_leaves_all_or_nothing(agentflow, write, workplace: Path) -> None:
    """The process is killed before each write in turn: what is applied is what was, until it is all that is new."""
    agentflow("apply", "-f", write("a.yaml", FLOW % ("one", "old"), FLOW % ("two", "old")))
    write("b.yaml", FLOW % ("one", "new"), FLOW % ("two", "new"), FLOW % ("three", "new"))
    seen = []
    for moment in range(1, 100):
        done = subprocess.run([sys.executable, "-c", DIE, str(moment)], check=False, timeout=120)
        found = json.loads(agentflow("get", "flows", "-o", "json").out)
        seen.append((*sorted({each["spec"]["nodes"]["one"]["emit"] for each in found}), len(found)))
        assert seen[-1] in {("old", 2), ("new", 3)}
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert seen[0] == ("old", 2)
    assert seen[-1] == ("new", 3)
    assert sorted(seen, reverse=True) == seen
    assert len(seen) > 8
    assert not list((workplace / ".agentflow").rglob("*.draft"))


BARE = MODEL.partition("spec:")[0] + "spec: {plugin: echo, model: echo}\n"


@pytest.mark.parametrize("source", ["applied", "file"])
def test_a_model_shows_what_its_provider_knows(agentflow, write, source: str) -> None:
    """Aliases, and prices with source and date, where the resource has none of its own."""
    file = write("model.yaml", BARE)
    agentflow("apply", "-f", file)
    given = () if source == "applied" else ("-f", file)
    shown = agentflow("get", "models", *given).out.splitlines()[1]
    assert shown.split("  ")[-1] == "made up"
    assert "2026-11-21" in shown
    [document] = json.loads(agentflow("get", "models", *given, "-o", "json").out)
    assert document["known"]["prices"]["input"] == 1.0
    assert "prices" not in document["spec"]
    assert "known" not in agentflow("get", "models", *given, "-o", "yaml").out


def test_a_models_own_prices_count(agentflow, write) -> None:
    agentflow("apply", "-f", write("model.yaml", MODEL))
    shown = agentflow("get", "models").out
    assert "the vendor" in shown
    assert "made up" not in shown
