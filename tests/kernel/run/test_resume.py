"""A resumed run goes on where its history ends, and stops where history and code disagree."""

from __future__ import annotations

from contextlib import nullcontext, suppress

import anyio
import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, check_history, completed, own

from agentflow_kernel import Context, Flow, Kernel, Node, Progress
from agentflow_kernel.errors import (
    CorruptRecord,
    Overloaded,
    PeerUnavailable,
    RunError,
    RunFailed,
    RunSuspended,
    StorageUnavailable,
    UnknownName,
    UnknownRun,
    UsageError,
)
from agentflow_kernel.testing import FunctionToolset, InProcessJournal

pytestmark = pytest.mark.anyio


class Peer:
    """A step whose peer is down so many times."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self, value: object) -> object:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return value


async def same(value: object) -> object:
    return value


async def stop_after(journal: DurableJournal, flow: Flow, value: object = None) -> str:
    """Run until the peer is down; the id of the suspended run."""
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(flow, value)
        with pytest.raises(RunSuspended, match="down"):
            await handle.result()
        return handle.run_id


@pytest.mark.parametrize(
    "error",
    [PeerUnavailable("down"), Overloaded("down"), StorageUnavailable("down")],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_unavailable_suspends_a_durable_run(error: Exception) -> None:
    """Nothing is lost: the run goes on with the same step."""
    peer, journal = Peer(error), DurableJournal()
    flow = Flow("f").step(same).step(peer, name="peer")
    run_id = await stop_after(journal, flow, 7)
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow)
        (head,) = await kernel.runs(status="suspended")
        assert (head.run_id, head.cause) == (run_id, error.code)
        assert await (await kernel.resume(run_id)).result() == 7
        check_history(await kernel.history(run_id))
    assert peer.calls == 2


async def test_what_is_unavailable_fails_a_run_that_cannot_be_resumed() -> None:
    """A run in memory would be lost anyway, so it ends."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match=r"down \[AF-PEER-UNAVAILABLE\]"):
            await kernel.run(Flow("f").step(Peer(PeerUnavailable("down")), name="peer"))


async def test_every_other_error_fails_the_run() -> None:
    """A mistake is not tried again by waiting."""
    async with Kernel(journal=DurableJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(Peer(KeyError("x")), name="peer"))
        with pytest.raises(RunFailed, match="KeyError: 'x'"):
            await handle.result()
        with pytest.raises(UsageError, match=r"has ended \(failed\)"):
            await kernel.resume(handle.run_id)


async def test_a_changed_input_of_a_completed_step_parks_the_run() -> None:
    """Status ``stuck``, with the path: neither failed nor guessed."""
    journal = DurableJournal()

    def build(answer: int, peer: Peer) -> Flow:
        return (
            Flow("f")
            .step(lambda: answer, name="first", blocking="inline")
            .step(same, name="second", input={"answer": answer})
            .step(peer, name="peer")
        )

    run_id = await stop_after(journal, build(1, Peer(PeerUnavailable("down"))))
    changed = build(2, Peer())
    async with Kernel(journal=journal) as kernel:
        kernel.add(changed)
        handle = await kernel.resume(run_id)
        with pytest.raises(RunSuspended, match=r"is stuck: at 'second': this step is on record with another"):
            await handle.result()
        assert handle.status == "stuck"
        (head,) = await kernel.runs(status="stuck")
        assert (head.run_id, head.cause) == (run_id, "AF-NON-DETERMINISM")
    restored = build(1, Peer())
    async with Kernel(journal=journal) as kernel:
        kernel.add(restored)
        assert await (await kernel.resume(run_id)).result() == {"answer": 1}
        check_history(await kernel.history(run_id))


async def test_a_changed_item_of_a_batch_parks_the_run_whatever_its_item_errors_do() -> None:
    """``skip`` skips errors of items, not contradictions."""
    journal, peer = DurableJournal(), Peer(PeerUnavailable("down"))

    def build(factor: int) -> Flow:
        flow = Flow("f").step(
            same, each=[1, 2], input={"item": {"$ref": "item"}, "factor": factor}, on_item_error="skip"
        )
        return flow.step(peer, name="peer")

    run_id = await stop_after(journal, build(1))
    async with Kernel(journal=journal) as kernel:
        kernel.add(build(2))
        handle = await kernel.resume(run_id)
        with pytest.raises(RunSuspended, match=r"stuck: at 'same\[0\]'"):
            await handle.result()
    assert peer.calls == 1


async def test_a_new_node_elsewhere_does_not_break_an_old_run() -> None:
    """Steps are found by their paths, not by their place in the history."""
    journal, peer = DurableJournal(), Peer(PeerUnavailable("down"))
    run_id = await stop_after(journal, Flow("f").step(same, name="a").step(peer, name="peer"), 5)
    grown = Flow("f").step(same, name="a").step(peer, name="peer").step(same, name="new")
    async with Kernel(journal=journal) as kernel:
        kernel.add(grown)
        assert await (await kernel.resume(run_id)).result() == 5
        assert completed(await kernel.history(run_id)) == ["a", "peer", "new"]


