"""Statecharts at work in a kernel: signals, timers, actions, events; across a restart; in manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_kernel import Kernel, Plan
from agentflow_kernel.errors import ManifestErrors, Overloaded, PlanInvalid, RunFailed, RunSuspended
from agentflow_kernel.testing import FakeClock, FunctionToolset, InProcessJournal, settle
from agentflow_planner_fsm.document import read_document
from agentflow_planner_fsm.planner import Statechart

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agentflow_kernel.contracts.tool import Toolset

pytestmark = pytest.mark.anyio

ORDER = """
name: order
data: {amount: 0}
states:
  open:
    after: {60s: expired}
    transitions: [{event: pay, when: _event.data.amount >= 50, target: paid, do: ["amount := _event.data.amount"]}]
  paid:
    invoke: [{id: ship, tool: depot.ship, with: {amount: {$expr: amount}}}]
    transitions:
    - {event: done.invoke.ship, target: shipped, do: ["amount := _event.data"]}
    - {event: error.invoke.ship, target: failed}
  shipped: {final: true, data: {amount: {$expr: amount}, input: {$expr: input}}, enter: [{emit: {type: order.shipped}}]}
  failed: {final: true, data: failed}
  expired: {final: true, data: expired}
"""


def plan(text: str = ORDER, tools: Mapping[str, Toolset] | None = None) -> Plan:
    return Plan("order", Statechart(), read_document(text), tools=tools or {"depot": depot([])})


def depot(shipped: list[int]) -> FunctionToolset:
    async def ship(arguments: Any) -> Any:
        shipped.append(arguments["amount"])
        if arguments["amount"] > 1_000:
            raise ValueError("too much")
        return arguments["amount"] + 1

    tools = FunctionToolset()
    tools.add("ship", ship)
    return tools


class Kept(InProcessJournal):
    """A journal that outlives its kernel."""

    async def aclose(self) -> None:
        """Keep everything."""


async def test_a_run_follows_its_chart_from_signal_to_signal() -> None:
    """The tool gets its arguments, what is emitted is published, the output is that of the final state."""
    events: list[Any] = []
    async with Kernel(journal=InProcessJournal()) as kernel:

        @kernel.on("order.*")
        async def note(event: Any) -> None:
            events.append(event)

        handle = await kernel.start(plan(), {"id": 7})
        await handle.signal("pay", {"amount": 20})
        await handle.signal("pay", {"amount": 80})
        assert await handle.result() == {"amount": 81, "input": {"id": 7}}
        await anyio.wait_all_tasks_blocked()
    assert [event.type for event in events] == ["order.shipped"]


async def test_a_tool_that_fails_is_an_event_of_the_chart() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(plan())
        await handle.signal("pay", {"amount": 5_000})
        assert await handle.result() == "failed"


async def test_a_timer_fires_at_its_time() -> None:
    clock = FakeClock()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(plan())
        await anyio.wait_all_tasks_blocked()
        await clock.advance(59)
        await anyio.wait_all_tasks_blocked()
        assert [head.status for head in await kernel.runs()] == ["waiting"]
        await clock.advance(1)
        assert await handle.result() == "expired"


async def test_a_run_goes_on_in_another_kernel_where_it_was() -> None:
    """Data, state and the rest of the delay; nothing that was done is done again."""
    clock, journal = FakeClock(), Kept()
    shipped: list[int] = []
    waits = "    after: {30s: expired}\n    transitions: [{event: go, target: sending}]\n  sending:\n    invoke: [{id"
    text = ORDER.replace("    invoke: [{id", waits)
    async with Kernel(journal=journal, clock=clock) as kernel:
        order = plan(text, {"depot": depot(shipped)})
        handle = await kernel.start(order)
        await handle.signal("pay", {"amount": 80})
        await anyio.wait_all_tasks_blocked()
        await clock.advance(20)
    with pytest.raises(RunSuspended):
        await handle.result()
    await clock.advance(5)
    async with Kernel(journal=journal, clock=clock) as kernel:
        kernel.add(order)
        again = await kernel.resume(handle.run_id)
        await again.signal("go")
        assert await again.result() == {"amount": 81, "input": None}
    assert shipped == [80]


SHIPPING = """
states:
  s:
    invoke:
      id: ship
      tool: depot.ship
      with: {amount: 1}
      retry: {errors: AF-OVERLOADED, attempts: 4, base_s: 40, factor: 1, max_s: 40, jitter: none}
      catch: [{errors: AF-OVERLOADED, target: busy}, {target: failed}]
    transitions: [{event: done.invoke.ship, target: shipped}, {event: stop, target: stopped}]
  shipped: {final: true, data: {$expr: _event.data}}
  busy: {final: true, data: {$expr: _event.data.code}}
  failed: {final: true, data: {$expr: _event.data.code}}
  stopped: {final: true, data: stopped}
