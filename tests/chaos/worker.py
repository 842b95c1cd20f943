"""A worker of the chaos tests: takes over what others left and works on runs of one flow until it is told to stop.

Usage: ``python worker.py JOURNAL LEDGER [START]``, the first two as for :mod:`process`. Each step tells the ledger,
then takes its time. With START so many runs are begun first. A line ``ready`` on standard output says that the kernel
is open. With ``WAITS`` in the environment one run more is begun that only waits; a line ``left`` says that it was lost.
"""

from __future__ import annotations

import os
import sys

import anyio
from process import Sink, open_journal

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import RunSuspended
from agentflow_kernel.kernel import adoption

STEPS = int(os.environ["STEPS"])
STEP_S = float(os.environ.get("STEP_S", "0.1"))
adoption.LOOK_EVERY_S = 0.5


def make_flow(sink: Sink) -> Flow:
    """Steps that tell of themselves, one after the other."""
    flow = Flow("ledgered")

    async def step(value: int, context: Context) -> int:
        sink.note(context.run_id, context.path, context.key)
        await anyio.sleep(STEP_S)
        return value + 1

    for number in range(STEPS):
        flow.step(step, name=f"s{number}", effect="idempotent")
    return flow


async def wait(value: object, context: Context) -> object:
    """Only wait."""
    return await context.wait("go")


async def main(journal: str, ledger: str, start: int) -> None:
    """Until standard input is closed."""
    kernel = Kernel(journal=open_journal(journal, "."), adopt=True)
    kernel.add(make_flow(Sink(ledger)))
    kernel.add(Flow("waiting").step(wait))
    async with kernel:
        for _ in range(start):
            await kernel.start("flow/ledgered", 0)
        waiting = await kernel.start("flow/waiting", 0) if "WAITS" in os.environ else None
        print("ready", flush=True)
        if waiting is not None:
            try:
                await waiting.result()
            except RunSuspended:
                print("left", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], int((sys.argv[3:] or ["0"])[0]))
