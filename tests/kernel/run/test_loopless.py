"""A flow of plain functions runs on the calling thread; everything else gets an event loop of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading

import anyio
import pytest

from agentflow_kernel import Flow, Node, Route
from agentflow_kernel.errors import StopFlow, UsageError
from agentflow_kernel.run.bind import needs_loop
from agentflow_kernel.run.loopless import drive_to_end

QUIET = """
import sys
before = set(sys.modules)
from agentflow_kernel import Flow, Route

def parse(text):
    return [int(part) for part in text.split()]

def square(number):
    return number * number

def total(numbers):
    return Route("big", sum(numbers)) if sum(numbers) > 10 else sum(numbers)

inner = Flow("inner").step(square)
flow = Flow("sums").step(parse).step(inner, each={"$ref": "parse.result"}).step(total, routes={"big": "end"})
output = flow.run_sync("1 2 3")
loaded = set(sys.modules) - before
import json
print(json.dumps([output, sorted(loaded)]))
"""
HEAVY = {
    "anyio", "asyncio", "concurrent", "dataclasses", "enum", "functools", "inspect", "json", "logging", "pydantic",
    "re", "structlog", "threading", "typing", "yaml",
}  # fmt: skip


def test_a_plain_flow_loads_neither_an_event_loop_nor_anything_else_that_is_heavy() -> None:
    """In a fresh interpreter: a branch, a batch and a nested flow of plain functions, by ``run_sync``."""
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{QUIET}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    output, loaded = json.loads(done.stdout)
    assert output == 14
    assert not {name.partition(".")[0] for name in loaded} & HEAVY, loaded


def plain(value: object) -> object:
    return [value, threading.get_ident()]


async def waits(value: object) -> object:
    return [value, threading.get_ident()]


class Passes:
    """A policy that does nothing."""

    def wrap(self, call):
        return call


@pytest.mark.parametrize(
    ("flow", "needs"),
    [
        (Flow("f").step(plain), False),
        (Flow("f").step(Flow("inner").step(plain)), False),
        (Flow("f").step(None, name="tell", emits="thing.happened"), False),
        (Flow("f").step(len), False),
        (Flow("f").step(str), False),
        (Flow("f").step(waits), True),
        (Flow("f").step(Flow("inner").step(waits)), True),
        (Flow("f").step(Node), True),
        (Flow("f").step(Node()), True),
        (Flow("f").step(plain, policies=[Passes()]), True),
        (Flow("f", policies=[Passes()]).step(plain), True),
        (Flow("f").step(Flow("inner").step(plain), policies=[Passes()]), True),
    ],
)
def test_a_flow_needs_a_loop_when_anything_in_it_may_wait(flow: Flow, needs: bool) -> None:
    """Coroutines, nodes of three phases, agents and policies."""
    assert needs_loop(flow) is needs


def test_plain_steps_run_on_the_calling_thread() -> None:
    """Neither a loop nor a worker thread is in between."""
    assert Flow("f").step(plain).run_sync(1) == [1, threading.get_ident()]


def test_a_flow_that_waits_gets_a_loop_and_threads() -> None:
    """The coroutine runs on the loop of the calling thread, the plain function beside it."""
    flow = Flow("f").step(waits).step(lambda value: [value[1], threading.get_ident()], name="beside")
    loop_thread, other = flow.run_sync(1)
    assert loop_thread == threading.get_ident()
    assert other != loop_thread


def test_both_ways_give_the_same_result() -> None:
    """Templates, routes, batches and outputs do not depend on the loop."""

    def sort_out(value: int) -> object:
        return Route("big", value) if value > 2 else value

    def build(first: object) -> Flow:
        return (
            Flow("f")
            .step(first, name="first")
            .step(sort_out, routes={"big": "spread", "default": "end"})
            .step(lambda value: list(range(value)), name="spread")
            .step(lambda item: item * 10, name="work", each={"$ref": "spread.result"}, batch_size=1)
            .returns({"all": {"$ref": "work.result"}, "input": {"$ref": "input"}})
        )

    async def later(value: int) -> int:
        return value + 1

    assert build(lambda value: value + 1).run_sync(4) == build(later).run_sync(4)


def test_errors_come_out_as_they_were_raised() -> None:
    """There is nothing round them."""

    def fail(value: object) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Flow("f").step(fail).run_sync()


def test_stop_flow_works_without_a_loop() -> None:
    """It ends the flow with its output."""

    def stop(value: object) -> None:
        raise StopFlow("stopped")

    assert Flow("f").step(stop).step(plain).run_sync() == "stopped"


def test_a_listener_hears_a_run_without_a_loop() -> None:
    """In the order of what happened, numbered from zero."""
    seen: list[tuple[int, str, str]] = []
    flow = Flow("f").step(plain).step(lambda value: value, name="b")
    flow.run_sync(1, listener=lambda progress: seen.append((progress.seq, progress.name, progress.path)))
    assert seen == [
        (0, "flow.started", ""),
        (1, "node.started", "plain"),
        (2, "node.completed", "plain"),
        (3, "node.started", "b"),
        (4, "node.completed", "b"),
        (5, "flow.completed", ""),
    ]


def test_a_flow_that_waits_cannot_be_run_inside_a_running_loop() -> None:
    """``run_sync`` would have to stop the loop that calls it."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="running"):
            Flow("f").step(waits).run_sync(1)

    asyncio.run(main())


def test_a_plain_flow_can_be_run_inside_a_running_loop() -> None:
    """Nothing in it waits."""

    async def main() -> object:
        return Flow("f").step(lambda value: value + 1, name="add").run_sync(1)

    assert asyncio.run(main()) == 2


def test_a_coroutine_that_waits_after_all_is_closed_and_named() -> None:
    """Should the engine be wrong about a flow, that is an error and leaves nothing hanging."""
    closed: list[bool] = []

    async def waits_after_all() -> None:
        try:
            await anyio.sleep(1)
        finally:
            closed.append(True)

    class Waiting:
        def __await__(self):
            try:
                yield
            finally:
                closed.append(True)

    async def main() -> None:
        await Waiting()

    with pytest.raises(UsageError, match="Flow 'f' waited for something although nothing in it needs an event loop"):
        drive_to_end(main(), "Flow 'f'")
    assert closed == [True]


def test_what_has_to_be_awaited_is_no_result_of_a_run_without_a_loop() -> None:
    """The mistake of a lambda round a coroutine function is told."""

    async def double(value: int) -> int:
        return value * 2

    coroutine = double(1)
    with pytest.raises(UsageError, match="make its last node an `async def` function"):
        Flow("f").step(lambda value: coroutine, name="lambda").run_sync(1)
    coroutine.close()