"""


def trying(tried: list[int], *errors: Exception | None) -> FunctionToolset:
    """A tool that ends with one of these after the other, ``None`` for a result."""

    async def ship(arguments: Any) -> Any:
        tried.append(len(tried) + 1)
        error = errors[len(tried) - 1]
        if error is not None:
            raise error
        return tried[-1]

    tools = FunctionToolset()
    tools.add("ship", ship)
    return tools


@pytest.mark.parametrize(
    ("errors", "output"),
    [
        ((Overloaded("x"), Overloaded("x"), None), 3),
        ((*[Overloaded("x")] * 4, None), "AF-OVERLOADED"),
        ((Overloaded("x"), ValueError("x"), None), "AF-TOOL-FAILED"),
    ],
)
async def test_an_invocation_is_tried_again_at_its_time(errors: tuple[Exception | None, ...], output: Any) -> None:
    clock, tried = FakeClock(), list[int]()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(plan(SHIPPING, {"depot": trying(tried, *errors)}))
        for count in range(1, len(errors) - (output != 3)):
            await settle()
            await clock.advance(39)
            await settle()
            assert len(tried) == count
            assert [head.status for head in await kernel.runs()] == ["waiting"]
            await clock.advance(1)
        assert await handle.result() == output
    assert len(tried) == len(errors) - (output != 3)


async def test_a_signal_that_leaves_the_state_ends_the_wait() -> None:
    clock, tried = FakeClock(), list[int]()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(plan(SHIPPING, {"depot": trying(tried, Overloaded("x"))}))
        await settle()
        await handle.signal("stop")
        assert await handle.result() == "stopped"
    assert tried == [1]


@pytest.mark.parametrize("slept", [15, 100])
async def test_the_wait_for_the_next_attempt_outlives_the_kernel(slept: int) -> None:
    """Another kernel waits for the rest of it, or begins the attempt at once where the time is over."""
    clock, journal, tried = FakeClock(), Kept(), list[int]()
    order = plan(SHIPPING, {"depot": trying(tried, Overloaded("x"), Overloaded("x"), None)})
    async with Kernel(journal=journal, clock=clock) as kernel:
        handle = await kernel.start(order)
        await settle()
        await clock.advance(40)
        await settle()
        await clock.advance(15)
    with pytest.raises(RunSuspended):
        await handle.result()
    await clock.advance(slept)
    async with Kernel(journal=journal, clock=clock) as kernel:
        kernel.add(order)
        again = await kernel.resume(handle.run_id)
        await settle()
        if slept < 25:
            assert tried == [1, 2]
            await clock.advance(25 - slept)
        assert await again.result() == 3


async def test_a_chart_that_loops_fails_the_run_with_its_code() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        text = "states: {a: {transitions: [{event: e, target: b}]}, b: {transitions: [{when: In('b'), target: b}]}}"
        handle = await kernel.start(plan(text))
        await handle.signal("e")
        with pytest.raises(RunFailed, match="AF-PLAN-LOOP"):
            await handle.result()


MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Plan
metadata: {name: order}
spec:
  planner: fsm
  file: ./FILE
"""


@pytest.mark.blocking  # the manifest and what it names are read when the kernel begins
async def test_a_manifest_may_hold_a_chart_or_name_a_file_of_yaml_or_scxml(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "states: {s: {transitions: [{event: go, target: f}]}, f: {final: true, data: yaml}}\n"
    )
    (tmp_path / "b.scxml").write_text(
        '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0"><state id="s"><transition event="go" target="f"/>'
        "</state><final id='f'><donedata><content expr=\"'scxml'\"/></donedata></final></scxml>"
    )
    for file, output in (("a.yaml", "yaml"), ("b.scxml", "scxml")):
        manifest = tmp_path / "plan.yaml"
        manifest.write_text(MANIFEST.replace("FILE", file))
        async with Kernel.from_manifest(str(manifest), journal=InProcessJournal()) as kernel:
            handle = await kernel.start("plan/order")
            await handle.signal("go")
            assert await handle.result() == output


@pytest.mark.blocking  # as above
async def test_the_file_of_a_plan_is_read_with_the_manifest(tmp_path: Path) -> None:
    """Not in the event loop: who edits or removes it meanwhile changes no run of this kernel, also one opened anew."""
    chart, manifest = tmp_path / "a.yaml", tmp_path / "plan.yaml"
    chart.write_text("states: {s: {transitions: [{event: go, target: f}]}, f: {final: true, data: before}}\n")
    manifest.write_text(MANIFEST.replace("FILE", "a.yaml"))
    kernel = Kernel.from_manifest(str(manifest), journal=InProcessJournal())
    chart.unlink()
    for _ in range(2):
        async with kernel:
            handle = await kernel.start("plan/order")
            await handle.signal("go")
            assert await handle.result() == "before"


@pytest.mark.blocking  # as above
async def test_what_is_wrong_with_the_file_of_a_plan_is_told_where_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- no mapping\n")
    manifest = tmp_path / "plan.yaml"
    manifest.write_text(MANIFEST.replace("FILE", "a.yaml"))
    async with Kernel.from_manifest(str(manifest), journal=InProcessJournal()) as kernel:
        with pytest.raises(ManifestErrors, match="It holds no mapping"):
            await kernel.start("plan/order")


@pytest.mark.blocking
async def test_a_bad_chart_is_found_before_anything_runs(tmp_path: Path) -> None:
    manifest = tmp_path / "plan.yaml"
    manifest.write_text(MANIFEST.replace("file: ./FILE", "document: {states: {s: {transitions: [{target: t}]}}}"))
    async with Kernel.from_manifest(str(manifest), journal=InProcessJournal()) as kernel:
        with pytest.raises(PlanInvalid, match=r"no state 't'.*P005"):
            await kernel.run("plan/order")
        assert await kernel.runs() == []
