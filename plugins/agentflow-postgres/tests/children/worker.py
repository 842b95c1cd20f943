"""A worker for tests: takes over what others left and works on runs of one flow until it is told to stop.

Usage: ``python worker.py DSN SCHEMA LEDGER [START]``. Each step tells the ledger, then takes its time. With START so
many runs are begun first. A line ``ready`` on standard output says that the kernel is open.
"""

from __future__ import annotations

import json
import os
import socket
import sys

import anyio

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.kernel import adoption
from agentflow_postgres.journal import PostgresJournal

STEPS = int(os.environ["STEPS"])
STEP_S = float(os.environ.get("STEP_S", "0.1"))
LEASE_S = float(os.environ["LEASE_S"])
adoption.LOOK_EVERY_S = 0.5


def tell(address: str, context: Context) -> None:
    """One effect, as the ledger sees it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        line = {"run": context.run_id, "key": context.key, "pid": os.getpid()}
        sender.sendto(json.dumps(line).encode(), address)


def make_flow(address: str) -> Flow:
    """Steps that tell of themselves, one after the other."""
    flow = Flow("ledgered")

    async def step(value: int, context: Context) -> int:
        tell(address, context)
        await anyio.sleep(STEP_S)
        return value + 1

    for number in range(STEPS):
        flow.step(step, name=f"s{number}", effect="idempotent")
    return flow


async def main(dsn: str, schema: str, address: str, start: int) -> None:
    """Until standard input is closed."""
    journal = PostgresJournal(dsn, schema=schema, lease_s=LEASE_S)
    kernel = Kernel(journal=journal, adopt=True)
    kernel.add(make_flow(address))
    async with kernel:
        for _ in range(start):
            await kernel.start("flow/ledgered", 0)
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3], int((sys.argv[4:] or ["0"])[0]))
