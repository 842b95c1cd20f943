"""Random flows give the same result quiet, listened to, journalled, and resumed after a death at any moment."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from engine_kit import DurableJournal, ProcessDied, check_history, completed
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel import Flow, Kernel, Node, Route
from agentflow_kernel.errors import BudgetExceeded, RunError, RunFailed

OPTIONS = {"max_examples": 60, "deadline": None}

operations = st.tuples(st.sampled_from(["add", "multiply", "negate", "mod"]), st.integers(1, 7))


def apply(operation: tuple[str, int], value: int) -> int:
    """What one node computes."""
    name, number = operation
    return {"add": value + number, "multiply": value * number % 9973, "negate": -value, "mod": value % number}[name]


class Remember(Node):
    """The same in three phases, with a trace in the state."""

    def __init__(self, operation: tuple[str, int]) -> None:
        self.operation = operation

    async def exec(self, prepared: int) -> int:
        return apply(self.operation, prepared)

    async def post(self, shared: Any, prepared: int, result: int) -> None:
        shared.change("trace", lambda trace: [*trace, result], [])


@st.composite
def shapes(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A flow as data: nodes in a row, some of which skip ahead, loop back, batch, or hold state."""
    count = draw(st.integers(1, 6))
    nodes = []
    for number in range(count):
        kind = draw(st.sampled_from(["async", "inline", "phased", "batch", "flow", "branch"]))
        node: dict[str, Any] = {"kind": kind, "operation": draw(operations)}
        if kind == "branch":
            node["odd"] = draw(st.integers(0, count))
            node["even"] = number + 1
        nodes.append(node)
    return nodes


def build(nodes: list[dict[str, Any]], ran: list[str]) -> Flow:
    """The flow behind a shape; each node writes down that it ran."""
    flow = Flow("random", max_steps=30)
    for number, node in enumerate(nodes):
        name, after = f"n{number}", _name(number + 1, len(nodes))
        options: dict[str, Any] = {"routes": {"default": after}}
        flow.add_step(name, _target(node, ran, options, number, len(nodes)), options)
    return flow


def _name(number: int, count: int) -> str:
    return f"n{number}" if number < count else "end"


def _target(node: dict[str, Any], ran: list[str], options: dict[str, Any], number: int, count: int) -> object:
    operation = node["operation"]

    async def work(value: int, context: Any) -> Any:
        ran.append(context.path)
        result = apply(operation, value)
        if node["kind"] == "branch":
            return Route("odd" if result % 2 else "even", result)
        return result

    if node["kind"] == "branch":
        options["routes"] = {"odd": _name(node["odd"], count), "even": _name(node["even"], count)}
    if node["kind"] == "inline":
        options["blocking"] = "inline"
        return lambda value: apply(operation, value)
    if node["kind"] == "phased":
        return Remember(operation)
    if node["kind"] == "batch":
        inner = Flow(f"spread{number}").step(
            lambda value: [value, value + 1, value + 2], name="spread", blocking="inline"
        )
        inner.step(work, name="each", each={"$ref": "spread.result"}, concurrency=2)
        return inner.step(lambda values: sum(values) % 9973, name="sum", blocking="inline")
    if node["kind"] == "flow":
        return Flow(f"inner{number}").step(work, name="work").step(Remember(operation), name="phased")
    return work


async def quiet(nodes: list[dict[str, Any]], value: int) -> object:
    """The result of a run by itself, or ``"max_steps"``."""
    try:
        return await build(nodes, []).run(value)
    except BudgetExceeded:
        return "max_steps"


async def listened(nodes: list[dict[str, Any]], value: int) -> object:
    """The same, with somebody listening."""
    try:
        return await build(nodes, []).run(value, listener=lambda progress: None)
    except BudgetExceeded:
        return "max_steps"


async def lives(nodes: list[dict[str, Any]], value: int, deaths: list[int]) -> object:
    """The same in a row of processes, each of which dies at its moment; the last one does not."""
    journal = DurableJournal()
    output: object = None
    for moment in [*deaths, 0]:
        journal = DurableJournal(journal.survivor, dies_at=moment)
        ran: list[str] = []
        heads = await journal.survivor.runs()
        done = set(completed(await journal.survivor.read(heads[0].run_id))) if heads else set()
        try:
            async with Kernel(journal=journal) as kernel:
                handle = await kernel.start(build(nodes, ran), value, key="k")
                output = await handle.result()
        except RunFailed as error:
            if not journal.dead:
                output = "max_steps" if error.code == "AF-BUDGET" else error
        except (ProcessDied, RunError):
            assert journal.dead
        assert not done & set(ran)
    (head,) = await journal.survivor.runs()
    check_history(await journal.survivor.read(head.run_id))
    return output


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(nodes=shapes(), value=st.integers(-50, 50), deaths=st.lists(st.integers(1, 12), max_size=3))
@settings(**OPTIONS)
def test_a_random_flow_gives_one_result_however_it_is_run(
    backend: str, nodes: list[dict[str, Any]], value: int, deaths: list[int]
) -> None:
    """Quiet, listened to, journalled, and resumed after any deaths."""

    async def compare() -> None:
        expected = await quiet(nodes, value)
        assert await listened(nodes, value) == expected
        assert await lives(nodes, value, []) == expected
        assert await lives(nodes, value, deaths) == expected

    anyio.run(compare, backend=backend)


plain_operations = st.lists(operations, min_size=1, max_size=8)


@given(operations=plain_operations, value=st.integers(-50, 50))
@settings(**OPTIONS)
def test_a_plain_flow_gives_the_same_without_a_loop(operations: list[tuple[str, int]], value: int) -> None:
    """On the calling thread, on a loop, and as arithmetic."""
    flow, expected = Flow("plain"), value
    for number, operation in enumerate(operations):
        flow.step(lambda given, operation=operation: apply(operation, given), name=f"n{number}", blocking="inline")
        expected = apply(operation, expected)
    assert flow.run_sync(value) == expected
    assert anyio.run(flow.run, value) == expected
