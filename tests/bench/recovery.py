"""Recovery: how long a new process takes to go on with runs that another one has left open, beside reading them."""

from __future__ import annotations

import os
import tempfile
import time

import anyio
from table import Row

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.errors import PeerUnavailable


class Peer:
    """A step that is down until it is put up, and knows when it was first called then."""

    def __init__(self) -> None:
        self.up = False
        self.first_s = 0.0

    async def __call__(self, value: object) -> object:
        if not self.up:
            raise PeerUnavailable("down")
        self.first_s = self.first_s or time.perf_counter()
        return value


def rows(*, many: int) -> list[Row]:
    """Seconds to the first and to the last resumed run, at the default pace of 100 a second."""
    found = []
    for count in (many // 10, many):
        with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
            first, last, floor = anyio.run(_measure, folder, count)
        note, goal = f"reading them all {floor:.2f} s", 15 * count / 1000
        found.append(Row(f"first of {count} open runs", first, "s", note, first / floor, "< 2 s", first < 2))
        found.append(Row(f"all of {count} open runs", last, "s", note, last / floor, f"< {goal:g} s", last < goal))
    return found


async def _measure(folder: str, count: int) -> tuple[float, float, float]:
    peer = Peer()
    flow = Flow("peer").step(lambda value: value, name="one").step(peer, name="peer").step(lambda value: value)
    async with Kernel(state=folder, journal="sqlite") as kernel:
        for number in range(count):
            await (await kernel.start(flow, number)).ended()
    peer.up = True
    async with Kernel(state=folder, journal="sqlite") as kernel:
        kernel.add(flow)
        start = time.perf_counter()
        for info in await kernel.runs(limit=count):
            await kernel.history(info.run_id)
        floor = time.perf_counter() - start
        start = time.perf_counter()
        result = await kernel.recover()
        last = time.perf_counter() - start
        await kernel.idle()
    if result.resumed != count:
        raise RuntimeError(f"{result.resumed} of {count} runs were resumed")
    return peer.first_s - start, last, floor
