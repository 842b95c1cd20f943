"""The rules of the processing model, one after the other: structure, events, selection, order."""

from __future__ import annotations

import pytest
from statechart_driver import logged, run, taken

from agentflow_kernel.errors import PlanLoopError

REGIONS = """
states:
  p:
    parallel: true
    enter: [{log: +p}]
    exit: [{log: -p}]
    transitions: [{event: away, target: q}, {event: both, do: [{log: p.both}]}]
    states:
      l:
        enter: [{log: +l}]
        exit: [{log: -l}]
        states:
          l1:
            enter: [{log: +l1}]
            exit: [{log: -l1}]
            transitions:
            - {event: step, target: l2, do: [{log: l.step}]}
            - {event: fight, target: q, do: [{log: l.fight}]}
            - {event: both, target: l2, do: [{log: l.both}]}
          l2: {enter: [{log: +l2}], exit: [{log: -l2}]}
      r:
        enter: [{log: +r}]
        exit: [{log: -r}]
        states:
          r1:
            enter: [{log: +r1}]
            exit: [{log: -r1}]
            transitions:
            - {event: step, target: r2, do: [{log: r.step}]}
            - {event: fight, target: r2, do: [{log: r.fight}]}
          r2: {enter: [{log: +r2}], exit: [{log: -r2}]}
  q: {enter: [{log: +q}]}
"""


def test_a_configuration_has_all_states_that_hold_active_ones_and_is_in_document_order() -> None:
    """Rules 1 to 3: one child of a compound state, all of a parallel one; the leaves are those without states."""
    machine = run(REGIONS)
    assert machine.configuration == ["p", "l", "l1", "r", "r1"]
    assert machine.leaves == ["l1", "r1"]
    assert machine.is_in("p")
    assert not machine.is_in("q")
    assert not machine.is_in("nowhere")


@pytest.mark.parametrize(
    ("descriptor", "event", "matches"),
    [
        ("a", "a", True),
        ("a", "a.b", True),
        ("a", "ab", False),
        ("a.b", "a", False),
        ("*", "any.thing", True),
        ("a.*", "a", True),
        ("a.*", "a.b.c", True),
        ("a.", "a.b", True),
        ("a b.c", "b.c.d", True),
        ("a b", "c", False),
        ("a.b", "a.bc", False),
        ("A", "a", False),
    ],
)
def test_a_descriptor_matches_whole_tokens_from_the_front(descriptor: str, event: str, matches: bool) -> None:
    """Rule 4."""
    machine = run({"states": {"s": {"transitions": [{"event": descriptor, "target": "t"}]}, "t": {}}})
    machine.send(event)
    assert machine.configuration == (["t"] if matches else ["s"])


def test_document_order_decides_not_how_specific_a_descriptor_is() -> None:
    """A wildcard that stands first wins."""
    machine = run("states: {s: {transitions: [{event: '*', target: x}, {event: a.b, target: y}]}, x: {}, y: {}}")
    machine.send("a.b")
    assert machine.configuration == ["x"]


def test_internal_events_come_before_the_next_external_one() -> None:
    """Rule 5: what is raised is used up first, although the event sent was there before."""
    machine = run("""
states:
  s:
    enter: [{send: outer}, {raise: inner1}, {raise: inner2}]
    transitions:
    - {event: outer, do: [{log: outer}]}
    - {event: inner1, do: [{log: inner1}]}
    - {event: inner2, do: [{log: inner2}]}
""")
    assert logged(machine) == "inner1 inner2 outer"


def test_an_event_carries_name_data_type_and_where_it_came_from() -> None:
    """Rule 6."""
    machine = run("""
data: {seen: [], own: ''}
states:
  s:
    transitions:
    - {event: go, do: ["seen += [_event]", {send: {event: out, id: x1, data: {k: 1}}}, {raise: {event: in, data: [2]}}]}
    - {event: in out error, do: ["seen += [_event]"]}
    - {event: bad, do: ["own := nothing"]}
""")
    machine.send("go", {"n": None})
    machine.send("bad")
    go, inner, out, error = machine.data["seen"]  # type: ignore[misc]  # a list of four
    assert (go["name"], go["type"], go["data"], go["sendid"]) == ("go", "external", {"n": None}, None)
    assert (inner["name"], inner["type"], inner["data"], inner["origin"]) == ("in", "internal", [2], None)
    assert (out["type"], out["sendid"], out["data"]) == ("external", "x1", {"k": 1})
    assert out["origin"].startswith("#_scxml_")
    assert (error["name"], error["type"]) == ("error.execution", "platform")
    assert "no 'nothing'" in error["data"]["message"]


