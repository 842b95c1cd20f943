"""Branches: what a branch of a fork and an item of a batch cost beside a bare task of asyncio."""

from __future__ import annotations

import asyncio
import time

from nodes import nothing
from table import Row

from agentflow_kernel import Flow


def rows(*, branches: int) -> list[Row]:
    """Forks of 100 and 1,000 named branches and batches of as many items, with their joins."""
    return asyncio.run(_measure(branches))


async def _measure(branches: int) -> list[Row]:
    found = []
    for width in (100, 1000):
        names = {f"b{number}": nothing for number in range(width)}
        ways = {
            f"one of {width:,} branches, forked and joined": Flow("fork").parallel(names),
            f"one of {width:,} items of a batch": Flow("batch").step(nothing, each={"$ref": "input"}, concurrency=16),
        }
        for name, flow in ways.items():
            value = 1 if name.endswith("joined") else list(range(width))
            await flow.run(value)
            times, costs, floors = max(branches // width // 5, 1), [], []
            for _ in range(5):
                floors.append(await _floor(width, times))
                costs.append(await _flow(flow, value, width, times))
            cost, floor = min(costs), min(floors)
            reached = cost <= 8 and cost <= 2.7 * floor
            note = f"task of asyncio {floor:.2f} µs"
            found.append(Row(name, cost, "µs", note, cost / floor, "≤ 8 µs, ≤ 2.7 x", reached))
    return found


async def _floor(width: int, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        await asyncio.gather(*[asyncio.create_task(nothing(1)) for _ in range(width)])
    return (time.process_time() - start) / times / width * 1e6


async def _flow(flow: Flow, value: object, width: int, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        await flow.run(value)
    return (time.process_time() - start) / times / width * 1e6
