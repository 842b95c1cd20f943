"""Print the heads of a journal each time a line comes in, as another user where a number is given.

Arguments: the file, a user id or nothing.
"""

from __future__ import annotations

import json
import os
import sys

import anyio

from agentflow_sqlite.journal import SqliteJournal


async def main(path: str) -> None:
    journal = SqliteJournal(path)
    print("ready", flush=True)
    for _ in sys.stdin:
        found = await journal.runs()
        lengths = {info.run_id: [info.next_seq, len(await journal.read(info.run_id))] for info in found}
        print(json.dumps(lengths), flush=True)
    await journal.aclose()


async def warm(path: str) -> None:
    journal = SqliteJournal(path)
    await journal.runs()
    await journal.aclose()


if len(sys.argv) > 2:
    anyio.run(warm, sys.argv[1])  # all modules are loaded: the other user may not be able to read them
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
anyio.run(main, sys.argv[1])
