"""Documents: every fault is found with its code and place, and nothing hostile takes the process with it."""

from __future__ import annotations

import gc
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from statechart_driver import run

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.contracts.planner import PlanScope
from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_fsm.machine import Machine, load_chart
from agentflow_planner_fsm.planner import Statechart

if TYPE_CHECKING:
    from pathlib import Path


def findings(document: Any) -> list[PlanFinding]:
    with pytest.raises(PlanInvalid) as caught:
        Machine.load(document)
    return [each for each in caught.value.findings if isinstance(each, PlanFinding)]


T = "transitions"
FAULTS: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("nothing", {}, "P001", "/states", "needs at least one state"),
    ("key", {"states": {"s": {}}, "stats": {}}, "P001", "/stats", "Did you mean 'states'"),
    ("name", {"states": {"a b": {}}}, "P001", "/states/a b", "without blanks"),
    ("states", {"states": [1]}, "P001", "/states", "mapping of states"),
    ("state", {"states": {"s": 5}}, "P001", "/states/s", "Expected a mapping for an atomic state"),
    ("state key", {"states": {"s": {"transition": []}}}, "P001", "/states/s/transition", "Did you mean 'transitions'"),
    (
        "both",
        {"states": {"s": {"final": True, "history": "deep"}}},
        "P001",
        "/states/s/history",
        "both final and history",
    ),
    ("history", {"states": {"s": {"history": "long"}, "t": {}}}, "P001", "/states/s/history", "shallow or deep"),
    ("flag", {"states": {"s": {"final": "yes"}}}, "P001", "/states/s/final", "true or false"),
    ("parallel", {"states": {"s": {"parallel": True}}}, "P001", "/states/s/states", "needs states in it"),
    (
        "final in parallel",
        {"states": {"p": {"parallel": True, "states": {"f": {"final": True}}}}},
        "P001",
        "/states/p/states/f",
        "cannot have a final state",
    ),
    ("final with ways", {"states": {"f": {"final": True, T: []}}}, "P001", "/states/f/transitions", "in a final state"),
    (
        "only history",
        {"states": {"s": {"states": {"h": {"history": "deep"}}}}},
        "P001",
        "/states/s/states",
        "history states only",
    ),
    ("initial of atomic", {"states": {"s": {"initial": "x"}}}, "P001", "/states/s/initial", "in an atomic state"),
    (
        "two histories ways",
        {"states": {"h": {"history": "deep", T: []}, "s": {}}},
        "P001",
        "/states/h/transitions",
        "one 'default'",
    ),
    ("ways", {"states": {"s": {T: 5}}}, "P001", "/states/s/transitions", "list of transitions"),
    ("empty way", {"states": {"s": {T: [{"do": []}]}}}, "P001", "/states/s/transitions/0", "needs an 'event'"),
    (
        "event",
        {"states": {"s": {T: [{"event": "a..b", "target": "s"}]}}},
        "P001",
        "/states/s/transitions/0/event",
        "a..b",
    ),
    (
        "event star",
        {"states": {"s": {T: [{"event": "a*", "target": "s"}]}}},
        "P001",
        "/states/s/transitions/0/event",
        "a*",
    ),
    (
        "guard",
        {"states": {"s": {T: [{"event": "e", "when": "x >", "target": "s"}]}}},
        "P001",
        "/states/s/transitions/0/when",
        "line 1, column 4",
    ),
    (
        "foreign guard",
        {"states": {"s": {T: [{"event": "e", "when": "x === 1"}]}}},
        "P001",
        "/states/s/transitions/0/when",
        "The guard cannot be read",
    ),
    (
        "guard type",
        {"states": {"s": {T: [{"event": "e", "when": [1]}]}}},
        "P001",
        "/states/s/transitions/0/when",
        "a list",
    ),
    ("do", {"states": {"s": {"enter": [5]}}}, "P001", "/states/s/enter/0", "something to do"),
    ("do what", {"states": {"s": {"enter": [{"jump": 1}]}}}, "P001", "/states/s/enter/0", "found none"),
    (
        "do two",
        {"states": {"s": {"exit": [{"raise": "a", "send": "b"}]}}},
        "P001",
        "/states/s/exit/0",
        "found 'raise' and 'send'",
    ),
    ("script", {"states": {"s": {"enter": ["x 1"]}}}, "P001", "/states/s/enter/0", "script cannot be read"),
    (
        "assign",
        {"states": {"s": {"enter": [{"assign": {"location": "1", "expr": "2"}}]}}},
        "P001",
        "/states/s/enter/0/assign/location",
        "name or path of a variable",
    ),
    (
        "assign two",
        {"states": {"s": {"enter": [{"assign": {"location": "a", "expr": "2", "value": 1}}]}}},
        "P001",
        "/states/s/enter/0/assign",
        "either 'expr' or 'value'",
    ),
    (
        "smuggled",
        {"states": {"s": {"enter": [{"assign": {"location": "a", "expr": "1; b := 2"}}]}}},
        "P001",
        "/states/s/enter/0/assign/expr",
        "cannot be read",
    ),
    (
        "send",
        {"states": {"s": {"enter": [{"send": {"to": "self"}}]}}},
        "P001",
        "/states/s/enter/0/send",
        "needs an 'event'",
    ),
    (
        "send twice",
        {"states": {"s": {"enter": [{"send": {"event": "a", "event_expr": "b"}}]}}},
        "P001",
        "/states/s/enter/0/send/event_expr",
        "exclude each other",
    ),
    (
        "send internal",
        {"states": {"s": {"enter": [{"send": {"event": "a", "to": "internal", "delay": "1s"}}]}}},
        "P001",
        "/states/s/enter/0/send",
        "cannot have a delay",
    ),
    (
        "data and params",
        {"states": {"s": {"enter": [{"raise": {"event": "a", "data": 1, "params": []}}]}}},
        "P001",
        "/states/s/enter/0/raise/params",
        "exclude each other",
    ),
    (
        "param",
        {"states": {"s": {"enter": [{"send": {"event": "a", "params": [{"name": "n"}]}}]}}},
        "P001",
        "/states/s/enter/0/send/params/0",
        "either 'expr' or 'location'",
    ),
    (
        "delay",
        {"states": {"s": {"enter": [{"send": {"event": "a", "delay": "soon"}}]}}},
        "P001",
        "/states/s/enter/0/send/delay",
        "Expected a delay",
    ),
    ("after", {"states": {"s": {"after": {"-1s": "s"}}}}, "P001", "/states/s/after/-1s", "Expected a delay"),
    (
        "after none",
        {"states": {"s": {"after": [{"target": "s"}]}}},
        "P001",
        "/states/s/after/0",
        "'delay' or 'delay_expr'",
    ),
    (
        "foreach",
        {"states": {"s": {"enter": [{"foreach": {"array": "a", "item": "1x"}}]}}},
        "P001",
        "/states/s/enter/0/foreach/item",
        "name of a variable",
    ),
    ("data", {"states": {"s": {}}, "data": {"_x": 1}}, "P001", "/data/_x", "belong to the system"),
    ("binding", {"states": {"s": {}}, "binding": "middle"}, "P001", "/binding", "early or late"),
    ("invoke", {"states": {"s": {"invoke": [{"id": "x"}]}}}, "P001", "/states/s/invoke/0", "what is invoked"),
    (
        "restore",
        {"states": {"s": {"invoke": {"tool": "t", "on_restore": "hope"}}}},
        "P001",
        "/states/s/invoke/on_restore",
        "restart or fail",
    ),
    (
        "inner",
        {"states": {"s": {"invoke": {"chart": {"states": {"a": {T: [{"target": "b"}]}}}}}}},
        "P005",
        "/states/s/invoke/chart/states/a/transitions/0/target",
        "no state 'b'",
    ),
    (
        "twice",
        {"states": {"a": {"states": {"x": {}}}, "b": {"states": {"x": {}}}}},
        "P002",
        "/states/b/states/x",
        "there already, at states/a/states/x",
    ),
    (
        "variable twice",
        {"states": {"a": {"data": {"v": 1}}, "b": {"data": {"v": 1}}}},
        "P002",
        "/states/b/data/v",
        "'v'",
    ),
    (
        "source",
        {"states": {"s": {"invoke": {"chart_source": "x.yaml"}}}},
        "P003",
        "/states/s/invoke/chart_source",
        "x.yaml",
    ),
    (
        "target",
        {"states": {"start": {T: [{"event": "e", "target": "strat"}]}}},
        "P005",
        "/states/start/transitions/0/target",
        "Did you mean 'start'",
    ),
    ("initial", {"states": {"s": {}}, "initial": "t"}, "P005", "/initial", "no state 't'"),
    (
        "initial outside",
        {"states": {"s": {"initial": "t", "states": {"a": {}}}, "t": {}}},
        "P005",
        "/states/s/initial",
        "is not in the state 's'",
    ),
    (
        "history outside",
        {"states": {"s": {"states": {"h": {"history": "deep", "default": "t"}, "a": {}}}, "t": {}}},
        "P005",
        "/states/s/states/h/default",
        "not beside the history state",
    ),
    (
        "targets",
        {"states": {"a": {T: [{"event": "e", "target": "b c"}]}, "b": {}, "c": {}}},
        "P005",
        "/states/a/transitions/0/target",
        "cannot be active at the same time",
    ),
    ("several initial", {"states": {"a": {}, "b": {}}, "initial": "a b"}, "P005", "/initial", "at the same time"),
]


