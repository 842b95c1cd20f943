"""Compact one run after the other, a few records at a time, until killed; a line for each. Arguments: file, runs.

The last half has to wait for a line: whoever kills may come late.
"""

from __future__ import annotations

import sys

import anyio

from agentflow_sqlite import _compacting, journal


async def main(path: str, count: int) -> None:
    _compacting.MOST_RECORDS = journal.MOST_RECORDS = 7
    store = journal.SqliteJournal(path, busy_timeout_s=15)
    for number in range(count):
        if number == count // 2:
            sys.stdin.readline()
        gone = await store.compact(f"run-{number}", 50, 1)
        print(number, gone, flush=True)
    await store.aclose()


anyio.run(main, sys.argv[1], int(sys.argv[2]))
