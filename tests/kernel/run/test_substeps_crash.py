"""A process that dies at any durable operation of a durable call: the next one goes on as if nothing had happened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from engine_kit import DurableJournal, Effects, ProcessDied, check_history, completed

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import Elapsed, RunEnded, RunError
from agentflow_kernel.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel import Progress, RunHandle

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def steps(effects: Effects) -> tuple[Flow, Any]:
    """Sub-steps in a node and in the items of a batch, two of them of one name, some as effects."""

    async def node(value: int, context: Context) -> int:
        async def add(name: str, number: int) -> int:
            effects.note(f"{context.path}!{name}")
            await anyio.lowlevel.checkpoint()
            return number + 1

        value = await context.step("add", add, "add", value)
        value = await context.step("add", add, "add@2", value)
        return await context.step("charge", add, "charge", value, effect="effect", on_unknown="retry")

    return Flow("steps").step(node).step(node, name="each", each=[1, 2], concurrency=2), 1


def timers(effects: Effects) -> tuple[Flow, Any]:
    """A short timer, a long one and a step behind them."""

    async def node(value: int, context: Context) -> Any:
        await context.sleep(1)
        await context.sleep(3600)
        return await context.step("after", lambda: effects.note(f"{context.path}!after") or value)

    return Flow("timers").step(node), 1


def signals(effects: Effects) -> tuple[Flow, Any]:
    """A wait with a signal, one that elapses, and one with a signal that came early."""

    async def node(value: int, context: Context) -> Any:
        found = [await context.wait("go")]
        try:
            await context.wait("never", timeout_s=60)
        except Elapsed:
            found.append("elapsed")
        effects.note(context.path)
        return [*found, await context.wait("early", {"type": "integer"})]

    return Flow("signals").step(node), 1


def patched(effects: Effects) -> tuple[Flow, Any]:
    """A place that asks for the way before and after a step."""

    async def node(value: int, context: Context) -> Any:
        before = context.patched("one")
        drawn = context.random()
        number = await context.step("add", lambda number: number + 1, drawn)
        return [before, number, context.patched("two"), context.random()]

    return Flow("patched").step(node).step(lambda value: value, name="last"), 1


ZOO: dict[str, Callable[[Effects], tuple[Flow, Any]]] = {
    "steps": steps, "timers": timers, "signals": signals, "patched": patched,
}  # fmt: skip


async def send(handle: RunHandle, waits: anyio.Event) -> None:
    """What senders outside do: the same signals in each life, one when it is waited for, two early."""
    try:
        await handle.signal("early", "no number", signal_id="bad")
        await handle.signal("early", 7, signal_id="early")
        await waits.wait()
        await handle.signal("go", 5, signal_id="go")
    except (ProcessDied, RunError, RunEnded):  # nobody is there any more
        return


async def live(journal: DurableJournal, effects: Effects, name: str) -> Any:
    """One process: the output, or ``None`` when it died."""
    effects.journal = journal
    flow, value = ZOO[name](effects)
    waits = anyio.Event()

    def hear(progress: Progress) -> None:
        if progress.name == "wait.opened":
            waits.set()

    try:
        async with Kernel(journal=journal, clock=FakeClock(auto=True)) as kernel, anyio.create_task_group() as group:
            kernel.listen(hear)
            try:
                handle = await kernel.start(flow, value, key="one")
                if name == "signals":
                    group.start_soon(send, handle, waits)
                return await handle.result()
            finally:
                group.cancel_scope.cancel()
    except BaseException as error:
        found = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
        if journal.dead and isinstance(found, ProcessDied | RunError):
            return None
        raise


async def records_of(journal: DurableJournal) -> list[Any]:
    heads = await journal.survivor.runs()
    return list(await journal.survivor.read(heads[0].run_id)) if heads else []


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ZOO)
async def test_a_death_between_any_two_durable_operations_changes_nothing(name: str, applied: bool) -> None:
    """Same output, nothing on record done again, each timer fired once, each signal received once."""
    reference, once = DurableJournal(), Effects()
    expected = await live(reference, once, name)
    assert reference.operations >= 4
    died = 0
    for moment in range(1, reference.operations + 2):
        first = DurableJournal(dies_at=moment, applied=applied)
        effects = Effects()
        output = await live(first, effects, name)
        if not first.dead:
            assert output == expected
            continue
        died += 1
        done = set(completed(await records_of(first)))

        second, later = DurableJournal(first.survivor), Effects()
        assert await live(second, later, name) == expected, f"died at operation {moment}"

        records = await records_of(second)
        check_history(records)
        assert records[-1].type == "run.ended"
        assert not done & set(later.paths), f"done again after the death at operation {moment}"
        assert set(effects.paths) | set(later.paths) == set(once.paths)
        assert Counter(completed(records)).most_common(1)[0][1] == 1
        for kind in ("timer.fired", "wait.resolved"):
            paths = [record.path for record in records if record.type == kind]
            assert len(set(paths)) == len(paths), kind
        ids = [record.payload["signal"] for record in records if record.type == "signal.received"]
        assert len(set(ids)) == len(ids)
    assert died >= reference.operations - 1


@pytest.mark.parametrize("name", ZOO)
async def test_a_run_gets_to_its_end_in_lives_of_a_few_operations(name: str) -> None:
    """Each process manages only the lease, the record of what it waits for, and a little more."""
    expected = await live(DurableJournal(), Effects(), name)
    journal, output = DurableJournal(dies_at=6, applied=True), None
    for _ in range(40):
        output = await live(journal, Effects(), name)
        if not journal.dead:
            break
        journal = DurableJournal(journal.survivor, dies_at=6, applied=True)
    assert output == expected
    check_history(await records_of(journal))