@pytest.mark.parametrize(
    ("document", "code", "pointer", "text"), [case[1:] for case in FAULTS], ids=[c[0] for c in FAULTS]
)
def test_each_fault_is_found_at_its_place(document: dict[str, Any], code: str, pointer: str, text: str) -> None:
    found = findings(document)
    assert any((each.code, each.pointer) == (code, pointer) and text in each for each in found), found


def test_all_faults_are_found_at_once_and_name_their_state() -> None:
    found = findings("states: {a: {transitions: [{target: x}]}, b: {transitions: [{target: y}], enter: ['1']}}")
    assert [(each.code, each.step) for each in found] == [("P005", "a"), ("P001", "b"), ("P005", "b")]


def test_of_very_many_faults_the_first_hundred_are_kept() -> None:
    found = findings({"states": {f"s{at}": {"transitions": [{"target": "x"}]} for at in range(1_000)}})
    assert len(found) == 100


TOOLS = {
    "files.read": Tool(
        "read", "Reads.", {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}}
    )
}
SCOPE = PlanScope(tools=TOOLS, agents={"triage": ""}, flows={}, plans=None)


@pytest.mark.parametrize(
    ("piece", "code", "text"),
    [
        ({"tool": "files.raed"}, "P003", "Did you mean 'files.read'"),
        ({"agent": "sales"}, "P003", "no agent 'sales'"),
        ({"flow": "f"}, "P003", "no flow 'f'"),
        ({"tool": "files.read"}, "P004", "path"),
        ({"tool": "files.read", "with": {"path": 5}}, "P004", "path"),
        ({"tool": "files.read", "with": {"other": {"$expr": "x"}}}, "P004", "needs the argument 'path'"),
        ({"tool": "files.read", "with": {"path": 5, "other": {"$expr": "x"}}}, "P004", "'path' of 'files.read'"),
    ],
)
def test_names_and_arguments_are_checked_against_what_there_is(piece: Any, code: str, text: str) -> None:
    for document in ({"states": {"s": {"enter": [piece]}}}, {"states": {"s": {"invoke": piece}}}):
        (found,) = [each for each in Statechart().check(document, SCOPE) if not each.warning]
        assert (found.code, found.step) == (code, "s")
        assert text in found


