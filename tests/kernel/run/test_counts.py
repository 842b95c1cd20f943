"""What a run costs, counted in objects and operations: never in milliseconds."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from engine_kit import DurableJournal

from agentflow_kernel import Context, Flow, Kernel, Node, Progress, Route
from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.contracts.policy import Request
from agentflow_kernel.event import Event
from agentflow_kernel.testing import InProcessJournal

pytestmark = pytest.mark.anyio


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many objects of the engine were made, by class."""
    counts: dict[str, int] = {}

    def count(kind: type) -> None:
        init: Any = kind.__init__
        counts[kind.__name__] = 0

        def counting(self: object, *args: object, **kwargs: object) -> None:
            counts[kind.__name__] += 1
            init(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__init__", counting)

    for kind in (Progress, Record, Request, Context, Event):
        count(kind)
    return counts


async def same(value: object) -> object:
    return value


def chain(length: int, step: object = same) -> Flow:
    """A flow of so many equal steps."""
    flow = Flow("chain")
    for number in range(length):
        flow.step(step, name=f"n{number}")
    return flow


async def test_a_quiet_run_makes_no_objects_at_all(made: dict[str, int]) -> None:
    """No journal and nobody listening: neither progress nor records, not even a context."""
    await chain(100).run(1)
    chain(100, lambda value: value).run_sync(1)
    assert set(made.values()) == {0}


async def test_a_quiet_branch_makes_none_either(made: dict[str, int]) -> None:
    """Routing needs nothing but the route."""

    async def again(value: int) -> Route:
        return Route("again" if value else "done", value - 1)

    await Flow("f").step(again, routes={"again": "again", "done": "end"}).run(50)
    assert set(made.values()) == {0}


async def test_a_listened_run_makes_two_events_a_node_and_no_records(made: dict[str, int]) -> None:
    """Started and completed, of the flow as of each node."""
    await chain(100).run(1, listener=lambda progress: None)
    assert (made["Progress"], made["Record"], made["Request"], made["Event"]) == (202, 0, 0, 0)


@pytest.mark.keeps_memory("counts calls")
async def test_a_journalled_run_without_a_listener_makes_no_progress(made: dict[str, int]) -> None:
    """One record a step, one for the start, one for the end."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        await kernel.run(chain(100), 1)
    assert (made["Progress"], made["Record"], made["Request"], made["Event"]) == (0, 102, 0, 0)


async def calls_of(flow: Flow) -> int:
    """How many Python functions a quiet run enters."""
    await flow.run(1)  # bound once
    entered = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal entered
        entered += event == "call"

    coroutine = flow.run(1)
    gc.disable()
    sys.setprofile(profile)
    try:
        await coroutine
    finally:
        sys.setprofile(None)
        gc.enable()
    return entered


async def test_a_node_of_a_quiet_run_costs_one_call_whatever_the_length() -> None:
    """The engine awaits the function itself, and no cost of a step grows with the number of nodes."""
    short, long = await calls_of(chain(10)), await calls_of(chain(1000))
    assert (long - short) == 990
    assert short <= 20


class Store(Node):
    """Writes one key."""

    async def post(self, shared: Any, prepared: Any, result: Any) -> None:
        shared.set("key", result)


@pytest.mark.parametrize(
    ("flow", "value", "appends"),
    [
        (chain(5), 1, 7),
        (Flow("f").step(same, each={"$ref": "input"}), [1, 2, 3], 6),
        (Flow("f").step(same, each={"$ref": "input"}, batch_size=2), [1, 2, 3], 5),
        (Flow("f").step(chain(3)), 1, 6),
        (Flow("f").step(Store).step(Store, name="again"), 1, 4),
        (Flow("f").step(None, name="tell", emits="a.b"), 1, 3),
        (Flow("f").step(None, name="tell", emits="a.b", each={"$ref": "input"}), [1, 2], 5),
        (Flow("f").step(same, effect="effect"), 1, 4),
        (Flow("f").step(same, effect="pure"), 1, 3),
    ],
    ids=["linear", "batch", "chunks", "nested", "state", "emit", "emit each", "effect", "pure"],
)
@pytest.mark.keeps_memory("counts appends")
async def test_a_flow_costs_a_fixed_number_of_appends(flow: Flow, value: object, appends: int) -> None:
    """One for the start, one a step or item, one for the end; an intent only before an effect."""
    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        await kernel.run(flow, value)
    assert (len(journal.appended), journal.operations) == (appends, appends)


@pytest.mark.keeps_memory("counts appends")
async def test_a_resumed_run_appends_a_lease_and_what_was_missing() -> None:
    """Steps on record are not written again."""
    survivor = InProcessJournal()
    dying = DurableJournal(survivor, dies_at=4)
    async with Kernel(journal=dying) as kernel:
        handle = await kernel.start(chain(5), 1, key="k")
        with pytest.raises(Exception, match="ProcessDied"):
            await handle.result()
    journal = DurableJournal(survivor)
    async with Kernel(journal=journal) as kernel:
        await (await kernel.start(chain(5), 1, key="k")).result()
    assert journal.appended == [("lease",), *[("step.completed",)] * 3, ("run.ended",)]
