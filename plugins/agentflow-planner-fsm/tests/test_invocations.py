"""What states invoke and content calls: actions, and machines within machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statechart_driver import logged, run, taken

from agentflow_planner_fsm.machine import Machine

if TYPE_CHECKING:
    import pytest

BUILD = """
data: {path: a.c, log: []}
states:
  build:
    invoke: [{id: make, tool: shell.run, with: {cmd: make, path: {"$expr": path}}, finalize: ["log += ['finalized']"]}]
    transitions:
    - {event: done.invoke.make, target: built, do: ["log += [_event.data]"]}
    - {event: error.invoke.make, target: broken, do: ["log += [_event.data.code]"]}
    - {event: stop, target: stopped}
  built: {}
  broken: {}
  stopped: {transitions: [{event: done error, target: broken}, {event: again, target: build}]}
"""


def test_an_invocation_is_an_action_with_its_arguments() -> None:
    machine = run(BUILD)
    (action,) = machine.actions
    assert (action.kind, action.name, action.arguments) == ("tool", "shell.run", {"cmd": "make", "path": "a.c"})
    assert action.id.startswith("make#")
    (invocation,) = machine.invocations
    assert (invocation.id, invocation.kind, invocation.action_id) == ("make", "tool", action.id)
    assert machine.take_actions() == ([action], [])
    assert machine.take_actions() == ([], [])
    assert machine.actions == [action]


def test_its_result_is_an_event_and_finalize_comes_before() -> None:
    machine = run(BUILD)
    assert machine.complete("make", {"ok": True}) is True
    assert machine.configuration == ["built"]
    assert machine.data["log"] == ["finalized", {"ok": True}]
    assert machine.invocations == []
    assert machine.actions == []


def test_its_failure_is_an_event() -> None:
    machine = run(BUILD)
    assert machine.fail(machine.actions[0].id, {"code": "AF-X"})
    assert machine.configuration == ["broken"]
    assert machine.data["log"] == ["finalized", "AF-X"]


def test_leaving_the_state_cancels_it_and_late_results_are_dropped() -> None:
    machine = run(BUILD)
    starts, _ = machine.take_actions()
    machine.send("stop")
    assert machine.take_actions() == ([], [starts[0].id])
    assert machine.complete(starts[0].id, 1) is False
    assert machine.configuration == ["stopped"]
    machine.send("again")
    (second,), cancels = machine.take_actions()
    assert second.id != starts[0].id
    assert cancels == []


def test_what_was_never_begun_need_not_be_cancelled() -> None:
    machine = run(BUILD)
    machine.send("stop")
    assert machine.take_actions() == ([], [])


def test_an_id_of_the_system_goes_to_a_location() -> None:
    """It has the form ``<state>.invoke<n>``; descriptors of the state's id match its events."""
    machine = run("""
data: {name: ''}
states:
  s:
    invoke: [{id_location: name, agent: triage, input: {n: 1}}, {flow: f}, {plan: p, input: [1]}]
    transitions: [{event: done.invoke.s, target: t}]
  t: {}
""")
    assert str(machine.data["name"]).startswith("s.invoke")
    assert [(each.kind, each.name, each.arguments) for each in machine.actions] == [
        ("agent", "triage", {"input": {"n": 1}}),
        ("flow", "f", {"input": None}),
        ("plan", "p", {"input": [1]}),
    ]
    machine.complete(str(machine.data["name"]), None)
    assert machine.configuration == ["t"]


def test_content_calls_actions_and_their_results_are_internal_events() -> None:
    """They outlive the state, unlike invocations, and are taken back by ``cancel``."""
    machine = run("""
data: {got: null}
states:
  s: {enter: [{tool: mail.send, with: {to: x}, id: mail}], transitions: [{event: go, target: t}]}
  t:
    enter: [{tool: files.read}, {ask: 'Sure?', with: {choices: [y, n]}}]
    transitions:
    - {event: done.call.mail, do: ["got := [_event.type, _event.data]"]}
    - {event: error.call.files.read, target: u}
  u: {enter: [{cancel: ask}]}
""")
    machine.send("go")
    mail, read, ask = machine.actions
    assert ask.arguments == {"question": "Sure?", "choices": ["y", "n"]}
    machine.complete(mail.id, 7)
    assert machine.data["got"] == ["platform", 7]
    machine.take_actions()
    machine.fail(read.id, {"code": "X"})
    assert machine.configuration == ["u"]
    assert machine.take_actions() == ([], [ask.id])
    assert machine.actions == []


def test_what_is_emitted_is_an_action_whose_failure_is_an_event() -> None:
    machine = run("""
states:
  s:
    enter: [{emit: {type: build.done, subject: b1, data: {n: {"$expr": "1 + 1"}}}}, {emit: ping}]
    transitions: [{event: error.communication, target: t}]
  t: {}
""")
    done, ping = machine.actions
    assert (done.kind, done.name, done.arguments) == ("emit", "build.done", {"data": {"n": 2}, "subject": "b1"})
    assert ping.arguments == {"data": None}
    machine.complete(done.id)
    assert machine.configuration == ["s"]
    machine.fail(ping.id, {"code": "X"})
    assert machine.configuration == ["t"]


