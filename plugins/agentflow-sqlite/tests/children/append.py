"""Append to some runs at once until killed; `<run> <seq>` is printed once that record is durable.

Arguments: the file, the number of runs, records for each run (0: without end).
"""

from __future__ import annotations

import sys

import anyio

from agentflow_kernel.contracts.journal import Record, chain_hash, encode_record
from agentflow_sqlite.journal import SqliteJournal


async def work(journal: SqliteJournal, run_id: str, count: int) -> None:
    records = await journal.read(run_id)
    seq = len(records)
    prev_hash = chain_hash(encode_record(records[-1])) if records else ""
    while not count or seq < count:
        batch = []
        for _ in range(1 + seq % 3):
            kind = "step.completed" if seq else "run.started"
            record = Record(run_id, seq, kind, "step", {"seq": seq, "pad": "x" * (seq % 700)}, 1, prev_hash=prev_hash)
            batch.append(record)
            prev_hash = chain_hash(encode_record(record))
            seq += 1
        await journal.append(run_id, batch[0].seq, 1, batch)
        print(run_id, batch[-1].seq, flush=True)


async def main(path: str, runs: int, count: int) -> None:
    journal = SqliteJournal(path, busy_timeout_s=15)
    async with anyio.create_task_group() as group:
        for number in range(runs):
            group.start_soon(work, journal, f"run-{number}", count)
    await journal.aclose()


anyio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
