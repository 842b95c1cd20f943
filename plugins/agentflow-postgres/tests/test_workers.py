"""Workers in processes of their own on one database: killed, stopped and resumed, while a ledger counts effects."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_postgres.journal import PostgresJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgres_server import PostgresServer

    from agentflow_kernel.contracts.journal import Record

HERE = Path(__file__).parent
SINK = HERE.parents[2] / "tests" / "chaos" / "sink.py"
STEPS, LEASE_S = 6, 1.0
KILLS = 200 if os.environ.get("AGENTFLOW_CHAOS") == "long" else 20
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))

pytestmark = [pytest.mark.chaos, pytest.mark.blocking, pytest.mark.timeout(900)]


class Workers:
    """Workers of one database, and the ledger that they tell."""

    def __init__(self, dsn: str, schema: str, folder: Path) -> None:
        self.dsn, self.schema = dsn, schema
        self._address, self._file = folder / "sink", folder / "ledger"
        self._sink = subprocess.Popen([sys.executable, str(SINK), str(self._address), str(self._file)])
        wait_until(lambda: self._address.exists() and self._file.exists())
        self.processes: list[subprocess.Popen[bytes]] = []

    def begin(self, start: int = 0, **environ: str) -> subprocess.Popen[bytes]:
        """One more worker, which begins so many runs."""
        words = [
            sys.executable,
            str(HERE / "children" / "worker.py"),
            self.dsn,
            self.schema,
            str(self._address),
            str(start),
        ]
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "STEPS": str(STEPS), "LEASE_S": str(LEASE_S), **environ},
        )
        self.processes.append(process)
        return process

    def ledger(self) -> list[dict[str, Any]]:
        """Every effect so far, in order."""
        return [json.loads(line) for line in self._file.read_bytes().splitlines()]

    def runs(self) -> dict[str, list[Record]]:
        """The checked records of every run."""

        async def read() -> dict[str, list[Record]]:
            journal = PostgresJournal(self.dsn, schema=self.schema)
            try:
                return {info.run_id: list(await journal.read(info.run_id)) for info in await journal.runs(limit=10_000)}
            finally:
                await journal.aclose()

        return anyio.run(read)

    def close(self) -> None:
        """End everything."""
        for process in [*self.processes, self._sink]:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()


@pytest.fixture
def workers(server: PostgresServer, schema: str, tmp_path: Path) -> Iterator[Workers]:
    """None yet."""
    made = Workers(server.dsn, schema, tmp_path)
    yield made
    made.close()


def wait_until(condition: Callable[[], object], limit_s: float = 120) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


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
    alive = [workers.begin(5, STEP_S="0.4"), workers.begin(5, STEP_S="0.4")]
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
        alive.append(workers.begin(3, STEP_S="0.4"))
        expected += 3
    wait_until(lambda: len(workers.runs()) == expected)
    wait_until(lambda: all_ended(workers))
    doubled = check(workers, expected)
    assert landed >= 0.9 * KILLS
    print(f"{KILLS} kills, {landed} in flight, {expected} runs, lost 0, in flight repeated {doubled} (seed {SEED})")


def test_a_worker_that_was_stopped_beyond_its_lease_writes_nothing_any_more(workers: Workers) -> None:
    """Another one has taken its runs over by then; not one step is run by both after that."""
    first = workers.begin(20, STEP_S="0.5")
    assert first.stdout is not None
    assert first.stdout.readline() == b"ready\n"
    wait_until(lambda: len({line["run"] for line in workers.ledger()}) == 20)
    first.send_signal(signal.SIGSTOP)
    second = workers.begin(0, STEP_S="0.3")
    wait_until(lambda: len({line["run"] for line in workers.ledger() if line["pid"] == second.pid}) == 20)
    first.send_signal(signal.SIGCONT)
    moment = len(workers.ledger())
    wait_until(lambda: all_ended(workers))
    time.sleep(2 * LEASE_S)  # the first one has every chance to write
    assert first.poll() is None, "it lives, and would take new work"
    assert {line["pid"] for line in workers.ledger()[moment:]} <= {second.pid}
    for records in workers.runs().values():
        owners = [record.payload["owner"] for record in records if record.type in ("run.started", "lease")]  # type: ignore[index,call-overload]
        assert [owner.split("@")[0] for owner in owners] == [str(first.pid), str(second.pid)]
    check(workers, 20)