def test_transitions_without_event_come_before_internal_events() -> None:
    """Rule 7a, b: a chain of them is followed to its end before anything that was raised is looked at."""
    machine = run("""
states:
  a: {enter: [{raise: e}], transitions: [{target: b, do: [{log: ab}]}, {event: e, target: d}]}
  b: {transitions: [{target: c, do: [{log: bc}]}]}
  c: {transitions: [{event: e, do: [{log: e}]}]}
  d: {}
""")
    assert (machine.configuration, logged(machine)) == (["c"], "ab bc e")


def test_invocations_start_only_for_states_that_are_active_when_all_is_quiet() -> None:
    """Rule 7c: a state that is only passed through invokes nothing."""
    machine = run("""
states:
  a: {invoke: {tool: slow.one}, transitions: [{target: b}]}
  b: {invoke: [{tool: slow.two, id: two}]}
""")
    assert [(each.id, each.name) for each in machine.invocations] == [("two", "slow.two")]
    assert [action.name for action in machine.actions] == ["slow.two"]


def test_an_invocation_that_fails_to_start_is_answered_at_once() -> None:
    """Rule 7d: its error event is taken in the same macrostep."""
    machine = run("""
states:
  a:
    invoke: {tool: x, with: {"$expr": nothing}}
    transitions: [{event: error.execution, target: b}]
  b: {}
""")
    assert machine.configuration == ["b"]


def test_an_event_sent_by_content_waits_until_the_machine_is_at_rest() -> None:
    """Rule 8: run to completion; nothing is re-entered."""
    machine = run("""
data: {order: ''}
states:
  a: {transitions: [{event: go, target: b, do: [{send: next}, {log: first}]}]}
  b: {enter: [{log: entered}], transitions: [{event: next, do: [{log: next}]}]}
""")
    assert taken(machine, "go") == "first entered next"


def test_a_cycle_is_an_error_that_names_it() -> None:
    """Rule 9: the bound, and what goes round."""
    text = """
states:
  idle: {transitions: [{event: go, target: ping}]}
  ping: {transitions: [{target: pong}]}
  pong: {transitions: [{when: "true", target: ping}]}
"""
    machine = run(text)
    with pytest.raises(PlanLoopError) as caught:
        machine.send("go")
    assert caught.value.limit == 1_000
    assert len(caught.value.cycle) == 2
    assert "ping ----> pong" in str(caught.value)
    assert "pong -- [true]--> ping" in str(caught.value)
    with pytest.raises(PlanLoopError):  # from then on it is broken
        machine.send("go")
    with pytest.raises(PlanLoopError) as caught:
        run(text, max_microsteps=7).send("go")
    assert caught.value.limit == 7


def test_each_leaf_finds_its_own_transition_in_document_order() -> None:
    """Rule 10: both regions step, left one first; a transition of what holds both is taken once."""
    assert taken(run(REGIONS), "step") == "-r1 -l1 l.step r.step +l2 +r2"
    assert taken(run(REGIONS), "away") == "-r1 -r -l1 -l -p +q"


def test_of_two_that_leave_a_common_state_the_first_wins() -> None:
    """Rule 11: conflict in parallel regions; the region that comes first in the document preempts the other."""
    machine = run(REGIONS)
    assert taken(machine, "fight") == "-r1 -r -l1 -l -p l.fight +q"
    assert machine.configuration == ["q"]


def test_a_child_preempts_what_holds_it() -> None:
    """Rules 10 and 11: the walk of a leaf ends at its first hit; the other leaf reaches the parent's, without exits."""
    assert taken(run(REGIONS), "both") == "-l1 l.both p.both +l2"


def test_a_later_transition_of_a_descendant_replaces_the_earlier_one() -> None:
    """Rule 11: the first leaf finds the transition of the parallel state, the second one its own, which wins."""
    machine = run("""
states:
  p:
    parallel: true
    transitions: [{event: e, target: out}]
    states:
      a: {}
      b: {states: {b1: {transitions: [{event: e, target: b2}]}, b2: {}}}
  out: {}
""")
    machine.send("e")
    assert machine.configuration == ["p", "a", "b", "b2"]


def test_without_a_target_nothing_is_left_and_history_stays() -> None:
    """Rule 12: a targetless transition only acts."""
    machine = run("""
states:
  a:
    exit: [{log: -a}]
    transitions: [{event: note, do: [{log: note}]}, {event: out, target: b}]
    states: {h: {history: shallow}, a1: {transitions: [{event: n, target: a2}]}, a2: {}}
  b: {transitions: [{event: note, do: [{log: note.b}]}, {event: back, target: h}]}
""")
    machine.send("n")
    assert taken(machine, "note") == "note"
    assert taken(machine, "out", "note", "back") == "-a note.b"
    assert machine.configuration == ["a", "a2"]


