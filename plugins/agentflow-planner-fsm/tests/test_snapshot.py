"""A machine written as JSON and read again after every step behaves as one that was left alone."""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from random_charts import EVENTS, random_document
from statechart_driver import run

from agentflow_kernel.errors import NewerSchema, PlanLoopError, ProtocolViolation
from agentflow_planner_fsm.machine import Machine, load_chart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_planner_fsm.chart import Chart

LIMIT, STEPS, CHARTS, BATCHES = 20, 10, 50, 20


def stored(machine: Machine) -> dict[str, Any]:
    return json.loads(json.dumps(machine.snapshot(), allow_nan=False))  # type: ignore[no-any-return]  # what it wrote


def moved(machine: Machine, chance: random.Random) -> bool:
    """One random step; false where the machine does not come to rest."""
    kind, actions = chance.random(), machine.actions
    try:
        if actions and kind < 0.3:
            answer = machine.complete if chance.random() < 0.4 else machine.fail
            answer(chance.choice(actions).id, chance.choice((None, {"code": "X"})))
        elif kind < 0.55:
            machine.advance(chance.choice((0.5, 1, 1.5, 3)))
        else:
            machine.send(chance.choice(EVENTS), chance.choice((None, 1, {"k": [1]})))
    except PlanLoopError:
        return False
    return True


def runs_equal(chart: Chart, seed: int) -> Iterator[str]:
    """Compare; gives a word for each of the things that a snapshot had to hold."""
    left_alone = Machine.load(chart, max_microsteps=LIMIT)
    restored = Machine.load(chart, max_microsteps=LIMIT)
    one, other = random.Random(seed), random.Random(seed)
    for _ in range(STEPS):
        snapshot = stored(restored)
        yield from held(chart, snapshot)
        restored = Machine.restore(chart, snapshot, max_microsteps=LIMIT)
        rests = moved(left_alone, one)
        assert moved(restored, other) is rests, seed
        if not rests:
            return
        assert stored(restored) == stored(left_alone), seed


def held(chart: Chart, snapshot: dict[str, Any]) -> Iterator[str]:
    root = snapshot["root"]
    invocations = root.get("invocations", ())
    found = {
        "timers": any("event" in each for each in snapshot["timers"]),
        "calls": any(not each["invoke"] for each in snapshot["pending"]),
        "parallel": any(chart.by_id[id].kind == "parallel" for id in root["active"]),
        "history": root.get("history"),
        "ended": root.get("ended"),
        "invoked actions": any("action" in each for each in invocations),
        "waits for an attempt": any("attempt" in each for each in snapshot["timers"]),
        "invoked machines": any("child" in each for each in invocations),
        "history of an invoked machine": any("history" in each.get("child", ()) for each in invocations),
    }
    yield from (name for name, value in found.items() if value)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_restoring_after_every_step_changes_nothing(batch: int) -> None:
    """1,000 random charts: the whole snapshot is the same after each step, and each thing in it was there."""
    found: Counter[str] = Counter()
    for seed in range(batch * CHARTS, (batch + 1) * CHARTS):
        chart = load_chart(random_document(seed, timed=True, recovering=True))
        with suppress(PlanLoopError):
            found.update(runs_equal(chart, seed))
    assert len(found) == 9, found


FULL = """
data: {n: 0, x: {deep: [1, 2]}}
states:
  s:
    enter: [{log: +s}, {send: {event: late, delay: 10s, id: l1, data: [1]}}, {tool: t.call, id: c1}]
    invoke: [{id: again, tool: t.invoked, with: {a: 1}}, {id: lost, tool: t.other, on_restore: fail}]
    transitions:
    - {event: late, target: t}
    - {event: error.invoke.lost, do: [n += 1]}
    - {event: done.invoke.again, do: [n += 10]}
    - {event: done.call.c1, do: [n += 100]}
  t: {}
"""


def test_a_restored_machine_does_no_content_and_keeps_its_timers() -> None:
    """Rule 21: no entry action; the delay that is left; data and invocations."""
    machine = run(FULL)
    machine.advance(4)
    machine.take_actions()
    restored = Machine.restore(FULL, stored(machine), traced=True)
    assert restored.take_trace() == [("transition.taken", {"transition": "s --error.invoke.lost--> s"})]
    assert restored.next_timer == 6.0
    assert restored.data == {"n": 1, "x": {"deep": [1, 2]}}
    restored.advance(6)
    assert restored.configuration == ["t"]


def test_open_actions_start_anew_or_have_failed_as_they_declare() -> None:
    machine = run(FULL)
    machine.take_actions()
    restored = Machine.restore(FULL, stored(machine))
    starts, cancels = restored.take_actions()
    assert [(each.id.split("#")[0], each.kind) for each in starts] == [("c1", "tool"), ("again", "tool")]
    assert [each.id for each in starts] == [each.id for each in machine.actions if each.name != "t.other"]
    assert cancels == []
    restored.complete("again")
    restored.complete(starts[0].id)
    assert restored.data["n"] == 111


def test_an_ended_machine_is_restored_as_ended() -> None:
    machine = run("states: {f: {final: true, data: {a: 1}}}")
    restored = Machine.restore(machine.chart, stored(machine))
    assert (restored.done, restored.output, restored.configuration) == (True, {"a": 1}, ["f"])
    assert restored.send("x") is False


def test_machines_within_machines_are_in_the_snapshot() -> None:
    """Also those whose chart came as data."""
    inner = {
        "states": {
            "a": {"transitions": [{"event": "n", "target": "b"}]},
            "b": {"after": {"5s": "c"}},
            "c": {"final": True},
        }
    }
    text = """
data: {doc: null}
states:
  s:
    invoke: {id: kid, chart_expr: doc, autoforward: true}
    transitions: [{event: done.invoke.kid, target: t}]
  t: {}
"""
    machine = Machine.load(text, data={"doc": inner})
    machine.send("n")
    machine.advance(2)
    restored = Machine.restore(text, stored(machine))
    assert restored.configuration == ["s"]
    restored.advance(3)
    assert restored.configuration == ["t"]


def test_the_number_of_the_next_action_goes_on() -> None:
    """Ids are unique in a run, also after it was restored."""
    text = "states: {s: {enter: [{tool: x.y}], transitions: [{event: e, target: s}]}}"
    machine = run(text)
    restored = Machine.restore(text, stored(machine))
    restored.send("e")
    assert len({action.id for action in restored.actions}) == 2


@pytest.mark.parametrize("change", ["root", "version", "active", "now", "timers", "pending"])
def test_what_is_no_snapshot_of_the_chart_is_refused(change: str) -> None:
    machine = run(FULL)
    document = stored(machine)
    if change == "active":
        document["root"]["active"] = ["nowhere"]
    elif change in ("timers", "pending"):
        document[change] = [{}]
    else:
        del document[change]
    with pytest.raises(ProtocolViolation, match="no snapshot of the statechart"):
        Machine.restore(FULL, document)
    with pytest.raises(ProtocolViolation):
        Machine.restore(FULL, "text")


def test_a_newer_snapshot_is_refused() -> None:
    with pytest.raises(NewerSchema):
        Machine.restore(FULL, {**stored(run(FULL)), "version": 2})
