"""A registration: what happened when a plugin was imported and asked, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE_S: Final = 30.0
CHILD: Final = """
import json, os, sys
request = json.loads(sys.argv[1])
sys.path[:] = request["path"]
answers = os.open(request["answers"], os.O_WRONLY | os.O_APPEND)
def tell(**fields):
    os.write(answers, json.dumps(fields, default=repr).encode() + b"\\n")
from agentflow_specs.watch import main
try:
    main(request, tell)
except BaseException as error:
    tell(failed=f"{type(error).__name__}: {error}")
finally:
    os._exit(0)
"""


@dataclass
class Registration:
    """One plugin module: what it said, and what it did to its process."""

    value: str
    """Its entry point, ``package._plugin``."""
    problem: str = ""
    """Why it came to no end: what was raised, or how the process ended."""
    modules: Sequence[str] = ()
    libraries: Sequence[str] = ()
    """Packages of others that were loaded."""
    heard: Sequence[str] = ()
    """Threads, processes, sockets and files, in words."""
    changed: Sequence[str] = ()
    """What belongs to the whole process and is not as it was."""
    asynchronous: Sequence[str] = ()
    steady: bool = True
    """Whether the hooks say the same when they are asked again."""
    specs: Sequence[Mapping[str, Any]] = ()
    resolved: list[Mapping[str, Any]] = field(default_factory=list)
    """What is wrong with each factory."""
    settings: list[Mapping[str, Any]] = field(default_factory=list)
    """What is wrong with each settings model, its fields, and those without description."""
    was_done: bool = False

    def take(self, told: Mapping[str, Any], stage: str) -> str:
        """Note one line; the stage after it."""
        if "specs" in told:
            for name in ("modules", "libraries", "heard", "changed", "asynchronous", "steady", "specs"):
                setattr(self, name, told[name])
        if "resolved" in told:
            self.resolved.append(told["resolved"])
        if "settings" in told:
            self.settings.append(told["settings"])
        if "failed" in told:
            self.problem = f"{told['failed']} ({stage})"
        self.was_done = self.was_done or "done" in told
        return str(told.get("stage", stage))


def register(value: str, groups: Mapping[str, Sequence[str]], path: Sequence[str]) -> Registration:
    """Import and ask the plugin behind an entry point; blocks for at most 30 seconds."""
    found, stage = Registration(value), "at start"
    with tempfile.TemporaryDirectory(prefix="agentflow-watch-") as folder:
        answers = Path(folder, "answers.jsonl")
        answers.touch()
        request = {"value": value, "groups": groups, "path": path, "answers": str(answers)}
        ended = _run([sys.executable, "-P", "-B", "-c", CHILD, json.dumps(request)], folder)
        for line in answers.read_bytes().splitlines():
            stage = found.take(json.loads(line), stage)
    if not found.was_done and not found.problem:
        found.problem = f"{ended} ({stage})"
    return found


def _run(command: Sequence[str], folder: str) -> str:
    """Run a child to its end, with all that it starts; how it ended."""
    output = Path(folder, "output.txt")
    with output.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 -- this very interpreter, no shell
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        status = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        return f"it hangs: no end within {PATIENCE_S:g} s"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
        process.wait()
    if status < 0:
        return f"it crashed the interpreter with {signal.Signals(-status).name}"
    said = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"it ended the interpreter with status {status}" + (f": {said[-1]}" if said else "")
