"""A run that went wrong goes on as a new one; any run can be copied from a step on; a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from engine_kit import DurableJournal, check_history, completed

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import (
    NonDeterminism,
    OutcomeUnknown,
    PeerUnavailable,
    RunFailed,
    StorageUnavailable,
    UnknownName,
    UsageError,
)
from agentflow_kernel.kernel.verdict import Verdict
from agentflow_kernel.run.figures import add_figures
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.journal import Record

pytestmark = pytest.mark.anyio


class Shop:
    """A flow of four steps that writes down its calls and keys; ``bad`` names the steps that fail."""

    def __init__(self, *bad: str) -> None:
        self.bad = set(bad)
        self.called: list[str] = []
        self.keys: dict[str, list[str]] = {}
        self.flow = Flow("shop")
        for name in ("a", "b", "c", "d"):
            self.flow.step(self.step(name), name=name)

    def step(self, name: str) -> Any:
        async def call(value: object, context: Context) -> object:
            self.called.append(name)
            self.keys.setdefault(name, []).append(context.key)
            if name in self.bad:
                raise ValueError(f"{name} is bad")
            return f"{value}{name}"

        return call


async def fails(kernel: Kernel, flow: Flow, value: object = "") -> str:
    handle = await kernel.start(flow, value)
    with pytest.raises(RunFailed):
        await handle.result()
    return handle.run_id


async def test_a_retry_goes_on_at_the_step_that_failed() -> None:
    """Completed steps are not executed again; each run has one terminal record, and the new one has the link."""
    shop, journal = Shop("c"), InProcessJournal()
    async with Kernel(journal=journal) as kernel:
        first = await fails(kernel, shop.flow)
        shop.bad.clear()
        handle = await kernel.retry(first, by="ada")
        assert await handle.result() == "abcd"
        assert shop.called == ["a", "b", "c", "c", "d"]
        again = await kernel.history(handle.run_id)
        check_history(again)
        assert completed(again) == ["c", "d"]
        link = again[0].payload["forked_from"]
        assert link == {"run": first, "seq": len(await kernel.history(first)), "step": "", "kind": "retry", "by": "ada"}
        assert {info.run_id: (info.status, info.parent) for info in await kernel.runs()} == {
            first: ("failed", ""),
            handle.run_id: ("completed", first),
        }


async def test_a_retry_has_keys_of_its_own() -> None:
    """The new run is another one: a receiver must not take its second try for the first one's."""
    shop = Shop("c")
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await fails(kernel, shop.flow)
        shop.bad.clear()
        await (await kernel.retry(first)).result()
    one, other = shop.keys["c"]
    assert one != other


async def test_a_retry_from_a_step_executes_it_and_what_follows() -> None:
    """What came before stands."""
    shop = Shop("d")
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await fails(kernel, shop.flow)
        shop.bad.clear()
        assert await (await kernel.retry(first, "b")).result() == "abcd"
    assert shop.called == ["a", "b", "c", "d", "b", "c", "d"]


async def test_a_retry_outlives_its_process() -> None:
    """What it has taken over is on record in the new run itself: the first one may be gone by then."""
    shop, survivor = Shop("c"), InProcessJournal()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        first = await fails(kernel, shop.flow)
        shop.bad.clear()
        shop.flow.step(down := Peer(), name="peer")
        handle = await kernel.retry(first)
        await handle.ended()
        assert handle.status == "suspended"
    down.up = True
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(shop.flow)
        assert await (await kernel.resume(handle.run_id)).result() == "abcd"
        check_history(await kernel.history(handle.run_id))
    assert shop.called == ["a", "b", "c", "c", "d"]


class Peer:
    """A step whose peer is down until it is put up."""

    up = False

    async def __call__(self, value: object) -> object:
        if not self.up:
            raise PeerUnavailable("down")
        return value


