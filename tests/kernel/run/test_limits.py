"""Time limits of nodes and flows, several errors at once, fallbacks, unknown actions, and batches in waves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from engine_kit import DurableJournal, check_history

from agentflow_kernel import Context, Flow, Kernel, Route
from agentflow_kernel.errors import (
    Elapsed,
    FlowElapsed,
    FlowInvalid,
    ManifestErrors,
    PeerUnavailable,
    RunFailed,
    RunSuspended,
    SeveralFailed,
    StopFlow,
)
from agentflow_kernel.flow import Node
from agentflow_kernel.manifest import read
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def hang(value: Any) -> Any:
    await anyio.sleep_forever()


async def same(value: Any) -> Any:
    return value


async def ended_with(flow: Flow, clock: FakeClock, seconds: float, value: Any = 1) -> RunFailed:
    """The failure of a run of the flow after so many seconds."""
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(flow, value)
        await settle()
        await clock.advance(seconds)
        with pytest.raises(RunFailed) as failed:
            await handle.result()
        records = await kernel.history(handle.run_id)
        check_history(records)
        end: Any = records[-1].payload
        assert end["code"] == failed.value.code
    return failed.value


async def test_a_node_that_takes_too_long_is_cancelled_and_named() -> None:
    clock = FakeClock()
    failure = await ended_with(Flow("f").step(hang, timeout_s=5), clock, 5)
    error = failure.__cause__
    assert isinstance(error, FlowElapsed)
    assert isinstance(error, Elapsed)
    assert (failure.code, failure.path, error.active, error.resumable) == (
        "AF-FLOW-ELAPSED", "hang", ("hang",), False,
    )  # fmt: skip
    assert "Node 'hang' was not complete within 5 s. Still at work: hang." in str(error)


async def test_a_flow_that_takes_too_long_names_all_that_was_at_work() -> None:
    inner = Flow("inner").step(same, name="first").step(hang, name="slow")
    flow = Flow("f").step(same).parallel({"a": inner, "b": hang, "c": same}, name="fork").limited(timeout_s=60)
    failure = await ended_with(flow, FakeClock(), 60)
    error = failure.__cause__
    assert isinstance(error, FlowElapsed)
    assert error.active == ("fork/a/slow", "fork/b")
    assert str(error).startswith("Flow 'f' was not complete within 60 s.")


async def test_each_item_of_a_batch_has_its_own_time() -> None:
    clock = FakeClock()

    async def work(value: int, context: Context) -> int:
        if value == 2:
            await anyio.sleep_forever()
        return value

    flow = Flow("f").step(work, each=[1, 2, 3], timeout_s=5, on_item_error="collect")
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(flow)
        await settle()
        await clock.advance(5)
        one, two, three = await handle.result()  # type: ignore[misc]  # a list
    assert (one, three) == (1, 3)
    assert two["error"]["code"] == "AF-FLOW-ELAPSED"


async def test_work_that_is_done_in_time_is_not_touched() -> None:
    flow = Flow("f").step(same, timeout_s=60).step(Flow("g").step(same, name="x").limited(timeout_s=60), name="inner")
    assert await flow.limited(timeout_s=60).run(3) == 3
    async with Kernel(journal=InProcessJournal()) as kernel:
        assert await kernel.run(flow, 3) == 3
    with pytest.raises(FlowElapsed, match="Still at work: hang"):
        await Flow("f").step(hang).limited(timeout_s=0.01).run(1)


async def test_a_restart_does_not_move_the_deadline_of_a_flow() -> None:
    survivor, clock = InProcessJournal(), FakeClock()
    inner = Flow("inner").step(hang, name="slow").limited(timeout_s=40)
    flow = Flow("f").step(inner, name="nested").limited(timeout_s=100)
    async with Kernel(journal=DurableJournal(survivor), clock=clock) as kernel:
        handle = await kernel.start(flow, 1, key="k")
        await settle()
        await clock.advance(30)
    clock.jump(5)
    async with Kernel(journal=DurableJournal(survivor), clock=clock) as kernel:
        handle = await kernel.start(flow, 1, key="k")
        await settle()
        await clock.advance(5)
        with pytest.raises(RunFailed, match=r"Flow 'inner' was not complete within 40 s\. Still at work: nested/slow"):
            await handle.result()


class Unlucky(Node):
    """Fails, and has something to say instead."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.asked: list[Exception] = []

    async def exec(self, prepared: Any) -> Any:
        if isinstance(self.error, Exception):
            raise self.error
        await anyio.sleep_forever()

    async def exec_fallback(self, prepared: Any, error: Exception) -> Any:
        self.asked.append(error)
        return ["instead of", prepared]


async def test_a_fallback_takes_the_place_of_an_exec_that_failed() -> None:
    node = Unlucky(ValueError("no"))
    assert await Flow("f").step(node, name="n").run(1) == ["instead of", 1]
    assert node.asked == [node.error]

    class Plain(Node):
        async def exec(self, prepared: Any) -> Any:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Flow("f").step(Plain, name="n").run(1)


async def test_neither_a_cancellation_nor_what_steers_the_flow_comes_to_a_fallback() -> None:
    node = Unlucky(StopFlow("stopped"))
    assert await Flow("f").step(node, name="n").run(1) == "stopped"
    slow = Unlucky(SystemExit())
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(slow, name="n"), 1)
        await settle()
        await handle.cancel()
    assert (node.asked, slow.asked) == ([], [])


