"""Triggers that signal: the events of one key reach one run, in order, each once, also over several kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_kernel import Event, Kernel
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.blocking]  # the manifest's code is imported when it is first needed

CODE = """
from agentflow_kernel import Event
from agentflow_kernel.contracts.planner import Decision, End
from agentflow_kernel.contracts.source import SourceItem


class Ear:
    def __init__(self, settings, context):
        pass

    def read(self, document):
        return document

    def begin(self, task):
        return {"heard": []}

    def step(self, state, observation):
        if observation.kind == "started":
            return Decision(waits=[{"type": "signal", "name": "*"}])
        state["heard"].append([observation.action_id, observation.value["n"]])
        ends = observation.value["n"] == observation.value.get("last")
        return Decision(end=End(state["heard"]) if ends else None)

    def dump(self, state):
        return {"heard": list(state["heard"])}

    def load(self, task, document):
        return document


class Orders:
    def __init__(self, settings, context):
        self.settings = settings

    async def events(self, cursor=None):
        for number in range(self.settings["count"]):
            data = {"order": number % 20, "n": number // 20, "last": self.settings["last"]}
            yield SourceItem(Event("order.moved", data, source="orders", id=str(number)), None)

    async def aclose(self):
        pass
"""

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: moves}
spec:
  uses: "./code.py:Orders"
  with: {count: 60, last: 2}
  start: plan/order
  key: {$ref: event.data.order}
  signal: {$ref: event.type}
  max_runs: 2
---
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: paid}
spec: {on: order.paid, start: plan/order, key: {$ref: event.subject}, signal: paid}
---
apiVersion: agentflow.dev/v1
kind: Plan
metadata: {name: order}
spec: {planner: {uses: "./code.py:Ear"}, document: {}}
"""


class Durable(InProcessJournal):
    """A journal that outlives its kernel."""

    async def aclose(self) -> None:
        """Keep everything."""


@pytest.fixture
def open_kernel(tmp_path: Path) -> Callable[..., Kernel]:
    (tmp_path / "code.py").write_text(CODE)
    (tmp_path / "manifest.yaml").write_text(MANIFEST)

    def make(**options: Any) -> Kernel:
        return Kernel.from_manifest(str(tmp_path / "manifest.yaml"), settings=Settings(), trust_code=True, **options)

    return make


async def test_the_events_of_a_key_reach_one_run_in_their_order(open_kernel: Callable[..., Kernel]) -> None:
    """More runs than ``max_runs`` wait for their next event meanwhile: those at rest are not at work."""
    async with open_kernel(journal=InProcessJournal()) as kernel:
        with anyio.fail_after(30):
            handles = await kernel.fire("moves")
            results = [await handle.result() for handle in handles]
    assert len(handles) == 20
    assert results == [[["order.moved", 0], ["order.moved", 1], ["order.moved", 2]]] * 20


async def test_an_event_that_is_sent_again_is_no_second_signal(open_kernel: Callable[..., Kernel]) -> None:
    journal = Durable()
    async with open_kernel(journal=journal) as kernel:
        await kernel.fire("moves", overrides={"count": 40})
        await kernel.idle(resting=True)
        assert {head.status for head in await kernel.runs()} == {"waiting"}
    async with open_kernel(journal=journal) as kernel:
        handles = await kernel.fire("moves")
        results = [await handle.result() for handle in handles]
    assert results == [[["order.moved", 0], ["order.moved", 1], ["order.moved", 2]]] * 20


async def test_events_of_the_bus_are_signals_too_and_late_ones_have_no_effect(
    open_kernel: Callable[..., Kernel],
) -> None:
    async with open_kernel(journal=InProcessJournal()) as kernel:
        for number in range(4):
            data = {"n": number, "last": 1}
            await kernel.publish(Event("order.paid", data, source="shop", id=str(number), subject="order/7"))
        with anyio.fail_after(30):
            await kernel.idle()
        (head,) = await kernel.runs()
        records = await kernel.history(head.run_id)
    assert head.status == "completed"
    assert records[-1].payload["output"] == [["paid", 0], ["paid", 1]]  # type: ignore[index]  # an object
