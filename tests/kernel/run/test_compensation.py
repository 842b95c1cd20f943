"""Compensations: what is done is undone when the run fails or is cancelled, once, in reverse, over crashes too."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, Effects, ProcessDied, check_history, completed

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.contracts.journal import compacted_to
from agentflow_kernel.errors import (
    FlowInvalid,
    ManifestErrors,
    PeerUnavailable,
    RunCancelled,
    RunError,
    RunFailed,
    RunSuspended,
)
from agentflow_kernel.flow import Branch, Compensation
from agentflow_kernel.kernel.verdict import Verdict
from agentflow_kernel.manifest import read
from agentflow_kernel.run.history_limits import Limits
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Saga:
    """Steps and compensations that write down what they do; only what a living process does counts."""

    def __init__(self, effects: Effects | None = None) -> None:
        self.effects = effects or Effects()
        self.undone: list[tuple[str, Any]] = []

    async def do(self, value: Any, context: Context) -> Any:
        self.effects.note(context.path)
        await anyio.lowlevel.checkpoint()
        return f"{context.node} {value}"

    async def undo(self, value: Any, context: Context) -> Any:
        self.effects.note(context.path)
        self.undone.append((context.path, value))
        await anyio.lowlevel.checkpoint()
        return len(self.undone)

    async def fail(self, value: Any) -> Any:
        raise ValueError("no room")


def trip(saga: Saga) -> Flow:
    """Two bookings, a nested one, one that stands for all in it, side by side, and a last one that fails."""
    inner = Flow("inner").step(saga.do, name="hotel", compensate=saga.undo).step(saga.do, name="note")
    whole = Flow("whole").step(saga.do, name="train", compensate=saga.undo)
    flow = Flow("trip").step(saga.do, name="flight", compensate=saga.undo).step(inner, name="stay")
    flow.step(whole, name="ride", compensate=saga.undo)
    flow.step(saga.do, name="cars", each=["a", "b"], concurrency=1, compensate=saga.undo)
    flow.parallel({"x": Branch(saga.do, compensate=saga.undo), "y": saga.do}, name="fork")
    return flow.step(saga.fail, name="fail")


ORDER = [
    "fork/x!compensate",
    "cars[1]!compensate",
    "cars[0]!compensate",
    "ride!compensate",
    "stay/hotel!compensate",
    "flight!compensate",
]


async def test_a_run_that_fails_undoes_its_steps_the_latest_first() -> None:
    """Each gets input and result of its step; a nested flow with a compensation stands for all in it."""
    saga = Saga()
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(trip(saga), 1)
        with pytest.raises(RunFailed, match="no room") as failed:
            await handle.result()
        records = await kernel.history(handle.run_id)
    assert failed.value.code == "AF-NODE-FAILED"
    assert [path for path, _ in saga.undone] == ORDER
    assert dict(saga.undone)["flight!compensate"] == {"input": 1, "result": "flight 1"}
    assert dict(saga.undone)["cars[1]!compensate"] == {"input": "b", "result": "cars b"}
    check_history(records)
    told = [(record.type, record.path) for record in records if record.type.startswith("compensation")]
    assert told[0] == ("compensation.started", "")
    assert told[1:] == [(f"compensation.{what}", path) for path in ORDER for what in ("started", "completed")]
    end: Any = records[-1].payload
    assert (end["status"], end["path"]) == ("failed", "fail")
    assert end["compensation"] == {"completed": ORDER, "failed": []}


async def test_a_run_that_is_cancelled_undoes_too_and_one_that_is_suspended_does_not() -> None:
    saga = Saga()
    journal = InProcessJournal()

    async def wait(value: Any, context: Context) -> Any:
        await context.wait("never")

    flow = Flow("f").step(saga.do, name="a", compensate=saga.undo).step(wait)
    async with Kernel(journal=DurableJournal(journal)) as kernel:
        handle = await kernel.start(flow, 1)
        await settle()
    assert saga.undone == []
    async with Kernel(journal=DurableJournal(journal)) as kernel:
        kernel.add(flow)
        handle = await kernel.resume(handle.run_id)
        await handle.cancel()  # before it has come to recall anything
        with pytest.raises(RunCancelled):
            await handle.result()
        records = await kernel.history(handle.run_id)
    assert saga.undone == [("a!compensate", {"input": 1, "result": "a 1"})]
    end: Any = records[-1].payload
    assert end["compensation"] == {"completed": ["a!compensate"], "failed": []}


async def test_a_completed_run_and_a_step_that_failed_are_not_undone() -> None:
    saga = Saga()
    async with Kernel(journal=InProcessJournal()) as kernel:
        await (await kernel.start(Flow("f").step(saga.do, name="a", compensate=saga.undo), 1)).result()
        handle = await kernel.start(Flow("g").step(saga.fail, name="a", compensate=saga.undo), 1)
        with pytest.raises(RunFailed):
            await handle.result()
    assert saga.undone == []


async def test_one_that_fails_is_reported_and_stops_no_other() -> None:
    saga = Saga()
    flow = Flow("f").step(saga.do, name="a", compensate=saga.undo)
    flow.step(saga.do, name="b", compensate=saga.fail).step(saga.fail, name="c")
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, 1)
        with pytest.raises(RunFailed):
            await handle.result()
        records = await kernel.history(handle.run_id)
    end: Any = records[-1].payload
    (fault,) = end["compensation"]["failed"]
    assert (fault["path"], fault["code"]) == ("b!compensate", "AF-NODE-FAILED")
    assert "no room" in fault["message"]
    assert end["compensation"]["completed"] == ["a!compensate"]


async def test_what_is_not_done_in_time_is_reported() -> None:
    saga, clock = Saga(), FakeClock()

    async def hang(value: Any) -> Any:
        await anyio.sleep_forever()

    flow = Flow("f").step(saga.do, name="a", compensate=saga.undo)
    flow.step(saga.do, name="b", compensate=hang).step(saga.fail, name="c")
    flow.compensation_s = 5
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(flow, 1)
        for _ in range(5):
            await settle()
        await clock.advance(5)
        with pytest.raises(RunFailed, match="no room"):
            await handle.result()
        records = await kernel.history(handle.run_id)
    end: Any = records[-1].payload
    assert [fault["path"] for fault in end["compensation"]["failed"]] == ["b!compensate", "a!compensate"]
    assert saga.undone == []


async def test_policies_stand_round_a_compensation_and_its_key_is_its_own() -> None:
    saga, keys = Saga(), []

    class Again:
        def wrap(self, call: Any) -> Any:
            async def twice(request: Any) -> Any:
                try:
                    return await call(request)
                except PeerUnavailable:
                    request.attempt += 1
                    return await call(request)

            return twice

    async def undo(value: Any, context: Context) -> Any:
        keys.append((context.key, context.attempt))
        if context.attempt == 1:
            raise PeerUnavailable("gone")

    flow = Flow("f").step(saga.do, name="a", compensate=Compensation(undo, policies=[Again()]))
    flow.step(saga.fail, name="b")
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, 1)
        with pytest.raises(RunFailed):
            await handle.result()
        key = handle.run.key_of("a!compensate")
    assert keys == [(key, 1), (key, 2)]


async def test_a_flow_that_no_kernel_runs_compensates_too() -> None:
    saga = Saga()
    flow = Flow("f").step(saga.do, name="a", compensate=saga.undo)
    flow.step(saga.do, name="b", compensate=saga.fail).step(saga.fail, name="c")
    with pytest.raises(ValueError, match="no room") as failed:
        await flow.run(1)
    assert [path for path, _ in saga.undone] == ["a!compensate"]
    assert failed.value.__notes__ == ["b!compensate: ValueError: no room [AF-NODE-FAILED]"]


async def live(journal: DurableJournal, saga: Saga) -> Any:
    saga.effects.journal = journal
    async with Kernel(journal=journal) as kernel:
        try:
            handle = await kernel.start(trip(saga), 1, key="one")
            await handle.result()
        except (RunError, ProcessDied) as error:
            return error
    return None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
async def test_a_run_that_dies_anywhere_undoes_each_step_once(applied: bool) -> None:
    """No completed step and no completed compensation comes again; the run ends as it was about to end."""
    reference, once = DurableJournal(), Saga()
    await live(reference, once)
    assert reference.operations > 20
    for moment in range(1, reference.operations + 1):
        first = DurableJournal(dies_at=moment, applied=applied)
        before = Saga()
        await live(first, before)
        heads = await first.survivor.runs()
        records = list(await first.survivor.read(heads[0].run_id)) if heads else []
        done = {record.path for record in records if record.type in ("step.completed", "compensation.completed")}
        second, after = DurableJournal(first.survivor), Saga()
        error = await live(second, after)
        assert isinstance(error, RunFailed), (moment, error)
        assert "no room" in str(error)
        assert not done & set(after.effects.paths), f"done again after the death at {moment}"
        (head,) = await first.survivor.runs()
        records = list(await first.survivor.read(head.run_id))
        check_history(records)
        assert Counter(completed(records)).most_common(1)[0][1] == 1
        end: Any = records[-1].payload
        assert end["status"] == "failed"
        assert end["compensation"]["failed"] == []
        assert sorted(end["compensation"]["completed"]) == sorted(ORDER)
        undone = [record.path for record in records if record.type == "compensation.completed"]
        assert undone == ORDER or sorted(undone) == sorted(ORDER)


async def test_a_compensation_that_is_gone_parks_the_run() -> None:
    saga, journal = Saga(), DurableJournal()
    await live(journal, saga)
    short = DurableJournal(dies_at=journal.operations - 2)
    await live(short, Saga())
    changed = Flow("trip").step(saga.do, name="flight")
    async with Kernel(journal=DurableJournal(short.survivor)) as kernel:
        handle = await kernel.start(changed, 1, key="one")
        with pytest.raises(RunSuspended, match="has no compensation any more"):
            await handle.result()
        assert handle.status == "stuck"


async def test_findings() -> None:
    saga = Saga()
    flow = Flow("f").parallel({"a": saga.do}, name="fork", compensate=saga.undo)
    flow.step(saga.do, name="b", compensate=Compensation(saga.undo, input={"$ref": "fork.result"}))
    with pytest.raises(FlowInvalid) as invalid:
        flow.check()
    text = "\n".join(invalid.value.findings)
    assert "'fork' forks" in text
    assert "knows only 'item.input', 'item.result'" in text
    with pytest.raises(TypeError, match="no option 'routes'"):
        Compensation(saga.undo, routes={})


YAML = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: f}
spec:
  compensation_s: 10
  nodes:
    a: {uses: "./nodes.py:do", compensate: "./nodes.py:undo", next: b}
    b:
      uses: "./nodes.py:do"
      compensate: {uses: "./nodes.py:undo", input: {$ref: item.result}, effect: effect}
      next: c
    c: {uses: "./nodes.py:fail"}
"""
CODE = """
def do(value):
    return value + 1

def undo(value):
    return ["undone", value]

def fail(value):
    raise ValueError("no room")
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A kernel for :data:`YAML`; its code is read before there is a loop."""
    (tmp_path / "flow.yaml").write_text(YAML)
    (tmp_path / "nodes.py").write_text(CODE)
    kernel = Kernel.from_manifest(str(tmp_path / "flow.yaml"), journal=InProcessJournal(), trust_code=True)
    assert kernel._wiring.composition.flow("f").compensation_s == 10
    return kernel


