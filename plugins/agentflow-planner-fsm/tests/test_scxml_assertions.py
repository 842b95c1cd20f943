"""What the SCXML recommendation demands, by its sections, beyond `test_irp.py`: a chart that tests itself for each.

The table of areas is in `docs/reference/statecharts.md`; each name begins with the section that it is from.
"""

# ruff: noqa: E501 -- each chart is one line

from __future__ import annotations

import pytest
from statechart_driver import run
from test_irp import ADD, ENTER, KID, ONE, TO_FAIL, TO_PASS, expect, wrapped

PROCESSOR = "http://www.w3.org/TR/scxml/#SCXMLEventProcessor"


def state(content: str, *transitions: str, name: str = "s") -> str:
    """A state that does this when it is entered, and its ways out."""
    return f'<state id="{name}">{ENTER.format(content)}{"".join(transitions)}</state>'


def ask(condition: str) -> str:
    """A state that asks once."""
    return f'<state id="ask"><transition cond="{condition}" target="pass"/><transition target="fail"/></state>'


def met(event: str, condition: str) -> str:
    """Ways out: by this event under this condition, by any other one to fail."""
    return f'<transition event="{event}" cond="{condition}" target="pass"/>{TO_FAIL}'


CASES: dict[str, str] = {
    # the core
    "3.2 several initial states of regions": '<state id="s" initial="a2 b2"><parallel id="p"><state id="a"><state id="a1"/><state id="a2"/></state><state id="b"><state id="b1"/><state id="b2"><transition cond="In(\'a2\') and In(\'b2\')" target="pass"/></state></state></parallel></state>',
    "3.7 done.state comes after the content of the final state": '<state id="s"><state id="a"><transition target="f"/></state><final id="f"><onentry><raise event="e"/></onentry></final><transition event="e" target="t"/><transition event="done.state.s" target="fail"/></state><state id="t"><transition event="done.state.s" target="pass"/></state>',
    "3.8 a state is active in its own entry content": state("<if cond=\"In('s')\"><raise event=\"a\"/></if>", TO_PASS.format("a"), '<transition target="fail" event="b"/>'),
    "3.9 a state is active in its own exit content, those in it are not": '<state id="s"><onexit><if cond="In(\'s\') and not In(\'i\')"><raise event="a"/></if></onexit><state id="i"><transition target="t"/></state></state><state id="t">' + TO_PASS.format("a") + "</state>",
    "3.10 a history state is never active": '<state id="o"><transition target="h"/></state><state id="s"><state id="i"><transition cond="In(\'h\')" target="fail"/><transition event="go" target="pass"/></state><history id="h"><transition target="i"><send event="go"/></transition></history></state>',
    "3.10 the content of a history default comes after entry of what holds it": '<state id="o"><transition target="h"/></state><state id="s"><onentry><raise event="a"/></onentry><history id="h"><transition target="e0"><raise event="b"/></transition></history>' + expect("a", "b", "c").replace('<state id="e0">', '<state id="e0"><onentry><raise event="c"/></onentry>') + "</state>",
    "3.12 a descriptor matches tokens": '<state id="s" initial="e0">' + ENTER.format('<raise event="foobar"/><raise event="foo.bar"/>') + '<state id="e0"><transition event="foo" target="pass"/><transition event="foobar" target="e1"/></state><state id="e1"><transition event="foo.bar.x" target="fail"/><transition event="foo.*" target="pass"/></state></state>',
    "3.12 errors are internal events": state('<send event="out"/><assign location="gone" expr="1"/>', TO_PASS.format("error"), TO_FAIL),
    "3.13 an external event that nothing takes is dropped": state('<send event="x"/><send event="a"/>', TO_PASS.format("a")),
    "3.13 a macrostep ends before the next external event": ONE + state('<send event="out"/><raise event="in"/>', f'<transition event="in">{ADD}<raise event="in2"/></transition>', f'<transition event="in2">{ADD}</transition>', met("out", "n == 2")),
    # executable content
    "4.3 without a true branch nothing is done": state('<if cond="false"><raise event="x"/><elseif cond="false"/><raise event="x"/></if><raise event="a"/>', TO_PASS.format("a"), TO_FAIL),
    "4.3 a condition that cannot be evaluated is false, and an error": '<state id="s" initial="e0">' + ENTER.format('<if cond="gone"><raise event="x"/><else/><raise event="a"/></if>') + expect("error.execution", "a") + "</state>",
    "4.6 foreach goes over a copy": '<datamodel><data id="l" expr="[1, 2, 3]"/><data id="n" expr="0"/></datamodel>' + state(f'<foreach array="l" item="i"><assign location="l" expr="l + [i]"/>{ADD}</foreach>', '<transition cond="n == 3 and len(l) == 6" target="pass"/><transition target="fail"/>'),
    "4.6 foreach declares its variables": state('<foreach array="[]" item="i" index="at"/>', '<transition cond="has(i) and has(at)" target="pass"/><transition target="fail"/>'),
    # data
    "5.3 data whose expression fails is there, empty, with an error": '<datamodel><data id="n" expr="gone + 1"/></datamodel>' + state("", '<transition event="error.execution" cond="n == null" target="pass"/>', TO_FAIL),
    "5.4 an assignment that fails changes nothing": ONE + state('<assign location="n" expr="gone"/>', met("error.execution", "n == 0")),
    "5.5 a parameter of donedata that fails is left out": '<state id="s"><state id="a"><transition target="f"/></state><final id="f"><donedata><param name="k" expr="gone"/><param name="l" expr="2"/></donedata></final><transition event="error.execution" target="t"/></state><state id="t"><transition event="done.state.s" cond="not has(_event.data.k) and _event.data.l == 2" target="pass"/>' + TO_FAIL + "</state>",
    "5.6 content of donedata that fails is empty": '<state id="s"><state id="a"><transition target="f"/></state><final id="f"><donedata><content expr="gone"/></donedata></final><transition event="error.execution" target="t"/></state><state id="t"><transition event="done.state.s" cond="_event.data == null" target="pass"/>' + TO_FAIL + "</state>",
    "5.8 a script of the chart is done before anything is entered": '<datamodel><data id="n" expr="1"/></datamodel><script>n := n + 1</script>' + ask("n == 2"),
    "5.9 what makes no sense is an error when it is evaluated": ONE
    + state('<assign location="n" expr="return"/>', met("error.execution", "n == 0")),
    "5.10 there is no event before the first one": ask("not has(_event)"),
    "5.10 no system variable can be changed": ONE + '<state id="s">' + "".join(ENTER.format(f'<assign location="{name}" expr="1"/>') for name in ("_sessionid", "_name", "_ioprocessors", "_event", "_x")) + f'<onentry><send event="a"/></onentry><transition event="error.execution">{ADD}</transition>' + met("a", "n == 5 and _name == 'irp'") + "</state>",
    "5.10 fields of the event cannot be changed": state('<raise event="a"/>', '<transition event="a"><assign location="_event.name" expr="\'x\'"/></transition>', met("error.execution", "_event.name == 'error.execution'")),
    "5.10 the event processor says where the session is": state(f'<send event="a" targetexpr="_ioprocessors[\'{PROCESSOR}\'].location"/>', TO_PASS.format("a"), TO_FAIL),
    "5.10 what is not known of an event is empty": state('<raise event="a"/>', met("a", "_event.sendid == null and _event.origin == null and _event.origintype == null and _event.invokeid == null and _event.data == null and _event.type == 'internal'")),
    "5.10 an event that was sent says where from, and by what": state(f'<send event="a" id="i" type="{PROCESSOR}"/>', met("a", f"_event.sendid == 'i' and _event.origintype == '{PROCESSOR}' and _event.type == 'external'")),
    "5.10 an error has the id of the send that failed": state('<send event="a" id="i" target="#_nobody"/>', met("error.communication", "_event.sendid == 'i' and _event.type == 'platform'")),
    # send and cancel
    "6.2 the target may be an expression": state('<send event="a" targetexpr="\'#_internal\'"/>', met("a", "_event.type == 'internal'")),
    "6.2 what goes to the internal queue comes before what was sent": '<state id="s" initial="e0">' + ENTER.format('<send event="b"/><send event="a" target="#_internal"/>') + expect("a", "b") + "</state>",
    "6.2 a session is a target": state('<send event="a" targetexpr="\'#_scxml_\' + _sessionid"/>', TO_PASS.format("a"), TO_FAIL),
    "6.2 the type may be an expression, and must be known": state(f'<send event="a" typeexpr="\'{PROCESSOR}\'"/><send event="x" typeexpr="\'pigeon\'"/>', '<transition event="error.execution" target="t"/>', TO_FAIL) + '<state id="t">' + TO_PASS.format("a") + TO_FAIL + "</state>",
    "6.2 without a type it is this processor": state('<send event="a"/>', met("a", f"_event.origintype == '{PROCESSOR}'")),
    "6.2 a send whose arguments fail is not sent": state('<send event="x"><param name="k" expr="gone"/></send><raise event="x"/>', '<transition event="error.execution" target="t"/>', TO_FAIL) + state('<send event="a"/>', TO_PASS.format("a"), TO_FAIL, name="t"),
    "6.2 namelist and param together are data": '<datamodel><data id="k" expr="1"/></datamodel>' + state('<send event="a" namelist="k"><param name="l" expr="2"/></send>', met("a", "_event.data.k == 1 and _event.data.l == 2")),
    "6.2 what is delayed dies with its session": '<state id="s">' + KID.format(more="", body='<final id="f"><onentry><send event="x" target="#_parent" delay="1s"/></onentry></final>') + '<transition event="done.invoke" target="t"/></state>' + state('<send event="over" delay="3s"/>', TO_PASS.format("over"), TO_FAIL, name="t"),
    "6.3 what to cancel may be an expression": '<datamodel><data id="k" expr="\'i\'"/></datamodel>' + state('<send event="x" id="i" delay="1s"/><send event="a" delay="2s"/><cancel sendidexpr="k"/>', TO_PASS.format("a"), TO_FAIL),
    "6.3 a session cannot cancel what another one sends": '<state id="s">' + ENTER.format('<send event="a" id="i" delay="2s"/>') + KID.format(more="", body='<state id="k"><onentry><cancel sendid="i"/></onentry></state>') + TO_PASS.format("a") + TO_FAIL + "</state>",
    # invoke and finalize
    "6.4 the type of what is invoked may be an expression": '<state id="s"><invoke typeexpr="\'http://www.w3.org/TR/scxml/\'"><content><scxml version="1.0"><final id="f"/></scxml></content></invoke>' + TO_PASS.format("done.invoke") + TO_FAIL + "</state>",
    "6.4 a type that cannot be invoked is an error": '<state id="s"><invoke typeexpr="\'pigeon\'"><content><scxml version="1.0"><final id="f"/></scxml></content></invoke>' + TO_PASS.format("error") + TO_FAIL + "</state>",
    "6.4 ids of the system are different and begin with the state's": '<datamodel><data id="i"/><data id="j"/></datamodel><state id="s"><invoke idlocation="i"><content><scxml version="1.0"><state id="k"/></scxml></content></invoke><invoke idlocation="j"><content><scxml version="1.0"><final id="f"/></scxml></content></invoke>' + met("done.invoke", "i != j and starts_with(i, 's.') and starts_with(j, 's.')") + "</state>",
    "6.4 events of what is invoked have its id": '<state id="s">' + KID.format(more="", body='<final id="f"><onentry><send event="a" target="#_parent"/></onentry></final>') + met("a", "_event.invokeid == 'kid' and starts_with(_event.origin, '#_scxml_')") + "</state>",
    "6.4 an answer finds who sent the question": '<state id="s">' + KID.format(more="", body='<state id="k"><onentry><send event="question" target="#_parent"/></onentry><transition event="answer"><send event="thanks" target="#_parent"/></transition></state>') + '<transition event="question"><send event="answer" targetexpr="_event.origin"/></transition>' + TO_PASS.format("thanks") + TO_FAIL + "</state>",
    "6.4 what is invoked is a target by its id": '<state id="s">' + KID.format(more="", body='<state id="k"><onentry><send event="up" target="#_parent"/></onentry><transition event="down" target="f"/></state><final id="f"/>') + '<transition event="up"><send event="down" target="#_kid"/></transition>' + TO_PASS.format("done.invoke.kid") + TO_FAIL + "</state>",
    "6.4 a namelist sets variables of what is invoked": '<datamodel><data id="v" expr="5"/></datamodel><state id="s"><invoke namelist="v"><content><scxml version="1.0"><datamodel><data id="v" expr="1"/></datamodel><state id="k"><transition cond="v == 5" target="f"/></state><final id="f"/></scxml></content></invoke>' + TO_PASS.format("done.invoke") + TO_FAIL + "</state>",
    "6.4 arguments that fail begin nothing": '<state id="s"><invoke><param name="v" expr="gone"/><content><scxml version="1.0"><final id="f"/></scxml></content></invoke>' + TO_PASS.format("error.execution") + TO_FAIL + "</state>",
    "6.4 done.invoke is an external event": '<state id="s">' + KID.format(more="", body='<final id="f"/>') + met("done.invoke.kid", "_event.type == 'external' and _event.invokeid == 'kid'") + "</state>",
    "6.4 nothing is heard any more of what was cancelled": '<state id="s">' + KID.format(more="", body='<state id="k"><onentry><send event="hello" target="#_parent"/></onentry><transition event="who"><send event="ready" target="#_parent"/></transition><onexit><send event="x" target="#_parent"/><send event="x" targetexpr="_event.origin"/></onexit></state>') + '<transition event="hello"><send event="who" target="#_kid"/></transition><transition event="ready" target="t"/></state>' + state('<send event="over" delay="1s"/>', TO_PASS.format("over"), TO_FAIL, name="t"),
    "6.5 only what was invoked by it is finalized": ONE + '<state id="s" initial="p"><parallel id="p"><state id="x"><invoke><content><scxml version="1.0"><state id="k"/></scxml></content>' + f"<finalize>{ADD}</finalize>" + '</invoke></state><state id="y"><invoke id="kid"><content><scxml version="1.0"><final id="f"><onentry><send event="a" target="#_parent"/></onentry></final></scxml></content></invoke></state></parallel>' + met("a", "n == 0") + "</state>",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_chart_that_tests_itself_ends_in_pass(name: str) -> None:
    machine = run(wrapped(CASES[name]))
    for _ in range(4):
        machine.advance(1)
    assert machine.configuration == ["pass"], machine.take_trace()
