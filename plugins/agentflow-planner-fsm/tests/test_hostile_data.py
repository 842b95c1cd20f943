"""What comes while a chart runs: data that is no machine, ids that are taken, work without an end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from statechart_driver import run

from agentflow_kernel.errors import PlanInvalid, PlanLoopError, ProtocolViolation, UsageError
from agentflow_planner_fsm.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path

LATE = """<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0">
<datamodel><data id="d"/></datamodel>
<state id="a"><transition event="go" target="b"><assign location="d" expr="_event.data"/></transition></state>
<state id="b"><invoke id="k" type="scxml"><content expr="d"/></invoke>
  <transition event="done.invoke.k" target="pass"/><transition event="error.execution" target="refused"/></state>
<final id="pass"/><state id="refused"/>
</scxml>"""
TWICE = {"id": "k", "tool": "x.y"}


def after(data: Any) -> list[str]:
    machine = Machine.load(LATE)
    machine.send("go", data)
    return machine.configuration


def test_a_machine_that_comes_as_data_is_text_and_never_a_path(tmp_path: Path) -> None:
    """A file that holds a chart is there, and is not opened."""
    chart = "states: {f: {final: true}}\n"
    file = tmp_path / "chart.yaml"
    file.write_text(chart)
    assert Machine.load(str(file)).done
    assert after(str(file)) == ["refused"]
    assert after(chart) == ["pass"]


@pytest.mark.parametrize(
    "data",
    ["/nowhere/x.yaml", "/", "a\0b", "a" * 5_000, "", " \n", 5, None, [1], {"kind": "Plan", "metadata": 1, "spec": {}}],
)
def test_data_that_is_no_machine_is_an_error_of_execution(data: Any) -> None:
    assert after(data) == ["refused"]


def test_a_name_of_a_machine_that_no_file_can_have_is_an_error_of_execution(tmp_path: Path) -> None:
    """Also one that is too long for the system to look for."""
    file = tmp_path / "main.yaml"
    file.write_text("""
data: {name: null}
states:
  a: {transitions: [{event: go, target: b, do: [name = _event.data]}]}
  b: {invoke: [{id: k, chart_source_expr: name}], transitions: [{event: error.execution, target: refused}]}
  refused: {}
""")
    for name in ("a" * 5_000, "a\0b", "none.yaml", 7):
        machine = Machine.load(file)
        machine.send("go", name)
        assert machine.configuration == ["refused"]


@pytest.mark.parametrize(
    "states",
    [
        {"a": {"invoke": [TWICE, TWICE]}},
        {"p": {"parallel": True, "states": {"a": {"invoke": [TWICE]}, "m": {}, "b": {"invoke": [TWICE]}}}},
        {"o": {"invoke": [TWICE], "states": {"a": {}, "b": {"invoke": [TWICE]}}}},
    ],
)
def test_two_invocations_that_may_be_at_work_together_need_two_ids(states: Any) -> None:
    with pytest.raises(PlanInvalid, match="The id 'k' of an invocation is taken") as caught:
        Machine.load({"states": states})
    assert [finding.code for finding in caught.value.findings] == ["P002"]  # type: ignore[union-attr]  # a plan's


def test_invocations_of_states_that_exclude_each_other_may_share_an_id() -> None:
    machine = run("""
states:
  a: {invoke: [{id: k, tool: x.y}], transitions: [{event: next, target: b}]}
  b: {invoke: [{id: k, tool: x.y}], transitions: [{event: done.invoke.k, target: c}]}
  c: {}
""")
    machine.send("next")
    assert machine.complete("k") is True
    assert machine.configuration == ["c"]


def test_an_invocation_whose_id_is_at_work_is_an_error_and_the_first_goes_on() -> None:
    """The name that the system makes for the second is the one that the document gave to the first."""
    machine = run("""
data: {why: ""}
states:
  a:
    invoke: [{id: a.invoke3, tool: x.y}, {tool: x.z}]
    transitions: [{event: error.execution, do: [why = _event.data.message]}, {event: z, target: q}]
  q: {}