@pytest.mark.parametrize(
    "piece", [{"tool": "files.read", "with": {"path": {"$expr": "p"}}}, {"plan": "any"}, {"agent": "triage"}]
)
def test_what_is_there_or_cannot_be_known_is_fine(piece: Any) -> None:
    document = {"states": {"s": {"enter": [piece], "transitions": [{"event": "e", "target": "s"}]}}}
    assert list(Statechart().check(document, SCOPE)) == []


def test_states_that_nothing_leads_to_or_on_from_are_warnings() -> None:
    document = {
        "states": {
            "a": {"transitions": [{"event": "e", "target": "b"}]},
            "b": {},
            "c": {"states": {"d": {}}},
            "p": {"parallel": True, "states": {"x": {}, "y": {"transitions": [{"event": "e", "target": "b"}]}}},
        }
    }
    found = Statechart().check(document, PlanScope())
    assert [(each.code, each.step, each.warning) for each in found] == [
        ("P008", "b", True),
        ("P007", "c", True),
        ("P007", "p", True),
    ]
    assert Machine.load(document).configuration == ["a"]


def test_a_bad_document_is_checked_without_raising() -> None:
    for document in ({}, {"states": {"s": {"enter": [{"tool": 5}]}}}, {"source": "<scxml", "file": "x.scxml"}):
        assert Statechart().check(document, SCOPE)


