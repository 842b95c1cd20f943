"""Errors of invocations: further attempts after a wait, and the states that they lead to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from statechart_driver import run

from agentflow_kernel.errors import PlanInvalid, Unsupported
from agentflow_planner_fsm.machine import Machine, load_chart
from agentflow_planner_fsm.planner import Statechart
from agentflow_planner_fsm.scxml import write_scxml

if TYPE_CHECKING:
    from collections.abc import Mapping

BUSY = {"code": "AF-OVERLOADED", "message": "busy", "executed": "no"}
GONE = {"code": "AF-PEER-UNAVAILABLE", "message": "gone", "executed": "no"}
SEND = """
data: {got: null}
states:
  sending:
    invoke:
      id: mail
      tool: mail.send
      with: {n: 1}
      retry:
      - {errors: AF-OVERLOADED, attempts: 4, base_s: 1, factor: 3, max_s: 5, jitter: none}
      - {errors: [AF-PEER-UNAVAILABLE, AF-ELAPSED], attempts: 2, base_s: 0, jitter: none}
      catch:
      - {errors: AF-OVERLOADED, target: later, do: ["got := _event.data.message"]}
      - {errors: AF-REFUSED AF-ELAPSED, target: refused}
    transitions:
    - {event: error.invoke.mail, target: failed, do: ["got := _event.data"]}
    - {event: done.invoke.mail, target: sent}
    - {event: stop, target: stopped}
  later: {}
  refused: {}
  failed: {}
  sent: {}
  stopped: {transitions: [{event: again, target: sending}]}
"""


def waited(machine: Machine, error: Any) -> float | None:
    """How long it waits for the next attempt after this error; ``None`` where it goes on at once, or not at all."""
    assert machine.fail("mail", error)
    wait = machine.next_timer
    if wait is not None:
        machine.advance(wait)
    return wait


def test_waits_grow_up_to_their_bound_and_each_attempt_has_its_id() -> None:
    machine = run(SEND)
    first = machine.actions[0]
    ids = [first.id]
    for expected in (1.0, 3.0, 5.0):
        assert waited(machine, BUSY) == expected
        (action,) = machine.actions
        assert (action.kind, action.name, action.arguments) == (first.kind, first.name, first.arguments)
        ids.append(action.id)
    assert ids == [first.id, *(f"{first.id}.{number}" for number in (2, 3, 4))]
    assert waited(machine, BUSY) is None
    assert (machine.configuration, machine.data["got"]) == (["later"], "busy")


def test_each_entry_counts_its_own_errors() -> None:
    """After two of one entry the first of another one is still tried again, and its second ends it."""
    machine = run(SEND)
    assert [waited(machine, error) for error in (BUSY, BUSY, GONE, BUSY)] == [1.0, 3.0, None, 5.0]
    assert machine.configuration == ["sending"]
    assert waited(machine, GONE) is None
    assert (machine.configuration, machine.data["got"]) == (["failed"], GONE)


@pytest.mark.parametrize(
    ("error", "state"),
    [({"code": "AF-REFUSED"}, "refused"), ({"code": "AF-OTHER"}, "failed"), (None, "failed"), ({"code": 5}, "failed")],
)
def test_what_no_entry_is_for_is_caught_or_an_event_as_ever(error: Any, state: str) -> None:
    machine = run(SEND)
    machine.fail("mail", error)
    assert machine.configuration == [state]


def test_the_wait_is_told_and_nothing_else_happens_meanwhile() -> None:
    machine = run(SEND)
    machine.take_trace()
    machine.take_actions()
    machine.fail("mail", BUSY)
    told = {"kind": "tool", "name": "mail.send", "invocation": "mail", "attempt": 1, "wait_s": 1.0}
    assert machine.take_trace() == [("retry.scheduled", {**told, "code": "AF-OVERLOADED", "message": "busy"})]
    machine.advance(0.9)
    assert (machine.configuration, machine.take_actions()) == (["sending"], ([], []))
    assert [each.id for each in machine.invocations] == ["mail"]
    assert machine.complete("mail") is False
    machine.advance(0.1)
    assert len(machine.take_actions()[0]) == 1
    machine.complete("mail")
    assert machine.configuration == ["sent"]


def test_leaving_the_state_ends_the_wait_and_all_counting() -> None:
    machine = run(SEND)
    first = machine.actions[0].id
    machine.fail("mail", BUSY)
    machine.send("stop")
    assert machine.next_timer is None
    machine.advance(60)
    assert machine.actions == []
    machine.send("again")
    assert machine.actions[0].id.count(".") == 0
    assert machine.actions[0].id != first
    assert waited(machine, BUSY) == 1.0


def test_a_cancel_of_content_does_not_reach_the_wait() -> None:
    machine = run(
        SEND.replace("- {event: stop,", "- {event: c, do: [{cancel: mail}, {cancel: ''}]}\n    - {event: stop,")
    )
    machine.fail("mail", BUSY)
    machine.send("c")
    assert machine.next_timer == 1.0


ANY = """
states:
  s: {invoke: {id: i, tool: t.t, retry: {attempts: 9}}, transitions: [{event: error.invoke.i, target: f}]}
  f: {}
