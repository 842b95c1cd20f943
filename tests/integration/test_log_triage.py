"""The main job, as its user does it: one command, a real log, a report."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from program import EXAMPLE, PROGRAM, ROOT, agentflow, of_log, report, triage

pytestmark = pytest.mark.timeout(120)
SAMPLE = EXAMPLE / "sample.log"


def real_log() -> Path:
    """The real log; the test is skipped where it is not given."""
    data = os.environ.get("AGENTFLOW_TEST_DATA")
    if not data:
        pytest.skip("AGENTFLOW_TEST_DATA names no folder with real logs (logs/OpenSSH_2k.log)")
    return Path(data, "logs", "OpenSSH_2k.log")


def labelled(log: Path) -> dict[str, tuple[int, set[str]]]:
    """Failed passwords and attempted users per address, from the labels of the data set."""
    counts: dict[str, int] = defaultdict(int)
    users: dict[str, set[str]] = defaultdict(set)
    with open(log.with_name("OpenSSH_2k.log_structured.csv"), newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            times = 1
            content = row["Content"]
            if row["EventId"] == "E14":
                times = int(re.match(r"message repeated (\d+) times", content)[1])  # type: ignore[index]
                content = content[content.index("[ ") + 2 :]
            elif row["EventId"] not in {"E9", "E10"}:
                continue
            match = re.match(r"Failed password for (?:invalid user )?(.*) from (\S+) port \d+", content)
            assert match, content
            counts[match[2]] += times
            users[match[2]].add(match[1])
    return {address: (counts[address], users[address]) for address in counts}


def test_the_report_equals_the_labels(tmp_path: Path) -> None:
    """23 addresses, 528 failed passwords, and per address the count and the users that the labels give."""
    log = real_log()
    result = triage(log, tmp_path)
    assert result.code == 0, result.err
    attackers = report(tmp_path)["attackers"]
    found = {entry["address"]: (entry["failed_passwords"], set(entry["users"])) for entry in attackers}  # type: ignore[attr-defined]
    expected = labelled(log)
    assert found == expected
    assert len(found) == 23
    assert sum(count for count, _ in found.values()) == 528
    assert " 0101" in found["5.188.10.180"][1]


def test_the_sample_runs_on_the_defaults(tmp_path: Path) -> None:
    """Without any variable the example works on its own sample and prints the table."""
    result = agentflow("run", str(EXAMPLE), "--state", str(tmp_path))
    assert result.code == 0, result.err
    assert "attacking addresses" in result.out
    assert "incident.detected" in result.err


def test_the_json_output_is_only_json(tmp_path: Path) -> None:
    """With -o json, standard output is one JSON document with the report in it."""
    result = triage(SAMPLE, tmp_path, "-o", "json")
    assert result.code == 0, result.err
    assert "attackers" in str(result.json())


def test_a_second_run_knows_what_the_first_one_saw(tmp_path: Path) -> None:
    """Memory outlives the run: the second report says of every address that it was seen before."""
    first = triage(SAMPLE, tmp_path, "-o", "json").out
    second = triage(SAMPLE, tmp_path, "-o", "json").out
    assert re.search(r'"seen_before":\s*null', first)
    assert not re.search(r'"seen_before":\s*null', second)


def test_another_process_reads_the_state_while_a_run_works(tmp_path: Path) -> None:
    """`get runs` and `describe run` answer while the run is being worked on."""
    words = ["run", str(EXAMPLE), "--state", str(tmp_path), "--no-progress"]
    with subprocess.Popen([*PROGRAM, *words], env=of_log(SAMPLE), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        seen = ""
        while process.poll() is None and "running" not in seen:
            seen = (
                agentflow("get", "runs", "--state", str(tmp_path), "-o", "json").out
                if (tmp_path / "journal.db").exists()
                else ""
            )
    assert process.returncode == 0
    runs = agentflow("get", "runs", "--state", str(tmp_path), "-o", "json").json()
    assert [run["status"] for run in runs] == ["completed"]  # type: ignore[attr-defined]
    described = agentflow("describe", "run", runs[0]["run_id"], "--state", str(tmp_path))  # type: ignore[index]
    assert described.code == 0
    assert "step.completed" in described.out or "parse" in described.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_resume_and_resumes(tmp_path: Path, number: int) -> None:
    """Ctrl-C and SIGTERM suspend the run, exit 130, name the command; that command completes it."""
    log = tmp_path / "large.log"
    make = [sys.executable, str(EXAMPLE / "make_sample.py"), "--lines", "200000", "--out", str(log)]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    state = tmp_path / "state"
    words = [*PROGRAM, "run", str(EXAMPLE), "--state", str(state)]
    text = ""
    with subprocess.Popen(
        words, env=of_log(log), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            text += line
            if "parse: started" in line:
                process.send_signal(number)
                break
        text += process.stderr.read()
    assert process.returncode == 130, text
    match = re.search(r"agentflow resume (\S+)", text)
    assert match, text
    shown = agentflow("get", "runs", "--state", str(state), "-o", "json").json()
    assert [run["status"] for run in shown] == ["suspended"]  # type: ignore[attr-defined]
    result = agentflow("resume", match[1], "--state", str(state), "--no-progress", env=of_log(log))
    assert result.code == 0, result.err
    assert "attacking addresses" in result.out


def test_a_model_that_is_not_installed_gives_the_pip_line(tmp_path: Path) -> None:
    """--model with a provider that is not there: exit 2 and the command that would install it."""
    result = triage(SAMPLE, tmp_path, "--model", "nowhere/large")
    assert result.code == 2
    assert "pip install agentflow-nowhere" in result.err
    assert "Traceback" not in result.err


def bad_log(folder: Path, kind: str) -> Path:
    """A log of the kind that gives trouble."""
    log = folder / f"{kind}.log"
    line = b"Dec 10 06:55:48 host sshd[1]: Failed password for root from 192.0.2.7 port 22 ssh2\n"
    content = {
        "empty": b"",
        "binary": b"\x00\x01\x02\xff" * 1000,
        "long-line": line + b"x" * 10_000_000 + b"\n" + line,
        "no-newline": line.rstrip(b"\n"),
        "not-utf8": b"\xff\xfe caf\xe9\n" + line,
    }
    if kind == "folder":
        log.mkdir()
    elif kind in content:
        log.write_bytes(content[kind])
    return log


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("missing", 1, "missing.log"),
        ("folder", 1, "folder.log"),
        ("binary", 1, "binary.log"),
        ("empty", 0, "The log is empty"),
        ("long-line", 0, "192.0.2.7"),
        ("no-newline", 0, "192.0.2.7"),
        ("not-utf8", 0, "192.0.2.7"),
    ],
)
def test_a_log_that_gives_trouble(tmp_path: Path, kind: str, code: int, says: str) -> None:
    """A typed error that says what and where, or a sound result; never a traceback."""
    log = bad_log(tmp_path, kind)
    result = triage(log, tmp_path / "state")
    text = result.out + result.err
    assert result.code == code, text
    assert says in text
    assert "Traceback" not in text
    if code:
        assert re.search(r"error\[AF-[A-Z-]+\]", result.err), text


def test_a_log_that_grows_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    """Lines that come after the reading began are not part of it, and do no harm."""
    log = tmp_path / "growing.log"
    make = [sys.executable, str(EXAMPLE / "make_sample.py"), "--lines", "50000", "--out", str(log)]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    words = [*PROGRAM, "run", str(EXAMPLE), "--state", str(tmp_path / "state")]
    late = b"Dec 11 00:00:00 host sshd[9]: Failed password for late from 198.51.100.250 port 1 ssh2\n"
    told, written, before = tmp_path / "told", 0, 0
    with (
        open(log, "ab", buffering=0) as file,
        open(told, "wb") as stderr,
        subprocess.Popen(words, env=of_log(log), cwd=ROOT, stderr=stderr) as process,
    ):
        while process.poll() is None:
            file.write(late)
            written += 1
            if not before and b"parse: started" in told.read_bytes():  # by then it has long looked how large the log is
                before = written
            time.sleep(0.001)
    assert process.returncode == 0, told.read_text()
    assert report(tmp_path / "state")["log"]["lines"] <= 50000 + before  # type: ignore[index]
    assert 0 < before < written - 100


def test_a_log_that_is_gone_leaves_the_run_resumable(tmp_path: Path) -> None:
    """A run whose log cannot be read is suspended with the reason; when the log is back, resume completes it."""
    log, state = tmp_path / "away.log", tmp_path / "state"
    words = ["run", str(EXAMPLE), "flow/triage", "--input", f"path={log}", "--state", str(state), "--no-progress"]
    result = agentflow(*words, env=of_log(log))
    assert result.code == 1
    assert "No such file" in result.err
    assert "agentflow resume" in result.err
    assert "Traceback" not in result.err
    (run,) = agentflow("get", "runs", "--state", str(state), "-o", "json").json()  # type: ignore[misc]
    assert run["status"] == "suspended"
    log.write_bytes(SAMPLE.read_bytes())
    again = agentflow("resume", "--state", str(state), "--no-progress", env=of_log(log))
    assert again.code == 0, again.err
    assert "attacking addresses" in again.out


def test_resume_wants_the_environment_of_the_start(tmp_path: Path) -> None:
    """A variable that the manifest names has changed: resume refuses by name, unless the change is accepted."""
    log, state = tmp_path / "away.log", tmp_path / "state"
    words = ["run", str(EXAMPLE), "flow/triage", "--input", f"path={log}", "--state", str(state), "--no-progress"]
    assert agentflow(*words, env=of_log(log)).code == 1
    log.write_bytes(SAMPLE.read_bytes())
    refused = agentflow("resume", "--state", str(state))
    assert refused.code == 2
    assert "TRIAGE_LOG_ROOT" in refused.err
    elsewhere = {**of_log(log), "TRIAGE_LOG": "another.log"}
    accepted = agentflow("resume", "--accept-environment", "--state", str(state), "--no-progress", env=elsewhere)
    assert accepted.code == 0, accepted.err