async def test_state_is_restored_with_the_steps_that_wrote_it() -> None:
    """Also that of single items, in the order in which it was written."""

    class Write(Node):
        async def post(self, shared, prepared, result):
            shared.change("log", lambda log: [*log, prepared], [])
            if prepared == 2:
                shared.delete("first")

    class First(Node):
        async def post(self, shared, prepared, result):
            shared.set("first", True)

    journal, peer = DurableJournal(), Peer(PeerUnavailable("down"))
    flow = (
        Flow("f")
        .step(First)
        .step(Write, each=[1, 2, 3], concurrency=1)
        .step(peer, name="peer", input={"$ref": "state"})
    )
    run_id = await stop_after(journal, flow)
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow)
        assert await (await kernel.resume(run_id)).result() == {"log": [1, 2, 3]}


@pytest.mark.keeps_memory("names the epochs")
async def test_a_second_owner_fences_the_first() -> None:
    """The first executor stops without further effects or records; its handle says who has the run now."""
    journal, inside, go = DurableJournal(), anyio.Event(), anyio.Event()
    ran: list[str] = []

    async def slow(value: str) -> str:
        if not inside.is_set():
            inside.set()
            await go.wait()
        return value

    async def after(value: str, context: Context) -> str:
        ran.append(context.path)
        return value

    flow = Flow("f").step(slow).step(after)
    async with Kernel(journal=journal) as first, Kernel(journal=journal) as second:
        handle = await first.start(flow, "x")
        await inside.wait()
        second.add(flow)
        taken = await second.resume(handle.run_id)
        assert await taken.result() == "x"
        records = await second.history(handle.run_id)
        go.set()
        with pytest.raises(RunSuspended, match="epoch 1 is over, the run now belongs to epoch 2") as caught:
            await handle.result()
        assert "lost" not in str(caught.value)
        assert await second.history(handle.run_id) == records
    assert ran == ["after"]
    check_history(records)


async def test_a_fenced_run_in_memory_has_not_failed_either() -> None:
    """Whatever the journal, the run belongs to the other owner."""
    journal, inside, go = InProcessJournal(), anyio.Event(), anyio.Event()

    async def slow(value: str) -> str:
        if not inside.is_set():
            inside.set()
            await go.wait()
        return value

    flow = Flow("f").step(slow)
    async with Kernel(journal=journal) as first, Kernel(journal=journal) as second:
        handle = await first.start(flow, "x")
        await inside.wait()
        second.add(flow)
        await (await second.resume(handle.run_id)).result()
        go.set()
        with pytest.raises(RunSuspended, match="epoch 1 is over"):
            await handle.result()


@pytest.mark.keeps_memory("lists every epoch")
async def test_epochs_grow_with_each_owner_and_never_go_down() -> None:
    """The lease of the new owner is the first record of its epoch."""
    journal = DurableJournal()
    flow = Flow("f").step(Peer(PeerUnavailable("down"), PeerUnavailable("down")), name="peer")
    run_id = await stop_after(journal, flow)
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow)
        with pytest.raises(RunSuspended, match="down"):
            await (await kernel.resume(run_id)).result()
        await (await kernel.resume(run_id)).result()
        records = await kernel.history(run_id)
    assert [(record.type, record.epoch) for record in records] == [
        ("run.started", 1),
        ("run.suspended", 1),
        ("lease", 2),
        ("run.suspended", 2),
        ("lease", 3),
        ("step.completed", 3),
        ("run.ended", 3),
    ]
    check_history(records)


async def test_a_broken_chain_is_refused_before_anything_runs() -> None:
    """A journal that gives back other records than were written is not built upon."""
    journal, peer = DurableJournal(), Peer(PeerUnavailable("down"))
    flow = Flow("f").step(same).step(peer, name="peer")
    run_id = await stop_after(journal, flow)
    read = journal.survivor.read

    async def tampered(run: str, from_seq: int = 0):
        records = list(await read(run, from_seq))
        for record in records:
            if record.seq == 1:
                record.payload = {"result": "forged"}
        return records

    journal.survivor.read = tampered
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow)
        with pytest.raises(CorruptRecord, match="record 2: the chain of records is broken"):
            await kernel.resume(run_id)
    assert peer.calls == 1


async def test_an_unknown_run_and_an_unknown_flow_are_named() -> None:
    """Nothing is begun for either."""
    journal = DurableJournal()
    run_id = await stop_after(journal, Flow("f").step(Peer(PeerUnavailable("down")), name="peer"))
    async with Kernel(journal=journal) as kernel:
        with pytest.raises(UnknownRun, match="No run 'nope' in this journal"):
            await kernel.resume("nope")
        with pytest.raises(UnknownName, match="Unknown flow, agent or plan 'flow/f'"):
            await kernel.resume(run_id)


async def test_resuming_a_run_that_works_here_gives_its_handle() -> None:
    """There is one executor, however often it is asked for, also at the same time."""
    go = anyio.Event()

    async def wait(value: object) -> object:
        await go.wait()
        return value

    journal = DurableJournal()
    flow = Flow("f").step(Peer(PeerUnavailable("down")), name="peer").step(wait)
    run_id = await stop_after(journal, flow, 1)
    handles: list[object] = []
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow)

        async def resume() -> None:
            handles.append(await kernel.resume(run_id))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(resume)
        assert handles[0] is handles[1] is handles[2]
        go.set()
        assert await handles[0].result() == 1  # type: ignore[attr-defined]  # a handle


