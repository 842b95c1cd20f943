"""Workers in processes of their own on one database: killed, stopped and resumed, while a ledger counts effects."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from ledger import CHILD, HERE, Ledger, put_to_sleep, wait_until
from process import open_journal
from stores import LISTED, store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentflow_kernel.contracts.journal import Record

STEPS = 6
KILLS = 200 if os.environ.get("AGENTFLOW_CHAOS") == "long" else 8
LEASE_S = 3.0
"""Longer than the machine may well stand still: a worker that lives keeps its runs."""
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))

pytestmark = [pytest.mark.chaos, pytest.mark.blocking, pytest.mark.timeout(1800)]


class Workers:
    """Workers of one journal, and the ledger that they tell."""

    def __init__(self, journal: str, folder: Path) -> None:
        self._journal = journal
        self._sink = Ledger(folder)
        self.processes: list[subprocess.Popen[bytes]] = []

    def begin(self, start: int = 0, *, step_s: float, waits: bool = False) -> subprocess.Popen[bytes]:
        """One more worker, which begins so many runs, of steps that take so long, and one that only waits."""
        process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), self._journal, str(self._sink.address), str(start)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**CHILD, "STEPS": str(STEPS), "STEP_S": str(step_s), **({"WAITS": "1"} if waits else {})},
        )
        self.processes.append(process)
        return process

    def ledger(self) -> list[dict[str, Any]]:
        """Every effect so far, in order."""
        return self._sink.lines()

    def runs(self) -> dict[str, list[Record]]:
        """The checked records of every run."""

        async def read() -> dict[str, list[Record]]:
            journal = open_journal(self._journal, ".")
            try:
                return {info.run_id: list(await journal.read(info.run_id)) for info in await journal.runs(limit=LISTED)}
            finally:
                await journal.aclose()

        return anyio.run(read)

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()
        self._sink.stop()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """None yet, on the journal that has leases."""
    with store("postgres", LEASE_S) as journal:
        made = Workers(journal, tmp_path)
        yield made
        made.close()


def all_ended(workers: Workers) -> bool:
    """Whether every run is completed; looks at half-second intervals."""
    time.sleep(0.5)
    return all(records[-1].type == "run.ended" for records in workers.runs().values())


def check(workers: Workers, expected: int) -> int:
    """No run and no effect is lost, nothing of an old epoch follows a newer one; returns the doubled effects."""
    runs = workers.runs()
    assert len(runs) == expected
    effects = Counter(line["key"] for line in workers.ledger())
    assert len(effects) == expected * STEPS
    for run_id, records in runs.items():
        epochs = [record.epoch for record in records]
        assert epochs == sorted(epochs), run_id
        types = Counter(record.type for record in records)
        assert (types["run.ended"], types["step.completed"]) == (1, STEPS), run_id
        assert records[-1].type == "run.ended"
        assert records[-1].payload["status"] == "completed"  # type: ignore[index,call-overload]
        told = sum(line["run"] == run_id for line in workers.ledger())
        assert told - STEPS <= epochs[-1] - 1, "more than the step in flight was done again by a new owner"
    return sum(effects.values()) - len(effects)


def test_killed_workers_lose_no_run_and_no_effect(workers: Workers) -> None:
    """Whoever is left, or comes, goes on after the last completed step."""
    dice = random.Random(SEED)
    alive = [workers.begin(5, step_s=0.4), workers.begin(5, step_s=0.4)]
    expected, landed = 10, 0
    for _ in range(KILLS):
        for process in alive:
            if process.stdout is not None and not process.stdout.closed:
                assert process.stdout.readline() == b"ready\n"
                process.stdout.close()
        time.sleep(dice.uniform(0.0, 0.4))
        victim = alive.pop(dice.randrange(2))
        before = len({line["key"] for line in workers.ledger()})
        victim.kill()
        victim.wait()
        landed += before < expected * STEPS
        alive.append(workers.begin(3, step_s=0.4))
        expected += 3
    wait_until(lambda: len(workers.runs()) == expected, 600)
    wait_until(lambda: all_ended(workers), 600)
    doubled = check(workers, expected)
    assert landed >= KILLS - max(1, KILLS // 10)
    print(f"{KILLS} kills, {landed} in flight, {expected} runs, lost 0, in flight repeated {doubled} (seed {SEED})")


def test_a_worker_that_was_stopped_beyond_its_lease_writes_nothing_any_more(workers: Workers) -> None:
    """Another one has taken its runs over by then; not one step is run by both after that."""
    first = workers.begin(20, step_s=3)  # none has ended before it is stopped, all steps have when it is woken
    assert first.stdout is not None
    assert first.stdout.readline() == b"ready\n"
    wait_until(lambda: len({line["run"] for line in workers.ledger()}) == 20)
    put_to_sleep(first)
    second = workers.begin(0, step_s=0.3)
    wait_until(lambda: len({line["run"] for line in workers.ledger() if line["pid"] == second.pid}) == 20)
    first.send_signal(signal.SIGCONT)
    moment = len(workers.ledger())
    wait_until(lambda: all_ended(workers), 600)
    time.sleep(2)  # the first one has every chance to write
    assert first.poll() is None, "it lives, and would take new work"
    assert {line["pid"] for line in workers.ledger()[moment:]} <= {second.pid}
    for records in workers.runs().values():
        owners = [record.payload["owner"] for record in records if record.type in ("run.started", "lease")]  # type: ignore[index,call-overload]
        assert [owner.split("@")[0] for owner in owners] == [str(first.pid), str(second.pid)]
    check(workers, 20)


def test_a_worker_that_was_stopped_beyond_its_lease_leaves_a_run_that_only_waits(workers: Workers) -> None:
    """It appends nothing that could be refused, and hears of the new owner all the same."""
    first = workers.begin(step_s=0.3, waits=True)
    assert first.stdout is not None
    assert first.stdout.readline() == b"ready\n"

    def records() -> list[Record]:
        (found,) = workers.runs().values()
        return found

    wait_until(lambda: records()[-1].type == "wait.opened")
    put_to_sleep(first)
    workers.begin(step_s=0.3)
    wait_until(lambda: records()[-1].epoch == 2)
    first.send_signal(signal.SIGCONT)
    wait_until(lambda: select.select([first.stdout], [], [], 0)[0])
    assert first.stdout.readline() == b"left\n"
