"""What an event costs, in calls of functions: it does not grow with the states beside those that it concerns."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_planner_fsm.machine import Machine

if TYPE_CHECKING:
    from types import FrameType


def calls(machine: Machine, *events: str) -> int:
    """How many Python functions are called while these events are taken."""
    count = 0

    def note(frame: FrameType, kind: str, argument: object) -> None:
        nonlocal count
        count += kind == "call"

    gc.disable()
    sys.setprofile(note)
    try:
        for event in events:
            machine.send(event)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def ring(count: int, **more: Any) -> dict[str, Any]:
    states = {
        f"s{at}": {"transitions": [{"event": "next", "target": f"s{(at + 1) % count}", **more}]} for at in range(count)
    }
    return {"data": {"n": 0}, "states": states}


def regions(count: int) -> dict[str, Any]:
    """So many parallel regions of two states, each moved by its own event."""
    states = {}
    for at in range(count):
        ways = {f"a{at}": f"b{at}", f"b{at}": f"a{at}"}
        inner = {name: {"transitions": [{"event": f"e{at}", "target": other}]} for name, other in ways.items()}
        states[f"r{at}"] = {"states": inner}
    return {"states": {"p": {"parallel": True, "states": states}}}


@pytest.mark.parametrize("count", [4, 100])
def test_an_event_seen_before_is_one_call(count: int) -> None:
    machine = Machine.load(ring(count))
    for _ in range(count):
        machine.send("next")
    assert calls(machine, *["next"] * 10) == 10


@pytest.mark.parametrize(
    ("more", "most"),
    [({"when": "n == 0"}, 10), ({"do": ["n := 1"]}, 11), ({"when": "n >= 0", "do": ["n += 1"]}, 19)],
    ids=["guard", "action", "both"],
)
def test_guards_and_actions_cost_the_same_in_a_large_chart(more: dict[str, Any], most: int) -> None:
    figures = []
    for count in (4, 100):
        machine = Machine.load(ring(count, **more))
        for _ in range(count):
            machine.send("next")
        figures.append(calls(machine, *["next"] * 10))
    assert figures[0] == figures[1] <= 10 * most


def test_a_step_of_sixteen_regions_is_one_call_once_it_is_known() -> None:
    machine = Machine.load(
        {"states": {"p": {"parallel": True, "states": {f"r{at}": {"states": {
            f"a{at}": {"transitions": [{"event": "n", "target": f"b{at}"}]},
            f"b{at}": {"transitions": [{"event": "n", "target": f"a{at}"}]},
        }} for at in range(16)}}}}
    )  # fmt: skip
    machine.send("n")
    machine.send("n")
    assert calls(machine, "n", "n", "n", "n") == 4


def test_a_configuration_never_seen_before_costs_no_more_with_more_regions() -> None:
    """Only the region that the event moves is looked at."""
    figures = []
    for count in (8, 64):
        machine = Machine.load(regions(count))
        for event in ("e0", "e0", "e1", "e1", "e2"):
            machine.send(event)
        figures.append(calls(machine, "e1", "e0"))
    assert figures[0] == figures[1] <= 2 * 40


def test_an_event_that_nobody_waits_for_is_cheap() -> None:
    machine = Machine.load(regions(64))
    machine.send("nothing")
    assert calls(machine, "nothing") <= 12