@pytest.mark.parametrize("tool_step", [False, True], ids=["effect=effect", "tool"])
async def test_an_effect_that_was_begun_and_not_completed_is_not_repeated(tool_step: bool) -> None:
    """The run is stuck: whether the effect took place, only a person can find out."""
    calls: list[str] = []
    died = anyio.Event()

    async def pay(value: object) -> object:
        calls.append("paid")
        if not died.is_set():
            died.set()
            await anyio.sleep_forever()
        return value

    def build() -> Flow:
        if not tool_step:
            return Flow("f").step(pay, effect="effect")
        from agentflow_kernel.agent import ToolStep

        toolset = FunctionToolset()
        toolset.add("pay", pay, effect="effect")
        return Flow("f").step(ToolStep("bank.pay", toolset, "pay"), name="pay")

    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(build(), {"to": "x"})
        await died.wait()
    kind = [record.type for record in await journal.survivor.read(handle.run_id)]
    assert kind == ["run.started", "step.intent", "run.suspended"]
    async with Kernel(journal=journal) as kernel:
        kernel.add(build())
        with pytest.raises(RunSuspended, match="is stuck: at 'pay': node 'pay' was begun before the run stopped"):
            await (await kernel.resume(handle.run_id)).result()
    assert calls == ["paid"]


async def test_an_effect_that_was_surely_not_executed_is_tried_again() -> None:
    """Turned away before it began: ``executed`` says so, and the record too."""
    peer, journal = Peer(Overloaded("down")), DurableJournal()
    flow = Flow("f").step(peer, name="pay", effect="effect")
    run_id = await stop_after(journal, flow, 1)
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow)
        assert await (await kernel.resume(run_id)).result() == 1
        kinds = [record.type for record in own(await kernel.history(run_id))]
    assert kinds == [
        "run.started", "step.intent", "step.failed", "run.suspended", "step.intent", "step.completed", "run.ended",
    ]  # fmt: skip


async def test_an_effect_of_which_nobody_knows_is_stuck_after_an_unavailable_peer() -> None:
    """``executed="maybe"`` is not good enough to repeat it."""
    journal = DurableJournal()
    flow = Flow("f").step(Peer(PeerUnavailable("down")), name="pay", effect="effect")
    run_id = await stop_after(journal, flow)
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow)
        with pytest.raises(RunSuspended, match="stuck: at 'pay'"):
            await (await kernel.resume(run_id)).result()


async def test_an_idempotent_step_is_repeated_with_the_same_key() -> None:
    """A receiver that honours it sees one effect."""
    keys: list[str] = []
    survivor = InProcessJournal()

    async def send(value: object, context: Context) -> None:
        keys.append(context.key)

    for dies_at in (2, 0):
        async with Kernel(journal=DurableJournal(survivor, dies_at=dies_at)) as kernel:
            handle = await kernel.start(Flow("f").step(send), key="k")
            with suppress(RunError) if dies_at else nullcontext():
                await handle.result()
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.keeps_memory("dies at a counted append")
async def test_events_published_before_a_death_go_out_again_under_the_same_id_first() -> None:
    """Those whose publication is not on record, before anything else is done."""
    survivor = InProcessJournal()
    told: list[str] = []

    def hear(progress: Progress) -> None:
        if progress.name in {"event.emitted", "node.started"}:
            told.append(str(progress.fields.get("id", progress.path)))

    flow = Flow("f").step(None, name="tell", emits="a.b").step(same, name="after")
    for dies_at in (3, 0):
        async with Kernel(journal=DurableJournal(survivor, dies_at=dies_at)) as kernel:
            kernel.listen(hear)
            handle = await kernel.start(flow, 1, key="k")
            with suppress(RunError) if dies_at else nullcontext():
                await handle.result()
    event_id = f"{handle.run_id}/1"
    assert told == ["tell", event_id, "after", event_id, "after"]
    marks = [record.payload for record in await survivor.read(handle.run_id) if record.type == "event.published"]
    assert marks == [{"ids": [event_id]}]


@pytest.mark.keeps_memory("the mark of a publication waits in memory for the next record")
async def test_an_event_whose_publication_is_on_record_does_not_go_out_again() -> None:
    """The mark was made durable with the step after it."""
    survivor = InProcessJournal()
    told: list[object] = []
    flow = Flow("f").step(None, name="tell", emits="a.b").step(same, name="after")
    for dies_at in (4, 0):
        async with Kernel(journal=DurableJournal(survivor, dies_at=dies_at)) as kernel:
            kernel.listen(lambda progress: told.append(progress.name) if progress.name == "event.emitted" else None)
            handle = await kernel.start(flow, 1, key="k")
            with suppress(RunError) if dies_at else nullcontext():
                await handle.result()
    assert told == ["event.emitted"]
    assert [record.type for record in await survivor.read(handle.run_id)].count("event.published") == 1
