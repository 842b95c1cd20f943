"""Charts in SCXML that test themselves, in the manner of the W3C's implementation report: one for each rule.

Each must end in `pass`. Where python-statemachine reads the same chart, it is asked for a second opinion.
"""

# ruff: noqa: E501 -- each chart is one line

from __future__ import annotations

import pytest
from statechart_driver import run

HEAD = '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" datamodel="ecmascript"'
ENDS = '<final id="pass"/><final id="fail"/>'
TO_PASS, TO_FAIL = '<transition event="{}" target="pass"/>', '<transition event="*" target="fail"/>'
ONE = '<datamodel><data id="n" expr="0"/></datamodel>'
ADD = '<assign location="n" expr="n + 1"/>'


def expect(*events: str, then: str = "pass", name: str = "e") -> str:
    """States that wait for these events in this order, any other one being wrong."""
    text = ""
    for at, event in enumerate(events):
        target = f"{name}{at + 1}" if at + 1 < len(events) else then
        text += f'<state id="{name}{at}"><transition event="{event}" target="{target}"/>{TO_FAIL}</state>'
    return text


def when(condition: str) -> str:
    """A state that asks once."""
    return f'<state id="ask"><transition cond="{condition}" target="pass"/><transition target="fail"/></state>'


ENTER = "<onentry>{}</onentry>"
KID = '<invoke id="kid" type="scxml"{more}><content><scxml version="1.0">{body}</scxml></content></invoke>'
TIMEOUT = '<onentry><send event="timeout" delay="5s"/></onentry>'