PARENT = """
data: {x: 5, got: []}
states:
  s:
    invoke:
    - id: kid
      autoforward: true
      data: {x: {"$expr": x}, stranger: 1}
      finalize: ["got += ['f:' + _event.name]"]
      chart:
        name: kid
        data: {x: 1, y: 2}
        states:
          k:
            enter: [{send: {event: hello, to: parent, data: {x: {"$expr": x}, y: {"$expr": y}}}}]
            exit: [{send: {event: bye, to: parent}}]
            transitions: [{event: ping, do: [{send: {event: pong, to: parent}}]}, {event: end, target: f}]
          f: {final: true, data: {"$expr": "x * 10"}}
    transitions:
    - {event: hello pong bye, do: ["got += [_event.name]", "got += _event.name == 'hello' ? [_event.data] : []"]}
    - {event: poke, do: [{send: {event: ping, to: '#_kid'}}]}
    - {event: done.invoke.kid, target: t, do: ["got += [_event.data, _event.invokeid]"]}
    - {event: leave, target: t}
  t: {transitions: [{event: '*', do: ["got += [_event.name]"]}]}
"""


def test_machines_invoke_machines_and_talk_to_each_other() -> None:
    """Parameters reach declared variables only; events go both ways; finalize is done for each that comes up."""
    machine = run(PARENT)
    assert machine.data["got"] == ["f:hello", "hello", {"x": 5, "y": 2}]
    machine.send("poke")
    assert machine.data["got"][3:] == ["f:pong", "pong"]  # type: ignore[index]  # a list
    (invocation,) = machine.invocations
    assert (invocation.kind, invocation.name) == ("chart", "kid")


def test_events_are_forwarded_and_the_end_of_the_inner_machine_is_an_event() -> None:
    machine = run(PARENT)
    machine.send("end")
    assert machine.configuration == ["t"]
    assert machine.data["got"][3:] == ["f:bye", "bye", "f:done.invoke.kid", 50, "kid"]  # type: ignore[index]
    assert machine.invocations == []


def test_an_abandoned_machine_does_its_exit_actions_and_says_nothing_any_more() -> None:
    machine = run(PARENT)
    machine.send("leave")
    assert machine.configuration == ["t"]
    assert machine.data["got"] == ["f:hello", "hello", {"x": 5, "y": 2}]


def test_an_event_that_cannot_be_forwarded_is_an_error_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where very many wait already."""
    monkeypatch.setattr("agentflow_planner_fsm._hub.MOST_PENDING", 2)
    machine = run("""
states:
  s:
    invoke: {id: kid, autoforward: true, chart: {states: {k: {}}}}
    transitions:
    - event: go
      do: [{send: e}, {send: {event: x, to: '#_kid'}}, {send: {event: y, to: '#_kid'}}]
    - {event: error.communication, target: t}
  t: {}
""")
    machine.send("go")
    assert machine.configuration == ["t"]


def test_a_machine_may_come_as_data() -> None:
    """As a mapping or a text; one that cannot be read is an error event."""
    text = """
data: {doc: null}
states:
  s: {transitions: [{event: go, target: t, do: ["doc := _event.data"]}]}
  t:
    invoke: {id: kid, chart_expr: doc}
    transitions: [{event: done.invoke, target: u}, {event: error.execution, target: bad}]
  u: {}
  bad: {}
"""
    scxml = '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0"><final id="f"/></scxml>'
    for document, state in (
        ({"states": {"f": {"final": True}}}, "u"),
        (scxml, "u"),
        ({"nonsense": 1}, "bad"),
        (5, "bad"),
    ):
        machine = run(text)
        machine.send("go", document)
        assert machine.configuration == [state], document


def test_machines_in_machines_are_bounded() -> None:
    """One that invokes itself for ever ends with an error event in the deepest."""
    inner: dict[str, object] = {"data": {"doc": None}, "states": {"s": {"invoke": {"chart_expr": "doc", "data": {}}}}}
    inner["states"] = {
        "s": {
            "invoke": {"id": "kid", "chart_expr": "doc", "params": [{"name": "doc", "expr": "doc"}]},
            "transitions": [{"event": "error", "do": [{"log": "error"}]}],
        }
    }
    machine = Machine.load(inner, data={"doc": inner}, traced=True)
    assert logged(machine) == "error"


def test_the_end_of_a_machine_cancels_what_it_invoked_but_not_what_it_says_last() -> None:
    machine = run("""
states:
  s: {invoke: {tool: slow.one}, enter: [{tool: slow.two}], transitions: [{event: end, target: f}]}
  f: {final: true, enter: [{emit: over}]}
""")
    (invoked, called), _ = machine.take_actions()[0], None
    machine.send("end")
    starts, cancels = machine.take_actions()
    assert [each.name for each in starts] == ["over"]
    assert sorted(cancels) == sorted([invoked.id, called.id])
    assert taken(machine, "x") == ""
