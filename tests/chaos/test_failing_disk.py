"""A disk that fails: system calls of a real process return EIO; nothing acknowledged is lost, the errors are typed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from shutil import which
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest
from auditing import audited, crash_of, problems_of
from ledger import CHILD, HERE, Ledger
from process import open_journal
from service import not_there
from stores import installed

from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.testing.auditor import Auditor
from agentflow_kernel.testing.effects import Ledger as Effects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentflow_kernel.contracts.journal import RunInfo

LONG = os.environ.get("AGENTFLOW_CHAOS", "short") == "long"
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))
COUNT = 40
"""Runs of one process; they take more than 25 syncs."""
TIMES = 12 if LONG else 1
LASTS = {"once": 1, "for a while": 3, "for good": 0}
"""How many calls fail."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900), pytest.mark.blocking]


class Fault(NamedTuple):
    """A system call of a journal, between which of its calls the first one fails, and the file where others call it."""

    journal: str
    call: str
    least: int
    most: int
    only: str = ""

    def before(self, first: int, times: int, state: str, log: Path) -> list[str]:
        """The words before a command whose calls fail from the ``first`` on."""
        strace = which("strace")
        allowed = strace and subprocess.run(
            [strace, "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False
        )
        if not strace or not allowed or allowed.returncode:
            not_there("strace", "apt-get install strace; a container needs the right to trace (CAP_SYS_PTRACE)")
        when = f"{first}..{first + times - 1}" if times else f"{first}+"
        words = [strace, "-f", "-y", "--seccomp-bpf", "-qq", "-o", str(log), "-e", f"trace={self.call}"]
        words += ["-e", f"inject={self.call}:error=EIO:when={when}"]
        return [*words, "-P", os.path.join(state, self.only)] if self.only else words


FAULTS = [
    Fault("sqlite", "fdatasync", 8, 30),
    Fault("sqlite", "pwrite64", 30, 250),
    Fault("leveldb", "fdatasync", 6, 25),
    Fault("leveldb", "write", 4, 40, "journal.leveldb/db/000003.log"),
]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A sink for one test."""
    sink = Ledger(tmp_path)
    yield sink
    sink.stop()


async def heads(journal: str, state: str) -> dict[str, RunInfo]:
    """The heads of all runs."""
    opened = open_journal(journal, state)
    try:
        return {info.run_id: info for info in await opened.runs(limit=1_000_000)}
    finally:
        await opened.aclose()


@pytest.mark.parametrize("lasts", LASTS if LONG else ["for a while"])
@pytest.mark.parametrize(
    "fault", [each for each in FAULTS if each.journal in installed()], ids=lambda each: "-".join(each[:2])
)
def test_a_call_that_fails_loses_nothing(fault: Fault, lasts: str, ledger: Ledger, tmp_path: Path) -> None:
    """The callers get a typed error or a suspended run; a disk that works again is used; the next process ends all.

    Where one sync of LevelDB's log fails nobody need be told: opened anew, it writes what the log holds to a table.
    """
    journal, call = fault.journal, fault.call
    dice = random.Random(f"{SEED} {journal} {call} {lasts}")
    met: list[dict[str, int]] = []
    for number in range(TIMES):
        state, log = str(tmp_path / f"state-{number}"), tmp_path / f"strace-{number}"
        words = [journal, state, str(ledger.address), str(COUNT)]
        before = len(ledger.lines())
        first = dice.randrange(fault.least, fault.most)
        prefix = fault.before(first, LASTS[lasts], state, log)
        told = play([*prefix, sys.executable, str(HERE / "caller.py"), *words])
        what = f"{call} {first} {lasts} (seed {SEED})"
        assert b"INJECTED" in log.read_bytes(), f"{what}: it has made fewer calls"
        assert told["met"] or (journal == "leveldb" and lasts != "for good"), f"{what}: nobody was told"
        assert set(told["met"]) <= {"suspended", "AF-STORAGE-UNAVAILABLE", "closing: AF-STORAGE-UNAVAILABLE"}, what
        found = anyio.run(heads, journal, state)
        assert found.keys() >= set(told["accepted"]), f"{what}: an accepted run is lost"
        ends = {run_id: found[run_id].status for run_id in told["ended"]}
        assert ends == told["ended"], f"{what}: an acknowledged end is lost"
        if lasts != "for good":
            assert len(told["ended"]) > COUNT // 2, f"{what}: it has not healed by itself"
        check_next(journal, state, words, ledger, before)
        met.append(told["met"])
    print(f"{journal}: {call} failed {lasts}, {TIMES} times: lost 0, told {met} (seed {SEED})")


def play(words: list[str]) -> dict[str, Any]:
    """The last line of a process that must come to its end."""
    done = subprocess.run(words, capture_output=True, env=CHILD, check=False, timeout=200)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_next(journal: str, state: str, words: list[str], ledger: Ledger, before: int) -> None:
    """A process on a disk that works ends every run as it should; the auditor finds nothing."""
    auditor = Auditor(Effects())
    pid = int(ledger.lines()[-1]["pid"])
    anyio.run(crash_of, auditor, journal, state, pid)
    last = play([sys.executable, str(HERE / "process.py"), *words])
    assert last["ended"] == {"as expected": COUNT}
    assert {info.status for info in anyio.run(heads, journal, state).values()} <= TERMINAL
    auditor.ledger = Effects.from_lines(json.dumps(line) for line in ledger.lines()[before:])
    audit = anyio.run(audited, auditor, journal, state)
    assert not audit.violations, (SEED, audit.violations[:5])
    assert audit.accepted == COUNT
    assert problems_of(auditor.ledger, last["runs"]) == []
