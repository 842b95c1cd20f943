"""Nodes: what one node of a flow costs beside awaiting its function."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
from table import Row

from agentflow_kernel import Flow

if TYPE_CHECKING:
    from agentflow_kernel import Progress


async def nothing(value: int) -> int:
    """A node that does nothing."""
    return value


def chain(length: int) -> Flow:
    """A flow of so many nodes."""
    flow = Flow("chain")
    for number in range(length):
        flow.step(nothing, name=f"n{number}")
    return flow


def rows(*, visits: int) -> list[Row]:
    """Bare and listened-to, at 100 and 1,000 nodes."""
    return anyio.run(_measure, visits)


async def _measure(visits: int) -> list[Row]:
    found = []
    for length in (100, 1000):
        flow = chain(length)
        times = max(visits // length, 1)
        await flow.run(1)
        floor = min([await _floor(visits) for _ in range(3)])
        bare = min([await _flow(flow, times, length) for _ in range(3)])
        told = min([await _told(flow, times, length) for _ in range(3)])
        for what, value, goal in (("no journal, no listener", bare, 8), ("with events", told, 25)):
            name = f"one node of {length:,}, {what}"
            note = f"await f() {floor:.3f} µs"
            found.append(Row(name, value, "µs", note, value / floor, f"≤ {goal} x", value <= goal * floor))
    return found


async def _floor(visits: int) -> float:
    start = time.process_time()
    for _ in range(visits):
        await nothing(1)
    return (time.process_time() - start) / visits * 1e6


async def _flow(flow: Flow, times: int, length: int) -> float:
    start = time.process_time()
    for _ in range(times):
        await flow.run(1)
    return (time.process_time() - start) / times / length * 1e6


async def _told(flow: Flow, times: int, length: int) -> float:
    def listen(progress: Progress) -> None:
        """Hear it and do nothing."""

    start = time.process_time()
    for _ in range(times):
        await flow.run(1, listener=listen)
    return (time.process_time() - start) / times / length * 1e6
