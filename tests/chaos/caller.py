"""A caller: a process that starts runs, goes on after each failure of storage, and tells what was acknowledged to it.

Usage: ``python caller.py JOURNAL STATE LEDGER COUNT``, as for :mod:`process`, whose runs it starts. The last line on
the output tells which runs were accepted, how those ended whose end it was told, and the codes of the errors that it
met. An error that is none of the framework's ends it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter

import anyio
from flows import CASES, World
from flows.folded import FEW
from process import AT_A_TIME, FLOWS, Sink, open_journal

from agentflow_kernel import Kernel
from agentflow_kernel.errors import AgentFlowError, RunError, RunSuspended
from agentflow_kernel.testing import InProcessMemory


async def main(journal: str, state: str, ledger: str, count: int) -> None:
    """Start all runs, a few at a time, and look at none twice."""
    sink, met, ended = Sink(ledger), Counter[str](), dict[str, str]()
    accepted: list[str] = []
    store = open_journal(journal, state)
    try:
        async with Kernel(journal=store, state=state, memories={"notes": InProcessMemory()}, limits=FEW) as kernel:
            world = World(sink.note)
            flows = {name: CASES[name].build(world) for name in FLOWS}
            for flow in flows.values():
                kernel.add(flow)
            limiter = anyio.CapacityLimiter(AT_A_TIME)

            async def one(number: int) -> None:
                case = CASES[FLOWS[number % len(FLOWS)]]
                async with limiter:
                    try:
                        handle = await kernel.start(flows[case.name], case.input, key=str(number))
                        accepted.append(handle.run_id)
                        await handle.result()
                    except RunSuspended:
                        met["suspended"] += 1
                    except RunError:
                        ended[handle.run_id] = handle.status
                    except AgentFlowError as error:
                        met[error.code] += 1
                    else:
                        ended[handle.run_id] = handle.status

            async with anyio.create_task_group() as group:
                for number in range(count):
                    group.start_soon(one, number)
    except AgentFlowError as error:
        met[f"closing: {error.code}"] += 1
    print(json.dumps({"accepted": accepted, "ended": ended, "met": met}), flush=True)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:4], int(sys.argv[4]))
