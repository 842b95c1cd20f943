"""Two owners of one journal: a process that sleeps keeps its runs; one that lost them writes nothing more."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from ledger import CHILD, HERE, Ledger, put_to_sleep, wait_until
from process import open_journal

from agentflow_kernel.testing.auditor import find_problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 120
BRANCHES = 4
"""The most steps that one run of the flows has under way at a time."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.blocking]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A sink for one test."""
    sink = Ledger(tmp_path)
    yield sink
    sink.stop()


def asleep(words: list[str], ledger: Ledger, state: str) -> subprocess.Popen[bytes]:
    """A process that was stopped in the middle of its runs, between two transactions.

    One that is stopped in the middle of a transaction keeps everybody from writing: they get ``StorageUnavailable``.
    """
    first = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=CHILD)
    mark = 40
    while True:
        wait_until(lambda: ledger.count() > mark or first.poll() is not None)  # noqa: B023 -- called at once
        assert first.poll() is None, "it was too quick"
        put_to_sleep(first)
        if is_free(f"{state}/journal.db"):
            return first
        mark = ledger.count()
        first.send_signal(signal.SIGCONT)


def is_free(file: str) -> bool:
    """Whether nobody holds the lock of writers."""
    with contextlib.closing(sqlite3.connect(file, timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


async def histories(state: str) -> dict[str, list[Any]]:
    """All records of all runs."""
    journal = open_journal("sqlite", state)
    try:
        return {info.run_id: list(await journal.read(info.run_id)) for info in await journal.runs(limit=10_000)}
    finally:
        await journal.aclose()


def test_a_process_that_sleeps_keeps_its_runs(ledger: Ledger, tmp_path: Path) -> None:
    """The lock of SQLite's owner has no lease: the other is refused, and the sleeper ends its runs when it wakes."""
    state = str(tmp_path / "state")
    words = [sys.executable, str(HERE / "process.py"), "sqlite", state, str(ledger.address), str(COUNT)]
    first = asleep(words, ledger, state)
    try:
        mine = {str(line["run"]) for line in ledger.lines()}
        second = subprocess.run(words, capture_output=True, env=CHILD, check=False, timeout=120)
        assert second.returncode != 0
        assert b"is being worked on by process %d" % first.pid in second.stderr
    finally:
        first.send_signal(signal.SIGCONT)
    first.communicate(timeout=120)
    last = subprocess.run(words, capture_output=True, env=CHILD, check=True, timeout=120)
    assert json.loads(last.stdout)["ended"] == {"as expected": COUNT}
    owners: dict[str, set[int]] = {}
    for line in ledger.lines():
        owners.setdefault(str(line["run"]), set()).add(int(line["pid"]))
    assert all(first.pid in owners[run_id] for run_id in mine)
    for run_id, records in anyio.run(histories, state).items():
        assert find_problems(records) == [], run_id


def test_an_owner_that_lost_its_runs_writes_nothing_more(ledger: Ledger, tmp_path: Path) -> None:
    """Its lock is gone, as on a share that forgets locks: another one takes over, and the old one is fenced."""
    state = str(tmp_path / "state")
    words = [sys.executable, str(HERE / "process.py"), "sqlite", state, str(ledger.address), str(COUNT)]
    first = asleep(words, ledger, state)
    try:
        for file in (tmp_path / "state" / "owners").iterdir():
            file.unlink()
        second = subprocess.run(words, capture_output=True, env=CHILD, check=False, timeout=200)
        assert second.returncode == 0, second.stderr.decode()[-2000:]
        assert json.loads(second.stdout)["ended"] == {"as expected": COUNT}
        before = anyio.run(histories, state)
        mark = len(ledger.lines())
    finally:
        first.send_signal(signal.SIGCONT)
    first.communicate(timeout=120)
    assert anyio.run(histories, state) == before, "the old owner has written"
    for run_id, records in before.items():
        assert find_problems(records) == [], run_id
    late = Counter(str(line["run"]) for line in ledger.lines()[mark:] if line["pid"] == first.pid)
    assert all(count <= BRANCHES for count in late.values()), "the old owner went on after it was fenced"
    print(f"{len(late)} runs of the old owner had a step under way when it lost them")