# -- texts


@pytest.mark.parametrize(
    "text",
    [
        "states: [",
        "states: {s: {}, s: {}}",
        "- 1\n- 2\n",
        "a: !!python/object:os.system x\nb: 1",
        "[" * 5_000 + "\n",
        "a: &a [1, 1, 1, 1]\n"
        + "".join(f"a{n}: &a{n} [*a{n - 1 if n else ''}, *a{n - 1 if n else ''}]\n" for n in range(40)).replace(
            "*a-1", "*a"
        ),
        "states:\n" + "  " * 3 + "\x00: 1",
    ],
)
def test_a_text_that_is_no_document_is_a_finding(text: str) -> None:
    assert findings(text)


def test_a_key_twice_is_a_state_twice() -> None:
    assert [each.code for each in findings("states:\n  s: {}\n  s: {}\n")] == ["P002"]


def test_a_document_comes_from_a_file_or_a_manifest(tmp_path: Path) -> None:
    text = "states: {a: {transitions: [{event: e, target: b}]}, b: {}}\n"
    file = tmp_path / "chart.yaml"
    file.write_text(text)
    manifest = {"kind": "Plan", "metadata": {"name": "m"}, "spec": {"document": Machine.load(text).chart.document}}
    for source in (file, str(file), text, manifest, {"source": text, "file": "chart.txt"}):
        assert Machine.load(source).configuration == ["a"]
    assert Machine.load(manifest).chart.name == "m"
    with pytest.raises(FileNotFoundError):
        Machine.load(str(tmp_path / "other.yaml"))
    with pytest.raises(TypeError, match="mapping, a text or a path"):
        Machine.load(5)  # type: ignore[arg-type]  # on purpose


def test_charts_and_data_beside_a_file_are_found_by_name(tmp_path: Path) -> None:
    """Only in the same folder; a text has nothing beside it."""
    (tmp_path / "kid.yaml").write_text("states: {f: {final: true}}\n")
    (tmp_path / "numbers.json").write_text("[1, 2]")
    file = tmp_path / "top.yaml"
    file.write_text("""
data: [{id: n, source: 'file:numbers.json'}]
states: {a: {invoke: {id: kid, chart_source: kid.yaml}, transitions: [{event: done.invoke.kid, target: b}]}, b: {}}
""")
    machine = Machine.load(file)
    assert (machine.configuration, machine.data["n"]) == (["b"], [1, 2])
    with pytest.raises(PlanInvalid, match="nothing of the name"):
        Machine.load(file.read_text())
    file.write_text("states: {a: {invoke: {chart_source: ../x.yaml}}}\n")
    with pytest.raises(PlanInvalid, match="nothing of the name"):
        Machine.load(file)