""")
    assert "'a.invoke3' that is at work" in machine.data["why"]
    ((action,), _) = machine.take_actions()
    assert action.name == "x.y"
    machine.send("z")
    assert machine.take_actions() == ([], [action.id])
    assert machine.complete(action.id) is False


def test_data_that_double_with_each_step_end_early() -> None:
    """Each step fails at the bound of an expression, which is much work; one input has a bound for all of it."""
    begun = time.process_time()
    with pytest.raises(PlanLoopError, match="the work of 's = "):
        run("""
data: {s: [1]}
states: {a: {transitions: [{when: "true", target: a, do: ["s = [s, s]"]}]}}
""")
    assert time.process_time() - begun < 40  # without that bound it goes on for minutes; here it took 2 to 4 s


@pytest.mark.parametrize("piece", ["x = 1 in l", "x = l == m", "x = l[i - i] == m[0]", "x = [l, l]"])
def test_work_on_large_data_in_a_loop_is_bounded(piece: str) -> None:
    machine = run(
        "data: {l: [], m: [], n: [], i: 0, x: null}\n"
        "states: {a: {transitions: [{event: set, do: [l = _event.data, m = _event.data, n = _event.data]},\n"
        f"  {{event: go, do: [{{foreach: {{array: n, item: k, do: ['{piece}']}}}}]}}]}}}}"
    )
    machine.send("set", [[0] * 4_000, *[0] * 2_000])
    with pytest.raises(PlanLoopError, match="the work of"):
        machine.send("go")


def test_a_loop_over_thousands_of_items_is_no_hostile_work() -> None:
    """What reads one item or the length of a list pays for that alone; what came before is forgotten."""
    machine = run("""
data: {items: [], n: 0, at: 0}
states:
  a:
    transitions:
    - {event: set, do: ["items = _event.data"]}
    - event: go
      do:
      - foreach: {array: items, item: each, index: at, do: [{if: "len(items) > at", then: ["n += items[at].price"]}]}
""")
    machine.send("set", [{"price": 1}] * 8_000)
    for _ in range(3):
        machine.send("go")
    assert machine.data["n"] == 24_000


def test_very_many_internal_events_are_an_error_of_execution() -> None:
    """As with external ones: the event of the error still has its place."""
    machine = run("""
data: {l: [], why: "", got: 0}
states:
  a:
    transitions:
    - {event: set, do: ["l = _event.data"]}
    - {event: go, do: [{foreach: {array: l, item: k, do: [{raise: none}]}}]}
    - {event: test, do: [{foreach: {array: l, item: k, do: [{if: nothing, then: []}]}}]}
    - {event: error.execution, do: ["why = _event.data.message"]}
