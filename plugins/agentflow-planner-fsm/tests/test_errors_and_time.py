"""The rules of the processing model that speak of errors and time; and the bounds."""

from __future__ import annotations

import pytest
from statechart_driver import logged, run, taken

from agentflow_kernel.errors import PlanLoopError, UsageError
from agentflow_planner_fsm.machine import Machine


def test_a_guard_that_cannot_be_evaluated_is_false_and_an_error_event() -> None:
    """Rule 18: also one that gives neither true nor false."""
    machine = run("""
data: {n: 1}
states:
  s:
    transitions:
    - {event: e, when: nothing > 1, target: bad}
    - {event: e, when: n, target: bad}
    - {event: e, target: t}
  t: {transitions: [{event: error.execution, do: [{log: error}]}]}
  bad: {}
""")
    assert taken(machine, "e") == "error error"
    assert machine.configuration == ["t"]


def test_a_guard_without_event_that_fails_for_ever_does_not_hang() -> None:
    """Rule 18: it is not asked again before something has changed."""
    machine = run("states: {s: {transitions: [{when: nothing, target: t}, {event: e, target: t}]}, t: {}}")
    assert machine.configuration == ["s"]
    machine.send("e")
    assert machine.configuration == ["t"]


def test_a_guard_on_all_events_that_fails_for_ever_is_a_loop() -> None:
    """Rule 9: its error event makes it fail again."""
    machine = run("states: {s: {transitions: [{event: '*', when: nothing, target: s}]}}")
    with pytest.raises(PlanLoopError, match="cannot be evaluated"):
        machine.send("e")


def test_an_error_stops_its_own_block_only() -> None:
    """Rule 18: the other blocks of the same step are done, also the other one of the same state."""
    machine = run("""
states:
  s:
    exit: [{log: exit}, "x = 1", {log: never}]
    transitions: [{event: e, target: t, do: [{log: do}, "y = 1", {log: never}]}]
  t:
    enter:
    - [{log: one}, "z = 1", {log: never}]
    - [{log: two}]
    transitions: [{event: error.execution, do: [{log: error}]}]
""")
    assert taken(machine, "e") == "exit do one two error error error"


def test_an_error_in_a_loop_or_choice_stops_the_whole_block() -> None:
    """Rule 18: what stands round the failing piece belongs to the block."""
    machine = run("""
states:
  s:
    transitions:
    - {event: e, do: [{foreach: {array: "[1, 2]", item: i, do: [{log: a}, "x = 1"]}}, {log: never}]}
    - {event: f, do: [{if: "true", then: ["x = 1"]}, {log: never}]}
    - {event: g, do: [{if: nothing, then: [{log: never}], else: [{log: other}]}, {log: goes.on}]}
""")
    assert taken(machine, "e") == "a"
    assert taken(machine, "f") == ""
    assert taken(machine, "g") == "other goes.on"


def test_a_target_that_nobody_answers_is_an_error_of_communication() -> None:
    """Rule 18: and one that is no target at all an error of execution, with the id of the send."""
    machine = run("""
data: {got: []}
states:
  s:
    transitions:
    - {event: parent, do: [{send: {event: x, to: parent}}]}
    - {event: child, do: [{send: {event: x, to: '#_kid', id: s2}}]}
    - {event: other, do: [{send: {event: x, to: '#_scxml_none'}}]}
    - {event: mad, do: [{send: {event: x, to: baz, id: s1}}, {log: never}]}
    - {event: type, do: [{send: {event: x, type: pigeon}}]}
    - {event: error, do: ["got += [[_event.name, _event.sendid]]"]}
""")
    for event in ("parent", "child", "other", "mad", "type"):
        machine.send(event)
    assert machine.data["got"] == [
        ["error.communication", None],
        ["error.communication", "s2"],
        ["error.communication", None],
        ["error.execution", "s1"],
        ["error.execution", None],
    ]


