from __future__ import annotations

import json
import select
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE_S = 120


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Return when a node has made the file; fail when the process ends first."""
    end = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the node never came so far"
        select.select([], [], [], 0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_suspends_the_run_and_says_how_to_go_on(
    start, agentflow, manifest: str, workplace: Path, number: signal.Signals
) -> None:
    """Exit 130, the run is on record as suspended, and the printed command completes it: done steps stay done."""
    process = start("run", "app", "holding", "--state", "my state")
    wait_for(workplace / "holding", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("Go on with: ")]
    command = shlex.split(line.removeprefix("Go on with: "))
    assert command[:2] == ["agentflow", "resume"]
    assert command[3:] == ["--state", "my state"]
    (run,) = json.loads(agentflow("get", "runs", "-o", "json", "--state", "my state").out)
    assert (run["status"], run["cause"], run["run_id"]) == ("suspended", "asked", command[2])
    (workplace / "released").touch()
    answer = agentflow(*command[1:])
    assert answer.code == 0
    assert "1 step\n" in answer.err
    assert (workplace / "ledger").read_text(encoding="utf-8") == "mark\n"


def test_an_interrupted_run_is_a_document_too(start, manifest: str, workplace: Path) -> None:
    """A program reads that the run is suspended."""
    process = start("run", "app", "holding", "-o", "json")
    wait_for(workplace / "holding", process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    (run,) = json.loads(out)["runs"]
    assert run["status"] == "suspended"


def test_a_second_signal_ends_at_once(start, manifest: str, workplace: Path) -> None:
    """A node that keeps the event loop to itself cannot keep the process: the run counts as crashed."""
    process = start("run", "app", "stubborn")
    wait_for(workplace / "holding", process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "a second signal ends at once" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=DEADLINE_S) == 130


def test_ctrl_c_at_a_terminal_suspends(at_terminal, manifest: str, workplace: Path) -> None:
    """The key itself, at a real terminal with progress bars: 130, and the terminal is left in order."""
    code, shown = at_terminal("run", "app", "holding", press={workplace / "holding": b"\x03"})
    assert code == 130, shown
    assert "Go on with: agentflow resume " in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l"), "the cursor stays hidden"


def test_an_ignored_signal_stays_ignored(environment, script: str, manifest: str, workplace: Path) -> None:
    """What a shell protects from Ctrl-C (a background job) is not stopped by it."""
    command = f"trap '' INT; exec {shlex.quote(script)} run app holding"
    with subprocess.Popen(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        wait_for(workplace / "holding", process)
        process.send_signal(signal.SIGINT)
        (workplace / "released").touch()
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0


def test_a_thread_that_is_just_ending_keeps_nobody_from_being_called_at_the_exit() -> None:
    """Such as what counts lines or sends traces; one that does not end is left alone."""
    code = (
        "import atexit, sys, threading, time\n"
        "from agentflow_cli import app\n"
        "atexit.register(print, 'called', flush=True)\n"
        "lasts_s, app.ENDING_S = map(float, sys.argv[1:])\n"
        "threading.Thread(target=time.sleep, args=[lasts_s]).start()\n"
        "sys.exit(app.leave(3))\n"
    )

    def left(*seconds: str) -> tuple[int, str]:
        command = [sys.executable, "-c", code, *seconds]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        return done.returncode, done.stdout

    assert left("0.2", "10") == (3, "called\n")
    assert left("60", "0.05") == (3, "")
