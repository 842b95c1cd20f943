"""Raise one counter of a memory so many times, by compare-and-set. Arguments: the file, the number of times."""

from __future__ import annotations

import sys

import anyio

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.errors import MemoryConflict
from agentflow_sqlite.memory import SqliteMemory


async def main(path: str, count: int) -> None:
    memory = SqliteMemory(path, clock=SystemClock(), busy_timeout_s=15)
    print("ready", flush=True)
    sys.stdin.readline()
    done = 0
    while done < count:
        entry = await memory.get("n", "count")
        value, version = (entry.value, entry.version) if entry else (0, 0)
        try:
            await memory.put("n", "count", value + 1, expected_version=version)
        except MemoryConflict:
            continue
        done += 1
    await memory.aclose()
    print("done", flush=True)


anyio.run(main, sys.argv[1], int(sys.argv[2]))
