"""Random trees mean what a second evaluator says; random text and data end in a value or one of the two errors."""

from __future__ import annotations

import json

import expression_kit as reference
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from agentflow_kernel.errors import ExpressionFailed, ExpressionInvalid
from agentflow_kernel.expression import Expression, Script

PIECES = """
a b c order items x1 _ @r $ . . . [ ] ( ) { } , : ? ; = == != < <= > >= + - * / // % && || ! := += -= and or not in
true false null 0 1 2 -1 1.5 1e3 99999999999999999999 'a' "b" '' '\\u0061' len( has( default( min( max( round( int(
float( str( lower( upper( abs( contains( starts_with( In( __class__ lambda if else True \x00 é # ' " \\ ` ~
"""
soup = st.lists(st.sampled_from(PIECES.split()), max_size=25).map(" ".join)
texts = st.text(max_size=60) | soup | st.text(alphabet="ab01.'\"\\[](){}?:=!<>+-*/% \n", max_size=40)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=2)
    | st.just(object()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.sampled_from(["a", "b", "x1", "items"]) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)
any_data = st.dictionaries(st.sampled_from(["a", "b", "c", "order", "items", "x1", "_", "@r"]), anything)


def outcome(text: str, data: dict, steps: int = 10_000) -> object:
    """The value in a list, or the error."""
    try:
        return [Expression(text, predicates=("In",), max_steps=steps).evaluate(data)]
    except (ExpressionInvalid, ExpressionFailed) as exc:
        return exc


def changes(text: str, data: dict) -> object:
    """The changes, or the error."""
    try:
        return Script(text).run(data)
    except (ExpressionInvalid, ExpressionFailed) as exc:
        return exc


def is_json(value: object) -> bool:
    return json.loads(json.dumps(value, allow_nan=False)) == value


def is_in_order(text: str, found: object) -> bool:
    """Whether what came out is JSON, or an error that points into the text."""
    if isinstance(found, ExpressionInvalid):
        return 0 <= found.position <= len(text) and str(found).endswith("^")
    return found.part in text if isinstance(found, ExpressionFailed) else is_json(found)


@settings(max_examples=400, deadline=None)
@given(reference.trees, reference.data)
def test_a_tree_written_and_read_again_means_what_the_reference_says(tree: tuple, data: dict) -> None:
    try:
        expected = [reference.meaning(tree, data)]
    except reference.Fault:
        expected = []
    found = outcome(reference.write(tree), data)
    event("a value" if expected else "a fault")
    assert repr([] if isinstance(found, ExpressionFailed) else found) == repr(expected)


@settings(max_examples=200, deadline=None)
@given(reference.trees, reference.data, st.integers(0, 60))
def test_fewer_steps_give_the_same_value_or_none(tree: tuple, data: dict, steps: int) -> None:
    text = reference.write(tree)
    part = outcome(text, data, steps)
    exceeded = isinstance(part, ExpressionFailed) and f"takes more than {steps} steps" in part.problem
    event("exceeded" if exceeded else "enough")
    assert exceeded or repr(part) == repr(outcome(text, data, 10**9))


@settings(max_examples=200, deadline=None)
@given(reference.trees)
def test_the_names_of_an_expression_are_all_it_reads(tree: tuple) -> None:
    """Given data under these names, it never says that a name is missing."""
    expression = Expression(reference.write(tree))
    assert {path[0] for path in expression.paths} == expression.names
    found = outcome(expression.text, dict.fromkeys(expression.names, 1))
    assert "the data has no" not in str(found)


@settings(max_examples=500, deadline=None)
@given(texts, any_data)
@example("(" * 4000, {})
@example("a" * 4096, {})
def test_any_text_gives_a_json_value_or_one_of_the_two_errors(text: str, data: dict) -> None:
    found = outcome(text, data)
    event(type(found).__name__)
    assert is_in_order(text, found)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b.a", "items[0]", "x1"]), st.sampled_from([":=", "=", "+="]), soup)),
    any_data,
)
def test_any_script_gives_json_changes_or_one_of_the_two_errors(lines: list, data: dict) -> None:
    before, text = repr(data), "; ".join(" ".join(line) for line in lines)
    found = changes(text, data)
    event(type(found).__name__)
    assert is_in_order(text, found)
    assert repr(data) == before


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(reference.NAMES), reference.trees), min_size=1, max_size=4), reference.data)
def test_a_script_does_what_its_assignments_do_one_after_the_other(lines: list, data: dict) -> None:
    now, expected = dict(data), {}
    text = "; ".join(f"{name} := {reference.write(tree)}" for name, tree in lines)
    try:
        for name, tree in lines:
            now[name] = expected[name] = reference.meaning(tree, now)
    except reference.Fault:
        expected = {}
    found = changes(text, data)
    event("changes" if expected else "a fault")
    assert repr({} if isinstance(found, ExpressionFailed) else found) == repr(expected)


@settings(max_examples=400, deadline=None)
@given(reference.trees, any_data)
def test_any_data_gives_a_json_value_or_the_one_error(tree: tuple, data: dict) -> None:
    text = reference.write(tree)
    found = outcome(text, data)
    assert not isinstance(found, ExpressionInvalid)
    assert is_in_order(text, found)
