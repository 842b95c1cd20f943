"""The doctor names every broken plugin and survives them all."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from agentflow_kernel.loading import doctor, record_digest
from agentflow_kernel.loading.doctor import Finding, diagnose, examine
from agentflow_kernel.settings import PluginRule, Settings

PIPES = (
    "import os\n"
    "links = {n: f'/proc/self/fd/{n}' for n in range(3, 20)}\n"
    "pipes = [n for n, link in links.items() if os.path.exists(link) and 'pipe' in os.readlink(link)]\n"
    "assert pipes\n"
)
"""How a plugin finds the line on which its child answers."""

pytestmark = pytest.mark.timeout(300)  # each child is an interpreter; one of the bad plugins hangs on purpose


def found(site, timeout_s: float = 10) -> list[Finding]:
    return examine(site.catalogue().entries(), timeout_s)


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_each_bad_plugin_is_named_with_its_distribution_and_cause(site) -> None:
    """All five in one go, beside good ones of which nothing is said."""
    site.write_good_plugins()
    expected = site.write_bad_plugins()
    findings = found(site)
    assert {finding.distribution: finding.level for finding in findings} == dict.fromkeys(expected, "error")
    assert len(findings) == len(expected)
    for finding in findings:
        assert expected[finding.distribution] in finding.problem
        assert finding.plugin == f"tool {finding.distribution.removeprefix('agentflow-')}"
        assert finding.version == "1.0"
    assert not [name for name in sys.modules if name.startswith(("agentflow_good", "agentflow_bad"))]


def test_good_plugins_give_no_finding(site) -> None:
    """Silence means that all is well."""
    site.write_good_plugins()
    assert found(site) == []


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("import os\nos._exit(0)\n", "ended the interpreter at import with status 0"),
        ("import os\nos._exit(7)\n", "ended the interpreter at import with status 7"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "crashed the interpreter at import (SIGSEGV)"),
        ("import os\nos.abort()\n", "crashed the interpreter at import (SIGABRT)"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt at import"),
        ("input()\n", "EOFError at import"),
        ("import os\nos.kill(os.getpid(), 9)\n", "gave no answer at import and was killed"),
    ],
)
def test_the_end_of_a_child_is_told(site, head, problem) -> None:
    """Exits, crashes, interrupts, reading from standard input."""
    site.write_toolset("agentflow-x", "x", head=head)
    (finding,) = found(site)
    assert finding.level == "error"
    assert problem in finding.problem


def test_a_plugin_that_closes_the_line_is_an_error(site) -> None:
    """There is no answer, and no need to wait for one."""
    site.write_toolset("agentflow-x", "x", head="import os, time\nos.closerange(3, 100)\ntime.sleep(60)\n")
    (finding,) = found(site, timeout_s=30)
    assert finding.problem == "gave no answer at import and was killed"


@pytest.mark.parametrize(
    ("head", "more", "stage"),
    [
        ("import time\ntime.sleep(60)\n", "", "at import"),
        ("import time\ndef wait(): time.sleep(60)\n", "settings=wait()", "in its hook"),
        ("", "settings='agentflow_x.slow:Model'", "when its settings 'agentflow_x.slow:Model' is imported"),
    ],
)
def test_a_hang_is_told_by_its_stage_and_stopped_in_time(site, head, more, stage) -> None:
    """At import, in the hook, or when what the spec names is imported."""
    site.write_toolset("agentflow-x", "x", head=head, more=more)
    (site.folder / "agentflow_x" / "slow.py").write_text("import time\ntime.sleep(60)\n")
    before = time.monotonic()
    (finding,) = found(site, timeout_s=5)
    assert finding.problem == f"hangs {stage}: no answer within 5 s, so it was stopped"
    assert time.monotonic() - before < 50


@pytest.mark.parametrize("head", ["time.sleep(60)\n", ""])
def test_what_a_plugin_starts_ends_with_it(site, tmp_path, head) -> None:
    """Its child processes are stopped too, whether it hangs or not."""
    pids = tmp_path / "pids"
    start = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pids)!r}, 'w').write(str(child.pid))\n"
    )
    site.write_toolset("agentflow-x", "x", head=start + head)
    found(site, timeout_s=8)
    process = int(pids.read_text())
    deadline = time.monotonic() + 30
    while is_alive(process) and time.monotonic() < deadline:
        os.sched_yield()
    assert not is_alive(process)


def test_a_plugin_that_forks_and_goes_on_does_not_hold_the_doctor_up(site) -> None:
    """The answer counts, not the end of every process that has the line open."""
    site.write_toolset(
        "agentflow-x", "x", head="import os, time\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)\n"
    )
    before = time.monotonic()
    assert found(site, timeout_s=50) == []
    assert time.monotonic() - before < 45


@pytest.mark.parametrize(
    "head",
    [
        "print('noise' * 100_000)\nimport sys\nprint('noise', file=sys.stderr)\n",
        PIPES + '[os.write(n, b\'noise\\n[1]\\n{"kind": [], "stage": 5}\\n\') for n in pipes]\n',
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n",
        "import atexit, time\natexit.register(time.sleep, 60)\n",
        "import sys\nsys.stdout = sys.stderr = None\n",
    ],
)
def test_a_plugin_may_be_noisy(site, head) -> None:
    """Output, rubbish on the line, threads and exit handlers change nothing."""
    site.write_toolset("agentflow-x", "x", head=head)
    assert found(site, timeout_s=30) == []


def test_endless_answers_are_cut_off(site) -> None:
    """Who floods the line is stopped before memory runs out."""
    flood = PIPES + "while True:\n    [os.write(n, b'x' * 65536) for n in pipes]\n"
    site.write_toolset("agentflow-x", "x", head=flood)
    (finding,) = found(site, timeout_s=30)
    assert finding.problem == "gave no answer at import and was killed"


def test_libraries_and_modules_beyond_the_allowance_are_warnings(site) -> None:
    """The plugin works, but everyone who names it pays."""
    for number in range(20):
        (site.folder / f"filler_{number}.py").touch()
    many = "".join(f"import filler_{number}\n" for number in range(20))
    site.write_toolset("agentflow-sdk", "sdk", head="import pydantic\n")
    site.write_toolset("agentflow-many", "many", head=many)
    by_name: dict[str, list[str]] = {}
    for finding in found(site):
        assert finding.level == "warning"
        by_name.setdefault(finding.plugin, []).append(finding.problem)
    assert any("loads 22 modules at registration; the limit is 15" in problem for problem in by_name["tool many"])
    assert any("pydantic" in problem for problem in by_name["tool sdk"])


def test_what_a_factory_loads_is_its_own_affair(site) -> None:
    """Only registration has an allowance."""
    site.write_toolset("agentflow-x", "x")
    (site.folder / "agentflow_x" / "objects.py").write_text("import pydantic, asyncio\nmake = print\n")
    assert found(site) == []


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("settings='agentflow_x.absent:Model'", "ModuleNotFoundError in its settings 'agentflow_x.absent:Model'"),
        ("settings='agentflow_x.objects:Model'", "AttributeError in its settings"),
        ("settings=5", "AttributeError in its settings 5"),
    ],
)
def test_what_a_spec_names_must_be_there(site, more, problem) -> None:
    """A missing driver shows here, not in the first run."""
    site.write_toolset("agentflow-x", "x", more=more)
    (finding,) = found(site)
    assert finding.level == "error"
    assert problem in finding.problem


def test_entries_of_one_module_share_a_child(site) -> None:
    """Each gets its own finding, and the cost is told once."""
    site.write_toolset("agentflow-x", "one", "two", head="import pydantic\n")
    findings = found(site)
    assert {finding.plugin for finding in findings} == {"tool one"}
    site.write_toolset("agentflow-x", "one", "two", head="1 / 0\n")
    assert [finding.plugin for finding in found(site)] == ["tool one", "tool two"]


def test_kinds_without_hook_are_imported_and_harnesses_left_alone(site) -> None:
    """A command must be there; a harness belongs to the tests of its plugin."""
    groups = {
        "agentflow.commands": {"good": "cmd:run", "bad": "cmd:ran"},
        "agentflow.harnesses": {"tool.x": "absent:H"},
    }
    site.write_distribution("agentflow-c", {"cmd.py": "import json\nrun = print\n"}, groups)
    (finding,) = found(site)
    assert finding.plugin == "command bad"
    assert "AttributeError at import" in finding.problem


def test_what_is_not_admitted_is_noted_and_not_imported(site, tmp_path, monkeypatch) -> None:
    """The canary stays silent."""
    canary = tmp_path / "canary"
    site.write_toolset("agentflow-x", "x", head=f"open({str(canary)!r}, 'w')\n")
    monkeypatch.setenv("AGENTFLOW_PLUGINS", "other")
    (finding,) = found(site)
    assert finding.level == "note"
    assert "not admitted: AGENTFLOW_PLUGINS" in finding.problem
    assert not canary.exists()


def test_children_run_a_few_at_a_time_without_threads(site, tmp_path) -> None:
    """At most four at once, none left behind, no thread and no descriptor more than before."""
    log = tmp_path / "log"
    head = (
        f"import time\nopen({str(log)!r}, 'a').write('+')\n"
        f"while open({str(log)!r}).read().count('+') < 2: time.sleep(0.01)\n"  # one alone would wait until it is killed
        f"time.sleep(0.3)\nopen({str(log)!r}, 'a').write('-')\n"
    )
    for number in range(9):
        site.write_toolset(f"agentflow-x{number}", f"x{number}", head=head)
    children = set(psutil.Process().children(recursive=True))
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    assert found(site, timeout_s=30) == []
    text = log.read_text()
    most = max(text[:end].count("+") - text[:end].count("-") for end in range(len(text) + 1))
    assert len(text) == 18
    assert 1 < most <= 4
    assert threading.active_count() <= threads  # those that other tests have left may end meanwhile
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert set(psutil.Process().children(recursive=True)) <= children


def test_an_interrupted_doctor_leaves_no_child(site, tmp_path, monkeypatch) -> None:
    """Ctrl-C stops the children as well."""
    pids = tmp_path / "pids"
    site.write_toolset(
        "agentflow-x", "x", head=f"import os, time\nopen({str(pids)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    )

    def interrupt(*_: object) -> None:
        if pids.exists() and pids.read_text():
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        with pytest.raises(KeyboardInterrupt):
            found(site, timeout_s=30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert not is_alive(int(pids.read_text()))


# ---- the whole diagnosis


def texts(site, settings: Settings | None = None) -> list[str]:
    return [str(finding) for finding in diagnose(site.catalogue(settings))]


def test_trust_in_everything_installed_is_said(site) -> None:
    """Because nobody decided it."""
    (note,) = texts(site)
    assert note.startswith("note: trust is installed (no agentflow.toml was found)")


def test_a_list_without_effect_is_a_warning(site) -> None:
    """Who writes a list expects it to count."""
    settings = Settings(file="agentflow.toml", trust="installed", plugins={"agentflow-x": PluginRule()})
    assert texts(site, settings)[1] == ("warning: [plugins.allow] in agentflow.toml has no effect: trust is installed")


def test_a_listed_distribution_that_is_absent_is_noted(site) -> None:
    """A slip in its name would otherwise go unnoticed."""
    settings = Settings(file="agentflow.toml", trust="listed", plugins={"agentflow-x": PluginRule()})
    assert texts(site, settings) == ["note: agentflow.toml allows agentflow-x, which offers nothing here"]


def test_rivals_and_broken_metadata_are_errors(site) -> None:
    """Both distributions are named; the sound part is still examined."""
    site.write_toolset("agentflow-one", "files")
    location = site.write_toolset("agentflow-two", "files", version="2.0")
    with (location / "entry_points.txt").open("a") as stream:
        stream.write("nonsense\n")
    _, broken, rivals = texts(site)
    assert broken == "error: agentflow-two 2.0: entry_points.txt line 3: 'nonsense' is no entry point"
    assert rivals.startswith("error: tool files: is offered by agentflow-one 1.0 and by agentflow-two 2.0;")


def test_a_pinned_plugin_whose_files_changed_is_not_imported(site, tmp_path) -> None:
    """It is an error, and the canary in the changed file stays silent."""
    location = site.write_toolset("agentflow-x", "x")
    rule = PluginRule("*", record_digest(str(location)))
    settings = Settings(file="agentflow.toml", trust="listed", plugins={"agentflow-x": rule})
    assert texts(site, settings) == []
    canary = tmp_path / "canary"
    (site.folder / "agentflow_x" / "__init__.py").write_text(f"open({str(canary)!r}, 'w')\n")
    (text,) = texts(site, settings)
    assert text.startswith("error: tool x (agentflow-x 1.0): agentflow_x/__init__.py is not the file")
    assert not canary.exists()


def test_a_python_beyond_those_tested_is_a_warning(site, monkeypatch) -> None:
    """Nothing is said of the tested ones."""
    monkeypatch.setattr(doctor, "NEWEST_PYTHON", (3, 10))
    assert any("is newer than the newest tested, 3.10" in text for text in texts(site))
