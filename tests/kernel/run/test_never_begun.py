"""An interrupt from outside finds what was accepted and has not begun: the kernel ends all the same, and keeps it."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import anyio
import pytest
from engine_kit import check_history

from agentflow_kernel import Event, Flow, Kernel
from agentflow_kernel.testing import InProcessJournal


def ends_the_loop() -> None:
    """The interrupt comes out of the loop, which then cancels every task: those that wait to begin never will."""

    def interrupt() -> None:
        raise KeyboardInterrupt("enough")

    asyncio.get_running_loop().call_soon(interrupt)


def cancels_every_task() -> None:
    """What a host program does that ends in order."""

    def cancel() -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    asyncio.get_running_loop().call_soon(cancel)


INTERRUPTS = {
    "ends_the_loop": (ends_the_loop, KeyboardInterrupt),
    "cancels_every_task": (cancels_every_task, asyncio.CancelledError),
}


async def started(kernel: Kernel, flow: Flow) -> None:
    await kernel.start(flow, 1)
    await anyio.sleep_forever()


async def run(kernel: Kernel, flow: Flow) -> None:
    await kernel.run(flow, 1)


async def awaited(kernel: Kernel, flow: Flow) -> None:
    await (await kernel.start(flow, 1)).result()


async def idle(kernel: Kernel, flow: Flow) -> None:
    await kernel.start(flow, 1)
    await kernel.idle()


@pytest.mark.filterwarnings("ignore:coroutine '(Adoption|InProcessSubscription)[.]:RuntimeWarning")
@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("how", INTERRUPTS)
@pytest.mark.parametrize("body", [started, run, awaited, idle], ids=lambda body: body.__name__)
def test_a_run_that_never_began_is_suspended_and_can_be_resumed(body: Any, how: str, adopt: bool) -> None:
    """However its caller waits for it; the kernel closes, a worker too, and the interrupt comes out as itself."""
    journal, worked, heard = InProcessJournal(), [], []
    interrupt, kind = INTERRUPTS[how]

    async def work(value: int) -> int:
        worked.append(value)
        return value + 1

    async def main() -> None:
        kernel = Kernel(journal=journal, adopt=adopt)

        @kernel.on("*")
        async def hear(event: Event) -> None:
            heard.append(event)

        interrupt()
        async with kernel:
            await kernel.publish(Event("something.happened", source="here"))
            await body(kernel, Flow("f").step(work))

    with pytest.raises(kind):
        anyio.run(main)
    assert worked == heard == []

    async def later() -> None:
        async with Kernel(journal=journal) as kernel:
            kernel.add(Flow("f").step(work))
            (head,) = await kernel.runs()
            assert (head.status, head.cause) == ("suspended", "handover" if adopt and body is not run else "asked")
            assert await (await kernel.resume(head.run_id)).result() == 2
            check_history(await kernel.history(head.run_id))

    anyio.run(later)
    gc.collect()  # so that what anyio has to say of tasks that never began is said here


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("wish", ["cancel", "suspend"])
def test_a_run_that_is_stopped_at_once_begins_all_the_same(wish: str, backend: str) -> None:
    """Only what never gets a turn is settled by others: this one tells its listeners that it has started."""
    told: list[str] = []

    async def main() -> None:
        async with Kernel(journal=InProcessJournal()) as kernel:
            kernel.listen(lambda progress: told.append(progress.name))
            for _ in range(20):  # trio draws the order of tasks
                handle = await kernel.start(Flow("f").step(anyio.sleep), 60)
                await getattr(handle, wish)()
                check_history(await kernel.history(handle.run_id))

    anyio.run(main, backend=backend)
    assert told.count("run.started") == 20