# -- size


def wide(count: int) -> dict[str, Any]:
    """A chart of so many states in a row of compound states of ten."""
    states: dict[str, Any] = {}
    for first in range(0, count, 10):
        inner = {
            f"s{at}": {
                "transitions": [{"event": "n", "target": f"s{(at + 1) % count}"}, {"event": "x y", "when": "In('s0')"}]
            }
            for at in range(first + 1, first + 10)
        }
        states[f"s{first}"] = {"states": inner, "transitions": [{"event": "top", "target": "s0"}]}
    return {"states": states}


def calls_of_a_state(count: int) -> float:
    """How many functions are called for each state when a document is read, also built-in ones."""
    document, counted = wide(count), 0

    def note(frame: object, kind: str, argument: object) -> None:
        nonlocal counted
        counted += kind in ("call", "c_call")

    gc.disable()
    sys.setprofile(note)
    try:
        load_chart(document)
    finally:
        sys.setprofile(None)
        gc.enable()
    return counted / count


@pytest.mark.timeout(300)
def test_a_document_of_a_hundred_thousand_states_is_read_in_time_that_grows_with_it() -> None:
    """A state costs the same calls whatever the size; what built-in functions do in them is near-linear, too.

    The time of a state may be five times as much, for others share the processor; ten times would be quadratic. The
    chart then runs as any other.
    """
    load_chart(wide(1_000))
    small, large = map(calls_of_a_state, (990, 9_990))
    assert large <= 1.01 * small
    figures = []
    for count in (9_990, 99_990):
        document = wide(count)
        start = time.process_time()
        chart = load_chart(document)
        figures.append((time.process_time() - start) / count)
    assert figures[1] <= 5 * figures[0], figures
    machine = Machine(chart)
    for event in ("n", "n", "x", "top", "n"):
        machine.send(event)
    assert machine.leaves == ["s2"]


def test_more_is_refused() -> None:
    assert {each.code for each in findings({"states": {f"s{at}": None for at in range(100_001)}})} == {"P011"}
    document: dict[str, Any] = {}
    for at in range(150):
        document = {"states": {f"s{at}": document}}
    assert "P011" in {each.code for each in findings(document)}
    value: Any = 1
    for _ in range(100):
        value = [value]
    assert {each.code for each in findings({"states": {"s": {}}, "data": {"x": value}})} == {"P011"}
    content: Any = []
    for _ in range(40):
        content = [{"if": "true", "then": content}]
    assert {each.code for each in findings({"states": {"s": {"enter": content}}})} == {"P011"}


def test_a_flood_of_events_costs_no_memory_and_the_memo_stays_bounded() -> None:
    """Names that were never seen before do not pile up; a queue in one input is bounded too."""
    machine = run("states: {s: {transitions: [{event: a, target: s}]}}")
    for at in range(40_000):
        machine.send(f"unknown.{at}")
    memo = machine.chart.memo
    assert sum(len(row) for row in memo.rows.values()) + len(memo.steps) <= memo.most
    machine = run("""
states:
  s:
    transitions:
    - {event: e, do: [{foreach: {array: _event.data, item: i, do: [{send: x}]}}]}
    - {event: f, do: [{foreach: {array: _event.data, item: i, do: [{send: {event: x, delay: 1s}}]}}]}
    - {event: error.communication, target: t}
    - {event: error.execution, target: u}
  t: {}
  u: {}
""")
    copy = Machine.load(machine.chart)
    machine.send("e", list(range(10_500)))
    assert machine.configuration == ["t"]
    copy.send("f", list(range(10_500)))
    assert copy.configuration == ["u"]
