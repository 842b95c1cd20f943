"""Kills of a process that works on many runs of many flows: nothing is lost, and no completed step runs again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import anyio
import pytest
from auditing import audited, crash_of, problems_of
from ledger import CHILD, HERE, Ledger, wait_until
from stores import installed, nobody_works, store

from agentflow_kernel.testing.auditor import Auditor
from agentflow_kernel.testing.effects import Ledger as Effects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = os.environ.get("AGENTFLOW_CHAOS", "short") == "long"
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))
KILLS = 200 if LONG else 10
RUNS_PER_KILL = 20

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800), pytest.mark.blocking]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A sink for one test."""
    sink = Ledger(tmp_path)
    yield sink
    sink.stop()


@pytest.fixture(params=installed())
def journal(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each journal in turn, as the word for it."""
    with store(request.param) as word:
        yield word


def test_no_kill_loses_or_doubles_anything(journal: str, ledger: Ledger, tmp_path: Path) -> None:
    """Killed at random instants and started again at once, until all runs have ended as they should."""
    state, dice = str(tmp_path / "state"), random.Random(SEED)
    count = KILLS * RUNS_PER_KILL
    words = [sys.executable, str(HERE / "process.py"), journal, state, str(ledger.address), str(count)]
    auditor, landed, kills = Auditor(Effects()), 0, 0
    while kills < KILLS:
        kills += 1
        process = subprocess.Popen(words, stdout=subprocess.PIPE, env=CHILD)
        moment = ledger.count() + dice.randrange(1, 2 * RUNS_PER_KILL)
        wait_until(lambda: ledger.count() >= moment or process.poll() is not None)  # noqa: B023 -- called at once
        process.send_signal(signal.SIGKILL)
        process.communicate()
        under_way = anyio.run(crash_of, auditor, journal, state, process.pid)
        wait_until(lambda: anyio.run(nobody_works, journal, state))
        landed += process.returncode == -signal.SIGKILL and under_way > 0
    last = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=600, env=CHILD)
    told = json.loads(last.stdout)
    assert told["ended"] == {"as expected": count}
    assert landed >= 0.9 * kills, f"only {landed} of {kills} kills landed while work was in flight (seed {SEED})"
    ledger.catch_up()
    auditor.ledger = Effects.from_lines(ledger.file.read_bytes().splitlines())
    audit = anyio.run(audited, auditor, journal, state)
    assert not audit.violations, (SEED, audit.violations[:5])
    assert audit.accepted == count
    assert problems_of(auditor.ledger, told["runs"]) == []
    applied = Effects.from_lines(ledger.applied.read_bytes().splitlines())
    assert problems_of(applied, told["runs"]) == []
    twice = [what for what, times in Counter((each.run_id, each.path) for each in applied.effects).items() if times > 1]
    assert not twice, f"the receiver honours keys and has applied these twice (seed {SEED}): {twice[:5]}"
    honoured = f"the receiver that honours keys has applied {len(applied.effects)}, lost 0, doubled {len(twice)}"
    print(f"{journal.partition(':')[0]}: {kills} kills, {landed} in flight, seed {SEED}; {audit}; {honoured}")