"""


def drawn(machine: Machine) -> list[float]:
    waits = []
    while machine.actions:
        machine.fail("i", BUSY)
        waits.append(machine.next_timer or 0.0)
        machine.advance(waits[-1])
    return waits


def test_waits_are_drawn_below_their_bounds_and_the_same_in_a_restored_machine() -> None:
    """Another time, or another chart, draws others."""
    machine = run(ANY)
    machine.fail("i", BUSY)
    again = Machine.restore(ANY, json.loads(json.dumps(machine.snapshot())))
    assert again.next_timer == machine.next_timer
    for each in (machine, again):
        each.advance(1)
    waits = drawn(machine)
    assert waits == drawn(again)
    assert all(0 < wait <= min(30, 0.5 * 2 ** (at + 1)) for at, wait in enumerate(waits[:-1]))
    assert machine.configuration == again.configuration == ["f"]
    late = run(ANY)
    late.advance(1)
    assert drawn(late)[0] != drawn(run(ANY))[0] != drawn(run(f"name: other\n{ANY}"))[0]


def test_a_restored_machine_goes_on_where_it_waited() -> None:
    """With the rest of the wait, the errors so far, and the number of the attempt."""
    machine = run(SEND)
    first = machine.actions[0].id
    waited(machine, BUSY)
    machine.fail("mail", BUSY)
    machine.advance(2)
    again = Machine.restore(SEND, json.loads(json.dumps(machine.snapshot())))
    assert again.next_timer == 1.0
    again.advance(1)
    assert [each.id for each in again.actions] == [f"{first}.3"]
    assert waited(again, BUSY) == 5.0
    assert waited(again, BUSY) is None
    assert again.configuration == ["later"]


def test_what_was_lost_in_a_restore_is_an_error_like_any_other() -> None:
    text = ANY.replace("attempts: 9", "attempts: 9, errors: AF-OUTCOME-UNKNOWN, jitter: none")
    machine = run(text.replace("tool: t.t", "tool: t.t, on_restore: fail"))
    machine.take_actions()
    again = Machine.restore(machine.chart, machine.snapshot())
    assert (again.actions, again.next_timer) == ([], 0.5)


def test_invocations_without_id_catch_their_own_errors_only() -> None:
    """Also where both have the same codes, and only until the state is left."""
    machine = run("""
states:
  s:
    invoke:
    - {tool: a.a, catch: {target: a}}
    - {tool: b.b, catch: [{errors: X, target: s}, {target: b}]}
    transitions: [{event: error, target: c}]
  a: {}
  b: {}
  c: {}