async def test_a_retry_can_be_retried() -> None:
    """The chain of links leads back to the first one."""
    shop = Shop("b", "d")
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await fails(kernel, shop.flow)
        shop.bad.discard("b")
        second = await kernel.retry(first)
        with pytest.raises(RunFailed):
            await second.result()
        shop.bad.clear()
        third = await kernel.retry(second.run_id)
        assert await third.result() == "abcd"
        assert [info.parent for info in await kernel.runs()] == [second.run_id, first, ""]
    assert shop.called == ["a", "b", "b", "c", "d", "d"]


@pytest.mark.parametrize("dies_at", [1, 2, 3])
async def test_a_retry_is_on_record_whole_or_not_at_all(dies_at: int) -> None:
    """The first run is as it was; there is no second one, or one that can be resumed."""
    shop, survivor = Shop("c"), InProcessJournal()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        first = await fails(kernel, shop.flow)
    before = await survivor.read(first)
    shop.bad.clear()
    journal = DurableJournal(survivor, dies_at=dies_at)
    async with Kernel(journal=journal) as kernel:
        kernel.add(shop.flow)
        try:
            handle = await kernel.retry(first)
        except Exception:  # noqa: BLE001 -- the process died in the middle of it
            handle = None
        else:
            await handle.ended()
    assert await survivor.read(first) == before
    others = [info for info in await survivor.runs() if info.run_id != first]
    assert len(others) == (0 if dies_at == 1 else 1)
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(shop.flow)
        for info in others:
            assert await (await kernel.resume(info.run_id)).result() == "abcd"


async def test_a_run_that_went_well_is_not_retried_and_one_that_can_go_on_is_resumed() -> None:
    """Each has its own way on, and the error names it."""
    shop, peer = Shop(), Peer()
    async with Kernel(journal=DurableJournal()) as kernel:
        done = await kernel.start(shop.flow, "")
        await done.result()
        with pytest.raises(UsageError, match="is completed; `fork`"):
            await kernel.retry(done.run_id)
        waits = await kernel.start(Flow("f").step(peer, name="peer"))
        await waits.ended()
        with pytest.raises(UsageError, match=r"is suspended; .* `resume`"):
            await kernel.retry(waits.run_id)


async def test_an_unknown_step_is_refused_with_the_nearest_ones() -> None:
    """Nothing is written."""
    flow = Flow("f").step(lambda value: value, name="charge").step(lambda value: value, name="refund")
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, 1)
        await handle.result()
        with pytest.raises(UnknownName, match="Did you mean 'charge'") as caught:
            await kernel.fork(handle.run_id, "chrage")
        assert "'charge'" in str(caught.value)
        assert len(await kernel.runs()) == 1


async def test_a_cancelled_run_goes_on_as_a_new_one() -> None:
    """The wish to cancel it was the first run's."""
    import anyio

    inside, go, seen = anyio.Event(), anyio.Event(), []

    async def wait(value: int) -> int:
        seen.append("wait")
        inside.set()
        await go.wait()
        return value + 1

    flow = Flow("f").step(lambda value: value + 1, name="first").step(wait)
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, 1)
        await inside.wait()
        await handle.cancel()
        go.set()
        assert await (await kernel.retry(handle.run_id)).result() == 3
    assert seen == ["wait", "wait"]


async def test_a_fork_of_a_completed_run_goes_on_from_a_step() -> None:
    """The first run stays as it is; the copy has the results before the step."""
    shop = Shop()
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await kernel.start(shop.flow, "")
        await first.result()
        before = await kernel.history(first.run_id)
        copy = await kernel.fork(first.run_id, "c")
        assert await copy.result() == "abcd"
        assert await kernel.history(first.run_id) == before
        assert completed(await kernel.history(copy.run_id)) == ["c", "d"]
        with pytest.raises(UsageError, match=r"nothing to do\. Name the step .*'a', 'b', 'c', 'd'"):
            await kernel.fork(first.run_id)


