"""Append to eight runs at once until killed; a line for each batch that was acknowledged."""

from __future__ import annotations

import sys

import anyio

from agentflow_kernel.contracts.journal import Record
from agentflow_leveldb.journal import LevelJournal


async def main(folder: str, number: str) -> None:
    journal = LevelJournal(folder, least_free=0.0)

    async def work(lane: int) -> None:
        run_id, seq = f"run-{number}-{lane}", 0
        while True:
            records = [Record(run_id, seq + n, "step.completed", "p", "x" * 200, 1) for n in range(3)]
            await journal.append(run_id, seq, 1, records)
            seq += 3
            sys.stdout.write(f"{run_id} {seq}\n")
            sys.stdout.flush()

    async with anyio.create_task_group() as group:
        for lane in range(8):
            group.start_soon(work, lane)


anyio.run(main, *sys.argv[1:])
