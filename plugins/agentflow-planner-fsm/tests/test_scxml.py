"""SCXML: what is read, what is refused and how, and that what is written runs like what it was written from."""

from __future__ import annotations

import random
from typing import Any

import pytest
from random_charts import EVENTS, random_document
from statechart_driver import logged, run

from agentflow_kernel.contracts.planner import PlanScope
from agentflow_kernel.errors import PlanInvalid, PlanLoopError, Unsupported
from agentflow_planner_fsm.machine import Machine
from agentflow_planner_fsm.planner import Statechart
from agentflow_planner_fsm.scxml import read_scxml, write_scxml

HEAD = '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0"'


def scxml(body: str, more: str = "") -> str:
    return f"<?xml version='1.0'?>\n<!-- a comment -->\n{HEAD} {more}>{body}</scxml>"


def test_every_element_has_its_place_in_a_document() -> None:
    text = scxml(
        """
<datamodel><data id="n" expr="1"/><data id="j">{"a": [1]}</data>
  <data id="t"> some  text </data><data id="u"/></datamodel>
<script>n := n + 1</script>
<state id="s" initial="s1">
  <onentry><log label="a" expr="n"/></onentry><onentry><raise event="e"/></onentry>
  <onexit><cancel sendid="x"/><cancel sendidexpr="t"/></onexit>
  <transition event="e f.*" cond="n == 2" target="p" type="internal"><assign location="n" expr="3"/></transition>
  <invoke type="scxml" id="k" autoforward="true" namelist="n"><param name="q" expr="1"/><content>
    <scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0"><final id="f"/></scxml></content>
    <finalize><script>u = 1</script></finalize></invoke>
  <state id="s1"/>
  <history id="h" type="deep"><transition target="s1"/></history>
</state>
<parallel id="p">
  <state id="a"><initial><transition target="a1"><log label="i"/></transition></initial><state id="a1"/></state>
  <state id="b"><onentry>
    <send event="z" delay="1s" id="x"><param name="n" location="n"/></send>
    <send eventexpr="'q'" targetexpr="'#_internal'" typeexpr="''" idlocation="u"><content expr="n"/></send>
    <if cond="n == 1"><log label="1"/><elseif cond="n == 2"/><log label="2"/><else/><log label="3"/></if>
    <foreach array="[1]" item="i" index="at"><log expr="i"/></foreach>
  </onentry></state></parallel>
<final id="end"><donedata><param name="n" expr="n"/></donedata></final>""",
        'name="all" initial="s" binding="late" datamodel="ecmascript"',
    )
    document = read_scxml(text)
    assert document["name"] == "all"
    assert document["data"][1:] == [
        {"id": "j", "value": {"$literal": {"a": [1]}}},
        {"id": "t", "value": {"$literal": "some text"}},
        {"id": "u"},
    ]
    state = document["states"]["s"]
    assert state["enter"] == [[{"log": {"label": "a", "expr": "n"}}], [{"raise": "e"}]]
    assert state["transitions"][0]["internal"] is True
    assert state["states"]["h"] == {"history": "deep", "default": {"target": "s1"}}
    machine = run(text)
    assert machine.leaves == ["a1", "b"]
    assert logged(machine) == "a i 3 "
    assert machine.data["n"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<scxml", "not well-formed"),
        ("<a><b></a>", "not well-formed"),
        ("<html/>", "Expected <scxml> as the root"),
        (scxml("<state id='a'/>", "datamodel='xpath'"), "data model 'xpath' is not read"),
        (
            scxml("<state id='a'><transition cond='a === b' target='a'/></state>", "datamodel='ecmascript'"),
            "ECMAScript's '===' is not read",
        ),
        (
            scxml("<state id='a'><transition cond='a b' target='a'/></state>", "datamodel='ecmascript'"),
            "guard cannot be read",
        ),
        (scxml("<state id='a'><onentry><script>var x = f();</script></onentry></state>"), "script cannot be read"),
        (scxml("<state id='a'/>").replace('"1.0"', '"2.0"'), "version 1.0"),
        (scxml("<state id='a'/><state id='a'/>"), "P002"),
        (
            scxml("<state id='a' initial='b'><initial><transition target='b'/></initial><state id='b'/></state>"),
            "or one <initial>",
        ),
        (scxml("<state id='a'><initial/><state id='b'/></state>"), "<initial> has one <transition>"),
        (scxml("<state id='a'><history id='h'/><state id='b'/></state>"), "<history> has one <transition>"),
        (scxml("<state id='a'><donedata/></state>"), "<donedata> has no place in <state>"),
        (scxml("<state id='a' color='red'/>"), "has no attribute 'color'"),
        (scxml("<state id='a'><onentry><jump/></onentry></state>"), "<jump> is nothing that can be done"),
        (
            scxml("<state id='a'><onentry><if cond='true'><else/><elseif cond='true'/></if></onentry></state>"),
            "after <else>",
        ),
        (scxml("<state id='a'><transition type='odd' target='a'/></state>"), "internal or external"),
        (scxml("<state id='a'><onentry><script src='x.js'/></onentry></state>"), "cannot have 'src'"),
        (scxml("<datamodel><data id='x' src='file:/etc/passwd'/></datamodel><state id='a'/>"), "nothing of the name"),
        (scxml("<state id='a'><invoke type='voice' src='x'/></state>"), "cannot be invoked"),
        (scxml("<state id='a'><invoke/></state>"), "one of 'src', 'srcexpr' and <content>"),
        (scxml("<state id='a'><invoke src='http://x/y.scxml'/></state>"), "nothing of the name"),
        (
            scxml("<final id='a'><donedata><content>1</content><param name='x' expr='1'/></donedata></final>"),
            "either <param>",
        ),
        (scxml("<state id='a'><transition target='zz'/></state>"), "no state 'zz'"),
        (scxml("<state id='a'>" * 160 + "</state>" * 160), "nested more than"),
        ("<!DOCTYPE scxml [<!ENTITY a 'b'>]>" + HEAD + "><state id='a'/></scxml>", "document types, entities"),
        (
            "<!DOCTYPE x ["
            + "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 9}'>" for n in range(1, 9))
            + "]><scxml>&l8;</scxml>",
            "entities",
        ),
        ("<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><scxml>&f;</scxml>", "entities"),
        ("<!DOCTYPE x SYSTEM 'http://example.invalid/x.dtd'><scxml/>", "document types"),
    ],
)
def test_what_cannot_be_read_is_a_finding(text: str, message: str) -> None:
    """Bombs and outside entities too: nothing of them is expanded or opened."""
    with pytest.raises(PlanInvalid, match=message):
        Machine.load(text)
    assert Statechart().check({"source": text, "file": "x.scxml"}, PlanScope())