async def test_a_fork_with_another_input_begins_anew_or_at_the_step() -> None:
    """With a step, what is on record before it stands although it was made from the first input."""

    async def add(value: int) -> int:
        return value + 1

    flow = Flow("f").step(add, name="one").step(add, name="two", input={"$ref": "input"})
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await kernel.start(flow, 1)
        assert await first.result() == 2
        anew = await kernel.fork(first.run_id, value=10)
        assert await anew.result() == 11
        assert completed(await kernel.history(anew.run_id)) == ["one", "two"]
        later = await kernel.fork(first.run_id, "two", value=20)
        assert await later.result() == 21
        assert completed(await kernel.history(later.run_id)) == ["two"]


async def test_a_fork_inside_a_batch_keeps_the_items_before() -> None:
    """A step is any path that is on record: an item, an action, a branch."""
    called: list[int] = []

    async def square(value: int) -> int:
        called.append(value)
        return value * value

    flow = Flow("f").step(lambda value: value, name="list").step(square, each={"$ref": "list.result"}, concurrency=1)
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await kernel.start(flow, [1, 2, 3])
        await first.result()
        copy = await kernel.fork(first.run_id, "square[1]")
        assert await copy.result() == [1, 4, 9]
    assert called == [1, 2, 3, 2, 3]


async def test_the_winners_of_a_join_are_those_of_the_first_run() -> None:
    """What came first there came first here."""
    called: list[str] = []

    def branch(name: str) -> Any:
        async def call(value: object) -> str:
            called.append(name)
            return name

        return call

    flow = (
        Flow("f")
        .parallel({"x": branch("x"), "y": branch("y")}, name="fork", join="any")
        .step(lambda value: value, name="last")
    )
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await kernel.start(flow)
        winner = await first.result()
        count = len(called)
        copy = await kernel.fork(first.run_id, "last")
        assert await copy.result() == winner
        assert len(called) == count


def effectful(called: list[str], *, fails_first: bool = True) -> Flow:
    """A flow whose second step has an effect that nobody knows the outcome of, once."""

    async def charge(value: int) -> str:
        called.append("charge")
        if fails_first and len(called) == 1:
            raise ValueError("the line went dead")
        return f"receipt {value}"

    return (
        Flow("f")
        .step(lambda value: value, name="first")
        .step(charge, effect="effect")
        .step(lambda value: f"done: {value}", name="last")
    )


async def test_an_effect_of_unknown_outcome_is_repeated_only_by_name() -> None:
    """A person who has looked at the receiver names it."""
    called: list[str] = []
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await fails(kernel, effectful(called), 5)
        with pytest.raises(UsageError, match="begun 'charge' and nobody knows"):
            await kernel.retry(first)
        assert len(await kernel.runs()) == 1
        assert await (await kernel.retry(first, "charge")).result() == "done: receipt 5"
    assert called == ["charge", "charge"]


class Crashed(DurableJournal):
    """Dies when the effect has happened: its intent is on record, its completion is not."""

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        self.dead = self.dead or any(record.path == "charge" and record.type == "step.completed" for record in records)
        await super().append(run_id, expected_seq, epoch, records)


async def stuck(survivor: InProcessJournal, called: list[str]) -> str:
    """A run that died in the middle of its effect, and then stopped there as stuck."""
    async with Kernel(journal=Crashed(survivor)) as kernel:
        handle = await kernel.start(effectful(called, fails_first=False), 5)
        await handle.ended()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(effectful(called))
        again = await kernel.resume(handle.run_id)
        await again.ended()
        assert again.status == "stuck"
    return handle.run_id


