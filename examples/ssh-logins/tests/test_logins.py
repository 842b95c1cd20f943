"""The example as its reader runs it, on its sample and on real logs: three tools joined by references."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[1]
REAL = os.environ.get("AGENTFLOW_TEST_DATA")


def logins(folder: Path, *inputs: str, **variables: str) -> dict[str, Any]:
    """The head of a run in a folder of its own; its state stays there."""
    command = [sys.executable, "-m", "agentflow_cli", "run", str(EXAMPLE), "plan/logins", "--no-progress", "-o", "json"]
    words = [word for each in inputs for word in ("--input", each)]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [*command, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    return dict(run)


def test_the_sample_has_three_failures_and_one_success(tmp_path: Path) -> None:
    run = logins(tmp_path)

    output = run["output"]
    assert (run["status"], run["steps"]) == ("completed", 6)  # five steps, and the plan itself
    assert (output["log"], output["failed"]) == ("sample.log", 3)
    assert [match["line"] for match in output["accepted"]] == [4]
    assert output["tail"].splitlines()[-1].endswith("disconnected by user")


def test_the_tail_is_not_read_where_nobody_got_in(tmp_path: Path) -> None:
    (tmp_path / "quiet.log").write_text("Failed password for root\n", encoding="utf-8")

    run = logins(tmp_path, "path=quiet.log", LOGINS_ROOT=str(tmp_path))

    output = run["output"]
    assert (output["failed"], output["accepted"], output["tail"], run["steps"]) == (1, [], None, 5)


@pytest.mark.skipif(REAL is None, reason="AGENTFLOW_TEST_DATA names no folder with real logs")
def test_a_real_log_has_its_known_counts(tmp_path: Path) -> None:
    """2,000 lines of OpenSSH: 520 failed passwords and one that was accepted."""
    output = logins(tmp_path, "path=OpenSSH_2k.log", LOGINS_ROOT=str(Path(REAL or "", "logs")))["output"]

    assert output["failed"] == 520
    assert len(output["accepted"]) == 1
    assert "Accepted password for" in output["accepted"][0]["text"]
    assert len(output["tail"].splitlines()) == 3