def test_delayed_events_come_at_their_times_equal_ones_in_the_order_of_sending() -> None:
    """Rule 19."""
    machine = run("""
states:
  s:
    enter:
    - {send: {event: c, delay: 2s}}
    - {send: {event: a, delay: 1s}}
    - {send: {event: d, delay: 2000ms}}
    - {send: {event: b, delay_expr: "'1' + 's'"}}
    transitions: [{event: a, do: [{log: a}]}, {event: b, do: [{log: b}]}, {event: c, do: [{log: c}]},
      {event: d, do: [{log: d}]}]
""")
    assert machine.next_timer == 1.0
    machine.advance(0.999)
    assert logged(machine) == ""
    machine.advance(0.001)
    assert logged(machine) == "a b"
    machine.advance(60)
    assert logged(machine) == "c d"
    assert machine.now == 61.0


def test_a_delayed_event_is_taken_back_by_its_id() -> None:
    """Rule 19: also by one from an expression; cancelled on exit it never comes."""
    machine = run("""
data: {id: t2}
states:
  s:
    enter: [{send: {event: x, delay: 1s, id: t1}}, {send: {event: x, delay: 1s, id: t2}}]
    exit: [{cancel: t1}, {cancel: {id_expr: id}}]
    transitions: [{event: go, target: t}]
  t: {transitions: [{event: x, target: bad}]}
  bad: {}
""")
    machine.send("go")
    machine.advance(5)
    assert machine.configuration == ["t"]
    assert machine.next_timer is None


def test_after_is_taken_when_the_state_was_active_for_so_long() -> None:
    """Our short form of a delayed event that is cancelled on exit."""
    machine = run("""
data: {d: 3}
states:
  s:
    after: {500ms: {target: t, when: "d > 5"}, 2s: {do: [{log: two}]}, 4s: t}
    transitions: [{event: again, target: s}]
  t: {after: [{delay_expr: d, target: s, do: [{log: back}]}]}
""")
    machine.advance(3)
    assert logged(machine) == "two"
    machine.send("again")
    machine.advance(3.9)
    assert (logged(machine), machine.configuration) == ("two", ["s"])
    machine.advance(0.1)
    assert machine.configuration == ["t"]
    machine.advance(3)
    assert (logged(machine), machine.configuration) == ("back", ["s"])


def test_time_and_events_that_make_no_sense_are_refused() -> None:
    """The arguments of the stand-alone machine."""
    machine = run("states: {s: {}}")
    for bad in ("", "a b", " a", 5):
        with pytest.raises(UsageError, match="An event is a name"):
            machine.send(bad)  # type: ignore[arg-type]  # on purpose
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="Time goes on"):
            machine.advance(seconds)
    with pytest.raises(UsageError, match="at least 1"):
        Machine.load({"states": {"s": {}}}, max_microsteps=0)


def test_what_machines_send_themselves_for_ever_is_a_loop() -> None:
    """The bound on events that follow from one input; time that goes on is no loop."""
    machine = run("states: {s: {transitions: [{event: e, do: [{send: e}]}]}}")
    with pytest.raises(PlanLoopError, match="event e"):
        machine.send("e")
    with pytest.raises(PlanLoopError):
        run("states: {s: {after: {0s: s}}}")
    machine = run("states: {s: {enter: [{send: {event: tick, delay: 1s}}], transitions: [{event: tick, target: s}]}}")
    machine.take_trace()
    machine.advance(20_000)
    assert machine.now == 20_000


def test_loops_in_content_are_bounded() -> None:
    """Loops within each other over long lists end with an error, not with the process."""
    machine = run("""
data: {l: [], n: 0}
states:
  s:
    transitions:
    - {event: grow, do: ["l += [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]}
    - event: go
      do: [{foreach: {array: l, item: a, do: [{foreach: {array: l, item: b, do: ["n += 1"]}}]}}]
""")
    for _ in range(40):
        machine.send("grow")
    with pytest.raises(PlanLoopError, match="foreach over 'b'"):
        machine.send("go")


def test_a_broken_machine_takes_no_event_that_it_knows_either() -> None:
    """Also one that would be a look into a table."""
    machine = run("""
states:
  a: {transitions: [{event: e, target: b}, {event: f, target: c}]}
  b: {transitions: [{target: b}, {event: f, target: c}]}
  c: {}
""")
    copy = Machine.load(machine.chart)
    copy.send("f")
    for _ in range(2):
        with pytest.raises(PlanLoopError):
            machine.send("e")
    for act in (lambda: machine.send("f"), lambda: machine.advance(1), lambda: machine.complete("x")):
        with pytest.raises(PlanLoopError):
            act()