async def test_yaml_gives_the_same_graph(kernel: Kernel) -> None:
    async with kernel:
        handle = await kernel.start("f", 1)
        with pytest.raises(RunFailed):
            await handle.result()
        records = await kernel.history(handle.run_id)
    results = [record.payload for record in records if record.type == "compensation.completed"]
    assert results == [{"result": ["undone", 3]}, {"result": ["undone", {"input": 1, "result": 2}]}]


@pytest.mark.parametrize(
    ("compensate", "finding"),
    [
        ("{input: 1}", "Expected exactly one of 'uses', 'agent', 'flow', 'plan' or 'tool'"),
        ('{uses: "./nodes.py:undo", retries: 1}', "Unknown field 'retries'"),
    ],
)
def test_a_manifest_is_told_what_is_wrong(compensate: str, finding: str, tmp_path: Path) -> None:
    (tmp_path / "nodes.py").write_text(CODE)
    text = YAML.replace('"./nodes.py:undo"', compensate, 1)
    (tmp_path / "flow.yaml").write_text(text)
    with pytest.raises(ManifestErrors) as errors:
        read(str(tmp_path / "flow.yaml"))
    assert finding in str(errors.value)


@pytest.mark.parametrize("folded", [False, True], ids=["whole", "folded"])
@pytest.mark.parametrize("ends", ["failed", "cancelled"])
async def test_a_step_that_a_person_decided_to_be_done_is_undone_too(ends: str, folded: bool) -> None:
    """With the input that it was begun with, also where a snapshot has taken the place of the record of that.

    And with the result that the person gave.
    """
    limits = Limits(snapshot_records=3 if folded else 1000, compact=True)
    saga, begun, journal = Saga(), anyio.Event(), InProcessJournal()

    async def charge(value: Any) -> Any:
        begun.set()
        await anyio.sleep_forever()

    flow = Flow("f").step(saga.do, name="seat").step(charge, effect="effect", compensate=saga.undo).step(saga.fail)
    async with Kernel(journal=journal) as kernel:
        run_id = (await kernel.start(flow, 1)).run_id
        await begun.wait()
    async with Kernel(journal=journal, limits=limits) as kernel:
        kernel.add(flow)
        await (await kernel.resume(run_id)).ended()
        assert bool(compacted_to(await kernel.history(run_id, whole=True))) is folded
        verdict = Verdict(decide={"charge": "done"}, results={"charge": {"receipt": 7}})
        handle = await kernel.resume(run_id, verdict=verdict)
        if ends == "cancelled":
            await handle.cancel()
        await handle.ended()
        check_history(await kernel.history(run_id, whole=True))
    assert handle.status == ends
    assert saga.undone == [("charge!compensate", {"input": "seat 1", "result": {"receipt": 7}})]
