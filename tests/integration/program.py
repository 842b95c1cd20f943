"""The installed program, run as its user runs it: in a process of its own, with a state folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "log-triage"
PROGRAM = [sys.executable, "-P", "-m", "agentflow_cli"]


class Result:
    """What a command did: exit code, standard output and standard error."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def json(self) -> object:
        """Standard output as JSON."""
        return json.loads(self.out)


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without a state folder or settings of its own, and some variables more."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTFLOW_", "TRIAGE_"))}
    return {**kept, **variables}


def of_log(log: Path) -> dict[str, str]:
    """The variables that point the example at a log."""
    return environment(TRIAGE_LOG=str(log), TRIAGE_LOG_ROOT=str(log.parent))


def agentflow(*words: str, env: dict[str, str] | None = None, cwd: Path = ROOT) -> Result:
    """Run one command to its end."""
    done = subprocess.run(
        [*PROGRAM, *words], env=env or environment(), cwd=cwd, capture_output=True, timeout=110, check=False
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def triage(log: Path, state: Path, *words: str) -> Result:
    """Run the example on one log."""
    return agentflow("run", str(EXAMPLE), "--state", str(state), "--no-progress", *words, env=of_log(log))


def report(state: Path) -> dict[str, object]:
    """The JSON report of the only run in a state folder."""
    (folder,) = (state / "artifacts").iterdir()
    document: dict[str, object] = json.loads((folder / "report.json").read_text())
    return document
