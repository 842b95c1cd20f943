"""Statecharts: what one event costs, with four and with a hundred flat states, with guards, and in parallel regions."""

from __future__ import annotations

import random
import time
from itertools import cycle, islice, product
from typing import TYPE_CHECKING, Any, NamedTuple

from table import Row

from agentflow_planner_fsm.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def flat(count: int) -> dict[str, Any]:
    """A ring of so many states, each left by two events."""
    ways = [
        [{"event": "next", "target": f"s{(at + 1) % count}"}, {"event": "back", "target": f"s{(at - 1) % count}"}]
        for at in range(count)
    ]
    return {"states": {f"s{at}": {"transitions": ways[at]} for at in range(count)}}


def guarded() -> dict[str, Any]:
    """A ring of four states with a guard, an entry and an exit action each."""
    states: dict[str, Any] = {}
    for at in range(4):
        ways = [
            {"event": "next", "when": "n > 10", "target": "s0"},
            {"event": "next", "when": "n >= 0", "target": f"s{(at + 1) % 4}"},
        ]
        states[f"s{at}"] = {"transitions": ways, "enter": ["n := 1"], "exit": ["n := 0"]}
    return {"data": {"n": 0}, "states": states}


def parallel(depth: int, name: str = "p", *, own: bool = False) -> dict[str, Any]:
    """Parallel states within parallel states; each region has two states, moved by one event, or each by its own."""
    if depth == 0:
        event = name if own else "next"
        ways = {f"{name}.one": f"{name}.two", f"{name}.two": f"{name}.one"}
        return {"states": {at: {"transitions": [{"event": event, "target": to}]} for at, to in ways.items()}}
    sides = (f"{name}{side}" for side in "ab")
    return {"parallel": True, "states": {side: parallel(depth - 1, side, own=own) for side in sides}}


class Case(NamedTuple):
    """What is measured: a chart, the events it takes in turn, and the bound in microseconds, 0 for none."""

    name: str
    document: dict[str, Any]
    events: Sequence[str]
    goal: float


def cases() -> list[Case]:
    """Flat and parallel; the last one comes into a configuration that it has not seen before by almost every event."""
    chance = random.Random(1)
    regions = ["p" + "".join(sides) for sides in product("ab", repeat=4)]
    return [
        Case("four flat states", flat(4), ("next",), 3.0),
        Case("100 flat states", flat(100), ("next",), 0.0),
        Case("four flat states, guards, entry and exit", guarded(), ("next",), 0.0),
        Case("parallel, depth 4, all 16 regions", {"states": {"p": parallel(4)}}, ("next",), 15.0),
        Case(
            "parallel, depth 4, one of 16 regions, always new",
            {"states": {"p": parallel(4, own=True)}},
            [chance.choice(regions) for _ in range(20_000)],
            15.0,
        ),
    ]


def rows(*, events: int) -> list[Row]:
    """One event each; the floor is a look into a table of states and events."""
    floor = _best(lambda: _table(events)) / events
    note = f"table {floor:.3f} µs"
    found: list[Row] = []
    for case in cases():
        machine = Machine.load(case.document)
        count = events if case.goal != 15.0 else events // 4
        value = _best(lambda machine=machine, case=case, count=count: _send(machine, case.events, count)) / count  # type: ignore[misc]  # binds
        what = f"statechart event, {case.name}"
        if case.name == "100 flat states":
            four = found[0].value
            floor_of_it = f"four states {four:.3f} µs"
            found.append(Row(what, value, "µs", floor_of_it, value / four, "≤ 1.5 x", value <= 1.5 * four))
        else:
            goal = f"≤ {case.goal:g} µs" if case.goal else ""
            found.append(Row(what, value, "µs", note, value / floor, goal, not case.goal or value <= case.goal))
    return found


def _best(measure: Callable[[], float]) -> float:
    """Microseconds of the quickest of five."""
    return min(measure() for _ in range(5)) * 1e6


def _send(machine: Machine, events: Sequence[str], count: int) -> float:
    send = machine.send
    start = time.process_time()
    for event in islice(cycle(events), count):
        send(event)
    return time.process_time() - start


def _table(count: int) -> float:
    table = {0: {"next": 1}, 1: {"next": 2}, 2: {"next": 3}, 3: {"next": 0}}
    state = 0
    start = time.process_time()
    for event in islice(cycle(("next",)), count):
        state = table[state][event]
    return time.process_time() - start
