"""Delete ended runs, two at a time, until killed; a line for each transaction. Arguments: the file."""

from __future__ import annotations

import sys

import anyio

from agentflow_sqlite.journal import SqliteJournal


async def main(path: str) -> None:
    journal = SqliteJournal(path, busy_timeout_s=15)
    while gone := await journal.prune(1_000_000.0, limit=2):
        print(*gone, flush=True)
        await journal.collect(grace_s=-1.0)
    await journal.aclose()


anyio.run(main, sys.argv[1])
