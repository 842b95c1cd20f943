"""Nodes that wait: for a signal, an event, a time; and the status of a run of which some parts wait."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from engine_kit import DurableJournal, check_history

from agentflow_kernel import Context, Event, Flow, Kernel
from agentflow_kernel.errors import Elapsed, FlowInvalid, ManifestErrors, RunFailed, Unsupported
from agentflow_kernel.flow import Branch
from agentflow_kernel.flow.asking import Wait
from agentflow_kernel.manifest import read
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

HEAD = "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: f}\nspec:\n"


async def status_of(kernel: Kernel) -> str:
    (head,) = await kernel.runs()
    return head.status


async def test_a_node_waits_for_a_signal() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").wait("paid", schema={"type": "integer"}).step(lambda value: value + 1))
        await settle()
        assert await status_of(kernel) == "waiting"
        await handle.signal("paid", 5)
        assert await handle.result() == 6


async def test_a_node_waits_for_an_event_that_fits() -> None:
    """Those that come before it waits, of other types, that do not fit, and a second one do not count."""
    flow = Flow("f").wait(
        event="payment.*", only_if="event.data.order == value", schema={"type": "object", "required": ["euros"]}
    )
    async with Kernel(journal=InProcessJournal()) as kernel:
        await kernel.publish(Event("payment.received", {"order": 7, "euros": 1}))
        handle = await kernel.start(flow, 7)
        await settle()
        for type_, data in (
            ("order.received", {"order": 7, "euros": 2}),
            ("payment.received", {"order": 8, "euros": 3}),
            ("payment.received", {"order": 7}),
            ("payment.received", {"order": 7, "euros": 4}),
            ("payment.received", {"order": 7, "euros": 5}),
        ):
            await kernel.publish(Event(type_, data))
            await settle()
        result: Any = await handle.result()
        records = await kernel.history(handle.run_id)
    assert (result["type"], result["data"]) == ("payment.received", {"order": 7, "euros": 4})
    check_history(records)


async def test_every_wait_that_is_open_takes_an_event_and_no_later_one_does() -> None:
    """Branches that wait side by side all get it; delivered again, it does not count for a wait that began after it."""
    flow = Flow("f").parallel({"a": Wait(event="paid"), "b": Wait(event="paid")}).wait(event="paid", name="next")
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow)
        await settle()
        for event in (Event("paid", 1, id="7", source="a"), Event("paid", 1, id="7", source="a")):
            await kernel.publish(event)
            await settle()
        assert handle.status == "running"
        await kernel.publish(Event("paid", 2, id="7", source="b"))  # another one: ids are the sources' own
        assert dict(await handle.result())["data"] == 2
        records = await kernel.history(handle.run_id)
    taken = [record.path for record in records if record.type == "wait.resolved"]
    assert sorted(taken[:2]) == ["parallel/a!event", "parallel/b!event"]


async def test_an_event_that_another_wait_took_is_not_taken_by_one_of_a_later_process() -> None:
    """What the first process has on record of it is enough to tell."""
    flow = Flow("f").wait(event="paid", name="first").wait("go").wait(event="paid", name="second")
    journal, event = InProcessJournal(), Event("paid", 1, id="7")
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(flow)
        await settle()
        await kernel.publish(event)
        await settle()
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow)
        handle = await kernel.resume(handle.run_id)
        await handle.signal("go")
        await settle()
        await kernel.publish(event)
        await settle()
        assert handle.status == "running"
        await kernel.publish(Event("paid", 2))
        assert dict(await handle.result())["data"] == 2


async def test_an_event_on_record_is_found_after_a_restart() -> None:
    survivor = InProcessJournal()
    flow = Flow("f").wait(event="go", name="heard").wait("end")
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        handle = await kernel.start(flow, 1, key="k")
        await settle()
        await kernel.publish(Event("go", {"n": 1}))
        await settle()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        handle = await kernel.start(flow, 1, key="k")
        await handle.signal("end", 2)
        assert await handle.result() == 2


async def test_a_node_waits_for_a_time_and_passes_its_input_on() -> None:
    clock = FakeClock()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(Flow("f").wait(seconds=3600), "kept")
        await settle()
        assert await status_of(kernel) == "waiting"
        await clock.advance(3600)
        assert await handle.result() == "kept"


@pytest.mark.parametrize("options", [{"signal": "paid"}, {"event": "paid"}])
async def test_what_does_not_come_in_time_takes_its_route_or_is_an_error(options: Any) -> None:
    clock = FakeClock()
    plain = Flow("plain").step(Wait(**options, timeout_s=60), name="wait")
    routed = Flow("routed").step(
        Wait(**options, timeout_s=60), name="wait", routes={"default": "end", "elapsed": "late"}
    )
    routed.aside(lambda: "late", name="late")
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        first, second = await kernel.start(plain), await kernel.start(routed)
        await settle()
        await clock.advance(60)
        with pytest.raises(RunFailed) as failed:
            await first.result()
        assert isinstance(failed.value.__cause__, Elapsed)
        assert await second.result() == "late"


async def test_findings_about_waits() -> None:
    for wait, text in (
        (Wait(), "exactly one of"),
        (Wait("a", seconds=1), "exactly one of"),
        (Wait(seconds=-1), "above 0"),
        (Wait(seconds=1, timeout_s=1), "neither schema nor"),
        (Wait("a", only_if="event"), "needs an event"),
        (Wait(event="a", only_if="other > 1"), "asks for unknown 'other'"),
        (Wait(event="a", only_if="1 +"), "only_if '1 \\+'"),
        (Wait("a!b"), "no name for a signal"),
    ):
        with pytest.raises(FlowInvalid, match=text):
            Flow("f").step(wait, name="wait").check()
    with pytest.raises(Unsupported, match="nobody can send"):
        await Flow("f").wait("paid").run()
    with pytest.raises(Unsupported, match="no event comes"):
        await Flow("f").wait(event="paid").run()


YAML = (
    HEAD
    + """
  nodes:
    fork:
      parallel:
        branches:
          paid: {wait: {signal: paid, timeout_s: 60}}
          time: {wait: {seconds: 0.01}}
      next: ask
    ask:
      ask: {question: "Go?", choices: ["yes", "no"], by: [ops]}
      routes: {"yes": more, "no": null}
    more: {ask: "More?"}