""")
    machine.send("set", [0] * 25_000)
    machine.send("go")
    assert machine.data["why"] == "more than 10,000 internal events wait"
    with pytest.raises(PlanLoopError, match="the error"):
        machine.send("test")


def test_what_makes_no_sense_to_a_machine_is_refused_by_a_typed_error() -> None:
    document = {"states": {"s": {}}}
    machine = Machine.load(document)
    for event in ([1], {}, None):
        with pytest.raises(UsageError, match="An event is a name"):
            machine.send(event)  # type: ignore[arg-type]  # on purpose
    for seconds in ("x", None, [1]):
        with pytest.raises(UsageError, match="Time goes on"):
            machine.advance(seconds)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ProtocolViolation, match="no snapshot"):
        Machine.restore(document, None)


def test_a_source_that_is_no_document_is_refused_by_a_typed_error(tmp_path: Path) -> None:
    for source in ("", " \n", "a\0b"):
        with pytest.raises(PlanInvalid):
            Machine.load(source)
    for name, content in (
        ("a.yaml", b"\xff\xfe\xff"),
        ("b.yaml", b"states: {\xe9: {}}"),
        ("c.xml", b"<scxml a='\xe9'/>"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PlanInvalid):
            Machine.load(tmp_path / name)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"states": {"s": {"transitions": [{"event": "e", "when": 5}]}}}, "/states/s/transitions/0/when"),
        ({"states": {"s": {"enter": [{"if": 5, "then": []}]}}}, "/states/s/enter/0/if"),
        ({"name": [1], "states": {"s": {}}}, "/name"),
        ({"data": {"x": {"$expr": 5}}, "states": {"s": {}}}, "/data/x/$expr"),
    ],
)
def test_what_must_be_a_text_is_one(document: Any, place: str) -> None:
    with pytest.raises(PlanInvalid) as caught:
        Machine.load(document)
    (finding,) = caught.value.findings
    assert (finding.code, finding.pointer) == ("P001", place)  # type: ignore[union-attr]  # a plan's


@pytest.mark.parametrize(
    ("condition", "word"),
    [
        ("v != undefined", "'undefined' is not read; write 'has(name)'"),
        ("v == NaN", "'NaN'"),
        ("v.length > 1", "'.length' is not read; write 'len("),
        ("typeof v == 'number'", "'typeof'"),
        ("v === 1", "'===' is not read; write '=='"),
        ("v !== 1", "'!==' is not read; write '!='"),
        ("v++ == 1", "'++' is not read; write 'name += 1'"),
        ("1 == v--", "'--' is not read; write 'name -= 1'"),
        ("2 ** v == 4", "'**'"),
        ("(v | 1) == 1", "'|' is not read; there are no operators on bits"),
        ("(v &amp; 1) == 1", "'&'"),
        ("v.map(x =&gt; x)", "'=>'"),
        ("v.indexOf ('a') == 0", "'.indexOf()' is not read; there are no methods"),
        ("Math.max(v, 1) == 1", "'.max()'"),
        ("v instanceof Array", "'instanceof'"),
        ("new Date() > v", "'new'"),
        ("function () { return true }", "'function'"),
        ("this.v", "'this'"),
    ],
)
def test_what_only_ecmascript_has_is_named(condition: str, word: str) -> None:
    text = LATE.replace('version="1.0"', 'version="1.0" datamodel="ecmascript"')
    text = text.replace('event="done.invoke.k"', f'event="x" cond="{condition}"')
    with pytest.raises(PlanInvalid) as caught:
        Machine.load(text)
    assert f"ECMAScript's {word}" in str(caught.value)


@pytest.mark.parametrize("word", ["var", "let", "const"])
def test_declarations_of_ecmascript_are_named(word: str) -> None:
    text = f'<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" datamodel="ecmascript"><script>{word} v = 1'
    with pytest.raises(PlanInvalid, match=f"ECMAScript's '{word}' is not read; write 'name := value'"):
        Machine.load(f"{text}</script><state id='s'/></scxml>")


def test_what_the_languages_have_in_common_is_read() -> None:
    """Also names that begin or go on as the words do."""
    text = LATE.replace('version="1.0"', 'version="1.0" datamodel="ecmascript"')
    expr = "n--1 == 6 || !(n &gt;= 1 &amp;&amp; newer.new.length2 != variable || has(thisOne)) ? 'ok' : 'bad'"
    text = text.replace('expr="_event.data"', f'expr="{expr}"')
    assert "<data" in text
    text = text.replace("<data ", "<data id='n' expr='5'/><data ", 1)
    machine = Machine.load(text)
    machine.send("go", "!")
    assert machine.data["d"] == "ok"


def test_words_of_ecmascript_in_texts_are_texts() -> None:
    text = LATE.replace('version="1.0"', 'version="1.0" datamodel="ecmascript"')
    text = text.replace('expr="_event.data"', "expr=\"'typeof undefined === NaN' + _event.data\"")
    machine = Machine.load(text)
    machine.send("go", "!")
    assert machine.data["d"] == "typeof undefined === NaN!"
