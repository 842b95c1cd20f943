"""Take part in a race for one run: append so many records, each where the run ends at that moment.

Arguments: the file, the run, the number of records, the name to sign them with.
"""

from __future__ import annotations

import sys

import anyio

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import AppendConflict, UnknownRun
from agentflow_sqlite.journal import SqliteJournal


async def main(path: str, run_id: str, count: int, name: str) -> None:
    journal = SqliteJournal(path, busy_timeout_s=15)
    print("ready", flush=True)
    sys.stdin.readline()
    done = conflicts = 0
    seq = 0
    while done < count:
        try:
            await journal.append(run_id, seq, 1, [Record(run_id, seq, "decision", "", [name, done], 1)])
        except AppendConflict as conflict:
            conflicts += 1
            seq = conflict.next_seq
        else:
            done += 1
            try:
                seq = (await journal.head(run_id)).next_seq
            except UnknownRun:
                seq = -1
    print("conflicts", conflicts, flush=True)
    await journal.aclose()


anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