@pytest.mark.parametrize(
    ("outcome", "results", "output", "calls"),
    [("done", {"charge": "receipt 7"}, "done: receipt 7", 1), ("retry", {}, "done: receipt 5", 2)],
)
async def test_a_person_decides_an_unknown_effect(outcome: Any, results: Any, output: str, calls: int) -> None:
    """It happened, with this result; or it is done again, with the same key. Who decided is on record."""
    survivor, called = InProcessJournal(), []
    run_id = await stuck(survivor, called)
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(effectful(called, fails_first=False))
        verdict = Verdict(decide={"charge": outcome}, results=results, by="ada")
        assert await (await kernel.resume(run_id, verdict=verdict)).result() == output
        records = await kernel.history(run_id)
        check_history(records)
        (decided,) = [record for record in records if isinstance(record.payload, dict) and "decided" in record.payload]
        assert (decided.path, decided.payload["decided"], decided.payload["by"]) == ("charge", outcome, "ada")
    assert len(called) == calls


async def test_an_effect_that_is_decided_as_failed_fails_the_run() -> None:
    """Also when the process dies before the run has ended."""
    survivor, called = InProcessJournal(), []
    run_id = await stuck(survivor, called)
    verdict = Verdict(decide={"charge": "fail"}, by="ada")
    async with Kernel(journal=DurableJournal(survivor, dies_at=2)) as kernel:
        kernel.add(effectful(called, fails_first=False))
        await (await kernel.resume(run_id, verdict=verdict)).ended()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(effectful(called, fails_first=False))
        with pytest.raises(RunFailed) as caught:
            await (await kernel.resume(run_id)).result()
        assert caught.value.code == OutcomeUnknown.code
    assert len(called) == 1


async def test_only_what_is_unknown_can_be_decided() -> None:
    """The run stays stuck, with nothing more on record."""
    survivor, called = InProcessJournal(), []
    run_id = await stuck(survivor, called)
    before = await survivor.read(run_id)
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(effectful(called))
        with pytest.raises(UnknownName, match="Known: 'charge'"):
            await kernel.resume(run_id, verdict=Verdict(decide={"first": "retry"}))
    assert await survivor.read(run_id) == before
    with pytest.raises(UsageError, match="Did you mean 'retry'"):
        Verdict(decide={"charge": "rtry"})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="not decided as done"):
        Verdict(decide={"charge": "retry"}, results={"charge": 1})


async def test_a_stuck_run_that_is_retried_ends() -> None:
    """Only one of the two goes on."""
    survivor, called = InProcessJournal(), []
    run_id = await stuck(survivor, called)
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(effectful(called, fails_first=False))
        with pytest.raises(UsageError, match="nobody knows"):
            await kernel.retry(run_id)
        assert await (await kernel.retry(run_id, "charge", by="ada")).result() == "done: receipt 5"
        assert [info.status for info in await kernel.runs()] == ["completed", "cancelled"]
        records = await kernel.history(run_id)
        check_history(records)
        assert records[-1].payload == {"status": "cancelled", "cause": "retried", "by": "ada"}


async def test_changed_inputs_are_accepted_by_a_person() -> None:
    """Without that the run is stuck; with it the results on record stand, and that is on record for later owners."""
    peer, survivor, called = Peer(), InProcessJournal(), []

    async def first(value: object) -> object:
        called.append(value)
        return value

    def flow(version: int) -> Flow:
        return Flow("f").step(first, input={"v": version}).step(peer, name="peer")

    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        handle = await kernel.start(flow(1), None)
        await handle.ended()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(flow(2))
        again = await kernel.resume(handle.run_id)
        await again.ended()
        assert (again.status, (await kernel.runs())[0].cause) == ("stuck", NonDeterminism.code)
        accepted = await kernel.resume(handle.run_id, verdict=Verdict(accept=True, by="ada"))
        await accepted.ended()
        assert accepted.status == "suspended"
    peer.up = True
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        kernel.add(flow(2))
        assert await (await kernel.resume(handle.run_id)).result() == {"v": 1}
        leases = [record.payload for record in await kernel.history(handle.run_id) if record.type == "lease"]
        assert [lease["by"] for lease in leases if "by" in lease] == ["ada"]
    assert called == [{"v": 1}]


