"""A step counter: counts the Python functions that durable steps enter, in a process where nothing else is watched.

Usage: ``python step_counter.py JOURNAL STATE``. Prints the functions for each step of a hundred runs at once and of a
run that is alone, by who brings them: ``ours``, ``anyio``, ``asyncio`` and ``others``.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import anyio

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.group_commit import pace, writer

if TYPE_CHECKING:
    from types import FrameType

FEW = 4
"""Steps of the runs whose cost is taken away: what a run costs beside its steps."""
TRIES = 5
"""Of which the least counts: now and then the kernel looks after something else meanwhile."""


async def same(value: int) -> int:
    """A node that does nothing."""
    return value


def chain(length: int) -> Flow:
    """A flow of so many steps."""
    flow = Flow("chain")
    for number in range(length):
        flow.step(same, name=f"n{number}")
    return flow


class Entered(Counter[str]):
    """How many functions were entered while ``counts``, in all threads."""

    counts = False

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Take up what the interpreter tells of."""
        if event == "call" and self.counts:
            file = frame.f_code.co_filename
            owners = [owner for owner in ("anyio", "asyncio") if f"/{owner}/" in file]
            self[owners[0] if owners else "ours" if "agentflow_" in file else "others"] += 1


async def count(kernel: Kernel, runs: int, *, steps: int) -> dict[str, float]:
    """For each further step of so many runs at once."""
    found: Counter[str] = Counter()
    for length, sign in ((FEW + steps, 1), (FEW, -1)):
        flow = chain(length)
        await together(kernel, flow, runs)  # bound, and used to being together or alone
        counts = []
        for _ in range(TRIES):
            ENTERED.clear()
            ENTERED.counts = True
            await together(kernel, flow, runs)
            ENTERED.counts = False
            counts.append(Counter(ENTERED))
        for owner, number in min(counts, key=Counter.total).items():
            found[owner] += sign * number
    return {owner: number / runs / steps for owner, number in found.items()}


async def together(kernel: Kernel, flow: Flow, runs: int) -> None:
    """So many runs at once."""
    async with anyio.create_task_group() as group:
        for _ in range(runs):
            group.start_soon(kernel.run, flow, 1)


async def main(journal: str, state: str) -> None:
    """Print what was counted."""
    async with Kernel(state=state, journal=journal) as kernel:
        shared = await count(kernel, 100, steps=10)
        writer.TURN_S = 60.0  # nobody else wants a turn
        alone = await count(kernel, 1, steps=40)
    print(json.dumps({"shared": shared, "alone": alone}))


if __name__ == "__main__":
    pace.FAST_S = pace.STALL_S = 60.0  # every disk is fast
    pace.TURNS = 10_000
    ENTERED = Entered()
    threading.setprofile(ENTERED.note)
    sys.setprofile(ENTERED.note)
    anyio.run(main, *sys.argv[1:])