SELF = """
states:
  c:
    enter: [{log: +c}]
    exit: [{log: -c}]
    transitions:
    - {event: ext, target: c}
    - {event: int, target: c2, internal: true}
    - {event: ext2, target: c2}
    - {event: own, target: c, internal: true}
    states: {c1: {enter: [{log: +c1}], exit: [{log: -c1}]}, c2: {enter: [{log: +c2}], exit: [{log: -c2}]}}
  a: {enter: [{log: +a}], exit: [{log: -a}], transitions: [{event: int, target: a, internal: true}]}
"""


def test_a_transition_to_itself_leaves_and_enters() -> None:
    """Rule 12: external."""
    assert taken(run(SELF), "ext") == "-c1 -c +c +c1"
    assert taken(run(SELF), "ext2") == "-c1 -c +c +c2"


def test_an_internal_transition_of_a_compound_state_stays_in_it() -> None:
    """Rule 12: only for targets inside it; to itself it is as an external one."""
    assert taken(run(SELF), "int") == "-c1 +c2"
    assert taken(run(SELF), "own") == "-c1 -c +c +c1"


def test_an_internal_transition_of_a_state_without_states_is_external() -> None:
    """Rule 12: the source must be compound."""
    machine = run({**run(SELF).chart.document, "initial": "a"})
    assert taken(machine, "int") == "-a +a"


def test_an_internal_transition_of_a_parallel_state_is_external() -> None:
    """Rule 12: the source must not be parallel."""
    machine = run("""
states:
  p:
    parallel: true
    enter: [{log: +p}]
    exit: [{log: -p}]
    transitions: [{event: e, target: x2, internal: true}]
    states: {x: {states: {x1: {}, x2: {}}}, y: {}}
""")
    assert taken(machine, "e") == "-p +p"
    assert machine.configuration == ["p", "x", "x2", "y"]


def test_a_transition_to_what_holds_it_leaves_that_too() -> None:
    """Rule 12: target is an ancestor of the source."""
    machine = run("""
states:
  a:
    enter: [{log: +a}]
    exit: [{log: -a}]
    states: {b: {exit: [{log: -b}], enter: [{log: +b}], transitions: [{event: e, target: a}]}}
""")
    assert taken(machine, "e") == "-b -a +a +b"


def test_several_targets_enter_their_regions_and_the_others_by_default() -> None:
    """Rules 12, 16: a state in each of two regions; the third region starts as usual."""
    machine = run("""
states:
  s: {transitions: [{event: e, target: x2 z2}]}
  p:
    parallel: true
    states:
      x: {states: {x1: {}, x2: {}}}
      y: {states: {y1: {}, y2: {}}}
      z: {states: {z1: {}, z2: {}}}
""")
    machine.send("e")
    assert machine.leaves == ["x2", "y1", "z2"]


def test_the_domain_is_never_a_parallel_state() -> None:
    """Rule 12: from one region into another, the parallel state is left and entered."""
    machine = run("""
states:
  p:
    parallel: true
    enter: [{log: +p}]
    exit: [{log: -p}]
    states:
      x: {states: {x1: {transitions: [{event: e, target: y2}]}}}
      y: {states: {y1: {}, y2: {}}}
""")
    assert taken(machine, "e") == "-p +p"
    assert machine.leaves == ["x1", "y2"]


HISTORY = """
initial: out
states:
  out: {transitions: [{event: shallow, target: hs}, {event: deep, target: hd}, {event: in, target: a}]}
  a:
    transitions: [{event: leave, target: out}]
    states:
      hs: {history: shallow, default: {target: a2, do: [{log: default}]}}
      hd: {history: deep, transitions: [{target: a22}]}
      a1: {}
      a2:
        transitions: [{event: next, target: a3}]
        states: {a21: {transitions: [{event: n, target: a22}]}, a22: {}}
      a3: {states: {a31: {transitions: [{event: n, target: a32}]}, a32: {}}}
"""


def test_history_that_was_never_recorded_leads_to_its_default() -> None:
    """Rule 13: with the actions of the default, which are not done again once there is history."""
    machine = run(HISTORY)
    assert taken(machine, "shallow") == "default"
    assert machine.leaves == ["a21"]
    machine = run(HISTORY)
    machine.send("deep")
    assert machine.leaves == ["a22"]


def test_shallow_history_remembers_the_child_deep_history_the_leaves() -> None:
    """Rule 14."""
    for event, leaf in (("shallow", "a31"), ("deep", "a32")):
        machine = run(HISTORY)
        assert taken(machine, "shallow", "next", "n", "leave", event) == "default"
        assert machine.leaves == [leaf]