async def test_a_full_disk_leaves_nothing_of_a_retry() -> None:
    """The first run can be retried again."""
    shop, survivor = Shop("c"), InProcessJournal()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        first = await fails(kernel, shop.flow)
    shop.bad.clear()
    async with Kernel(journal=DurableJournal(survivor, full_at=1)) as kernel:
        kernel.add(shop.flow)
        with pytest.raises(StorageUnavailable):
            await kernel.retry(first)
        assert len(await kernel.runs()) == 1
        assert await (await kernel.retry(first)).result() == "abcd"


async def test_what_a_failed_run_has_undone_is_done_again_by_name() -> None:
    """A retry does not take for done what was given back; a fork does not give back what is the first run's."""
    called: list[str] = []
    bad = ["last"]

    async def buy(value: int) -> str:
        called.append("buy")
        return f"bought {value}"

    async def give_back(value: object) -> None:
        called.append("give back")

    async def last(value: str) -> str:
        if bad:
            raise ValueError("no")
        return value

    flow = Flow("f").step(lambda value: value, name="first").step(buy, compensate=give_back).step(last)
    async with Kernel(journal=InProcessJournal()) as kernel:
        failed = await fails(kernel, flow, 3)
        assert called == ["buy", "give back"]
        with pytest.raises(UsageError, match="has undone 'buy'"):
            await kernel.retry(failed)
        bad.clear()
        again = await kernel.retry(failed, "buy")
        assert await again.result() == "bought 3"
        assert called == ["buy", "give back", "buy"]
        bad.append("last")
        copy = await kernel.fork(again.run_id, "last")
        with pytest.raises(RunFailed):
            await copy.result()
        assert called == ["buy", "give back", "buy"]


def test_figures_add_up() -> None:
    """Calls without a known price are counted as such."""
    figures: dict[str, Any] = {}
    add_figures(figures, {"result": 1})
    add_figures(
        figures, {"result": {"message": {}, "usage": {"input_tokens": 10, "output_tokens": 2, "cost_usd": 0.5}}}
    )
    add_figures(
        figures, {"result": {"message": {}, "usage": {"input_tokens": 5, "output_tokens": 1, "cost_usd": None}}}
    )
    add_figures(figures, {"result": {"text": "an agent's", "usage": {"input_tokens": 15, "output_tokens": 3}}})
    assert figures == {
        "steps": 4,
        "model_calls": 2,
        "input_tokens": 15,
        "output_tokens": 3,
        "cost_usd": 0.5,
        "unpriced_calls": 1,
    }


async def test_a_run_goes_on_from_the_step_at_which_it_failed() -> None:
    """That step is named by the error; nothing of it is on record, and it is the one that is done anew."""
    shop = Shop("c")
    async with Kernel(journal=InProcessJournal()) as kernel:
        run_id = await fails(kernel, shop.flow)
        shop.bad.clear()
        again = await kernel.retry(run_id, "c")
        assert await again.result() == "abcd"
    assert shop.called == ["a", "b", "c", "c", "d"]


async def test_a_step_that_a_copy_has_taken_over_is_done_again_from_the_first_run() -> None:
    """The copy has only its result; the error names the run that has its record."""
    shop = Shop("c")
    async with Kernel(journal=InProcessJournal()) as kernel:
        run_id = await fails(kernel, shop.flow)
        copy = await kernel.retry(run_id)
        await copy.ended()
        with pytest.raises(UsageError, match=f"has taken over 'b' from run {run_id}"):
            await kernel.retry(copy.run_id, "b")
        with pytest.raises(UnknownName, match=r"Unknown step of run .* 'x'"):
            await kernel.retry(copy.run_id, "x")
        shop.bad.clear()
        assert await (await kernel.retry(run_id, "b")).result() == "abcd"
