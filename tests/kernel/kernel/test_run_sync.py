"""``Kernel.run_sync``: on the calling thread where nothing waits and nothing is kept, else in a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from engine_kit import DurableJournal
from planner_kit import make_agent

from agentflow_kernel import Context, Event, Flow, Kernel
from agentflow_kernel.errors import InputInvalid, RunFailed, UnknownName
from agentflow_kernel.testing import InProcessJournal, InProcessMemory


def where(value: object) -> list[object]:
    """The thread, and whether a loop runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return [threading.current_thread() is threading.main_thread(), False]
    return [threading.current_thread() is threading.main_thread(), True]


async def where_async(value: object) -> list[object]:
    return where(value)


def test_a_plain_flow_without_a_journal_runs_on_the_calling_thread() -> None:
    """No loop, no thread, no warning: it is over before anything could be lost."""
    assert Kernel().run_sync(Flow("f").step(where)) == [True, False]


@pytest.mark.parametrize("flow", [Flow("f").step(where_async), Flow("f").step(where, blocking="inline")])
def test_everything_else_gets_a_loop_of_its_own(flow: Flow) -> None:
    """A coroutine needs one; with a journal every run does."""
    assert Kernel(journal=InProcessJournal()).run_sync(flow) == [True, True]


def test_a_run_with_a_journal_is_on_record() -> None:
    """As any other."""
    journal = DurableJournal()
    assert Kernel(journal=journal).run_sync(Flow("f").step(lambda value: value + 1, name="add"), 1) == 2
    own = [types for types in journal.appended if types != ("lease",)]
    assert own == [("run.started",), ("step.completed",), ("run.ended",)]


def test_an_agent_runs_without_a_loop_of_the_caller() -> None:
    """By name too."""
    kernel = Kernel(journal=InProcessJournal())
    kernel.add(make_agent(["hello"]))
    assert kernel.run_sync("helper", "x") == "hello"


def test_one_kernel_may_be_used_so_again_and_again() -> None:
    """Each call opens and closes it."""
    kernel = Kernel(journal=InProcessJournal())
    flow = Flow("f").step(where_async)
    assert [kernel.run_sync(flow) for _ in range(3)] == [[True, True]] * 3


def test_errors_are_those_of_the_node_on_the_calling_thread_and_of_the_run_in_a_loop() -> None:
    """There is no run that could have failed where nothing is kept."""

    def fail(value: object) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Kernel().run_sync(Flow("f").step(fail))
    with pytest.raises(RunFailed, match="ValueError: broken"):
        Kernel(journal=InProcessJournal()).run_sync(Flow("f").step(fail))


def test_an_unknown_name_is_refused() -> None:
    """Before anything is opened."""
    with pytest.raises(UnknownName, match="Unknown flow, agent or plan 'nope'"):
        Kernel().run_sync("nope")


def test_listeners_hear_both_kinds_of_run() -> None:
    """The run on the calling thread has no id and no record, but it has nodes."""
    heard: list[str] = []
    kernel = Kernel()
    kernel.listen(lambda event: heard.append(event.name))
    kernel.run_sync(Flow("f").step(where))
    assert heard == ["flow.started", "node.started", "node.completed", "flow.completed"]


def test_the_context_of_a_plain_run_knows_the_kernel() -> None:
    """Clock and memories are there."""
    memory = InProcessMemory()

    def use(value: object, context: Context) -> list[Any]:
        return [context.now() > 0, context.memory("seen") is not None, context.run_id]

    assert Kernel(memories={"seen": memory}).run_sync(Flow("f").step(use)) == [True, True, ""]


def test_events_reach_their_handlers_before_it_returns() -> None:
    """Also those of a flow of plain functions: a kernel with handlers needs a loop."""
    seen: list[object] = []
    kernel = Kernel(journal=InProcessJournal())
    plain = Kernel()

    async def note(event: Event) -> None:
        await asyncio.sleep(0)
        seen.append(event.data)

    for one in (kernel, plain):
        one.on("thing.happened")(note)
    flow = Flow("f").step(None, name="tell", emits="thing.happened", each={"$ref": "input"}, concurrency=1)
    kernel.run_sync(flow, [1, 2, 3])
    with pytest.warns(UserWarning, match="no journal"):
        plain.run_sync(flow, [4, 5])
    assert seen == [1, 2, 3, 4, 5]


def test_a_run_that_needs_a_loop_is_refused_inside_one() -> None:
    """``await kernel.run`` is what is wanted there."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="running"):
            Kernel(journal=InProcessJournal()).run_sync(Flow("f").step(where_async))

    asyncio.run(main())


def test_the_input_is_checked_in_both_ways() -> None:
    """A schema holds wherever the flow runs."""
    flow = Flow("f").step(lambda value: value, name="a")
    flow.input_schema = {"type": "object", "required": ["path"]}
    for kernel in (Kernel(), Kernel(journal=InProcessJournal())):
        with pytest.raises(InputInvalid, match="The input of flow 'f'"):
            kernel.run_sync(flow, {})
        assert kernel.run_sync(flow, {"path": "a"}) == {"path": "a"}