""")
    machine.send("error.invoke.s.invoke1", {"code": "X"})  # not from an invocation
    assert machine.configuration == ["c"]
    for name, error, states in (("a.a", GONE, ["a"]), ("b.b", GONE, ["b"]), ("b.b", {"code": "X"}, ["s"])):
        again = Machine.load(machine.chart)
        again.fail(next(each.id for each in again.actions if each.name == name), error)
        assert again.configuration == states


def test_the_picture_shows_what_is_caught() -> None:
    picture = Statechart().graph(load_chart(SEND).document)
    labels = {edge.target: edge.label for edge in picture.edges if edge.source == "sending"}
    assert labels["later"] == "error.invoke.mail [AF-OVERLOADED]"
    assert labels["refused"] == "error.invoke.mail [AF-ELAPSED AF-REFUSED]"


FAULTS: list[tuple[str, Any, str, str, str]] = [
    ("retry", {"max_attempts": 3}, "P001", "/max_attempts", "Did you mean 'attempts'"),
    ("retry", 3, "P001", "", "a mapping"),
    ("retry", {"attempts": 0}, "P001", "/attempts", "a whole number from 1 to 100"),
    ("retry", {"attempts": 2.0}, "P001", "/attempts", "a whole number"),
    ("retry", {"attempts": True}, "P001", "/attempts", "a whole number"),
    ("retry", {"base_s": -1}, "P001", "/base_s", "seconds from 0"),
    ("retry", {"base_s": float("nan")}, "P001", "/base_s", "seconds from 0"),
    ("retry", {"max_s": float("inf")}, "P001", "/max_s", "seconds from 0"),
    ("retry", {"max_s": "5s"}, "P001", "/max_s", "seconds from 0"),
    ("retry", {"base_s": 5, "max_s": 4}, "P001", "/max_s", "at least 'base_s', 5"),
    ("retry", {"factor": 0.5}, "P001", "/factor", "a number from 1 to 10"),
    ("retry", {"jitter": "some"}, "P001", "/jitter", "full or none"),
    ("retry", {"errors": []}, "P001", "/errors", "one error or more"),
    ("retry", {"errors": {"a": 1}}, "P001", "/errors", "Expected names"),
    ("retry", {"errors": "* AF-X"}, "P001", "/errors", "stands alone"),
    ("retry", [{"errors": "*"}, {"errors": "AF-X"}], "P001", "/0/errors", "Put it last"),
    ("retry", [{}, {"errors": "AF-X"}], "P001", "/0", "Put it last"),
    ("retry", [{"errors": "AF-X"}, {"errors": "AF-Y AF-X"}], "P002", "/1/errors", "'AF-X' is decided"),
    ("catch", [{"errors": "*", "target": "t"}, {"errors": "AF-X", "target": "t"}], "P001", "/0/errors", "Put it last"),
    ("catch", {"target": "tt"}, "P005", "/target", "Did you mean 't'"),
    ("catch", {"errors": "AF-X"}, "P001", "", "needs a 'target'"),
    ("catch", {"target": "t", "next": "t"}, "P001", "/next", "Unknown key"),
    ("catch", {"target": "t", "do": ["1 +"]}, "P001", "/do/0", "cannot be read"),
]


@pytest.mark.parametrize(("key", "value", "code", "pointer", "text"), FAULTS)
def test_each_fault_is_found_at_its_place(key: str, value: Any, code: str, pointer: str, text: str) -> None:
    found = findings({"id": "i", "tool": "t.t", key: value})
    place = f"/states/s/invoke/{key}{pointer}"
    assert [(each.code, each.pointer, each.step) for each in found] == [(code, place, "s")], found
    assert text in found[0]


@pytest.mark.parametrize("key", ["retry", "catch"])
def test_a_machine_that_is_invoked_does_not_fail(key: str) -> None:
    (found,) = findings({"chart": {"states": {"a": {}}}, key: {"target": "t"}})
    assert (found.code, found.pointer) == ("P001", f"/states/s/invoke/{key}")


def findings(invoke: Mapping[str, Any]) -> Any:
    document = {"states": {"s": {"invoke": invoke, "transitions": [{"event": "e", "target": "t"}]}, "t": {}}}
    with pytest.raises(PlanInvalid) as caught:
        load_chart(document)
    return caught.value.findings


def test_scxml_has_no_form_for_it() -> None:
    with pytest.raises(Unsupported, match="'retry'"):
        write_scxml(load_chart(SEND).document)