CASES: dict[str, str] = {
    "raise puts events at the end of the internal queue": '<state id="s" initial="e0"><onentry><raise event="a"/><raise event="b"/></onentry>'
    + expect("a", "b")
    + "</state>",
    "raised events come before those sent": '<state id="s" initial="e0"><onentry><send event="b"/><raise event="a"/></onentry>'
    + expect("a", "b")
    + "</state>",
    "if takes the first branch that is true": ONE
    + '<state id="s"><onentry><if cond="false"><raise event="x"/><elseif cond="true"/><raise event="a"/><elseif cond="true"/><raise event="x"/><else/><raise event="x"/></if></onentry>'
    + TO_PASS.format("a")
    + TO_FAIL
    + "</state>",
    "else is taken where nothing is true": '<state id="s"><onentry><if cond="false"><raise event="x"/><else/><raise event="a"/></if></onentry>'
    + TO_PASS.format("a")
    + TO_FAIL
    + "</state>",
    "foreach goes in order and leaves index and item": ONE
    + '<state id="s"><onentry><foreach array="[1, 2, 3]" item="i" index="at"><assign location="n" expr="n * 10 + i + at"/></foreach></onentry><transition cond="n == 135 and i == 3 and at == 2" target="pass"/><transition target="fail"/></state>',
    "foreach over something else is an error": '<state id="s"><onentry><foreach array="7" item="i"><raise event="x"/></foreach></onentry>'
    + TO_PASS.format("error.execution")
    + TO_FAIL
    + "</state>",
    "foreach stops at the first error": ONE
    + '<state id="s"><onentry><foreach array="[1, 2]" item="i">'
    + ADD
    + '<assign location="gone" expr="1"/></foreach></onentry><transition event="error" cond="n == 1" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "a failing piece ends its block": ONE
    + '<state id="s"><onentry><send event="x" target="nobody"/>'
    + ADD
    + '</onentry><transition event="error.execution" cond="n == 0" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "onentry blocks are independent": ONE
    + '<state id="s"><onentry><assign location="gone" expr="1"/>'
    + ADD
    + "</onentry><onentry>"
    + ADD
    + '</onentry><transition event="error" cond="n == 1" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "onexit blocks are independent": ONE
    + '<state id="s"><onexit><assign location="gone" expr="1"/>'
    + ADD
    + "</onexit><onexit>"
    + ADD
    + '</onexit><transition target="t"/></state><state id="t"><transition event="error" cond="n == 1" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "send takes event and data from expressions": '<state id="s"><onentry><send eventexpr="\'a\'"><param name="k" expr="1 + 1"/></send></onentry><transition event="a" cond="_event.data.k == 2" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "send makes ids": ONE
    + '<state id="s"><onentry><send idlocation="n" event="x" delay="1s"/></onentry><transition cond="n != 0" target="pass"/><transition target="fail"/></state>',
    "delays are kept": '<state id="s" initial="e0"><onentry><send event="b" delay="2s"/><send event="a" delayexpr="\'.5s\'"/><send event="c" delay="2s"/></onentry>'
    + expect("a", "b", "c")
    + "</state>",
    "cancel takes back": '<state id="s"><onentry><send id="x" event="x" delay="1s"/><send event="a" delay="2s"/><cancel sendid="x"/></onentry>'
    + TO_PASS.format("a")
    + TO_FAIL
    + "</state>",
    "send arguments are evaluated at once": ONE
    + '<state id="s"><onentry><send event="a" delay="1s"><param name="n" expr="n"/></send>'
    + ADD
    + '</onentry><transition event="a" cond="_event.data.n == 0" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "an unknown type of send is an error": '<state id="s"><onentry><send event="x" type="pigeon"/></onentry>'
    + TO_PASS.format("error.execution")
    + TO_FAIL
    + "</state>",
    "content may be text, or JSON": '<state id="s"><onentry><send event="a"><content>  one   two </content></send><send event="b"><content>{"k": [1]}</content></send></onentry><transition event="a" cond="_event.data != \'one two\'" target="fail"/><transition event="b" cond="_event.data.k[0] == 1" target="pass"/><transition event="b error" target="fail"/></state>',
    "system variables are there and closed": '<state id="s"><onentry><assign location="_name" expr="\'x\'"/></onentry><transition event="error.execution" cond="_name != \'x\' and _sessionid != \'\'" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "an event stays until the next one": ONE
    + '<state id="s"><onentry><raise event="a"/></onentry><transition event="a" target="t"/></state><state id="t"><transition cond="_event.name == \'a\'" target="pass"/><transition target="fail"/></state>',
    "a guard that is no boolean is false": ONE
    + '<state id="s"><onentry><raise event="a"/></onentry><transition event="a" cond="n" target="fail"/><transition event="error.execution" target="pass"/></state>',
    "In tells what is active": '<state id="s" initial="p"><parallel id="p"><state id="a"><transition cond="In(\'b\') and In(\'p\')" target="pass"/><transition target="fail"/></state><state id="b"/></parallel></state>',
    "the first state is entered without initial": '<state id="pass1"><transition target="pass"/></state><state id="other"><transition target="fail"/></state>',
    "initial content comes after entry of the state and before that of the child": '<state id="s"><onentry><raise event="a"/></onentry><initial><transition target="e0"><raise event="b"/></transition></initial>'
    + expect("a", "b", "c")
    + "</state>".replace("</state>", "")
    + "</state>",
    "late binding waits for the state": '<state id="s"><transition cond="default(v, 0) == 0" target="t"/><transition target="fail"/></state><state id="t"><datamodel><data id="v" expr="1"/></datamodel><transition cond="v == 1" target="pass"/><transition target="fail"/></state>',
    "early binding does not": '<state id="s"><transition cond="v == 1" target="pass"/><transition target="fail"/></state><state id="t"><datamodel><data id="v" expr="1"/></datamodel></state>',
    "exits go from the inside out": '<state id="s"><state id="a"><onexit><raise event="a"/></onexit><transition target="e0"/></state><onexit><raise event="b"/></onexit></state>'
    + expect("a", "b"),
    "transition content comes between exit and entry": '<state id="s"><onexit><raise event="a"/></onexit><transition target="t"><raise event="b"/></transition></state><state id="t" initial="e0"><onentry><raise event="c"/></onentry>'
    + expect("a", "b", "c")
    + "</state>",
    "done.state carries its data": '<state id="s"><state id="a"><transition target="f"/></state><final id="f"><donedata><param name="k" expr="1"/></donedata></final><transition event="done.state.s" cond="_event.data.k == 1" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "done of the regions comes before done of the parallel state": '<state id="s" initial="e0"><onentry/>' + "</state>",
    "history remembers the last child": ONE
    + '<state id="s" initial="a"><history id="h"><transition target="a"/></history><state id="a"><transition cond="n == 0" target="b"/><transition target="fail"/></state><state id="b"><transition cond="n == 0" target="out"/><transition target="pass"/></state></state><state id="out"><onentry>'
    + ADD
    + '</onentry><transition target="h"/></state>',
    "an inner transition preempts an outer one": '<state id="s"><onentry><raise event="a"/></onentry><transition event="a" target="fail"/><state id="i"><transition event="a" target="pass"/></state></state>',
    "of two regions in conflict the first one wins": '<state id="s" initial="p"><onentry><raise event="a"/></onentry><parallel id="p"><state id="x"><transition event="a" target="pass"/></state><state id="y"><transition event="a" target="fail"/></state></parallel></state>',
    "transitions without event come before events": '<state id="s"><onentry><raise event="a"/></onentry><transition event="a" target="fail"/><transition cond="true" target="pass"/></state>',
    "an invoked machine sends its end": '<state id="s">'
    + KID.format(more="", body='<final id="f"><donedata><content expr="3"/></donedata></final>')
    + '<transition event="done.invoke.kid" cond="_event.data == 3" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "its events come before its end": '<state id="s" initial="e0">'
    + KID.format(more="", body='<final id="f"><onentry><send target="#_parent" event="a"/></onentry></final>')
    + expect("a", "done.invoke.kid")
    + "</state>",
    "parameters set its variables": '<state id="s"><invoke type="scxml"><param name="v" expr="5"/><param name="w" expr="1"/><content><scxml version="1.0"><datamodel><data id="v" expr="1"/></datamodel><state id="k"><onentry><send target="#_parent" eventexpr="v == 5 and not has(w) ? \'a\' : \'b\'"/></onentry></state></scxml></content></invoke>'
    + TO_PASS.format("a")
    + TO_FAIL
    + "</state>",
    "finalize comes before the transition": ONE
    + '<state id="s"><invoke type="scxml"><content><scxml version="1.0"><final id="f"><onentry><send target="#_parent" event="a"/></onentry></final></scxml></content><finalize>'
    + ADD
    + '</finalize></invoke><transition event="a" cond="n == 1" target="pass"/>'
    + TO_FAIL
    + "</state>",
    "autoforward gives a copy": '<state id="s"><onentry><send event="ping"/></onentry>'
    + KID.format(
        more=' autoforward="true"',
        body='<state id="k"><transition event="ping"><send target="#_parent" event="pong"/></transition></state>',
    )
    + '<transition event="ping"/>'
    + TO_PASS.format("pong")
    + TO_FAIL
    + "</state>",
    "leaving the state ends the machine": '<state id="s"><onentry><raise event="go"/></onentry>'
    + KID.format(
        more="",
        body='<state id="k"><onentry><send event="x" delay="1s"/></onentry><transition event="x" target="f"/></state><final id="f"/>',
    )
    + '<transition event="leave" target="t"/><onentry><send event="leave"/></onentry></state><state id="t"><onentry><send event="over" delay="3s"/></onentry><transition event="done.invoke" target="fail"/>'
    + TO_PASS.format("over")
    + "</state>",
    "a state that is only passed through invokes nothing": '<state id="s">'
    + KID.format(more="", body='<final id="f"/>')
    + '<transition target="t"/></state><state id="t"><onentry><send event="over" delay="1s"/></onentry><transition event="done.invoke" target="fail"/>'
    + TO_PASS.format("over")
    + "</state>",
}
CASES["done of the regions comes before done of the parallel state"] = (
    '<state id="s" initial="p"><parallel id="p">'
    '<state id="x"><state id="x1"><transition target="xf"/></state><final id="xf"/></state>'
    '<state id="y"><state id="y1"><transition target="yf"/></state><final id="yf"/></state></parallel>'
    + ONE
    + '<transition event="done.state.x done.state.y">'
    + ADD
    + '</transition><transition event="done.state.p" cond="n == 2" target="pass"/>'
    + TO_FAIL
    + "</state>"
)
CASES["initial content comes after entry of the state and before that of the child"] = (
    '<state id="s"><onentry><raise event="a"/></onentry>'
    '<initial><transition target="e0"><raise event="b"/></transition></initial>'
    '<state id="e0"><onentry><raise event="c"/></onentry><transition event="a" target="e1"/><transition event="*" target="fail"/></state>'
    '<state id="e1"><transition event="b" target="e2"/><transition event="*" target="fail"/></state>'
    '<state id="e2"><transition event="c" target="pass"/><transition event="*" target="fail"/></state></state>'
)


def wrapped(body: str, more: str = "") -> str:
    """A whole document; inner charts get the namespace that they need."""
    inner = body.replace("<scxml ", '<scxml xmlns="http://www.w3.org/2005/07/scxml" ')
    return f'{HEAD} name="irp"{more}>{inner}{ENDS}</scxml>'


def chart(name: str) -> str:
    return wrapped(CASES[name], ' binding="late"' if "late" in name else "")


@pytest.mark.parametrize("name", CASES)
def test_a_chart_that_tests_itself_ends_in_pass(name: str) -> None:
    machine = run(chart(name))
    for _ in range(8):
        machine.advance(1)
    assert machine.configuration == ["pass"], machine.take_trace()
