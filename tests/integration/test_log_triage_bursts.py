"""Bursts of errors, as the user of the example finds them: one command, a real log, a report."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from program import EXAMPLE, agentflow, of_log, report, triage

pytestmark = pytest.mark.timeout(120)


def real_log(name: str) -> Path:
    """A real log; the test is skipped where it is not given."""
    data = os.environ.get("AGENTFLOW_TEST_DATA")
    if not data:
        pytest.skip(f"AGENTFLOW_TEST_DATA names no folder with real logs (logs/{name})")
    return Path(data, "logs", name)


def test_the_bursts_of_an_apache_log_are_found_and_announced(tmp_path: Path) -> None:
    """38 bursts with 252 error lines, each an event; the table, the Markdown and the JSON speak of them."""
    result = triage(real_log("Apache_2k.log"), tmp_path)
    assert result.code == 0, result.err
    assert "595 error lines, 38 error bursts with 252 lines" in result.out
    assert "38 incident.detected" in result.err
    bursts = report(tmp_path)["bursts"]
    assert isinstance(bursts, list)
    assert (len(bursts), sum(each["count"] for each in bursts)) == (38, 252)
    assert all(each["templates"] and each["first"] <= each["last"] for each in bursts)
    (folder,) = (tmp_path / "artifacts").iterdir()
    assert bursts[0]["first"] in (folder / "report.md").read_text()


def test_a_log_without_a_burst_gives_a_report_that_says_so(tmp_path: Path) -> None:
    """Warnings are no errors, and 13 errors far from one another are no burst."""
    result = triage(real_log("Zookeeper_2k.log"), tmp_path)
    assert result.code == 0, result.err
    assert "No burst of errors: 13 error lines of 2,000 lines with time and level." in result.out
    assert report(tmp_path)["bursts"] == []


def test_chunks_given_by_hand_come_to_the_whole_log(tmp_path: Path) -> None:
    """Each chunk is a process of its own; what the earlier ones said is in the state folder."""
    log = tmp_path / "app.log"
    seconds = [0, 1, 2, 300, 301, 3, 4, 302, 303, 304]
    lines = [f"2024-01-02T03:{second // 60:02}:{second % 60:02} ERROR job {second} failed\n" for second in seconds]
    log.write_text("".join(lines))
    state, offset = tmp_path / "state", 0
    for start in range(0, len(lines), 4):
        content = "".join(lines[start : start + 4]).encode()
        spool = tmp_path / f"chunk-{start}"
        spool.write_bytes(content)
        data = {"path": str(spool), "log": str(log), "first_line": start + 1, "lines": content.count(b"\n")}
        data |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        data |= {"generation": 0, "offset": offset, "ends": start + 4 >= len(lines)}
        offset += len(content)
        event = tmp_path / "event.json"
        event.write_text(json.dumps(data))
        words = ["run", str(EXAMPLE), "flow/triage", "--input", f"@{event}", "--state", str(state), "-o", "json"]
        result = agentflow(*words, env=of_log(log))
        assert result.code == 0, result.err
    (run,) = result.json()["runs"]  # type: ignore[index]
    found = [(each["first"], each["last"], each["count"], each["lines"]) for each in run["output"]["report"]["bursts"]]
    assert found == [
        ("2024-01-02 03:00:00", "2024-01-02 03:00:04", 5, [1, 2, 3, 6, 7]),
        ("2024-01-02 03:05:00", "2024-01-02 03:05:04", 5, [4, 5, 8, 9, 10]),
    ]
    assert run["events"] == {"incident.detected": 1}, "the first burst was announced before"