def test_deep_history_in_a_parallel_state_restores_all_regions() -> None:
    """Rules 13, 14: deep history inside parallel."""
    machine = run("""
states:
  p:
    parallel: true
    transitions: [{event: leave, target: q}]
    states:
      h: {history: deep}
      x: {states: {x1: {transitions: [{event: n, target: x2}]}, x2: {states: {x21: {}, x22: {}}, initial: x22}}}
      y: {states: {y1: {transitions: [{event: m, target: y2}]}, y2: {}}}
  q: {transitions: [{event: back, target: h}]}
""")
    for event in ("n", "leave", "back", "m", "leave", "back"):
        machine.send(event)
    assert machine.leaves == ["x22", "y2"]


def test_history_is_recorded_before_anything_is_left() -> None:
    """Rule 14: also where the same step enters the state again by its history."""
    machine = run("""
states:
  a:
    initial: h
    transitions: [{event: again, target: a}]
    states: {h: {history: shallow, default: a1}, a1: {transitions: [{event: n, target: a2}]}, a2: {}}
""")
    machine.send("n")
    machine.send("again")
    assert machine.leaves == ["a2"]


def test_states_are_left_from_the_inside_out_then_acted_then_entered_from_the_outside_in() -> None:
    """Rules 14 to 16: reverse document order, selection order, document order."""
    machine = run(REGIONS)
    assert logged(machine) == "+p +l +l1 +r +r1"


def test_default_entry_does_the_actions_of_initial_after_those_of_the_state() -> None:
    """Rule 16: add, enter, initial, history default, then the children."""
    machine = run("""
states:
  s: {transitions: [{event: direct, target: c1}, {event: default, target: c}]}
  c:
    enter: [{log: +c}]
    initial: {target: h, do: [{log: initial}]}
    states:
      h: {history: shallow, default: {target: c1, do: [{log: history}]}}
      c1: {enter: [{log: +c1}]}
""")
    assert taken(machine, "default") == "+c initial history +c1"
    machine = run(machine.chart.document)
    assert taken(machine, "direct") == "+c +c1"


DONE = """
states:
  p:
    parallel: true
    states:
      x: {states: {x1: {transitions: [{event: x, target: xf}]}, xf: {final: true, data: {r: {"$expr": "1 + 1"}}}}}
      y: {states: {y1: {transitions: [{event: y, target: yf}]}, yf: {final: true}}}
    transitions:
    - {event: done.state.x, do: ["got := _event.data", {log: x}]}
    - {event: done.state.y, do: [{log: y}]}
    - {event: done.state.p, target: end, do: [{log: p}]}
  end: {final: true, data: {"$expr": got}}
data: {got: null}
"""


def test_a_final_state_says_that_what_holds_it_is_done() -> None:
    """Rule 17: with its data; the parallel state is done when all its regions are, after them."""
    machine = run(DONE)
    assert taken(machine, "y") == "y"
    assert taken(machine, "x") == "x p"
    assert machine.done
    assert machine.output == {"r": 2}


def test_nested_parallel_states_are_done_one_after_the_other() -> None:
    """Rule 17: inner regions, inner parallel state, then with the last region the outer one."""
    machine = run("""
states:
  p:
    parallel: true
    transitions: [{event: done.state, do: [{log: {label: done, expr: _event.name}}]}]
    states:
      q:
        parallel: true
        states:
          a: {states: {a1: {transitions: [{event: a, target: af}]}, af: {final: true}}}
          b: {states: {b1: {transitions: [{event: b, target: bf}]}, bf: {final: true}}}
      c: {states: {c1: {transitions: [{event: c, target: cf}]}, cf: {final: true}}}
""")
    for event in "abc":
        machine.send(event)
    names = [fields["value"] for name, fields in machine.take_trace() if name == "log.written"]
    assert names == [f"done.state.{name}" for name in "abqcp"]


def test_a_final_state_of_the_chart_ends_it_with_exit_actions_and_without_timers() -> None:
    """Rule 17: all states are left in reverse order, what is invoked is cancelled, the result is there."""
    machine = run("""
states:
  s:
    enter: [{send: {event: late, delay: 5s}}]
    transitions: [{event: end, target: f}]
  f: {final: true, exit: [{log: -f}], enter: [{log: +f}, {raise: x}], data: {ok: true}}
""")
    assert taken(machine, "end") == "+f -f"
    assert (machine.done, machine.output, machine.next_timer) == (True, {"ok": True}, None)
    assert machine.configuration == ["f"]
    assert not machine.is_in("s")


def test_an_ended_machine_takes_no_event_and_says_so() -> None:
    """Edge case: an event sent to a finished session is dropped."""
    machine = run("states: {f: {final: true}}")
    assert machine.done
    assert machine.send("x") is False
    machine.advance(10)
    assert machine.configuration == ["f"]
