"""Nodes that change what they are given in place: no branch, item or state sees it, with or without a journal."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest

from agentflow_kernel import Branch, Flow, Goto, Kernel, Node, Route
from agentflow_kernel.errors import RunFailed
from agentflow_kernel.testing import InProcessJournal, always_replay

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

GIVEN = {"log": ["a"], "items": [{"n": [1]}, {"n": [2]}]}


async def spoil(value: Any) -> Any:
    """Changes its input as deep as it goes, while others are at work, and gives back what it saw first."""
    seen = copy.deepcopy(value)
    for _ in range(2):
        await anyio.lowlevel.checkpoint()
        _spoil(value)
    return seen


def spoil_inline(value: Any) -> Any:
    """The same at once."""
    seen = copy.deepcopy(value)
    _spoil(value)
    return seen


def _spoil(value: Any) -> None:
    inner = list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    for part in inner:
        _spoil(part)
    if isinstance(value, list):
        value.append("spoilt")
    elif isinstance(value, dict):
        value["spoilt"] = True


def fork() -> Flow:
    """Branches with the fork's input, with what they refer to, in a nested flow."""
    inner = Flow("inner").step(spoil)
    branches = {
        "a": spoil,
        "b": spoil_inline,
        "c": Branch(spoil, input={"$ref": "input"}),
        "d": Branch(spoil, input={"mine": {"$ref": "input.log"}}),
        "e": inner,
    }
    flow = Flow("fork").parallel(branches, name="all")
    return flow.returns({"all": {"$ref": "all.result"}, "given": {"$ref": "input"}})


def quick_fork() -> Flow:
    """Branches that a run without journal awaits directly."""
    return (
        Flow("fork").parallel({"a": spoil, "b": spoil}, name="all").returns([{"$ref": "all.result"}, {"$ref": "input"}])
    )


def early() -> Flow:
    """A join that waits for some."""
    return Flow("early").parallel({"a": spoil, "b": spoil}, name="all", join=2).step(spoil_inline, blocking="inline")


def batch() -> Flow:
    """Items that share what is in their template, and are parts of the input."""
    each = {"item": {"$ref": "item"}, "log": {"$ref": "input.log"}}
    flow = Flow("batch").step(spoil, name="work", each={"$ref": "input.items"}, input=each, concurrency=2)
    flow.step(spoil, name="chunks", each={"$ref": "input.items"}, batch_size=2)
    return flow.returns([{"$ref": "work.result"}, {"$ref": "chunks.result"}, {"$ref": "input"}])


def spread() -> Flow:
    """One object for several items of a fan-out."""

    async def out(value: Any) -> Any:
        return [Goto("work", value["log"]), Goto("work", value["log"])]

    flow = Flow("spread").step(out, fan_out=["work"]).aside(spoil, name="work")
    return flow.returns([{"$ref": "out.result"}, {"$ref": "input"}])


def ways() -> Flow:
    """One value for several ways, one of which leads to the join at once."""

    async def both(value: Any) -> Any:
        return Route(["left", "right", "on"], value)

    flow = Flow("ways").step(both, routes={"left": "l", "right": "r", "on": "end_of_all"}, join="end_of_all")
    flow.aside(spoil, name="l", routes={"default": "end_of_all"})
    flow.aside(spoil, name="r", input={"$ref": "input.log"}, routes={"default": "end_of_all"})
    flow.aside(spoil, name="end_of_all")
    return flow.returns([{"$ref": "end_of_all.result"}, {"$ref": "input"}])


class Keep(Node):
    """Keeps what it is given in the state, then changes it, and what the state gives out."""

    async def exec(self, prepared: Any) -> Any:
        return await spoil(prepared)

    async def post(self, shared: Any, prepared: Any, result: Any) -> None:
        if "kept" not in shared:
            shared.set("kept", result)
        _spoil(shared.get("kept"))
        _spoil(shared.snapshot())


def state() -> Flow:
    """What is kept is also the result, which goes on to others."""
    flow = Flow("state").step(Keep(), name="keep").step(spoil, name="direct")
    flow.step(spoil, name="by_reference", input={"kept": {"$ref": "state.kept"}})
    flow.step(Keep(), name="again", input={"$ref": "state"})
    flow.parallel({"a": Branch(spoil, input={"$ref": "state.kept"}), "b": Branch(spoil, input={"$ref": "state"})})
    return flow.returns([{"$ref": "state"}, {"$ref": "parallel.result"}, {"$ref": "again.result"}])


class Note(Node):
    """Writes one item in each branch."""

    async def post(self, shared: Any, prepared: Any, result: Any) -> None:
        shared.put("notes", result)


def in_place(before: Any, value: Any) -> Any:
    """A reducer that changes what it is given."""
    before = [] if before is None else before
    before.append(value)
    _spoil(value)
    return before


def reducer() -> Flow:
    """Writes of branches and of a single node."""
    flow = Flow("reducer", reducers={"notes": in_place})
    flow.step(Note(), name="first").parallel({"a": Note(), "b": Note()}).step(Note(), name="last")
    return flow.returns({"$ref": "state"})


@pytest.mark.parametrize("make", [fork, quick_fork, early, batch, spread, ways, state, reducer])
async def test_a_node_that_changes_its_input_gives_the_same_with_and_without_a_journal(
    make: Callable[[], Flow],
) -> None:
    """Plain, journalled, and with all memory dropped after each record."""
    found = []
    for journal, mode in (
        (None, nullcontext()),
        (InProcessJournal(), nullcontext()),
        (InProcessJournal(), always_replay()),
    ):
        given = copy.deepcopy(GIVEN)
        if journal is None:
            found.append(await make().run(given))
            continue
        with mode:
            async with Kernel(journal=journal) as kernel:
                found.append(await kernel.run(make(), given))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("journalled", [False, True])
async def test_a_compensation_gets_what_its_step_was_given_and_gave(journalled: bool) -> None:
    """Whatever the step and those after it have done to it."""
    undone = []

    async def undo(value: Any) -> None:
        undone.append(value)

    async def fail(value: Any) -> None:
        raise ValueError("no")

    flow = Flow("f").step(spoil, name="buy", compensate=undo).step(spoil, name="next").step(fail)
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises((ValueError, RunFailed)):
            await (kernel.run(flow, [1]) if journalled else flow.run([1]))
    assert undone == [{"input": [1], "result": [1]}]


async def test_only_lists_and_objects_are_copied() -> None:
    """What is no JSON is handed on as it is, where there is no journal."""

    class Handle(dict[str, int]):
        pass

    handle, seen = Handle(), []

    async def look(value: Any) -> None:
        seen.append(value["handle"])

    await Flow("f").parallel({"a": look, "b": look}).run({"handle": handle})
    assert seen[0] is seen[1] is handle