def test_octets_in_other_encodings_are_read_as_they_say(tmp_path: Any) -> None:
    file = tmp_path / "chart.scxml"
    text = "<?xml version='1.0' encoding='utf-16'?>" + scxml("<state id='grün'/>").partition("\n")[2]
    file.write_bytes(text.encode("utf-16"))
    assert Machine.load(file).configuration == ["grün"]


def test_what_is_no_location_is_an_error_when_it_is_used() -> None:
    """As the recommendation has it; the document is read."""
    machine = run(
        scxml(
            """<datamodel><data id="n" expr="0"/></datamodel><state id="a">
<onentry><send event="x" namelist="&quot;n"/></onentry>
<onentry><foreach array="[1]" item="'continue'"/></onentry>
<onentry><assign location="a b" expr="1"/></onentry>
<onentry><assign location="undeclared" expr="1"/></onentry>
<onentry><assign location="_sessionid" expr="1"/></onentry>
<transition event="error.execution"><assign location="n" expr="n + 1"/></transition>
<transition event="x" target="bad"/></state><state id="bad"/>"""
        )
    )
    assert machine.configuration == ["a"]
    assert machine.data["n"] == 5


def test_actions_have_a_form_in_scxml() -> None:
    machine = run(
        scxml(
            """<state id="a"><onentry><send type="agentflow:emit" event="build.done"><content expr="1"/></send>
<send type="agentflow:tool" event="files.read" id="r"><param name="path" expr="'x'"/></send></onentry>
<invoke type="agentflow:agent" src="triage" id="t"><param name="q" expr="2"/></invoke></state>"""
        )
    )
    assert [(each.kind, each.name, each.arguments) for each in machine.actions] == [
        ("emit", "build.done", {"data": 1}),
        ("tool", "files.read", {"path": "x"}),
        ("agent", "triage", {"input": {"q": 2}}),
    ]


EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "binding": "late",
    "initial": "a",
    "data": {
        "n": 1,
        "text": "a<b & \"c\" 'd'",
        "deep": {"k": [1, None, True, {"$expr": "1 + 1"}]},
        "l": {"$literal": {"$expr": "x"}},
    },
    "script": ["n += 1"],
    "states": {
        "a": {
            "data": {"late": {"$expr": "n"}},
            "initial": {"target": "h", "do": [{"log": "initial"}]},
            "enter": [["n += 1", {"log": {"label": "n", "expr": "n"}}], ["missing = 1"], [{"log": "third"}]],
            "exit": [{"cancel": "later"}, {"cancel": {"id_expr": "'other'"}}],
            "after": {"1500ms": {"target": "b", "when": "n > 0", "do": [{"log": "after"}]}, "1h": "b"},
            "transitions": [
                {
                    "event": ["x", "y.z"],
                    "when": "In('a1') and n < 100",
                    "target": "a2",
                    "internal": True,
                    "do": ["n *= 2"],
                },
                {"event": "error.execution", "do": [{"log": "error"}]},
                {"event": "in", "do": [{"log": {"label": "in", "expr": "_event.data"}}]},
            ],
            "states": {
                "h": {"history": "shallow", "default": {"target": "a1", "do": [{"log": "history"}]}},
                "a1": {
                    "enter": [
                        {"raise": {"event": "in", "data": {"n": {"$expr": "n"}}}},
                        {"send": {"event": "x", "delay": 2}},
                    ]
                },
                "a2": {
                    "enter": [
                        {
                            "if": "n > 50",
                            "then": [{"log": "big"}],
                            "elseif": [{"when": "n > 5", "then": [{"log": "mid"}]}],
                            "else": [{"log": "small"}],
                        },
                        {
                            "foreach": {
                                "array": "[1, 2]",
                                "item": "i",
                                "index": "at",
                                "do": [{"assign": {"location": "n", "expr": "n + i"}}],
                            }
                        },
                        {"assign": {"location": "text", "value": [1, {"$expr": "n"}]}},
                        {"emit": {"type": "t.t", "data": {"$expr": "n"}}},
                        {"tool": "files.read", "with": {"path": {"$expr": "'p'"}}, "id": "c"},
                        {
                            "send": {
                                "event_expr": "'late'",
                                "to": "self",
                                "id": "later",
                                "delay": "10s",
                                "params": [{"name": "p", "expr": "n"}],
                            }
                        },
                    ]
                },
            },
        },
        "b": {
            "parallel": True,
            "invoke": [
                {"id": "i", "tool": "t.t", "with": {"a": 1}, "finalize": ["n += 1"]},
                {
                    "chart": {"states": {"k": {"enter": [{"send": {"event": "up", "to": "parent"}}]}}},
                    "autoforward": False,
                },
            ],
            "transitions": [{"event": "done.state.b", "target": "end"}, {"event": "up", "do": [{"log": "up"}]}],
            "states": {
                "p": {
                    "states": {
                        "p1": {"transitions": [{"event": "x", "target": "pf"}]},
                        "pf": {"final": True, "params": [{"name": "n", "expr": "n"}]},
                    }
                },
                "q": {"states": {"q1": {"transitions": [{"target": "qf"}]}, "qf": {"final": True}}},
            },
        },
        "end": {"final": True, "data": {"n": {"$expr": "n"}}},
    },
}


def played(document: Any) -> list[Any]:
    machine = run(document)
    found: list[Any] = []
    for event in ("x", "y.z", None, "x", "x"):
        actions = [(each.kind, each.name, each.arguments) for each in machine.actions]
        found.append([machine.configuration, logged(machine), machine.data, actions])
        if event is None:
            machine.advance(2)
        else:
            machine.send(event)
    return [*found, machine.configuration, machine.output]


def test_a_written_document_runs_like_the_one_it_was_written_from() -> None:
    """Everything a document can hold, through SCXML and back, twice."""
    text = write_scxml(EVERYTHING)
    again = read_scxml(text)
    expected = played(EVERYTHING)
    assert expected[-1] == {"n": expected[-4][2]["n"]}
    for one, other in zip(expected, played(text), strict=True):
        assert one == other
    assert write_scxml(again) == write_scxml(read_scxml(write_scxml(again)))


def test_random_charts_run_alike_through_scxml() -> None:
    for seed in range(60):
        document = random_document(seed, timed=True)
        chance = random.Random(seed)
        try:
            one, other = (
                Machine.load(each, traced=True, max_microsteps=20) for each in (document, write_scxml(document))
            )
            for _ in range(8):
                assert (one.configuration, logged(one), one.data) == (other.configuration, logged(other), other.data), (
                    seed
                )
                event = chance.choice(EVENTS)
                for machine in (one, other):
                    machine.send(event)
                    machine.advance(1)
        except PlanLoopError:
            continue


@pytest.mark.parametrize(
    "piece",
    [
        {"invoke": {"tool": "t", "on_restore": "fail"}},
        {"invoke": {"ask": "x"}},
        {"enter": [{"wait": {"type": "timer", "seconds": 1}}]},
        {"enter": [{"emit": {"type": "t", "subject": "s"}}]},
        {"enter": [{"log": "a\x01"}]},
        {"invoke": {"agent": "a", "input": 5}},
    ],
)
def test_what_has_no_form_in_scxml_is_refused(piece: Any) -> None:
    with pytest.raises(Unsupported, match="A statechart as SCXML"):
        write_scxml({"states": {"s": piece}})