"""
)


async def test_yaml_gives_the_same_graph(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(YAML)
    path = str(tmp_path / "flow.yaml")
    kernel = await anyio.to_thread.run_sync(partial(Kernel.from_manifest, path, journal=InProcessJournal()))
    async with kernel:
        asks = anyio.Event()
        kernel.listen(lambda told: asks.set() if told.fields.get("name") == "ask!ask" else None)
        handle = await kernel.start("f", 1)
        await handle.signal("paid", 2)
        await asks.wait()
        (question,) = handle.questions
        assert question["ask"] == {"question": "Go?", "about": {"paid": 2, "time": 1}}
        await handle.answer("ask!ask", "yes", by="ops")
        await settle()
        await handle.answer("more!ask", [1])
        assert await handle.result() == [1]


@pytest.mark.parametrize(
    ("node", "finding"),
    [
        ("ask: {question: q, choices: [a], schema: {}}", "at most one of 'choices' or 'schema'"),
        ("ask: {choices: [a]}", "Required field 'question' is missing"),
        ("ask: {question: q, choice: [a]}", "Did you mean 'choices'?"),
        ("ask: {question: q, choices: []}", "choices must be a list of texts with at least one"),
        ("ask: {question: q, choices: [a]}\n      routes: {b: null, a: null}", "action 'b', which it can never choose"),
        ("wait: {signal: a, seconds: 1}", "Expected exactly one of 'signal', 'event' or 'seconds'"),
        ("wait: {seconds: 0}", "a number above 0"),
        ("wait: {signal: a, if: b}", "Field 'if' has no meaning without 'event'"),
        ("wait: {event: a, if: b}", "asks for unknown 'b'"),
        ("ask: q\n      approve: ja", "Expected true, false or a mapping with 'by' or 'timeout_s'"),
        ("ask: q\n      approve: {who: a}", "Unknown field 'who'"),
    ],
)
def test_a_manifest_is_told_what_is_wrong_and_where(node: str, finding: str, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(f"{HEAD}  nodes:\n    here:\n      {node}\n")
    with pytest.raises(ManifestErrors) as errors:
        read(str(tmp_path / "flow.yaml"))
    (found,) = errors.value.findings
    assert finding in str(found)
    assert "flow.yaml:" in str(found)


async def test_a_run_waits_only_while_none_of_its_branches_works() -> None:
    """Whichever comes first, and however deep the fork that works is."""
    go_on = anyio.Event()

    async def work(value: int) -> int:
        await go_on.wait()
        return value

    async def same(value: int) -> int:
        return value

    inner = Flow("inner").parallel({"x": work, "y": same}, name="fork")
    flow = Flow("f").parallel({"wait": Branch(Wait("go")), "inner": inner, "time": Branch(Wait(seconds=30))})
    clock = FakeClock()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(flow, 1)
        await settle()
        assert await status_of(kernel) == "running"
        go_on.set()
        await settle()
        assert await status_of(kernel) == "waiting"
        await clock.advance(30)
        assert await status_of(kernel) == "waiting"
        await handle.signal("go", 2)
        assert await handle.result() == {"wait": 2, "inner": {"x": 1, "y": 1}, "time": 1}
        assert handle.run.busy == 1
        check_history(await kernel.history(handle.run_id))


async def test_a_run_that_works_on_beside_a_wait_shows_running() -> None:
    """Also when the work begins after the wait did."""
    go_on = anyio.Event()

    async def twice(value: int, context: Context) -> int:
        await context.wait("first")
        await go_on.wait()
        return value

    flow = Flow("f").parallel({"a": twice, "b": Branch(Wait("second"))})
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, 1)
        await settle()
        assert await status_of(kernel) == "waiting"
        await handle.signal("first")
        await settle()
        assert await status_of(kernel) == "running"
        go_on.set()
        await settle()
        assert await status_of(kernel) == "waiting"
        await handle.signal("second")
        await handle.result()


async def test_a_cancelled_wait_counts_no_more() -> None:
    """The branch that lost the race was waiting."""

    async def quick(value: int, context: Context) -> int:
        await context.wait("quick")
        return value

    flow = Flow("f").parallel({"a": quick, "b": Branch(Wait("never"))}, join="any").step(Wait("end"), name="last")
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, 1)
        await settle()
        await handle.signal("quick")
        await settle()
        assert await status_of(kernel) == "waiting"
        assert handle.run.busy == 0
        await handle.signal("end")
        await handle.result()
