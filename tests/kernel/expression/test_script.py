"""What a script changes."""

from __future__ import annotations

import copy

import pytest

from agentflow_kernel.errors import ExpressionFailed, ExpressionInvalid
from agentflow_kernel.expression import Script

DATA = {"n": 5, "text": "abc", "order": {"total": 10, "lines": [{"price": 1}, {"price": 2}]}, "list": [1]}
ORDER = DATA["order"]

TABLE = [
    ("x := 1", {"x": 1}),
    ("x := n + 1", {"x": 6}),
    ("n = 6", {"n": 6}),
    ("n += 1", {"n": 6}),
    ("n -= 1", {"n": 4}),
    ("n *= 2", {"n": 10}),
    ("n /= 2", {"n": 2.5}),
    ("n *= 2 + 1", {"n": 15}),
    ("text += 'd'", {"text": "abcd"}),
    ("list += [n]", {"list": [1, 5]}),
    ("x := 1; y := x + 1; x := y", {"x": 2, "y": 2}),
    ("x := 1;", {"x": 1}),
    (" x\n:=\n1 ;\n y := 2 ", {"x": 1, "y": 2}),
    ("x := n > 3 ? 'a' : 'b'", {"x": "a"}),
    ("order.total := 11", {"order": {"total": 11, "lines": [{"price": 1}, {"price": 2}]}}),
    ("order.new := null", {"order": {"total": 10, "lines": [{"price": 1}, {"price": 2}], "new": None}}),
    ("order['a b'] := 1", {"order": {"total": 10, "lines": [{"price": 1}, {"price": 2}], "a b": 1}}),
    ("order.lines[1].price += 5", {"order": {"total": 10, "lines": [{"price": 1}, {"price": 7}]}}),
    ("order.lines[-1] = 0", {"order": {"total": 10, "lines": [{"price": 1}, 0]}}),
    ("$['a b'] := 1", {"a b": 1}),
    ("$.n := 1", {"n": 1}),
    ("@root := n", {"@root": 5}),
    ("x := {}; x.y := {}; x.y.z := 1", {"x": {"y": {"z": 1}}}),
    ("x := list; x[0] := 2; y := list", {"x": [2], "y": [1]}),
    ("x := order; x.total := 0; y := order.total", {"x": {**ORDER, "total": 0}, "y": 10}),
    ("b := 1; a := 2; b := 3", {"b": 3, "a": 2}),
]


@pytest.mark.parametrize(("text", "changes"), TABLE, ids=[text for text, _ in TABLE])
def test_script_gives_the_changes_of_the_table_and_leaves_the_data_alone(text: str, changes: object) -> None:
    before = copy.deepcopy(DATA)
    found = Script(text).run(DATA)
    assert repr(found) == repr(changes)
    assert before == DATA


FAILED = [
    ("x = 1", "x", "the data has no 'x'"),
    ("x += 1", "x", "the data has no 'x'"),
    ("order.new = 1", "order.new", "there is no 'new' in order"),
    ("order.new += 1", "order.new", "there is no 'new' in order"),
    ("x.y := 1", "x.y := 1", "there is no place for 'y': 'x' leads to nothing"),
    ("order.a.b := 1", "order.a.b := 1", "there is no place for 'b': 'a' leads to nothing"),
    ("n.a := 1", "n.a := 1", "there is no place for 'a': 'n' leads to number 5"),
    ("list[1] := 1", "list[1] := 1", "there is no place for 1: 'list' leads to a list of 1"),
    ("list.a := 1", "list.a := 1", "there is no place for 'a': 'list' leads to a list of 1"),
    ("order[0] := 1", "order[0] := 1", "there is no place for 0: 'order' leads to an object of 2"),
    ("x := 1; y := missing", "missing", "the data has no 'missing'"),
    ("n += 'a'", "n += 'a'", "'+' takes two numbers, texts or lists, not number 5 and text 'a'"),
    ("n /= 0", "n /= 0", "number 5 is divided by zero"),
]


@pytest.mark.parametrize(("text", "part", "problem"), FAILED, ids=[row[0] for row in FAILED])
def test_script_that_fails_changes_nothing(text: str, part: str, problem: str) -> None:
    before = copy.deepcopy(DATA)
    with pytest.raises(ExpressionFailed) as caught:
        Script(text).run(DATA)
    assert (caught.value.part, caught.value.expression) == (part, text)
    assert problem in caught.value.problem
    assert before == DATA


def test_changes_share_nothing_with_the_data_or_each_other() -> None:
    data = {"a": {"b": [1]}}
    script = Script("x := a; y := a; z := [1]")
    changes = script.run(data)
    changes["x"]["b"].append(2)
    changes["z"].append(2)
    assert data == {"a": {"b": [1]}}
    assert changes["y"] == {"b": [1]}
    assert script.run(data)["z"] == [1]


def test_changes_come_in_the_order_of_the_first_assignment() -> None:
    assert list(Script("b := 1; a := b; b := a; c := 1").run({})) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("text", "names", "targets"),
    [
        ("x := 1", set(), (("x",),)),
        ("x := y; z := x", {"y"}, (("x",), ("z",))),
        ("x := x + 1", {"x"}, (("x",),)),
        ("x += 1", {"x"}, (("x",),)),
        ("x = 1", {"x"}, (("x",),)),
        ("x.a := 1; x.b[0] := 2; x.a := 3", {"x"}, (("x", "a"), ("x", "b", 0))),
        ("x := {}; x.a := 1", set(), (("x",), ("x", "a"))),
    ],
)
def test_script_knows_what_it_reads_before_it_sets_it_and_what_it_sets(
    text: str, names: set[str], targets: tuple[object, ...]
) -> None:
    script = Script(text)
    assert script.names == names
    assert script.targets == targets


def test_script_knows_the_paths_it_reads() -> None:
    assert Script("order.total := order.net + tax[n]").paths == (("order",), ("order", "net"), ("n",), ("tax",))


def test_predicates_hold_in_scripts() -> None:
    assert Script("x := In('a')", predicates=("In",)).run({"In()": ["a"]}) == {"x": True}


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("x", 1, "':=', '=', '+=', '-=', '*=' or '/='"),
        ("", 0, "the name or path of what is set"),
        ("x := 1 y", 7, "an operator, ';' or the end"),
        ("x[n] := 1", 2, "a key or an index"),
        ("x := 1; ; y := 1", 8, "the name or path of what is set"),
    ],
)
def test_a_text_that_is_no_script_says_where(text: str, position: int, expected: str) -> None:
    with pytest.raises(ExpressionInvalid) as caught:
        Script(text)
    assert (caught.value.position, caught.value.expected) == (position, expected)
