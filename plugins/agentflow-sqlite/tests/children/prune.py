"""Delete ended runs, two at a time, until killed; a line for each transaction. Arguments: the file, most transactions.

After those it waits for a line: whoever kills may come late.
"""

from __future__ import annotations

import sys

import anyio

from agentflow_sqlite.journal import SqliteJournal


async def main(path: str, most: int) -> None:
    journal = SqliteJournal(path, busy_timeout_s=15)
    for _ in range(most):
        print(*await journal.prune(1_000_000.0, limit=2), flush=True)
        await journal.collect(grace_s=-1.0)
    sys.stdin.readline()
    await journal.aclose()


anyio.run(main, sys.argv[1], int(sys.argv[2]))