async def test_several_errors_are_one_group_and_all_on_record() -> None:
    """The code is that of the first, the text tells of the others."""
    go_on = anyio.Event()

    def failing(error: Exception) -> Any:
        async def fail(value: Any) -> Any:
            await go_on.wait()
            raise error

        return fail

    branches = {"a": failing(ValueError("one")), "b": failing(KeyError("two")), "c": hang}
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").parallel(branches, name="fork"), 1)
        await settle()
        go_on.set()
        with pytest.raises(RunFailed) as failed:
            await handle.result()
        records = await kernel.history(handle.run_id)
    error = failed.value.__cause__
    assert isinstance(error, SeveralFailed)
    assert {type(each) for each in error.exceptions} == {ValueError, KeyError}
    assert failed.value.code == "AF-NODE-FAILED"
    assert "And 1 more failed" in str(failed.value)
    end: Any = records[-1].payload
    assert sorted((each["path"], each["message"]) for each in end["errors"]) == [
        ("fork/a", "ValueError: one"),
        ("fork/b", "KeyError: 'two'"),
    ]
    assert end["path"] in ("fork/a", "fork/b")


async def test_errors_that_say_the_same_are_told_once() -> None:
    """Each of them stands with its path; a group of errors counts its parts for nobody."""

    async def fail(item: Any) -> Any:
        await both.wait()
        raise PeerUnavailable("The peer said: full")

    both = anyio.Event()
    async with Kernel(journal=DurableJournal()) as kernel:
        flow = Flow("f").step(fail, name="ask", each={"$ref": "input"}, concurrency=2)
        handle = await kernel.start(flow, [1, 2])
        await settle()
        both.set()
        with pytest.raises(RunSuspended) as stopped:
            await handle.result()
    text = str(stopped.value)
    assert text.count("The peer said: full. And 1 more failed: ask[") == 1
    assert text.endswith("]: the same. It can be resumed.")
    assert text.count("full") == 1
    assert "sub-exception" not in text


async def test_an_unknown_action_ends_the_flow_where_that_is_asked_for() -> None:
    def flow() -> Flow:
        return Flow("f").step(lambda value: Route("other", value), name="a", routes={"ok": "end"})

    with pytest.raises(FlowInvalid, match="F010"):
        await flow().run(1)
    assert await flow().limited(on_unknown_action="end").run(1) == 1
    quiet = Flow("f").step(lambda value: value, name="a", routes={"ok": "end"}).limited(on_unknown_action="end")
    assert await quiet.run(2) == 2


@pytest.mark.parametrize(("mode", "together"), [("sliding", {(1, 2), (2, 3)}), ("waves", {(1, 2)})])
async def test_a_wave_begins_when_the_one_before_is_done(mode: Any, together: Any) -> None:
    """Of three items two at a time, the second of which takes longer."""
    at_work: list[int] = []
    met: set[tuple[int, ...]] = set()
    third = anyio.Event()

    async def work(value: int) -> int:
        at_work.append(value)
        met.add(tuple(sorted(at_work)))
        if value == 3:
            third.set()
        if value == 2 and mode == "sliding":
            await third.wait()
        await settle()
        at_work.remove(value)
        return value

    flow = Flow("f").step(work, each=[1, 2, 3], concurrency=2, batch_mode=mode)
    assert await flow.run() == [1, 2, 3]
    assert {pair for pair in met if len(pair) > 1} == together


HEAD = "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: f}\nspec:\n"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("  timeout_s: 0\n  nodes: {a: {emit: x}}\n", "a number above 0"),
        ("  on_unknown_action: ends\n  nodes: {a: {emit: x}}\n", "Did you mean 'end'?"),
        ("  nodes: {a: {emit: x, timeout_s: ten}}\n", "a number above 0"),
        ("  nodes: {a: {emit: x, each: [1], batch_mode: wave}}\n", "Did you mean 'waves'?"),
        ("  nodes: {a: {emit: x, batch_mode: waves}}\n", "'batch_mode' has no meaning without 'each' or 'fan_out'"),
    ],
)
def test_a_manifest_is_told_what_is_wrong(text: str, finding: str, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(HEAD + text)
    with pytest.raises(ManifestErrors) as errors:
        read(str(tmp_path / "flow.yaml"))
    assert finding in str(errors.value)


def test_yaml_gives_the_same_graph(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(
        f"{HEAD}  timeout_s: 60\n  on_unknown_action: end\n"
        "  nodes: {a: {emit: x, timeout_s: 2.5, each: [1], batch_mode: waves}}\n"
    )
    kernel = Kernel.from_manifest(str(tmp_path / "flow.yaml"))
    flow = kernel._wiring.composition.flow("f")
    assert (flow.timeout_s, flow.on_unknown_action) == (60, "end")
    assert (flow.steps["a"].timeout_s, flow.steps["a"].batch_mode) == (2.5, "waves")


def test_findings() -> None:
    flow = Flow("f").step(hang, timeout_s=0, batch_mode="wave").limited(timeout_s=-1, on_unknown_action="stop")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(FlowInvalid) as invalid:
        flow.check()
    text = "\n".join(invalid.value.findings)
    for part in ("its timeout_s", "on_unknown_action must be", "'hang': timeout_s must", "batch_mode must be"):
        assert part in text
