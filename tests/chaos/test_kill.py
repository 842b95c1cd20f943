"""Kills of the real process: a run of the example that dies at any moment ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from ledger import Ledger, wait_until

from agentflow_kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
KILLS = 8 if os.environ.get("AGENTFLOW_CHAOS", "short") == "short" else 200
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))
REPORTS = ("report.json", "report.md")

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600), pytest.mark.blocking]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One sink for the module."""
    sink = Ledger(tmp_path_factory.mktemp("sink"))
    yield sink
    sink.stop()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, ledger: Ledger) -> Path:
    """The example with one policy more, innermost round every call: it tells the ledger."""
    folder = tmp_path_factory.mktemp("example") / "log-triage"
    shutil.copytree(ROOT / "examples" / "log-triage", folder, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copy(HERE / "ledger_policy.py", folder)
    manifest = folder / "triage.yaml"
    text = manifest.read_text()
    told = text.replace("policies: [retry, timeout]", "policies: [retry, timeout, ledger]")
    told = told.replace("policies: [retry, patience]", "policies: [retry, patience, ledger]")
    assert told.count("ledger") == 2, "the example's manifest has changed its form"
    told += (
        "\n---\napiVersion: agentflow.dev/v1\nkind: Policy\nmetadata: {name: ledger}\n"
        f'spec: {{uses: "./ledger_policy.py:Ledger", with: {{address: "{ledger.address}"}}}}\n'
    )
    manifest.write_text(told)
    return folder


def log_file(example: Path) -> Path:
    """The real log where it is given, else the example's sample."""
    data = os.environ.get("AGENTFLOW_TEST_DATA")
    return Path(data, "logs", "OpenSSH_2k.log") if data else example / "sample.log"


def command(example: Path, state: Path, *words: str) -> list[str]:
    """A command line of the installed program."""
    return [sys.executable, "-P", "-m", "agentflow_cli", *words, "--state", str(state)]


def environment(example: Path) -> dict[str, str]:
    """The environment of the run: which log, and where its tools may look."""
    log = log_file(example)
    return {**os.environ, "TRIAGE_LOG": str(log), "TRIAGE_LOG_ROOT": str(log.parent)}


def start(example: Path, state: Path) -> subprocess.Popen[bytes]:
    """Begin a run in a fresh state folder."""
    words = command(example, state, "run", str(example), "--trust-code", "--no-progress")
    return subprocess.Popen(words, env=environment(example), stdout=subprocess.DEVNULL, start_new_session=True)


def kill_at(process: subprocess.Popen[bytes], ledger: Ledger, moment: int) -> bool:
    """Kill the process when so many effects are on the ledger; whether it was still at work."""
    wait_until(lambda: ledger.count() >= moment or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def completed_paths(state: Path) -> set[str]:
    """The paths of the steps that are on record."""

    async def read() -> set[str]:
        async with Kernel(state=str(state), journal="sqlite") as kernel:
            records = [record for info in await kernel.runs() for record in await kernel.history(info.run_id)]
        return {record.path for record in records if record.type == "step.completed"}

    return anyio.run(read) if (state / "journal.db").exists() else set()


def reports(state: Path) -> dict[str, bytes]:
    """The files that the run has written."""
    (folder,) = (state / "artifacts").iterdir()
    return {name: (folder / name).read_bytes() for name in REPORTS}


def test_a_killed_run_ends_as_if_nothing_had_happened(example: Path, ledger: Ledger, tmp_path: Path) -> None:
    """Killed at random moments: no completed step runs again, and the reports are equal byte for byte."""
    process = start(example, tmp_path / "undisturbed")
    assert process.wait() == 0
    expected = reports(tmp_path / "undisturbed")
    total = len(ledger.lines())
    assert total == len({line["key"] for line in ledger.lines()}), "an undisturbed run has no effect twice"
    assert total > 20
    paths = {line["path"] for line in ledger.lines()}
    dice = random.Random(SEED)
    repeated = landed = 0
    for number in range(KILLS):
        state = tmp_path / f"kill-{number}"
        ledger.clear()
        moment = dice.randrange(1, total)
        process = start(example, state)
        landed += kill_at(process, ledger, moment)
        before, done = ledger.lines(), completed_paths(state)
        words = command(example, state, "resume", "--all", "--no-progress")
        again = subprocess.run(words, env=environment(example), capture_output=True, check=False)
        assert again.returncode == 0, (number, moment, again.stderr.decode())
        after = ledger.lines()[len(before) :]
        redone = [line["path"] for line in after if line["path"] in done]
        assert not redone, f"kill {number} at effect {moment} (seed {SEED}): completed steps ran again: {redone}"
        keys = {line["key"] for line in before}
        doubled = [line for line in after if line["key"] in keys]
        assert len(doubled) <= 8, "more effects repeated than can have been in flight"
        repeated += len(doubled)
        assert reports(state) == expected, f"kill {number} at effect {moment} (seed {SEED}): the report differs"
        assert {line["path"] for line in before + after} == paths, "an effect is missing"
    assert landed >= KILLS - max(1, KILLS // 10), f"only {landed} of {KILLS} kills landed while work was in flight"
    print(
        f"{KILLS} kills, {landed} landed in flight, lost 0, completed steps run again 0, in flight repeated {repeated}"
    )
