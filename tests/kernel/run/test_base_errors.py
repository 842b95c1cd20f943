"""What is no ``Exception`` and comes out of a node: the run ends or stops on record, nothing hangs, nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from engine_kit import DurableJournal, check_history

from agentflow_kernel import Flow, Kernel, Node
from agentflow_kernel.errors import RunFailed, RunSuspended
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from collections.abc import Callable

BACKENDS = ["asyncio", "trio"]


class Stop(BaseException):
    """One of a user's own."""


class World:
    """What the nodes raise, while they do, and what has become of those beside them."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind: type[BaseException] | None = kind
        self.hanging = anyio.Event()
        self.cancelled: list[str] = []

    def fail(self, value: Any) -> Any:
        if self.kind is not None:
            raise self.kind("enough")
        return value

    async def fail_later(self, value: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return self.fail(value)

    async def beside(self, value: Any) -> Any:
        """Hangs until the failure cancels it."""
        if self.kind is None:
            return value
        self.hanging.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.append("beside")

    async def fail_beside(self, value: Any) -> Any:
        if self.kind is not None:
            await self.hanging.wait()
        return self.fail(value)

    async def fail_in_thread_beside(self, value: Any) -> Any:
        if self.kind is not None:
            await self.hanging.wait()
        return await anyio.to_thread.run_sync(self.fail, value)

    async def item(self, value: Any) -> Any:
        return await (self.beside(value) if value else self.fail_beside(value))


def phases(world: World) -> Node:
    class Phased(Node):
        async def exec(self, prepared: Any) -> Any:
            return await world.fail_later(prepared)

        async def exec_fallback(self, prepared: Any, error: Exception) -> Any:
            raise AssertionError("it is not for this one")

    return Phased()


def first(value: Any) -> Any:
    return value


PLACES: dict[str, Callable[[Flow, World], Flow]] = {
    "async": lambda flow, world: flow.step(world.fail_later, name="fail"),
    "bare": lambda flow, world: flow.step(world.fail_later, name="fail", timeout_s=60),
    "inline": lambda flow, world: flow.step(world.fail, name="fail", blocking="inline"),
    "thread": lambda flow, world: flow.step(world.fail, name="fail", blocking="thread"),
    "phases": lambda flow, world: flow.step(phases(world), name="fail"),
    "nested": lambda flow, world: flow.step(Flow("inner").step(world.fail_later), name="fail"),
    "branch": lambda flow, world: flow.parallel({"a": world.beside, "b": world.fail_beside}),
    "branch of any": lambda flow, world: flow.parallel({"a": world.beside, "b": world.fail_beside}, join="any"),
    "branch in thread": lambda flow, world: flow.parallel({"a": world.beside, "b": world.fail_in_thread_beside}),
    "item": lambda flow, world: flow.step(world.item, name="items", each=[0, 1], on_item_error="skip", concurrency=2),
}


def flow_of(place: str, world: World) -> Flow:
    return PLACES[place](Flow("f").step(first, blocking="inline"), world)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [Stop, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("place", PLACES)
def test_a_flow_by_itself_raises_it_as_it_is(place: str, kind: type[BaseException], backend: str) -> None:
    """Not as one of a group, and after those beside it have ended."""
    world: Any = None

    async def main() -> None:
        nonlocal world
        world = World(kind)
        await flow_of(place, world).run(1)

    with pytest.raises(kind, match="enough"):
        anyio.run(main, backend=backend)
    assert world.cancelled == (["beside"] if world.hanging.is_set() else [])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [Stop, SystemExit])
@pytest.mark.parametrize("place", PLACES)
def test_in_a_kernel_it_fails_its_run_only(place: str, kind: type[BaseException], backend: str) -> None:
    """The end is on record with all that was complete, and the kernel goes on."""

    async def main() -> None:
        world = World(kind)
        async with Kernel(journal=InProcessJournal()) as kernel:
            handle = await kernel.start(flow_of(place, world), 1)
            with pytest.raises(RunFailed, match=f"{kind.__name__}: enough") as failed:
                await handle.result()
            assert isinstance(failed.value.__cause__, kind)
            records = await kernel.history(handle.run_id)
            check_history(records)
            assert [record.path for record in records if record.type == "step.completed"] == ["first"]
            assert (records[-1].type, records[-1].payload["status"]) == ("run.ended", "failed")
            assert await kernel.run(Flow("next").step(first)) is None
        assert world.cancelled == (["beside"] if world.hanging.is_set() else [])

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("place", PLACES)
def test_an_interrupt_stops_the_process_and_leaves_every_run_to_be_resumed(place: str, backend: str) -> None:
    """The interrupted one and the others alike; nothing that was complete is done again."""
    survivor, run_ids, world = InProcessJournal(), [], World(KeyboardInterrupt)

    async def wait(value: Any) -> Any:
        return await (anyio.sleep_forever() if world.kind is not None else first(value))

    async def interrupted() -> None:
        nonlocal world
        world = World(KeyboardInterrupt)
        async with Kernel(journal=DurableJournal(survivor)) as kernel:
            other = await kernel.start(Flow("other").step(first, blocking="inline").step(world.beside, name="wait"), 1)
            run_ids.append(other.run_id)
            await world.hanging.wait()
            handle = await kernel.start(flow_of(place, world), 1)
            run_ids.append(handle.run_id)
            with pytest.raises(RunSuspended):
                await handle.result()

    with pytest.raises(KeyboardInterrupt):
        anyio.run(interrupted, backend=backend)

    async def later() -> None:
        world.kind = None
        async with Kernel(journal=DurableJournal(survivor)) as kernel:
            kernel.add(flow_of(place, world))
            kernel.add(Flow("other").step(first, blocking="inline").step(world.beside, name="wait"))
            for run_id in run_ids:
                records = await kernel.history(run_id)
                assert (records[-1].type, records[-1].payload["status"]) == ("run.suspended", "suspended")
                assert [record.path for record in records if record.type == "step.completed"] == ["first"]
                await (await kernel.resume(run_id)).result()
                check_history(await kernel.history(run_id))

    anyio.run(later, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interrupt_finds_runs_that_have_not_begun(backend: str) -> None:
    """The kernel does not wait for what never begins."""
    journal, run_ids = InProcessJournal(), []

    async def main() -> None:
        async with Kernel(journal=journal) as kernel:
            run_ids.append((await kernel.start(flow_of("inline", World(KeyboardInterrupt)), 1)).run_id)
            run_ids.append((await kernel.start(Flow("late").step(first), 1)).run_id)
            await anyio.sleep_forever()

    async def status() -> str:
        return (await journal.head(run_ids[1])).status

    with pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=backend)
    assert anyio.run(status, backend=backend) == "suspended"
