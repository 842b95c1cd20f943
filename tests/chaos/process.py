"""A process of the chaos tests: starts or takes up many runs of the flows, tells the ledger, and ends when all have.

Usage: ``python process.py JOURNAL STATE LEDGER COUNT``. ``JOURNAL`` is the name of a journal plugin, with its settings
as JSON after a colon; ``LEDGER`` is the socket of the sink. Run number n is of flow ``FLOWS[n % len(FLOWS)]`` and has
the key n, so that whoever comes next goes on with the same runs. The last line on the output tells how they ended, and
which flow each run is of.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections import Counter
from typing import Any

import anyio
from flows import CASES, World
from flows.folded import SHORT

from agentflow_kernel import Kernel
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import RunError
from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.loading import Catalogue, Plugins
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import InProcessMemory

FLOWS = [
    name
    for name, case in CASES.items()
    if not (case.sends or case.others or case.event or case.resumes or case.otherwise or case.timed)
    and not (case.copy or case.manifest)
    and name not in ("large", "batch_large", "remembering", "retried")
]
"""Those that need nobody outside and no other clock."""
AT_A_TIME = 8


class Sink:
    """The way to the ledger's process; a line is there before the effect is over."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def note(self, run_id: str, path: str, key: str) -> None:
        """One effect."""
        line = {"key": key, "run": run_id, "path": path, "pid": os.getpid(), "t": time.time()}
        self._sender.sendto(json.dumps(line).encode(), self._address)


def open_journal(name: str, state: str) -> Any:
    """The journal of a plugin, as a kernel would make it."""
    plugin, _, settings = name.partition(":")
    if plugin == "memory":
        return InProcessJournal()
    from random import Random

    context = PluginContext("journal", clock=SystemClock(), random=Random(), state_folder=state)
    return Plugins(Catalogue(Settings.find())).make("journal", plugin, json.loads(settings or "{}"), context)


async def main(journal: str, state: str, ledger: str, count: int) -> None:
    """Play all runs, a few at a time."""
    sink, ended, runs = Sink(ledger), Counter[str](), dict[str, str]()
    async with Kernel(
        journal=open_journal(journal, state), state=state, memories={"notes": InProcessMemory()}, limits=SHORT
    ) as kernel:
        world = World(sink.note)
        flows = {name: CASES[name].build(world) for name in FLOWS}
        for flow in flows.values():
            kernel.add(flow)
        limiter = anyio.CapacityLimiter(AT_A_TIME)

        async def one(number: int) -> None:
            case = CASES[FLOWS[number % len(FLOWS)]]
            async with limiter:
                handle = await kernel.start(flows[case.name], case.input, key=str(number))
                runs[handle.run_id] = case.name
                try:
                    found: tuple[str, Any] = "completed", await handle.result()
                except RunError as error:
                    found = handle.status, error.code
            ended["as expected" if found == case.ends[0] else f"{case.name}: {found}"] += 1

        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(one, number)
    print(json.dumps({"ended": ended, "runs": runs}), flush=True)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:4], int(sys.argv[4]))
